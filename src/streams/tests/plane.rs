//! What the metadata plane is told of streams and sessions, and what it says of them.

use std::time::Instant;

use cluster_model::testing::seals;
use cluster_model::{
    Command, Consistency, Filter, Heartbeat, NotApplied, Proposal, Query, ReadFailed, Reading, RequestId,
    Revision, SubscriberId, Subscribers, Upkeep, Watch,
};

use super::*;

/// Asks after each change in the plane until there is an answer.
async fn at_some_change<T>(of: &Node, question: impl AsyncFn() -> Option<T>) -> T {
    let mut changes = of.meta.watch(Filter::All, Revision::ZERO);
    soon(async {
        loop {
            if let Some(answer) = question().await {
                return answer;
            }
            changes.next().await;
        }
    })
    .await
}

async fn two_nodes() -> (Node, Node) {
    two_nodes_with(AT_ONCE).await
}

async fn two_nodes_with(policy: PublishPolicy) -> (Node, Node) {
    let meta: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let node = |id| Node::of(Arc::clone(&meta), NodeId(id), vec![], MediaBudget::unlimited(), policy);
    (node(1).await, node(2).await)
}

fn nodes(of: &Node) -> Nodes {
    Nodes::new(Arc::clone(&of.meta), Arc::new(SystemClock), Arc::new(SystemRandomness))
}

