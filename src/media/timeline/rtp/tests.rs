use proptest::prelude::*;

use super::*;
use crate::timeline::tests::{after, ms};

const V: Kind = Kind::Video;
const A: Kind = Kind::Audio;
/// Sender reports say seconds in units of 2^-32: a wall clock of January 2026, and so many milliseconds.
fn ntp(ms: u64) -> u64 {
    ((3_976_214_400 + ms / 1_000) << 32) + ((ms % 1_000) << 32) / 1_000
}

fn timeline() -> RtpTimeline {
    with(RtpTimeline::new())
}

fn with(mut timeline: RtpTimeline) -> RtpTimeline {
    timeline.restart(V, 90_000);
    timeline.restart(A, 48_000);
    timeline
}

/// Where a frame is put, without an event, in nanoseconds.
fn place(timeline: &mut RtpTimeline, kind: Kind, timestamp: u32, arrived_ms: u64) -> i64 {
    let (at, event) = timeline.place(kind, timestamp, after(arrived_ms));
    assert_eq!(event, None, "{timestamp} at {arrived_ms}");
    at.as_nanos()
}

/// In whole microseconds, to the nearest.
fn us(ns: i64) -> i64 {
    (ns + 500).div_euclid(1_000)
}

#[test]
fn the_first_packet_is_zero_and_the_other_kind_lies_by_its_arrival() {
    let mut timeline = timeline();
    timeline.begin(V, 777, after(0));
    // Sound came 12 ms later, before the picture was whole.
    assert_eq!(place(&mut timeline, A, 5, 12), 12_000_000);
    assert_eq!(place(&mut timeline, V, 777, 0), 0);
    assert_eq!(us(place(&mut timeline, V, 777 + 3_003, 90)), 33_367, "its timestamp counts, not its arrival");
    assert_eq!(place(&mut timeline, A, 5 + 960, 90), 32_000_000);
}

#[test]
fn spacing_is_the_publishers_to_the_tick_over_the_end_of_the_timestamps() {
    for (kind, rate, step) in [(V, 90_000, 2_999), (A, 48_000, 961)] {
        let mut timeline = timeline();
        let first = u32::MAX - 1_000_000;
        let mut ticks = Vec::new();
        for frame in 0..20_000_u32 {
            let timestamp = first.wrapping_add(frame * step);
            let arrived = u64::from(frame) * u64::from(step) * 1_000 / u64::from(rate);
            let (at, event) = timeline.place(kind, timestamp, after(arrived + u64::from(frame % 7)));
            assert_eq!(event, None);
            ticks.push(at.as_ticks(rate));
        }
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == i64::from(step)));
    }
}

#[test]
fn a_source_that_goes_on_lies_behind_by_the_time_that_has_passed() {
    let arrived = after(0).at;
    let before = StreamPosition::after(None, V, ms(60_000), arrived);
    let before = StreamPosition::after(Some(before), A, ms(60_040), arrived);
    let mut timeline = with(RtpTimeline::resuming(before));
    assert_eq!(us(place(&mut timeline, V, 123, 2_000)), 62_000_000);
    assert_eq!(us(place(&mut timeline, A, 9, 2_010)), 62_050_000, "as punctual as sound was before");
    // One that comes at once does not go back.
    let mut timeline = with(RtpTimeline::resuming(before));
    assert!(place(&mut timeline, V, 123, 1) > 60_040_000_000);
}

#[test]
fn reports_that_are_there_before_the_first_picture_put_it_in_its_place() {
    let mut timeline = timeline();
    place(&mut timeline, A, 48_000, 0);
    timeline.report(A, ntp(1_000), 48_000, after(5).at);
    // Taken 40 ms after the sound, it came 100 ms after it.
    timeline.report(V, ntp(1_040), 90_000, after(5).at);
    timeline.begin(V, 90_000, after(100));
    assert_eq!(us(place(&mut timeline, V, 90_000, 100)), 40_000);
    timeline.show();
    assert_eq!(us(place(&mut timeline, V, 93_000, 133)), 73_333);
}

