use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::aac::AacConfig;
use crate::codec::Codec;
use crate::opus::OpusConfig;
use crate::track::WriteError;
use crate::vp9::Vp9Config;

fn id(name: &str) -> TrackId {
    TrackId::new(name).unwrap()
}

fn opus(channels: u8) -> CodecConfig {
    CodecConfig::Opus(OpusConfig { channels })
}

fn aac() -> CodecConfig {
    CodecConfig::Aac(Arc::new(AacConfig::from_asc(&[0x12, 0x10]).unwrap()))
}

fn ready(future: impl Future<Output = ()>) -> bool {
    pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn the_catalogue_tells_of_every_change() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let mut watch = media.watch();
    let writer = media.write_track(&id("audio"), &aac(), None).unwrap();
    media.write_track(&id("audio-opus"), &opus(2), Some(&id("audio"))).unwrap();
    assert!(watch.has_changed().unwrap());
    let catalogue = Arc::clone(&watch.borrow_and_update());
    assert_eq!(catalogue.version, 2);
    assert_eq!(catalogue.source(Kind::Audio).unwrap().id, id("audio"));
    assert_eq!(catalogue.derived(Codec::Opus).unwrap().derived_from, Some(id("audio")));
    assert!(Arc::ptr_eq(&catalogue.track(&id("audio")).unwrap().track, writer.track()));
}

#[test]
fn a_takeover_with_the_same_configuration_keeps_the_track() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let old = media.write_track(&id("a"), &opus(2), None).unwrap();
    let new = media.write_track(&id("a"), &opus(2), None).unwrap();
    assert!(Arc::ptr_eq(old.track(), new.track()));
    assert!(!old.is_current() && new.is_current());
    assert_eq!((media.catalogue().version, new.generation()), (1, 1));
}

/// A picture at that many milliseconds, which comes that many after `start`.
fn picture(start: std::time::Instant, at_ms: u64, key: bool) -> crate::Unit {
    let passed = std::time::Duration::from_millis(at_ms);
    let at = base::MediaTime::ZERO.plus(passed);
    let payload = bytes::Bytes::from_static(&[0x86]);
    crate::Unit { dts: at, pts: at, arrived: start + passed, key, generation: 1, payload }
}

#[test]
fn before_its_first_key_frame_a_source_moves_the_clock_and_shows_nothing() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let start = base::Clock::now(&base::SystemClock);
    let vp9 = CodecConfig::Vp9(Vp9Config { profile: 0, width: 320, height: 180 });
    let write = || media.write_track(&id("video"), &vp9, None).unwrap();
    let heard = || media.position().unwrap().newest().arrived.duration_since(start).as_millis();
    let first = write();
    let packets = first.track().read_packets();
    let shown = || (first.track().frames().head(), packets.packets().head());
    first.write(picture(start, 0, false)).unwrap();
    assert_eq!((heard(), shown()), (0, (0, 0)));
    first.write(picture(start, 40, true)).unwrap();
    // Of the same source whose pictures go on.
    write().write(picture(start, 80, false)).unwrap();
    assert_eq!((heard(), shown()), (80, (2, 2)));

    media.take_over();
    let next = write();
    next.write(picture(start, 4_000, false)).unwrap();
    assert_eq!((heard(), shown()), (4_000, (2, 2)));
    next.write(picture(start, 4_040, true)).unwrap();
    next.write(picture(start, 4_080, false)).unwrap();
    assert_eq!((heard(), shown()), (4_080, (4, 4)));
}

#[test]
fn a_new_configuration_raises_the_generation_and_a_new_codec_replaces_the_track() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let first = media.write_track(&id("a"), &opus(2), None).unwrap();
    let second = media.write_track(&id("a"), &opus(1), None).unwrap();
    assert!(Arc::ptr_eq(first.track(), second.track()));
    let generation = |media: &StreamMedia| media.catalogue().track(&id("a")).unwrap().generation;
    assert_eq!((second.generation(), generation(&media)), (2, 2));
    let third = media.write_track(&id("a"), &aac(), None).unwrap();
    assert!(!Arc::ptr_eq(second.track(), third.track()));
    assert!(second.track().frames().is_closed());
    assert_eq!((third.generation(), generation(&media)), (1, 1));
}

#[test]
fn tracks_are_limited_and_removed() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    for number in 0..limits::TRACKS_PER_STREAM_MAX {
        media.write_track(&id(&number.to_string()), &opus(2), None).unwrap();
    }
    assert!(media.write_track(&id("more"), &opus(2), None).is_none());
    let removed = Arc::clone(&media.catalogue().track(&id("3")).unwrap().track);
    media.remove_track(&id("3"));
    assert!(removed.frames().is_closed());
    assert!(media.write_track(&id("more"), &opus(2), None).is_some());
}

#[test]
fn a_closed_stream_ends_its_tracks_and_takes_no_more() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let writer = media.write_track(&id("a"), &opus(2), None).unwrap();
    assert!(!media.is_closed() && !ready(media.closed()));
    media.close();
    assert!(media.is_closed() && ready(media.closed()));
    assert!(writer.track().frames().is_closed());
    assert!(media.write_track(&id("b"), &opus(2), None).is_none());
    let unit = crate::Unit {
        dts: base::MediaTime::ZERO,
        pts: base::MediaTime::ZERO,
        arrived: base::Clock::now(&base::SystemClock),
        key: true,
        generation: 1,
        payload: bytes::Bytes::new(),
    };
    assert_eq!(writer.write(unit), Err(WriteError::Fenced));
}

#[test]
fn demand_counts_the_players() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let mut demand = media.demand();
    let first = media.want_for_webrtc();
    let second = media.want_for_webrtc();
    assert_eq!(*demand.borrow_and_update(), Demand { webrtc: 2 });
    drop((first, second));
    assert!(demand.has_changed().unwrap());
    assert_eq!(*demand.borrow_and_update(), Demand { webrtc: 0 });
}