#[actix_rt::test]
async fn a_stream_is_published_on_one_node_and_players_of_the_other_are_told_which() {
    let (one, other) = two_nodes().await;
    let grant = one.live().await;
    let permit = other.permit(Direction::Publish).await.unwrap();
    let refused = other.applications.publish(permit, PublisherFacts::default()).await;
    assert_eq!(refused.err(), Some(PublishError::AlreadyLive));
    assert_eq!(other.play().await.err(), Some(PlayError::NoSuchStream));
    assert_eq!(other.applications.elsewhere(&app(), &stream()).await.as_deref(), Some("node 1 (node1)"));
    assert_eq!(one.applications.elsewhere(&app(), &stream()).await, None);

    drop(grant);
    // Not before its end is recorded and its claim given back.
    let grant = soon(async {
        loop {
            let permit = other.permit(Direction::Publish).await.unwrap();
            match other.applications.publish(permit, PublisherFacts::default()).await {
                Ok(grant) => return grant,
                Err(PublishError::AlreadyLive) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert_eq!(one.applications.elsewhere(&app(), &stream()).await.as_deref(), Some("node 2 (node2)"));
    drop(grant);
}

#[actix_rt::test]
async fn a_lost_publisher_may_come_back_on_another_node() {
    // Nobody waits for the end of this.
    let grace = Duration::from_secs(60);
    let (one, other) = two_nodes_with(PublishPolicy { grace, duplicate: DuplicatePublish::Refuse }).await;
    let lost = one.live().await;
    let player = one.play().await.unwrap();
    drop(lost);
    let grant = other.publish_again().await;
    assert_eq!(soon(player.ending.ended()).await, ExitReason::StreamEnded);
    assert_eq!(one.applications.elsewhere(&app(), &stream()).await.as_deref(), Some("node 2 (node2)"));
    assert_eq!(other.status().await.as_deref(), Some("broadcasting"));
    drop(grant);
}

#[actix_rt::test]
async fn where_a_second_publisher_may_replace_the_first_it_may_on_another_node() {
    let (one, other) =
        two_nodes_with(PublishPolicy { grace: Duration::ZERO, duplicate: DuplicatePublish::Replace }).await;
    let first = one.live().await;
    let second = soon(other.publish()).await;
    assert_eq!(soon(first.ending.ended()).await, ExitReason::Superseded);
    assert_eq!(second.ending.reason(), None);
}

#[actix_rt::test]
async fn a_node_taken_for_dead_joins_again_and_keeps_its_stream() {
    let node = Node::start(vec![]).await;
    let grant = node.live().await;
    let (_, before) = nodes(&node).list().await.unwrap().remove(0);
    let owner = cluster_model::Owner { node: NodeId(1), incarnation: before.incarnation };
    assert!(nodes(&node).expire(owner).await.unwrap());
    let upkeep = Upkeep::new(Arc::clone(&node.meta), Arc::new(SystemClock), Arc::new(SystemRandomness));
    upkeep.sweep(SystemClock.wall()).await.unwrap();
    assert_eq!(node.status().await, None, "a zombi whose node is dead is gone");
    at_some_change(&node, async || node.status().await.filter(|status| status == "broadcasting")).await;
    assert_eq!(grant.ending.reason(), None);
    let (_, after) = nodes(&node).list().await.unwrap().remove(0);
    assert!(after.incarnation > before.incarnation && after.expired_ms.is_none());
}

#[actix_rt::test]
async fn a_stream_that_another_node_took_meanwhile_ends_here() {
    let (one, other) = two_nodes().await;
    let grant = one.live().await;
    let player = one.play().await.unwrap();
    let (_, card) = nodes(&one).list().await.unwrap().remove(0);
    let owner = cluster_model::Owner { node: NodeId(1), incarnation: card.incarnation };
    assert!(nodes(&other).expire(owner).await.unwrap());
    let taken = other.publish().await;
    assert_eq!(soon(grant.ending.ended()).await, ExitReason::Superseded);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::StreamEnded);
    assert_eq!(other.status().await.as_deref(), Some("broadcasting"), "its end was not recorded over it");
    drop(taken);
}

#[actix_rt::test]
async fn a_subscribers_session_is_in_its_history_from_its_beginning_to_its_end() {
    let node = Node::start(vec![]).await;
    let grant = node.live().await;
    let peer = PeerAddr::new("127.0.0.1:1".parse().unwrap());
    let session = SessionId::random(&SystemRandomness);
    let access = Access {
        subscriber_id: Some("anna".to_owned()),
        ..Access::new(app(), "s1", Direction::Play, "webrtc", peer, session)
    };
    let permit = node.gate.admit(access).await.unwrap();
    let player = node.applications.play(permit, Ending::new(), Arbiter::current()).await.unwrap();
    player.ending.end(ExitReason::TooSlow);
    let subscribers =
        Subscribers::new(Arc::clone(&node.meta), seals(), Arc::new(SystemClock), Arc::new(SystemRandomness));
    let anna = SubscriberId::new("anna").unwrap();
    let events = at_some_change(&node, async || {
        let events = subscribers.events(&app(), &stream(), Some(&anna), 0, 10).await.unwrap();
        (events.len() == 2).then_some(events)
    })
    .await;
    let (began, ended) = (&events[0].1, &events[1].1);
    assert_eq!((began.session, began.ended.as_deref()), (session, None));
    assert_eq!(began.connection.as_ref().unwrap().protocol, "webrtc");
    assert_eq!((ended.session, ended.ended.as_deref()), (session, Some("too slow")));
    drop(grant);
}

/// Applies the beginning of a stream, and says that it is not known whether it was.
struct Doubtful(Arc<dyn Meta>, AtomicBool);

#[async_trait::async_trait]
impl Meta for Doubtful {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        let begins = matches!(command, Command::StreamStarted { .. });
        let answer = self.0.propose(request, command, deadline).await;
        match begins {
            true if !self.1.swap(true, Ordering::SeqCst) => Proposal::Unknown,
            true => Proposal::NotApplied(NotApplied::Closed),
            false => answer,
        }
    }

    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed> {
        self.0.read(query, consistency, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.0.watch(filter, from)
    }
}

#[actix_rt::test]
async fn a_beginning_that_may_be_recorded_is_followed_by_its_end() {
    let meta: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let doubtful: Arc<dyn Meta> = Arc::new(Doubtful(Arc::clone(&meta), AtomicBool::new(false)));
    let one = Node::of(doubtful, NodeId(1), vec![], MediaBudget::unlimited(), AT_ONCE).await;
    let other = Node::of(meta, NodeId(2), vec![], MediaBudget::unlimited(), AT_ONCE).await;
    let permit = one.permit(Direction::Publish).await.unwrap();
    let refused = one.applications.publish(permit, PublisherFacts::default()).await;
    assert_eq!(refused.err(), Some(PublishError::StoreUnavailable));
    let taken = at_some_change(&other, async || {
        let permit = other.permit(Direction::Publish).await.ok()?;
        other.applications.publish(permit, PublisherFacts::default()).await.ok()
    })
    .await;
    assert_eq!(other.status().await.as_deref(), Some("broadcasting"));
    drop(taken);
}

#[actix_rt::test]
async fn a_node_that_was_taken_for_dead_lives_again_though_nothing_is_published_on_it() {
    let (one, _) = two_nodes().await;
    let life = Life::begin(nodes(&one), NodeId(3), NodeCard::default()).await.unwrap();
    let kept = actix_rt::spawn(life.clone().keep());
    let mut owner = life.owner();
    let shown = async || {
        let listed = nodes(&one).list().await.unwrap();
        listed.into_iter().find(|(id, _)| *id == NodeId(3)).map(|(_, node)| node)
    };
    // Once as dead, once as one that was even forgotten.
    for forgotten in [false, true] {
        nodes(&one).expire(owner).await.unwrap();
        if forgotten {
            nodes(&one).forget(NodeId(3)).await.unwrap();
        }
        let next =
            at_some_change(&one, async || shown().await.filter(|node| node.expired_ms.is_none())).await;
        assert!(next.incarnation > owner.incarnation);
        owner.incarnation = next.incarnation;
    }
    life.end().await.unwrap();
    kept.await.unwrap();
    assert!(shown().await.unwrap().expired_ms.is_some());
}

#[actix_rt::test]
async fn a_stream_that_was_never_claimed_reports_nothing() {
    let (one, other) = two_nodes().await;
    let grant = other.live().await;
    let claims = Claims::start(
        Streams::new(Arc::clone(&one.meta), Arc::new(SystemClock), Arc::new(SystemRandomness)),
        one.broadcasts.clone(),
        Life::begin(nodes(&one), NodeId(3), NodeCard::default()).await.unwrap(),
        Arc::new(SystemClock),
    );
    assert_eq!(claims.heartbeat(&app(), &stream(), Heartbeat::default()).await, Ok(false));
    claims.end(&app(), &stream()).await.unwrap();
    assert_eq!(other.status().await.as_deref(), Some("broadcasting"));
    drop(grant);
}