#[test]
fn pictures_that_were_shown_are_moved_gently_towards_the_sound() {
    for (apart_ms, frames) in [(80_i64, 49), (-80, 49)] {
        let mut timeline = timeline();
        place(&mut timeline, A, 0, 0);
        place(&mut timeline, V, 0, 0);
        timeline.show();
        // By their wall clock pictures lie 80 ms before, or behind, where their arrival put them.
        timeline.report(A, ntp(1_000), 0, after(10).at);
        timeline.report(V, ntp((1_000 - apart_ms) as u64), 0, after(10).at);
        let mut last = 0;
        for frame in 1..=100_i64 {
            let at = place(&mut timeline, V, frame as u32 * 3_000, frame as u64 * 33);
            let step = at - last;
            assert!((31_666_000..=35_000_001).contains(&step), "frame {frame}: {step} ns");
            let off = us(at) - frame * 100_000 / 3;
            let want =
                if frame < frames { -apart_ms.signum() * frame * 5_000 / 3 } else { -apart_ms * 1_000 };
            assert!((off - want).abs() <= 20, "frame {frame}: moved by {off} us, not by {want}");
            last = at;
        }
        // Sound is master.
        assert_eq!(place(&mut timeline, A, 48_000, 1_000), 1_000_000_000);
    }
}

#[test]
fn reports_that_say_nonsense_or_nothing_move_nothing() {
    type Says = fn(&mut RtpTimeline);
    let rows: &[(&str, Says)] = &[
        ("one kind only", |timeline| timeline.report(V, ntp(900), 0, after(10).at)),
        ("far apart", |timeline| {
            timeline.report(A, ntp(1_000), 0, after(10).at);
            timeline.report(V, ntp(3_100), 0, after(10).at);
        }),
        ("no wall clock", |timeline| {
            timeline.report(A, ntp(1_000), 0, after(10).at);
            timeline.report(V, 0, 0, after(10).at);
        }),
        ("of different times", |timeline| {
            timeline.report(A, ntp(1_000), 0, after(10).at);
            timeline.report(V, ntp(900), 0, after(31_000).at);
        }),
        ("in step, to what reports can say", |timeline| {
            timeline.report(A, ntp(1_000), 0, after(10).at);
            timeline.report(V, ntp(1_004), 0, after(10).at);
        }),
    ];
    for (name, says) in rows {
        let mut timeline = timeline();
        place(&mut timeline, A, 0, 0);
        place(&mut timeline, V, 0, 0);
        says(&mut timeline);
        assert_eq!(place(&mut timeline, V, 90_000, 1_000), 1_000_000_000, "{name}");
    }
}

