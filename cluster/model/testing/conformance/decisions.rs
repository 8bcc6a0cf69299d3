//! What the gate, publishers and nodes rely on: decisions that only one of many can win.

use std::sync::Arc;

use base::{Clock, SessionId, SystemClock, WallTime, limits};
use tokio::task::JoinSet;

use super::{Subject, app, ask, id, outcome, run, settle};
use crate::{
    Answer, Change, Command, Connection, Contention, Direction, Epoch, Fact, FactKind, Figures, Filter,
    Fingerprint, HeldClaim, Incarnation, NodeCard, NodeId, Observed, Outcome, Owner, PutWhen, Query, Refusal,
    RequestId, State, SubscriberId, SubscriberShown, SubscriberTerms, TokenFault, TokenId, TokenTerms,
    UserName, Vod, VodId, WatchEvent,
};

/// As many as may ask for one thing at once.
const RACERS: u128 = 64;

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

fn token(text: &str) -> TokenId {
    TokenId::new(text).expect("a valid token")
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber").expect("a valid name")
}

fn create_token(text: &str) -> Command {
    // Far away, and yet a time that the clock of no test reaches.
    let terms = TokenTerms { direction: Direction::Play, expire_s: 1 << 40, room: None };
    Command::CreateToken { app: app("a"), stream: id("s"), token: token(text), terms }
}

fn spend(text: &str, by: u128) -> Command {
    Command::SpendToken {
        app: app("a"),
        stream: id("s"),
        token: token(text),
        direction: Direction::Play,
        session: session(by),
        fingerprint: Fingerprint(by),
        outside_room: false,
    }
}

fn claim(owner: Owner, against: Option<Contention>) -> Command {
    Command::ClaimStream { app: app("a"), stream: id("s"), owner, against }
}

fn renew(owner: Owner, epoch: Epoch) -> Command {
    Command::RenewStreams { owner, claims: vec![HeldClaim { app: app("a"), stream: id("s"), epoch }] }
}

fn acquire(by: u128, owner: Owner) -> Command {
    let (app, stream, subscriber) = (app("a"), id("s"), subscriber());
    Command::AcquireSlot { app, stream, subscriber, session: session(by), owner }
}

fn allow(connections: u32) -> Command {
    let terms = SubscriberTerms { concurrent_connections_limit: connections, ..SubscriberTerms::default() };
    Command::PutSubscriber { app: app("a"), stream: id("s"), subscriber: subscriber(), terms }
}

fn fact(what: FactKind) -> Fact {
    let (app, stream, subscriber) = (app("a"), id("s"), Some(subscriber()));
    Fact { app, stream, subscriber, session: session(1), at: WallTime(1), what }
}

/// The first of the nodes that the suite has join: others may have the numbers below.
const NODES: u64 = 1_001;

async fn joins(subject: &Subject, node: u64) -> Owner {
    let node = NodeId(NODES + node);
    let card = NodeCard { address: format!("node{node}"), ..NodeCard::default() };
    match outcome(subject, Command::NodeJoined { node, card }).await {
        Outcome::Joined { incarnation } => Owner { node, incarnation },
        other => panic!("{other:?}"),
    }
}

/// How often the data was restored before.
async fn generation(subject: &Subject) -> u64 {
    match ask(subject, Query::List(Filter::All)).await.1 {
        Answer::Listed(rows) => {
            let raised = rows.iter().filter_map(|row| match row {
                Change::Generation(generation) => Some(*generation),
                _ => None,
            });
            raised.max().unwrap_or_default()
        }
        other => panic!("{other:?}"),
    }
}

async fn claimed(subject: &Subject, command: Command) -> Epoch {
    match outcome(subject, command).await {
        Outcome::Claimed { epoch } => epoch,
        other => panic!("{other:?}"),
    }
}

async fn shown(subject: &Subject) -> SubscriberShown {
    let query = Query::Subscriber { app: app("a"), stream: id("s"), subscriber: subscriber() };
    match ask(subject, query).await.1 {
        Answer::Subscriber(Some(shown)) => shown,
        other => panic!("{other:?}"),
    }
}

