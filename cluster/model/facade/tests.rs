use std::sync::Arc;
use std::time::Duration;

use base::{
    AppName, Clock, ManualClock, SessionId, StreamId, SystemClock, SystemRandomness, WallTime, limits,
};

use super::*;
use crate::testing::{InMemory, planes, seals};
use crate::{
    Broadcasts, Command, Contention, Direction, Fingerprint, HeldClaim, Hidden, Meta, MetaError, NodeCard,
    NodeId, Observed, PutWhen, Refusal, Revision, StreamStarted, SubscriberId, SubscriberTerms, TokenFault,
    TokenId, TokenTerms, User, UserName, WatchEvent,
};

/// An unsteady plane on a machine that has no time for it may need many tries.
const PATIENCE: Duration = Duration::from_secs(60);

macro_rules! over {
    ($facade:ident, $meta:expr) => {
        $facade::new(Arc::clone($meta), Arc::new(SystemClock), Arc::new(SystemRandomness)).within(PATIENCE)
    };
}

fn subscribers(meta: &Arc<dyn Meta>) -> Subscribers {
    let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    Subscribers::new(Arc::clone(meta), seals(), clock, randomness).within(PATIENCE)
}

fn app() -> AppName {
    AppName::new("a").unwrap()
}

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("one").unwrap()
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

#[tokio::test]
async fn a_token_lives_from_its_making_to_its_spending() {
    for plane in planes() {
        let tokens = over!(Tokens, &plane);
        let terms = TokenTerms { direction: Direction::Play, expire_s: 1 << 40, room: None };
        let token = tokens.create(&app(), &id("s"), terms.clone()).await.unwrap();
        assert_eq!(token.as_str().len(), 32);
        let play = Direction::Play;
        assert_eq!(tokens.fault(&app(), &id("s"), &token, play).await, Ok(None));
        assert_eq!(tokens.list(&app(), &id("s"), 0, 10).await.unwrap().len(), 1);
        let spend =
            async |by| tokens.spend(&app(), &id("s"), &token, play, session(by), Fingerprint(1)).await;
        assert_eq!(spend(1).await, Ok(()));
        assert_eq!(spend(1).await, Ok(()));
        assert_eq!(spend(2).await, Err(TokenFault::Spent.into()));
        assert_eq!(tokens.list(&app(), &id("s"), 0, 10).await.unwrap().len(), 0);
        assert_eq!(tokens.revoke(&app(), &id("s"), &token).await, Ok(true));
        assert_eq!(tokens.revoke(&app(), &id("s"), &token).await, Ok(false));
        assert_eq!(tokens.revoke_all(&app(), &id("s")).await, Ok(false));
        tokens.create(&app(), &id("s"), terms).await.unwrap();
        assert_eq!(tokens.revoke_all(&app(), &id("s")).await, Ok(true));
        let nobodys = TokenId::new("1234").unwrap();
        assert_eq!(tokens.fault(&app(), &id("s"), &nobodys, play).await, Ok(Some(TokenFault::Unknown)));
    }
}

#[tokio::test]
async fn a_subscriber_is_registered_connected_blocked_and_deleted() {
    for plane in planes() {
        let subscribers = subscribers(&plane);
        let nodes = over!(Nodes, &plane);
        let owner = nodes.join(NodeId(1), NodeCard::default()).await.unwrap();
        let terms = SubscriberTerms { concurrent_connections_limit: 1, ..SubscriberTerms::default() };
        subscribers.put(&app(), &id("s"), &subscriber(), terms).await.unwrap();
        let acquire =
            async |by| subscribers.acquire(&app(), &id("s"), &subscriber(), session(by), owner).await;
        assert_eq!(acquire(1).await, Ok(()));
        assert_eq!(acquire(2).await, Err(AcquireError::Taken { limit: 1 }));
        let shown = subscribers.get(&app(), &id("s"), &subscriber()).await.unwrap().unwrap();
        assert_eq!((shown.slots, shown.connections), (1, 0));
        let release =
            async |by| subscribers.release(&app(), &id("s"), &subscriber(), session(by), owner).await;
        assert_eq!((release(1).await, release(1).await), (Ok(true), Ok(false)));
        let mut watch = subscribers.watch(&app(), Revision::ZERO);
        subscribers.block(&app(), &id("s"), &subscriber(), "play", 60).await.unwrap();
        assert!(matches!(watch.next().await, WatchEvent::Changed { .. }));
        assert_eq!(subscribers.relist(&app(), &mut watch).await.unwrap().len(), 1);
        let local = subscribers.get_local(&app(), &id("s"), &subscriber()).await.unwrap().unwrap();
        assert!(local.subscriber.block.is_some());
        assert_eq!(subscribers.list(&app(), &id("s"), 0, 10).await.unwrap().len(), 1);
        assert_eq!(subscribers.events(&app(), &id("s"), None, 0, 10).await, Ok(Vec::new()));
        assert_eq!(subscribers.delete(&app(), &id("s"), &subscriber()).await, Ok(true));
        subscribers.delete_all(&app(), &id("s")).await.unwrap();
        assert_eq!(subscribers.get(&app(), &id("s"), &subscriber()).await, Ok(None));
    }
}

