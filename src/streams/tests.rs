//! Who dies with whom, who stays, and what is told.

mod plane;
mod takeover;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use base::{
    AppName, Clock, ExitReason, PeerAddr, Randomness, SessionId, StreamId, SystemClock, SystemRandomness,
};
use cluster_model::testing::InMemory;
use cluster_model::{Broadcasts, Facts, Meta, NodeCard, NodeId, Nodes, Streams};
use config::DuplicatePublish;
use media::{MediaBudget, StreamMedia};
use security::testing::gate_over;
use security::{Access, Denial, Direction, Gate, Permit};

use crate::fault::Fault;
use crate::{
    Applications, Attach, Claims, Ending, FactLog, Life, PlayError, PlayGrant, PublishError, PublishGrant,
    PublishPolicy, PublisherFacts, ReaderFactory, Services, Serving,
};

/// Longer than anything here takes; a test that waits this long has failed.
const SOON: Duration = Duration::from_secs(5);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it happens soon")
}

/// A stream ends with its publisher.
const AT_ONCE: PublishPolicy = PublishPolicy { grace: Duration::ZERO, duplicate: DuplicatePublish::Refuse };

struct Node {
    meta: Arc<dyn Meta>,
    gate: Arc<Gate>,
    broadcasts: Broadcasts,
    applications: Applications,
}

impl Node {
    async fn start(readers: Vec<Arc<dyn ReaderFactory>>) -> Self {
        Self::with(readers, MediaBudget::unlimited(), AT_ONCE).await
    }

    async fn with(
        readers: Vec<Arc<dyn ReaderFactory>>,
        media: Arc<MediaBudget>,
        publish: PublishPolicy,
    ) -> Self {
        let meta: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::new(SystemClock)));
        Self::of(meta, NodeId(1), readers, media, publish).await
    }

    /// One of several nodes over one plane.
    async fn of(
        meta: Arc<dyn Meta>,
        id: NodeId,
        readers: Vec<Arc<dyn ReaderFactory>>,
        media: Arc<MediaBudget>,
        publish: PublishPolicy,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let (gate, broadcasts, settings) = gate_over(Arc::clone(&meta), &["LiveApp"]).await;
        let nodes = Nodes::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
        let card = NodeCard { address: format!("node{id}"), ..NodeCard::default() };
        let life = Life::begin(nodes, id, card).await.unwrap();
        let streams = Streams::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
        let facts = Facts::new(Arc::clone(&meta), Arc::clone(&clock), randomness);
        let services = Services {
            claims: Claims::start(streams, broadcasts.clone(), life.clone(), Arc::clone(&clock)),
            facts: FactLog::start(facts, life, settings),
            readers,
            media,
            clock,
            statistics: crate::LiveStatistics::default(),
            publish,
        };
        let applications = Applications::start(services, &[app()]);
        Self { meta, gate, broadcasts, applications }
    }

    async fn permit(&self, direction: Direction) -> Result<Permit, Denial> {
        let peer = PeerAddr::new("127.0.0.1:1".parse().unwrap());
        let session = SessionId::random(&SystemRandomness);
        self.gate.admit(Access::new(app(), "s1", direction, "test", peer, session)).await
    }

    async fn publish(&self) -> PublishGrant {
        let permit = self.permit(Direction::Publish).await.unwrap();
        let facts = PublisherFacts { publish_type: "RTMP", ..PublisherFacts::default() };
        self.applications.publish(permit, facts).await.unwrap()
    }

    /// A stream that can be played.
    async fn live(&self) -> PublishGrant {
        let mut grant = self.publish().await;
        let mut began = self.applications.wait(&app(), &stream()).await.unwrap();
        grant.began();
        soon(began.wait_for(|began| *began)).await.unwrap();
        grant
    }

    async fn play(&self) -> Result<PlayGrant, PlayError> {
        let permit = self.permit(Direction::Play).await.unwrap();
        self.applications.play(permit, Ending::new(), Arbiter::current()).await
    }

    /// Waits until the stream is gone and its seat free, and publishes it again.
    async fn publish_again(&self) -> PublishGrant {
        soon(async {
            loop {
                match self.permit(Direction::Publish).await {
                    Ok(permit) => {
                        let facts = PublisherFacts::default();
                        return self.applications.publish(permit, facts).await.unwrap();
                    }
                    Err(Denial::AlreadyLive) => tokio::task::yield_now().await,
                    Err(denial) => panic!("{denial}"),
                }
            }
        })
        .await
    }

    async fn status(&self) -> Option<String> {
        let broadcast = self.broadcasts.get(&app(), &stream()).await.unwrap()?;
        Some(serde_json::to_value(&broadcast.status).unwrap().as_str().unwrap().to_owned())
    }
}

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn stream() -> StreamId {
    StreamId::new("s1").unwrap()
}

