//! What the metadata plane is told of streams and sessions, and what it says of them.

use cluster_model::{SubscriberId, Subscribers, Upkeep};

use super::*;

async fn two_nodes() -> (Node, Node) {
    let meta: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let node = |id| Node::of(Arc::clone(&meta), NodeId(id), vec![], MediaBudget::unlimited(), AT_ONCE);
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
async fn a_node_taken_for_dead_joins_again_and_keeps_its_stream() {
    let node = Node::start(vec![]).await;
    let grant = node.live().await;
    let (_, before) = nodes(&node).list().await.unwrap().remove(0);
    let owner = cluster_model::Owner { node: NodeId(1), incarnation: before.incarnation };
    assert!(nodes(&node).expire(owner).await.unwrap());
    let upkeep = Upkeep::new(Arc::clone(&node.meta), Arc::new(SystemClock), Arc::new(SystemRandomness));
    upkeep.sweep(SystemClock.wall()).await.unwrap();
    assert_eq!(node.status().await, None, "a zombi whose node is dead is gone");
    soon(async {
        while node.status().await.as_deref() != Some("broadcasting") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
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
        Subscribers::new(Arc::clone(&node.meta), Arc::new(SystemClock), Arc::new(SystemRandomness));
    let anna = SubscriberId::new("anna").unwrap();
    let events = soon(async {
        loop {
            let events = subscribers.events(&app(), &stream(), Some(&anna), 0, 10).await.unwrap();
            if events.len() == 2 {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let (began, ended) = (&events[0].1, &events[1].1);
    assert_eq!((began.session, began.ended.as_deref()), (session, None));
    assert_eq!(began.connection.as_ref().unwrap().protocol, "webrtc");
    assert_eq!((ended.session, ended.ended.as_deref()), (session, Some("too slow")));
    drop(grant);
}