#[tokio::test]
async fn a_subscribers_secret_is_stored_sealed_for_it_alone() {
    for plane in planes() {
        let subscribers = subscribers(&plane);
        let secret = Some(Hidden::new("JBSWY3DPEHPK3PXP".to_owned()));
        let terms = SubscriberTerms { b32_secret: secret.clone(), ..SubscriberTerms::default() };
        subscribers.put(&app(), &id("s"), &subscriber(), terms).await.unwrap();
        let shown = subscribers.get(&app(), &id("s"), &subscriber()).await.unwrap().unwrap();
        assert_eq!(shown.subscriber.terms.b32_secret, secret);
        let stored = subscribers.list(&app(), &id("s"), 0, 10).await.unwrap().remove(0).subscriber;
        let sealed = stored.terms.b32_secret.clone().unwrap();
        assert!(sealed.expose().starts_with("sealed:1:"), "{}", sealed.expose());
        // Whoever can write to the store gives nobody the secret of somebody else.
        let terms = SubscriberTerms { b32_secret: Some(sealed), ..SubscriberTerms::default() };
        let (app, stream, subscriber) = (app(), id("s"), SubscriberId::new("two").unwrap());
        let (of, stream_of, subscriber_of) = (app.clone(), stream.clone(), subscriber.clone());
        let command = Command::PutSubscriber { app: of, stream: stream_of, subscriber: subscriber_of, terms };
        subscribers.proposer.propose(command).await.unwrap();
        let got = subscribers.get(&app, &stream, &subscriber).await;
        assert!(matches!(got, Err(MetaError::Unreadable(_))), "{got:?}");
    }
}

#[tokio::test]
async fn who_loses_a_stream_is_told_which() {
    for plane in planes() {
        let (streams, nodes) = (over!(Streams, &plane), over!(Nodes, &plane));
        let one = nodes.join(NodeId(1), NodeCard::default()).await.unwrap();
        let two = nodes.join(NodeId(2), NodeCard::default()).await.unwrap();
        let kept = streams.claim(&app(), &id("kept"), one, None).await.unwrap();
        let lost = streams.claim(&app(), &id("lost"), one, None).await.unwrap();
        assert!(kept.until <= SystemClock.now() + limits::CLAIM_LEASE_OF_OWNER);
        let observed = Observed::PublisherSilent { for_ms: 2_000 };
        let against = Some(Contention { epoch: lost.epoch, observed });
        let taken = streams.claim(&app(), &id("lost"), two, against).await.unwrap();
        let held = |stream, lease: Lease| HeldClaim { app: app(), stream: id(stream), epoch: lease.epoch };
        let claims = [held("kept", kept), held("lost", lost)];
        assert_eq!(streams.renew(one, &claims).await.unwrap().superseded, claims[1..]);
        assert_eq!(streams.renew(one, &claims[..1]).await.unwrap().superseded, []);
        assert_eq!(streams.release(&app(), &id("lost"), lost.epoch).await, Ok(false));
        let owner = streams.owner(&app(), &id("lost")).await.unwrap().unwrap();
        assert_eq!((owner.claim.owner, owner.claim.epoch), (two, taken.epoch));
        // What the former owner still says of its stream is not believed.
        let broadcasts = Broadcasts::new(
            Arc::clone(&plane),
            seals(),
            Arc::new(SystemClock),
            Arc::new(SystemRandomness),
            "node1",
        )
        .within(PATIENCE);
        let start = StreamStarted::default;
        let superseded = Err(MetaError::Refused(Refusal::Superseded));
        broadcasts.under(taken.epoch).started(&app(), &id("lost"), start()).await.unwrap();
        assert_eq!(broadcasts.under(lost.epoch).ended(&app(), &id("lost")).await, superseded);
        broadcasts.under(taken.epoch).ended(&app(), &id("lost")).await.unwrap();
        assert_eq!(streams.release(&app(), &id("lost"), taken.epoch).await, Ok(true));
        assert_eq!(streams.owner_local(&app(), &id("lost")).await, Ok(None));
    }
}