/// Counts how often it was dropped.
struct Held(Arc<AtomicUsize>);

impl crate::Attachment for Held {
    fn pause(&mut self, _: bool) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[actix_rt::test]
async fn while_media_fills_the_memory_there_is_no_room_for_publishers() {
    let budget = MediaBudget::new(1_000_000);
    let node = Node::with(Vec::new(), Arc::clone(&budget), AT_ONCE).await;
    let mut others = budget.unfinished();
    // Beyond the share of unfinished messages, too; here it only fills the memory.
    let _spent = others.hold(900_000);
    assert!(!node.applications.has_room_for_publisher());
    others.hold(0).unwrap();
    assert!(node.applications.has_room_for_publisher());
    let _publisher = node.live().await;
}

#[actix_rt::test]
async fn a_clean_end_of_the_publisher_ends_its_players_cleanly_and_is_recorded() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    assert_eq!(node.status().await.as_deref(), Some("broadcasting"));
    let player = node.play().await.unwrap();
    let detached = Arc::new(AtomicUsize::new(0));
    player.subscriber.send(Attach(Box::new(Held(Arc::clone(&detached))))).await.unwrap();
    publisher.ending.end(ExitReason::Finished);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::Finished);
    soon(publisher.media.closed()).await;
    let _again = node.publish_again().await;
    soon(async {
        while detached.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn an_application_that_is_taken_out_ends_its_streams_and_may_come_again() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let mut waiting = node.applications.wait(&app(), &StreamId::new("other").unwrap()).await.unwrap();
    soon(node.applications.close(&app(), ExitReason::Kicked)).await;
    assert_eq!(soon(publisher.ending.ended()).await, ExitReason::Kicked);
    soon(waiting.changed()).await.unwrap_err();
    assert_ne!(node.status().await.as_deref(), Some("broadcasting"));
    assert!(!node.applications.contains(&app()));
    assert!(node.applications.wait(&app(), &stream()).await.is_none());
    drop(publisher);
    let permit = node.permit(Direction::Publish).await;
    if let Ok(permit) = permit {
        let refused = node.applications.publish(permit, PublisherFacts::default()).await;
        assert_eq!(refused.err(), Some(PublishError::NoSuchApplication));
    }
    // The end of the one that was taken out does not start it anew.
    tokio::task::yield_now().await;
    assert!(!node.applications.contains(&app()));
    node.applications.open(&app());
    let _again = node.publish_again().await;
    assert!(node.applications.contains(&app()));
}

#[actix_rt::test]
async fn a_publisher_whose_connection_is_dropped_is_an_unclean_end() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    drop(publisher);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::StreamEnded);
    let _again = node.publish_again().await;
}

#[actix_rt::test]
async fn whoever_waits_for_a_stream_that_just_ended_is_told_only_when_it_is_back() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    drop(publisher);
    soon(player.ending.ended()).await;
    let mut back = node.applications.wait(&app(), &stream()).await.unwrap();
    assert!(!*back.borrow_and_update(), "it is ending");
    let mut again = node.publish_again().await;
    assert!(!back.has_changed().unwrap());
    again.began();
    soon(back.wait_for(|back| *back)).await.unwrap();
}

#[actix_rt::test]
async fn nobody_is_let_in_during_a_drain() {
    let node = Node::start(Vec::new()).await;
    soon(node.applications.drain()).await;
    let permit = node.permit(Direction::Publish).await.unwrap();
    let refused = node.applications.publish(permit, PublisherFacts::default()).await;
    assert_eq!(refused.unwrap_err(), PublishError::Overloaded);
}

#[actix_rt::test]
async fn an_unregistered_stream_is_forgotten_when_it_ends() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    assert!(node.applications.stop(&app(), &stream(), ExitReason::Kicked).await);
    assert_eq!(publisher.ending.reason(), Some(ExitReason::Kicked));
    assert_eq!(node.status().await, None);
    assert!(!node.applications.stop(&app(), &stream(), ExitReason::Kicked).await, "it was not live");
}