#[test]
fn a_jump_begins_a_new_clock_by_arrival() {
    // From a picture at 1 s: the next timestamp in ms, when it comes, where it lies, and the jump told.
    let rows: &[(&str, i64, u64, i64, Option<i64>)] = &[
        ("a pause", 61_000, 61_000, 61_000, None),
        ("a held up frame", 1_033, 2_900, 1_033, None),
        ("a small step back is put in order", 950, 1_033, 1_000, None),
        ("a step back", 500, 1_033, 1_033, Some(-533)),
        ("a jump", 61_000, 1_033, 1_033, Some(59_967)),
        ("a jump after a pause", 61_000, 11_000, 11_000, Some(50_000)),
        ("just below two seconds", 3_030, 1_033, 3_030, None),
    ];
    for &(name, stamp, arrived, at, jump) in rows {
        let mut timeline = timeline();
        for frame in 0..=10_u32 {
            place(&mut timeline, V, frame * 9_000, u64::from(frame) * 100);
        }
        let (placed, event) = timeline.place(V, (stamp * 90) as u32, after(arrived));
        assert!((us(placed.as_nanos()) - at * 1_000).abs() <= 100, "{name}: at {placed}");
        let told = event.map(|event| match event {
            TimelineEvent::Rebased { kind: V, jump_ms } => jump_ms,
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(told, jump, "{name}");
        // From there on its spacing is the publisher's again.
        let next = timeline.place(V, (stamp * 90 + 3_000) as u32, after(arrived + 33));
        let step = us(next.0.as_nanos()) - us(placed.as_nanos());
        if stamp > 1_000 || jump.is_some() {
            assert_eq!((next.1, (step - 33_333).abs() <= 1), (None, true), "{name}: {step}");
        }
    }
}

#[test]
fn a_clock_that_stood_begins_anew_and_a_path_that_stood_does_not() {
    let mut stood = timeline();
    let mut held_up = timeline();
    for frame in 0..30_u32 {
        place(&mut stood, V, frame * 3_000, u64::from(frame) * 33);
        place(&mut held_up, V, frame * 3_000, u64::from(frame) * 33);
    }
    // For five seconds nothing; then all at once what was held up.
    for frame in 30..180_u32 {
        let at = place(&mut held_up, V, frame * 3_000, 5_960);
        assert_eq!(us(at), i64::from(frame) * 100_000 / 3 + i64::from(frame % 3 == 2));
    }
    // Or the next frames, as if no time had passed.
    let mut told = Vec::new();
    for frame in 30..90_u32 {
        let arrived = u64::from(frame) * 33 + 5_000;
        let (at, event) = stood.place(V, frame * 3_000, after(arrived));
        told.extend(event.map(|event| (frame, event)));
        let late = arrived as i64 - at.as_millis();
        assert!((4_980..=5_020).contains(&late) || frame >= 46 && late.abs() < 40, "frame {frame}: {late}");
    }
    let [(46, TimelineEvent::Rebased { kind: V, jump_ms })] = told[..] else { panic!("{told:?}") };
    assert!((-5_020..=-4_980).contains(&jump_ms), "{jump_ms}");
}

#[test]
fn what_was_reported_of_a_clock_counts_for_no_other() {
    let mut timeline = timeline();
    place(&mut timeline, A, 0, 0);
    place(&mut timeline, V, 0, 0);
    timeline.show();
    timeline.report(A, ntp(1_000), 0, after(10).at);
    timeline.report(V, ntp(1_300), 0, after(10).at);
    timeline.restart(V, 90_000);
    let first = place(&mut timeline, V, 3_456_789, 33);
    assert!((us(first) - 33_000).abs() <= 20, "{first}");
    assert!((us(place(&mut timeline, V, 3_456_789 + 90_000, 1_033)) - 1_033_000).abs() <= 20);
}

proptest! {
    #[test]
    fn no_kind_ever_goes_back(
        steps in prop::collection::vec((any::<bool>(), any::<u32>(), 0_u32..9_000, 0_u64..3_000, 0_u8..20), 1..300),
        rates in (any::<u32>(), any::<u32>()),
        resuming: bool,
    ) {
        let before = StreamPosition::after(None, A, ms(1_000), after(0).at);
        let mut timeline = if resuming { RtpTimeline::resuming(before) } else { RtpTimeline::new() };
        timeline.restart(V, rates.0);
        timeline.restart(A, rates.1);
        let start = if resuming { ms(1_000) } else { ms(-1) };
        let mut newest = [start, start];
        let mut stamps = [0_u32, 0];
        let mut now = 0;
        for (is_video, any, step, passed, what) in steps {
            now += passed;
            let (kind, lane) = if is_video { (V, 0) } else { (A, 1) };
            match what {
                0 => stamps[lane] = any,
                1 => timeline.report(kind, u64::from(any) << 16, any, after(now).at),
                2 => timeline.restart(kind, any),
                3 => timeline.show(),
                _ => stamps[lane] = stamps[lane].wrapping_add(step),
            }
            let (at, _) = timeline.place(kind, stamps[lane], after(now));
            prop_assert!(at > newest[lane], "{} after {}", at, newest[lane]);
            newest[lane] = at;
        }
    }
}