#[tokio::test]
async fn a_held_stream_is_refused_until_its_lease_has_lapsed() {
    let clock = Arc::new(ManualClock::new(WallTime(1_000)));
    let plane: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::clone(&clock) as _));
    let clock_of = || Arc::clone(&clock) as Arc<dyn Clock>;
    let nodes = Nodes::new(Arc::clone(&plane), clock_of(), Arc::new(SystemRandomness));
    let streams = Streams::new(Arc::clone(&plane), clock_of(), Arc::new(SystemRandomness));
    let one = nodes.join(NodeId(1), NodeCard::default()).await.unwrap();
    let two = nodes.join(NodeId(2), NodeCard::default()).await.unwrap();
    let lease = streams.claim(&app(), &id("s"), one, None).await.unwrap();
    // The owner stops to rely on it a second before anybody may take it.
    assert_eq!(lease.until, clock.now() + limits::CLAIM_LEASE_OF_OWNER);
    clock.advance(limits::CLAIM_LEASE - Duration::from_millis(1));
    let held = ClaimError::Held { by: one.node, epoch: lease.epoch };
    assert_eq!(streams.claim(&app(), &id("s"), two, None).await, Err(held));
    clock.advance(Duration::from_millis(1));
    assert!(streams.claim(&app(), &id("s"), two, None).await.unwrap().epoch > lease.epoch);
}

#[tokio::test]
async fn a_first_user_is_made_once() {
    for plane in planes() {
        let users = over!(Users, &plane);
        let name = |text| UserName::new(text).unwrap();
        assert_eq!(users.list().await, Ok(Vec::new()));
        assert_eq!(users.put(&name("one"), PutWhen::NoUsers, User::default()).await, Ok(true));
        assert_eq!(users.put(&name("two"), PutWhen::NoUsers, User::default()).await, Ok(false));
        let admin = User { user_type: "ADMIN".to_owned(), ..User::default() };
        assert_eq!(users.put(&name("one"), PutWhen::Present, admin.clone()).await, Ok(true));
        assert_eq!(users.get(&name("one")).await, Ok(Some(Arc::new(admin))));
        assert_eq!(
            (users.delete(&name("one")).await, users.delete(&name("one")).await),
            (Ok(true), Ok(false))
        );
    }
}

#[tokio::test]
async fn a_node_is_shown_until_it_is_forgotten() {
    for plane in planes() {
        let (nodes, upkeep) = (over!(Nodes, &plane), over!(Upkeep, &plane));
        let card = NodeCard { address: "node1".to_owned(), ..NodeCard::default() };
        let owner = nodes.join(NodeId(1), card).await.unwrap();
        assert_eq!(nodes.list().await.unwrap().len(), 1);
        assert_eq!(nodes.forget(NodeId(1)).await, Err(Refusal::Alive.into()));
        assert_eq!((nodes.expire(owner).await, nodes.expire(owner).await), (Ok(true), Ok(false)));
        assert_eq!(nodes.forget(NodeId(1)).await, Ok(true));
        upkeep.sweep(SystemClock.wall()).await.unwrap();
        assert_eq!(nodes.list().await, Ok(Vec::new()));
        assert_eq!(upkeep.raise_generation(2).await, Ok(2));
        assert_eq!(upkeep.raise_generation(1).await, Ok(2));
    }
}

#[tokio::test]
async fn batches_of_facts_are_taken_in_order() {
    for plane in planes() {
        let (facts, nodes) = (over!(Facts, &plane), over!(Nodes, &plane));
        let owner = nodes.join(NodeId(1), NodeCard::default()).await.unwrap();
        assert_eq!(facts.record(owner, 1, Vec::new()).await, Ok(Recorded::Taken));
        assert_eq!(facts.record(owner, 1, Vec::new()).await, Ok(Recorded::Taken));
        assert_eq!(facts.record(owner, 3, Vec::new()).await, Ok(Recorded::OutOfOrder { last: 1 }));
        assert_eq!(facts.record(owner, 2, Vec::new()).await, Ok(Recorded::Taken));
    }
}
