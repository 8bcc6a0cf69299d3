//! A publisher is lost and comes back, another one comes, or nobody does.

use base::{MediaTime, TrackId};
use media::{CodecConfig, OpusConfig, Unit, WriteError};

use super::*;

/// Long enough to be still there when a test looks, and never waited for.
const LONG: PublishPolicy =
    PublishPolicy { grace: Duration::from_secs(60), duplicate: DuplicatePublish::Refuse };
const SHORT: PublishPolicy =
    PublishPolicy { grace: Duration::from_millis(50), duplicate: DuplicatePublish::Refuse };
const REPLACE: PublishPolicy = PublishPolicy { grace: LONG.grace, duplicate: DuplicatePublish::Replace };

async fn node(policy: PublishPolicy) -> Node {
    Node::with(Vec::new(), MediaBudget::unlimited(), policy).await
}

fn sound(dts_ms: i64) -> Unit {
    Unit {
        dts: MediaTime::from_millis(dts_ms),
        pts: MediaTime::from_millis(dts_ms),
        arrived: SystemClock.now(),
        key: true,
        generation: 1,
        payload: bytes::Bytes::from_static(&[1]),
    }
}

fn write(grant: &PublishGrant) -> media::TrackWriter {
    let opus = CodecConfig::Opus(OpusConfig { channels: 2 });
    grant.media.write_track(&TrackId::new("audio").unwrap(), &opus, None).unwrap()
}

#[actix_rt::test]
async fn while_a_lost_publisher_is_waited_for_nobody_notices() {
    let node = node(LONG).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    let writer = write(&publisher);
    writer.write(sound(40)).unwrap();
    drop(publisher);
    let again = node.publish_again().await;
    assert_eq!(player.ending.reason(), None);
    assert_eq!(node.status().await.as_deref(), Some("broadcasting"));
    assert!(Arc::ptr_eq(&player.media, &again.media), "its players read what the new one writes");
    assert_eq!(writer.write(sound(60)), Err(WriteError::Fenced));
    assert_eq!(again.resume.map(|position| position.newest().dts), Some(MediaTime::from_millis(40)));
    // Who comes meanwhile need not wait for the tracks.
    node.play().await.unwrap();
    again.ending.end(ExitReason::Finished);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::Finished);
}

#[actix_rt::test]
async fn a_publisher_that_does_not_come_back_ends_its_stream() {
    let node = node(SHORT).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    drop(publisher);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::StreamEnded);
    soon(async {
        while node.status().await.is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix_rt::test]
async fn every_end_that_was_said_is_one_at_once() {
    for reason in [ExitReason::Finished, ExitReason::Kicked, ExitReason::Revoked, ExitReason::LimitExceeded] {
        let node = node(LONG).await;
        let publisher = node.live().await;
        let player = node.play().await.unwrap();
        publisher.ending.end(reason);
        soon(player.ending.ended()).await;
    }
}

#[actix_rt::test]
async fn a_waiting_stream_can_be_stopped_and_drained() {
    let node = node(LONG).await;
    let player = {
        let _publisher = node.live().await;
        node.play().await.unwrap()
    };
    assert!(node.applications.stop(&app(), &stream(), ExitReason::Kicked).await);
    assert_eq!(player.ending.reason(), Some(ExitReason::Finished));
    assert_eq!(node.status().await, None);
    drop(node.live().await);
    soon(node.applications.drain()).await;
}

/// A stop that another node is asked for comes as the end of the permit, also while nobody publishes.
#[actix_rt::test]
async fn a_waiting_stream_ends_with_the_permit_of_its_lost_publisher() {
    let node = node(LONG).await;
    let permit = node.permit(Direction::Publish).await.unwrap();
    let control = permit.control();
    let facts = PublisherFacts { publish_type: "RTMP", ..PublisherFacts::default() };
    let mut publisher = node.applications.publish(permit, facts).await.unwrap();
    publisher.began();
    let mut began = node.applications.wait(&app(), &stream()).await.unwrap();
    soon(began.wait_for(|began| *began)).await.unwrap();
    let player = node.play().await.unwrap();
    drop(publisher);
    // It has heard of the loss: only then another one may come.
    drop(node.publish_again().await);
    assert_eq!(player.ending.reason(), None);
    control.end(ExitReason::Kicked);
    assert_eq!(player.ending.reason(), None, "that permit is over");

    let node = self::node(LONG).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    drop(publisher);
    let sessions = node.gate.sessions(&app(), &stream());
    assert!(sessions.iter().any(|session| session.direction == Direction::Publish), "{sessions:?}");
    node.gate.kick(&app(), &stream(), None).await.unwrap();
    soon(player.ending.ended()).await;
}

#[actix_rt::test]
async fn a_publisher_that_failed_is_waited_for_too() {
    let node = node(LONG).await;
    let publisher = node.live().await;
    let player = node.play().await.unwrap();
    publisher.ending.end(ExitReason::Failed);
    let _again = node.publish_again().await;
    assert_eq!(player.ending.reason(), None);
}

#[actix_rt::test]
async fn a_second_publisher_stays_outside_while_the_first_is_heard() {
    let node = node(LONG).await;
    let first = node.live().await;
    write(&first).write(sound(0)).unwrap();
    assert_eq!(node.permit(Direction::Publish).await.unwrap_err(), Denial::AlreadyLive);
}

#[actix_rt::test]
async fn a_second_publisher_replaces_the_first_where_it_may() {
    let node = node(REPLACE).await;
    let first = node.live().await;
    let player = node.play().await.unwrap();
    let second = node.publish().await;
    assert_eq!(first.ending.reason(), Some(ExitReason::Replaced));
    // What the first says of its own end concerns nobody any more.
    drop(first);
    let third = node.publish().await;
    assert_eq!(second.ending.reason(), Some(ExitReason::Replaced));
    assert_eq!((player.ending.reason(), third.ending.reason()), (None, None));
    drop(second);
    third.ending.end(ExitReason::Finished);
    assert_eq!(soon(player.ending.ended()).await, ExitReason::Finished);
    assert_eq!(node.applications.find(&app(), &stream()).await.map(|live| live.players), None);
}

#[actix_rt::test]
async fn a_stream_that_panics_while_it_waits_is_recorded_and_can_be_published() {
    let node = node(LONG).await;
    drop(node.live().await);
    node.applications.fault_stream(&app(), &stream()).await;
    soon(async {
        while node.status().await.is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let _again = node.publish_again().await;
    assert_eq!(node.status().await.as_deref(), Some("broadcasting"));
}

#[actix_rt::test]
async fn a_publisher_lost_before_its_tracks_were_known_is_not_waited_for() {
    let node = node(LONG).await;
    let publisher = node.publish().await;
    let media = Arc::clone(&publisher.media);
    drop(publisher);
    soon(media.closed()).await;
}
