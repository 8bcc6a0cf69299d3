use std::sync::LazyLock;

use base::{Clock, SystemClock};
use proptest::prelude::*;

use super::*;

/// Everything arrives at once: the stamps alone count.
static AT: LazyLock<Arrival> =
    LazyLock::new(|| Arrival { at: SystemClock.now(), wall: WallTime(1_700_000_000_000) });

/// So much later.
pub(super) fn after(ms: u64) -> Arrival {
    let by = Duration::from_millis(ms);
    Arrival { at: AT.at + by, wall: AT.wall.plus(by) }
}

pub(super) fn ms(value: i64) -> MediaTime {
    MediaTime::from_millis(value)
}

fn distance(a: MediaTime, b: MediaTime) -> i64 {
    (a - b).as_nanos().abs()
}

#[test]
fn the_first_unit_begins_the_clock_and_is_the_anchor() {
    let mut timeline = Timeline::new();
    assert_eq!(timeline.anchor(), None);
    let first = timeline.video(5_000, 0, *AT);
    assert_eq!((first.dts, first.pts, first.event), (ms(0), ms(0), None));
    assert_eq!(timeline.audio(5_010, 1024, 48_000, after(9)).dts, ms(10));
    assert_eq!(timeline.video(5_040, 80, *AT), Placed { dts: ms(40), pts: ms(120), event: None });
    assert_eq!(timeline.anchor(), Some((ms(0), AT.wall)));
    assert_eq!(timeline.end(), ms(80));
}

#[test]
fn audio_advances_by_its_samples_not_by_rounded_milliseconds() {
    let mut timeline = Timeline::new();
    for frame in 0..10_000_i64 {
        let exact = MediaTime::from_ticks(frame * 1024, 44_100);
        let placed = timeline.audio(u32::try_from(exact.as_millis()).unwrap(), 1024, 44_100, *AT);
        assert_eq!((placed.dts, placed.event), (exact, None));
    }
}

#[test]
fn audio_that_drifts_is_anchored_anew() {
    let mut timeline = Timeline::new();
    let mut anchored = 0;
    for frame in 0..20_000_u32 {
        // The source's stamps run 0.1 % fast against its samples.
        let stamp = u32::try_from(u64::from(frame) * 1024 * 1_001 / 48_000).unwrap();
        let placed = timeline.audio(stamp, 1024, 48_000, *AT);
        anchored += u32::from(placed.event.is_some());
        assert!(distance(placed.dts, ms(stamp.into())) <= 101_000_000);
    }
    assert_eq!(anchored, 4, "427 s at 0.1 % are 427 ms, in steps of 100");
}

#[test]
fn a_frame_lost_by_the_source_is_followed_once_it_is_over_the_limit() {
    let mut timeline = Timeline::new();
    timeline.audio(0, 1024, 48_000, *AT);
    let placed = timeline.audio(500, 1024, 48_000, *AT);
    assert_eq!(placed.dts, ms(500));
    assert_eq!(placed.event, Some(TimelineEvent::AudioAnchored { by_ms: 478 }));
}

#[test]
fn stamps_wrap_after_49_days() {
    let mut timeline = Timeline::new();
    let first = u32::MAX - 100;
    for step in 0..10_u32 {
        let placed = timeline.video(first.wrapping_add(step * 40), 0, *AT);
        assert_eq!((placed.dts, placed.event), (ms(i64::from(step) * 40), None));
        let placed = timeline.audio(first.wrapping_add(step * 40 + 1), 1920, 48_000, *AT);
        assert_eq!((placed.dts, placed.event), (ms(i64::from(step) * 40 + 1), None));
    }
}

#[test]
fn a_source_that_starts_again_goes_on_without_a_hole() {
    let mut timeline = Timeline::new();
    for step in 0..100 {
        timeline.video(90_000 + step * 40, 0, *AT);
        timeline.audio(90_000 + step * 40, 1920, 48_000, *AT);
    }
    let placed = timeline.video(0, 0, *AT);
    assert_eq!(placed.event, Some(TimelineEvent::Rebased { kind: Kind::Video, jump_ms: -93_960 }));
    assert_eq!(placed.dts, ms(4_000));
    // A straggler of the old clock is where it would have been, and moves nothing.
    let straggler = timeline.audio(94_000, 1920, 48_000, *AT);
    assert_eq!((straggler.dts, straggler.event), (ms(4_000), None));
    // Audio joins the new clock in the source's relation to video.
    let audio = timeline.audio(45, 1920, 48_000, *AT);
    assert_eq!((audio.dts, audio.event), (ms(4_045), None));
    assert_eq!(timeline.video(40, 0, *AT).dts, ms(4_040));
}

#[test]
fn a_jump_forward_goes_on_without_a_hole_and_a_pause_is_kept() {
    let mut timeline = Timeline::new();
    timeline.video(0, 0, *AT);
    timeline.video(40, 0, *AT);
    assert_eq!(timeline.video(1_900, 0, *AT), Placed { dts: ms(1_900), pts: ms(1_900), event: None });
    let placed = timeline.video(60_000, 0, *AT);
    assert_eq!(placed.event, Some(TimelineEvent::Rebased { kind: Kind::Video, jump_ms: 58_100 }));
    assert_eq!(placed.dts, ms(2_000), "one frame on, of at most 100 ms");
}