/// All at once; the outcomes in the order of the commands.
async fn race(subject: &Subject, commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
    let mut racers = JoinSet::new();
    for (place, command) in commands.into_iter().enumerate() {
        let meta = Arc::clone(&subject.meta);
        racers.spawn(async move {
            let request = RequestId::random(&base::SystemRandomness);
            (place, settle(&*meta, request, command).await.1)
        });
    }
    let mut outcomes = racers.join_all().await;
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[expect(missing_docs, reason = "the names say what must hold")]
mod cases {
    use super::*;

    pub async fn of_many_who_spend_a_token_at_once_one_is_let_in(subject: Subject) {
        for text in ["1", "2", "3"] {
            assert_eq!(outcome(&subject, create_token(text)).await, Outcome::Done);
            let outcomes = race(&subject, (0..RACERS).map(|by| spend(text, by))).await;
            let winners: Vec<_> = (0..RACERS)
                .zip(&outcomes)
                .filter(|(_, outcome)| **outcome == Outcome::Spent)
                .map(|(by, _)| by)
                .collect();
            let [winner] = winners[..] else { panic!("{outcomes:?}") };
            let spent = Outcome::TokenRefused(TokenFault::Spent);
            assert_eq!(outcomes.iter().filter(|outcome| **outcome == spent).count() as u128, RACERS - 1);
            // It may say so again; nobody else may.
            assert_eq!(outcome(&subject, spend(text, winner)).await, Outcome::Spent);
            assert_eq!(outcome(&subject, spend(text, RACERS)).await, spent);
        }
    }

    pub async fn a_token_is_listed_until_it_is_spent_or_revoked(subject: Subject) {
        for text in ["1", "2", "3", "4"] {
            run(&subject, create_token(text)).await;
        }
        let listed = async || {
            let query = Query::Tokens { app: app("a"), stream: id("s"), offset: 1, size: 10 };
            match ask(&subject, query).await.1 {
                Answer::Tokens(page) => {
                    page.into_iter().map(|(id, _)| id.as_str().to_owned()).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        run(&subject, spend("2", 1)).await;
        assert_eq!(listed().await, ["3", "4"]);
        let (one, all) = (
            Command::RevokeToken { app: app("a"), stream: id("s"), token: token("3") },
            Command::RevokeTokens { app: app("a"), stream: id("s") },
        );
        assert_eq!(outcome(&subject, one).await, Outcome::Done);
        assert_eq!(listed().await, ["4"]);
        assert_eq!(outcome(&subject, all).await, Outcome::Done);
        run(&subject, create_token("5")).await;
        assert_eq!(listed().await, [""; 0]);
        let fault = async |text: &str| {
            let (app, stream, direction) = (app("a"), id("s"), Direction::Play);
            match ask(&subject, Query::TokenFault { app, stream, token: token(text), direction }).await.1 {
                Answer::TokenFault(fault) => fault,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(fault("3").await, Some(TokenFault::Unknown));
        assert_eq!(fault("4").await, Some(TokenFault::Revoked));
        assert_eq!(fault("5").await, None);
    }

    pub async fn of_many_who_claim_a_stream_at_once_one_has_it(subject: Subject) {
        let mut owners = Vec::new();
        for node in 1..=16 {
            owners.push(joins(&subject, node).await);
        }
        let mut stream = id("s");
        let outcomes = loop {
            let began = SystemClock.now();
            let claim = |owner: &Owner| Command::ClaimStream {
                app: app("a"),
                stream: stream.clone(),
                owner: *owner,
                against: None,
            };
            let outcomes = race(&subject, owners.iter().map(claim)).await;
            // On a machine that stood still meanwhile the first claim may have lapsed before the last.
            if SystemClock.now() - began < limits::CLAIM_LEASE {
                break outcomes;
            }
            stream = id(&format!("{stream}s"));
        };
        let winners: Vec<_> = owners
            .iter()
            .zip(&outcomes)
            .filter_map(|(owner, outcome)| match outcome {
                Outcome::Claimed { epoch } => Some((*owner, *epoch)),
                _ => None,
            })
            .collect();
        let [(winner, epoch)] = winners[..] else { panic!("{outcomes:?}") };
        let held = Outcome::Held { by: winner.node, epoch };
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == held).count(), owners.len() - 1);
        match ask(&subject, Query::Claim { app: app("a"), stream }).await.1 {
            Answer::Claim(Some(shown)) => {
                assert_eq!((shown.claim.epoch, shown.claim.owner, shown.held), (epoch, winner, true));
                assert_eq!(shown.node.card.address, format!("node{}", winner.node));
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn who_was_superseded_has_the_stream_no_more(subject: Subject) {
        let (one, two) = (joins(&subject, 1).await, joins(&subject, 2).await);
        let first = claimed(&subject, claim(one, None)).await;
        assert_eq!(outcome(&subject, renew(one, first)).await, Outcome::Renewed { superseded: 0 });
        let against = Some(Contention { epoch: first, observed: Observed::LinkDown { for_ms: 800 } });
        let second = claimed(&subject, claim(two, against)).await;
        assert!(second > first);
        assert_eq!(outcome(&subject, renew(one, first)).await, Outcome::Renewed { superseded: 1 });
        let release = |epoch| Command::ReleaseStream { app: app("a"), stream: id("s"), epoch };
        let superseded = Outcome::Refused(Refusal::Superseded);
        assert_eq!(outcome(&subject, release(first)).await, superseded);
        let late = Command::StreamEnded { app: app("a"), stream: id("s"), epoch: Some(first) };
        assert_eq!(outcome(&subject, late).await, superseded);
        assert_eq!(outcome(&subject, release(second)).await, Outcome::Done);
        assert!(claimed(&subject, claim(one, None)).await > second);
    }

    pub async fn of_many_who_connect_at_once_as_many_are_let_in_as_may(subject: Subject) {
        let owner = joins(&subject, 1).await;
        run(&subject, allow(3)).await;
        let outcomes = race(&subject, (0..RACERS).map(|by| acquire(by, owner))).await;
        let taken = Outcome::SlotsTaken { limit: 3 };
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count(), 3, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == taken).count() as u128, RACERS - 3);
        assert_eq!(shown(&subject).await.slots, 3);
    }

    pub async fn what_a_life_of_a_node_held_is_free_in_the_next(subject: Subject) {
        let first = joins(&subject, 1).await;
        run(&subject, allow(1)).await;
        assert_eq!(outcome(&subject, acquire(1, first)).await, Outcome::Done);
        let epoch = claimed(&subject, claim(first, None)).await;
        let second = joins(&subject, 1).await;
        assert!(second.incarnation > first.incarnation);
        let not_joined = Outcome::Refused(Refusal::NotJoined);
        for command in [acquire(2, first), claim(first, None), renew(first, epoch)] {
            assert_eq!(outcome(&subject, command).await, not_joined);
        }
        assert_eq!(outcome(&subject, acquire(2, second)).await, Outcome::Done);
        assert!(claimed(&subject, claim(second, None)).await > epoch);
        let expired = |incarnation| Command::NodeExpired { node: first.node, incarnation };
        assert_eq!(outcome(&subject, expired(Incarnation(0))).await, not_joined);
        assert_eq!(outcome(&subject, expired(second.incarnation)).await, Outcome::Done);
        assert_eq!(shown(&subject).await.slots, 0);
    }

    pub async fn a_batch_of_facts_counts_once(subject: Subject) {
        let owner = joins(&subject, 1).await;
        run(&subject, allow(1)).await;
        let connection =
            Connection { direction: Direction::Play, protocol: "webrtc".to_owned(), peer: None, proof: None };
        let figures = |bytes| Figures { bytes, ..Figures::default() };
        let first =
            || vec![fact(FactKind::Connected(connection.clone())), fact(FactKind::Summary(figures(7)))];
        let last =
            || vec![fact(FactKind::Disconnected { reason: "finished".to_owned(), figures: figures(9) })];
        let batch = |sequence, facts| Command::RecordFacts { owner, sequence, facts };
        // As requests of their own: whoever lost the answer and its request id may begin anew.
        for _ in 0..3 {
            assert_eq!(outcome(&subject, batch(1, first())).await, Outcome::Done);
        }
        assert_eq!(outcome(&subject, batch(3, last())).await, Outcome::OutOfOrder { last: 1 });
        let now = shown(&subject).await;
        assert_eq!((now.connections, now.figures.bytes), (1, 7));
        for _ in 0..3 {
            assert_eq!(outcome(&subject, batch(2, last())).await, Outcome::Done);
        }
        let now = shown(&subject).await;
        assert_eq!((now.connections, now.figures.bytes), (0, 9));
        let query = Query::Events { app: app("a"), stream: id("s"), subscriber: None, offset: 0, size: 10 };
        match ask(&subject, query).await.1 {
            Answer::Events(events) => {
                let ends: Vec<_> = events.iter().map(|(_, event)| event.ended.as_deref()).collect();
                assert_eq!(ends, [None, Some("finished")]);
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn a_block_is_told_to_watchers_and_lifted_again(subject: Subject) {
        let (from, _) = run(&subject, allow(1)).await;
        let filter = Filter::Subscriber(app("a"), id("s"), subscriber());
        let mut watch = subject.meta.watch(filter, from);
        for (seconds, blocked) in [(60, true), (0, false)] {
            let (app, stream, kind) = (app("a"), id("s"), "play".to_owned());
            let block = Command::BlockSubscriber { app, stream, subscriber: subscriber(), kind, seconds };
            let (at, _) = run(&subject, block).await;
            match watch.next().await {
                WatchEvent::Changed { revision, changes } => match &changes[..] {
                    [Change::Subscriber { now: Some(now), .. }] => {
                        assert_eq!((revision, now.block.is_some()), (at, blocked));
                    }
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
    }

    pub async fn of_many_first_users_one_is_made(subject: Subject) {
        let name = |n: u128| UserName::new(&format!("user{n}@example.org")).expect("a valid name");
        let put = |n| Command::PutUser { name: name(n), when: PutWhen::NoUsers, user: Box::default() };
        let outcomes = race(&subject, (0..RACERS).map(put)).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count(), 1, "{outcomes:?}");
        match ask(&subject, Query::Users).await.1 {
            Answer::Users(users) => assert_eq!(users.len(), 1),
            other => panic!("{other:?}"),
        }
    }

    pub async fn recordings_are_listed_by_their_stream(subject: Subject) {
        for (vod, stream) in [("v1", "s"), ("v2", "t"), ("v3", "s")] {
            let record = Vod { stream_id: Some(stream.to_owned()), ..Vod::default() };
            let vod = VodId::new(vod).expect("a valid name");
            run(&subject, Command::PutVod { app: app("a"), vod, record: Box::new(record) }).await;
        }
        let listed = async |stream: Option<&str>, offset| {
            let stream = stream.map(id);
            match ask(&subject, Query::Vods { app: app("a"), stream, offset, size: 10 }).await.1 {
                Answer::Vods(page) => page.iter().map(|(id, _)| id.as_str().to_owned()).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(listed(None, 1).await, ["v2", "v3"]);
        assert_eq!(listed(Some("s"), 0).await, ["v1", "v3"]);
    }

    pub async fn what_is_over_is_swept(subject: Subject) {
        let terms = TokenTerms { direction: Direction::Play, expire_s: 1, room: None };
        let past = Command::CreateToken { app: app("a"), stream: id("s"), token: token("past"), terms };
        run(&subject, past).await;
        run(&subject, create_token("future")).await;
        let swept = outcome(&subject, Command::Expire { up_to: WallTime(2_000) }).await;
        assert_eq!(swept, Outcome::Swept { more: false });
        assert_eq!(outcome(&subject, spend("past", 1)).await, Outcome::TokenRefused(TokenFault::Unknown));
        assert_eq!(outcome(&subject, spend("future", 1)).await, Outcome::Spent);
    }

    pub async fn a_restore_voids_what_may_have_been_spent_since(subject: Subject) {
        let owner = joins(&subject, 1).await;
        run(&subject, create_token("old")).await;
        let epoch = claimed(&subject, claim(owner, None)).await;
        let next = generation(&subject).await + 1;
        let raised = outcome(&subject, Command::RaiseGeneration { to: next }).await;
        assert_eq!(raised, Outcome::Stored { version: next });
        run(&subject, create_token("new")).await;
        assert_eq!(outcome(&subject, spend("old", 1)).await, Outcome::TokenRefused(TokenFault::Void));
        assert_eq!(outcome(&subject, spend("new", 1)).await, Outcome::Spent);
        let again = joins(&subject, 1).await;
        assert!(again.incarnation > owner.incarnation);
        assert!(claimed(&subject, claim(again, None)).await > epoch);
    }

    pub async fn who_absorbs_everything_has_what_is_listed(subject: Subject) {
        let mut copy = State::default();
        let mut watch = match ask(&subject, Query::List(Filter::All)).await {
            (before, Answer::Listed(rows)) => {
                copy.absorb(before, WallTime(0), &rows);
                subject.meta.watch(Filter::All, before)
            }
            (_, other) => panic!("{other:?}"),
        };
        let owner = joins(&subject, 1).await;
        run(&subject, allow(2)).await;
        run(&subject, acquire(1, owner)).await;
        run(&subject, create_token("1")).await;
        run(&subject, spend("1", 1)).await;
        claimed(&subject, claim(owner, None)).await;
        run(&subject, Command::RevokeTokens { app: app("a"), stream: id("s") }).await;
        let next = generation(&subject).await + 1;
        let (last, _) = run(&subject, Command::RaiseGeneration { to: next }).await;
        while copy.revision() < last {
            match watch.next().await {
                WatchEvent::Changed { revision, changes } => copy.absorb(revision, WallTime(0), &changes),
                other => panic!("{other:?}"),
            }
        }
        match ask(&subject, Query::List(Filter::All)).await.1 {
            Answer::Listed(rows) => assert_eq!(rows, copy.list(&Filter::All)),
            other => panic!("{other:?}"),
        }
    }
}

pub use cases::*;
