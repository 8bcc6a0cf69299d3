use base::{Clock, MediaTime, SystemClock};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::codec::CodecConfig;
use crate::opus::OpusConfig;
use crate::ring::Cursor;
use crate::track::{Track, TrackWriter};
use crate::unit::Unit;

const MIB: usize = 1024 * 1024;

fn track(budget: &Arc<MediaBudget>) -> (Arc<Track>, TrackWriter) {
    let track = Track::new(CodecConfig::Opus(OpusConfig { channels: 2 }), budget);
    let writer = track.writer();
    (track, writer)
}

/// Writes a unit of that size, `at` milliseconds into the stream.
fn write(writer: &TrackWriter, at: i64, bytes: usize) {
    let at = MediaTime::from_millis(at);
    let payload = Bytes::from(vec![7; bytes]);
    let unit = Unit { dts: at, pts: at, arrived: SystemClock.now(), key: true, generation: 1, payload };
    writer.write(unit).unwrap();
}

#[test]
fn what_a_ring_lets_go_is_given_back_and_so_is_what_it_held_at_its_end() {
    let budget = MediaBudget::new(64 * MIB);
    let (track, writer) = track(&budget);
    for second in 0..30 {
        write(&writer, second * 1000, 1000);
    }
    let eleven = 11 * 1000..11 * 1400;
    assert!(eleven.contains(&budget.held()), "the ring holds 10 s: {}", budget.held());
    track.close();
    assert!(eleven.contains(&budget.held()), "readers may still drain it");
    drop((track, writer));
    assert_eq!(budget.held(), 0);
    assert_eq!(budget.shed(), 0, "10 s is a ring's own bound");
}

#[test]
fn packets_are_charged_while_the_mirror_holds_them_and_shared_bytes_once() {
    let budget = MediaBudget::new(64 * MIB);
    let (track, writer) = track(&budget);
    write(&writer, 0, 1000);
    let frames = budget.held();
    let reader = track.read_packets();
    let run = budget.held() - frames;
    assert!((1..1000).contains(&run), "an Opus packet is its unit's own payload: {run}");
    drop(reader);
    assert_eq!(budget.held(), frames + run, "the mirror keeps what it has");
}

#[test]
fn empty_entries_cost_their_place() {
    let budget = MediaBudget::new(64 * MIB);
    let (_track, writer) = track(&budget);
    for _ in 0..1000 {
        write(&writer, 0, 0);
    }
    assert!(budget.held() >= 1000 * 100, "{}", budget.held());
}

#[test]
fn two_hundred_flooding_tracks_stay_within_the_budget_and_take_nothing_from_a_modest_one() {
    let budget = MediaBudget::new(64 * MIB);
    // 2 Mbit/s in 30 frames per second for 8 s: 2 MB, far below a flooder's 16 MiB, and below its part.
    let (modest, modest_writer) = track(&budget);
    let flooders: Vec<_> = (0..200).map(|_| track(&budget)).collect();
    let mut cursor = Cursor(0);
    for frame in 0..240 {
        write(&modest_writer, frame * 33, 1_000);
        assert!(budget.held() <= budget.bytes_max());
        for (_, writer) in &flooders {
            write(writer, frame * 33, 40_000);
            assert!(budget.held() <= budget.bytes_max(), "after {frame} frames: {}", budget.held());
        }
        let read = modest.frames().read(&mut cursor, 16);
        assert_eq!((read.entries.len(), read.skipped), (1, 0));
    }
    assert_eq!(modest.frames().tail(), 0, "240 frames and all still there");
    assert!(budget.shed() > 0);
    // Each flooder keeps its part: what is left is not all of one.
    let part = 64 * MIB / 402;
    for (flooder, _) in &flooders {
        assert!(flooder.frames().held().0 + 50_000 >= part, "{:?}", flooder.frames().held());
    }
    drop(flooders);
    assert!(budget.held() < MIB && budget.has_room());
}

#[test]
fn rings_that_fell_silent_make_room_for_those_that_write() {
    let budget = MediaBudget::new(64 * MIB);
    let silent: Vec<_> = (0..4).map(|_| track(&budget)).collect();
    for (_, writer) in &silent {
        (0..16).for_each(|at| write(writer, at, MIB - 1024));
    }
    let (late, writer) = track(&budget);
    (0..8).for_each(|at| write(&writer, at, MIB));
    assert_eq!(late.frames().tail(), 0);
    assert!(budget.held() <= budget.bytes_max());
}