#[actix_rt::test]
async fn a_stream_is_played_only_once_its_tracks_are_known() {
    let node = Node::start(Vec::new()).await;
    assert_eq!(node.play().await.unwrap_err(), PlayError::NoSuchStream);
    let mut publisher = node.publish().await;
    assert_eq!(node.play().await.unwrap_err(), PlayError::NoSuchStream);
    let mut began = node.applications.wait(&app(), &stream()).await.unwrap();
    assert!(!*began.borrow_and_update());
    publisher.began();
    soon(began.wait_for(|began| *began)).await.unwrap();
    node.play().await.unwrap();
    let late = node.applications.wait(&app(), &stream()).await.unwrap();
    assert!(*late.borrow(), "who comes late need not wait");
}

#[actix_rt::test]
async fn the_second_publisher_waits_outside_until_the_first_is_gone() {
    let node = Node::start(Vec::new()).await;
    let first = node.live().await;
    assert_eq!(node.permit(Direction::Publish).await.unwrap_err(), Denial::AlreadyLive);
    first.ending.end(ExitReason::Finished);
    let second = node.publish_again().await;
    assert_eq!(second.ending.reason(), None);
}

#[actix_rt::test]
async fn a_subscriber_that_panics_ends_alone() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let (first, second) = (node.play().await.unwrap(), node.play().await.unwrap());
    assert!(first.subscriber.send(Fault).await.is_err());
    assert_eq!(soon(first.ending.ended()).await, ExitReason::Failed);
    assert_eq!((second.ending.reason(), publisher.ending.reason()), (None, None));
    assert_eq!(node.applications.find(&app(), &stream()).await.unwrap().players, 1);
}

#[actix_rt::test]
async fn a_stream_that_panics_takes_its_own_with_it_and_can_be_published_again() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    node.applications.fault_stream(&app(), &stream()).await;
    assert_eq!(soon(publisher.ending.ended()).await, ExitReason::StreamEnded);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::StreamEnded);
    let _again = node.publish_again().await;
    assert_eq!(node.status().await.as_deref(), Some("broadcasting"));
}

#[actix_rt::test]
async fn an_application_that_panics_is_started_anew() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    node.applications.fault(&app()).await;
    assert_eq!(soon(publisher.ending.ended()).await, ExitReason::StreamEnded);
    let _again = node.publish_again().await;
}

/// A reader that panics at its first try.
struct Clumsy {
    tries: AtomicUsize,
    served: Arc<AtomicBool>,
}

impl ReaderFactory for Clumsy {
    fn name(&self) -> &'static str {
        "clumsy"
    }

    fn serve(&self, _: &AppName, _: &StreamId, media: Arc<StreamMedia>) -> Serving {
        let first = self.tries.fetch_add(1, Ordering::SeqCst) == 0;
        let served = Arc::clone(&self.served);
        Box::pin(async move {
            assert!(!first, "the first try panics");
            served.store(true, Ordering::SeqCst);
            media.closed().await;
        })
    }
}

#[actix_rt::test]
async fn a_reader_that_panics_is_made_anew_and_nobody_notices() {
    let served = Arc::new(AtomicBool::new(false));
    let reader = Clumsy { tries: AtomicUsize::new(0), served: Arc::clone(&served) };
    let node = Node::start(vec![Arc::new(reader)]).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    soon(async {
        while !served.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((publisher.ending.reason(), player.ending.reason()), (None, None));
}

#[actix_rt::test]
async fn a_revoked_permit_ends_its_player_and_nobody_else() {
    let node = Node::start(Vec::new()).await;
    let _publisher = node.live().await;
    let permit = node.permit(Direction::Play).await.unwrap();
    let control = permit.control();
    let player = node.applications.play(permit, Ending::new(), Arbiter::current()).await.unwrap();
    let other = node.play().await.unwrap();
    control.end(ExitReason::Revoked);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::Revoked);
    assert_eq!(other.ending.reason(), None);
}

#[actix_rt::test]
async fn a_drain_ends_every_stream_and_records_it() {
    let node = Node::start(Vec::new()).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    soon(node.applications.drain()).await;
    assert_eq!(publisher.ending.reason(), Some(ExitReason::Draining));
    assert_eq!(player.ending.reason(), Some(ExitReason::Draining));
    assert_eq!(node.status().await, None);
}