#[test]
fn a_track_that_pauses_while_the_other_runs_comes_back_in_its_place() {
    let mut timeline = Timeline::new();
    timeline.video(0, 0, *AT);
    for frame in 0..500_u32 {
        timeline.audio(frame * 20, 960, 48_000, *AT);
    }
    assert_eq!(timeline.video(10_000, 0, *AT), Placed { dts: ms(10_000), pts: ms(10_000), event: None });
}

#[test]
fn tracks_on_unrelated_clocks_keep_their_own() {
    let mut timeline = Timeline::new();
    let mut events = 0;
    for step in 0..200_u32 {
        let video = timeline.video(step * 40, 0, *AT);
        let audio = timeline.audio(1_000_000 + step * 40, 1920, 48_000, *AT);
        events += usize::from(video.event.is_some()) + usize::from(audio.event.is_some());
        assert!(distance(video.dts, ms(i64::from(step) * 40)) < 1_000_000);
        assert!(distance(audio.dts, video.dts) < 40_000_000);
    }
    assert_eq!(events, 1, "said once");
}

#[test]
fn negative_composition_times_put_decoding_ahead() {
    let mut timeline = Timeline::new();
    let shown: Vec<_> = [(0, 0), (40, 0), (80, -40), (120, 0), (160, -40)]
        .map(|(stamp, composition)| timeline.video(stamp, composition, *AT))
        .map(|placed| {
            assert!(placed.pts >= placed.dts);
            placed.pts.as_millis()
        })
        .into();
    assert_eq!(shown, [0, 40, 40, 120, 120]);
}

#[test]
fn a_takeover_goes_on_behind_the_source_before() {
    let mut first = Timeline::new();
    first.video(0, 0, *AT);
    first.video(40, 0, *AT);
    first.audio(60, 1024, 48_000, *AT);
    let mut second = Timeline::resuming(first.position.unwrap());
    // Audio of the new source lies before its first video: it may not go behind the old one.
    let video = second.video(777_777, 0, after(5));
    let audio = second.audio(777_700, 1024, 48_000, *AT);
    assert!(video.dts > ms(60) && audio.dts > ms(60));
    assert_eq!(second.anchor(), Some((video.dts, after(5).wall)));
}

#[derive(Clone, Copy, Debug)]
enum Stamp {
    Video(u32, i32),
    Audio(u32),
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let near = prop_oneof![0_u32..5_000, any::<u32>(), u32::MAX - 3_000..u32::MAX];
    prop_oneof![
        (near.clone(), any::<i32>()).prop_map(|(stamp, composition)| Stamp::Video(stamp, composition)),
        near.prop_map(Stamp::Audio),
    ]
}

proptest! {
    #[test]
    fn no_track_ever_goes_back(stamps in prop::collection::vec(any_stamp(), 1..200)) {
        let before = StreamPosition::after(None, Kind::Audio, ms(1_000), AT.at);
        let mut timeline = Timeline::resuming(before);
        let (mut video, mut audio) = (ms(0), ms(0));
        for stamp in stamps {
            let (placed, newest) = match stamp {
                Stamp::Video(stamp, composition) => (timeline.video(stamp, composition, *AT), &mut video),
                Stamp::Audio(stamp) => (timeline.audio(stamp, 1024, 44_100, *AT), &mut audio),
            };
            prop_assert!(placed.dts > *newest && placed.dts >= ms(1_000));
            prop_assert!(placed.pts >= placed.dts);
            prop_assert_ne!(placed.dts.as_ticks(90_000), newest.as_ticks(90_000));
            *newest = placed.dts;
            prop_assert!(timeline.end() > video.max(audio));
        }
    }

    /// Whatever the frame rate, the interleaving and the place of the wrap: the distance between a
    /// picture and a sound is the source's, to a millisecond.
    #[test]
    fn sound_stays_with_the_picture(
        first: u32,
        frame_ms in 8_u32..100,
        skew_ms in -400_i64..400,
        restart_at in prop::option::of(50_usize..150),
    ) {
        let mut timeline = Timeline::new();
        let mut offset = i64::from(first);
        let (mut video_ms, mut audio_frame) = (0_i64, 0_i64);
        for step in 0..200 {
            if Some(step) == restart_at {
                offset += 1_000_000;
            }
            let placed = timeline.video(stamp(offset + video_ms), 0, *AT);
            // Audio is sent up to what video has reached, less or more the skew.
            while audio_frame * 1024 * 1000 / 44_100 <= video_ms + skew_ms {
                let at = MediaTime::from_ticks(audio_frame * 1024, 44_100);
                let audio = timeline.audio(stamp(offset + at.as_millis()), 1024, 44_100, *AT);
                audio_frame += 1;
                // In the first half second (of a start) the earlier track waits for the later.
                let settled = step > 80 && restart_at.is_none_or(|at| step < at || step > at + 80);
                if settled {
                    let want = at - ms(video_ms);
                    prop_assert!(distance(audio.dts - placed.dts, want) <= 1_000_000, "{:?} {:?}", audio, placed);
                }
            }
            video_ms += i64::from(frame_ms);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32 is meant")]
fn stamp(ms: i64) -> u32 {
    ms as u32
}