#[test]
fn a_unit_larger_than_its_part_does_not_stay() {
    let budget = MediaBudget::new(64 * MIB);
    let tracks: Vec<_> = (0..64).map(|_| track(&budget)).collect();
    for round in 0..3 {
        for (_, writer) in &tracks {
            write(writer, round, 8 * MIB);
            assert!(budget.held() <= budget.bytes_max(), "{}", budget.held());
        }
    }
}

#[test]
fn publishers_are_let_in_below_eighty_percent() {
    let budget = MediaBudget::new(100 * MIB);
    let mut unfinished = budget.unfinished();
    assert!(budget.has_room());
    unfinished.hold(79 * MIB).unwrap_err();
    assert!(budget.has_room());
    unfinished.hold(80 * MIB).unwrap_err();
    assert!(!budget.has_room());
    drop(unfinished);
    assert_eq!(budget.held(), 0);
    assert!(budget.has_room());
}

#[test]
fn the_session_with_most_unfinished_is_told_when_their_share_is_spent() {
    let budget = MediaBudget::new(64 * MIB);
    let publisher = || {
        let mut session = budget.unfinished();
        session.let_in();
        session
    };
    let mut ordinary = publisher();
    ordinary.hold(100_000).unwrap();
    let mut hoarders: Vec<_> = (0..30).map(|_| publisher()).collect();
    let mut told = 0;
    for step in 1..=12 {
        hoarders.retain_mut(|hoarder| {
            let stays = hoarder.hold(step * MIB).is_ok();
            told += usize::from(!stays);
            stays
        });
        // Twice the share: those below their part are not ended, whatever the others hold.
        assert!(budget.held() <= 32 * MIB, "{}", budget.held());
    }
    assert!(told >= 20, "{told}");
    // An ordinary session goes on while others hoard.
    ordinary.hold(0).unwrap();
    ordinary.hold(300_000).unwrap();
    drop((ordinary, hoarders));
    assert_eq!(budget.held(), 0);
    assert_eq!(budget.publishers.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(budget.publishers.holders.load(Ordering::Relaxed), 0);
}

#[test]
fn no_stranger_ends_a_publisher() {
    let budget = MediaBudget::new(64 * MIB);
    let mut publisher = budget.unfinished();
    publisher.hold(20_000).unwrap();
    publisher.let_in();
    // More of them than their share has room for, each below its part.
    let mut strangers: Vec<_> = (0..1_000).map(|_| budget.unfinished()).collect();
    let ended = strangers.iter_mut().filter_map(|stranger| stranger.hold(62_000).err()).count();
    assert!(ended > 0, "their share is bounded");
    for bytes in [0, 300_000, 2 * MIB] {
        publisher.hold(bytes).unwrap();
    }
    drop(strangers);
    assert_eq!(budget.strangers.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(budget.held(), 2 * MIB);
}

#[test]
fn rings_that_are_gone_are_forgotten() {
    let budget = MediaBudget::new(MIB);
    for _ in 0..10_000 {
        let _gone = track(&budget);
    }
    assert!(budget.rings.lock().len() < 16, "{}", budget.rings.lock().len());
}

#[test]
fn many_writers_at_once_end_within_the_budget() {
    let budget = MediaBudget::new(8 * MIB);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50 {
                    let (_track, writer) = track(&budget);
                    (0..20).for_each(|at| write(&writer, round * 20 + at, 200_000));
                    assert!(budget.held() <= budget.bytes_max() + 4 * 201_000, "{}", budget.held());
                }
            });
        }
    });
    assert_eq!(budget.held(), 0);
}

proptest! {
    #[test]
    fn cut_to_the_level_sizes_fit_and_one_more_would_not(
        mut sizes in proptest::collection::vec(0usize..1_000, 0..40),
        target in 0usize..20_000,
    ) {
        let at = level(&mut sizes, target);
        let cut = |level: usize| sizes.iter().map(|size| *size.min(&level)).sum::<usize>();
        if at == usize::MAX {
            prop_assert!(sizes.iter().sum::<usize>() <= target);
        } else {
            prop_assert!(cut(at) <= target);
            prop_assert!(cut(at + 1) > target);
            prop_assert!(at >= target / sizes.len());
        }
    }
}
