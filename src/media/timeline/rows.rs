//! What sources do to their clocks, a row each: what comes, and where it is put.

use super::*;
use crate::timeline::tests::{after, ms};

/// A unit: its kind, its stamp, when it arrives (ms), where it belongs (ms) and the jump that is told (ms).
type Comes = (Kind, u32, u64, i64, Option<i64>);

const V: Kind = Kind::Video;
const A: Kind = Kind::Audio;
/// A frame before the 32 bits are over.
const LAST: u32 = u32::MAX - 39;
/// Half the circle, where a signed distance would turn.
const HALF: u32 = 1 << 31;

const ROWS: &[(&str, &[Comes])] = &[
    (
        "the 32 bits are over",
        &[
            (V, LAST - 40, 0, 0, None),
            (A, LAST - 39, 0, 1, None),
            (V, LAST, 40, 40, None),
            (A, LAST + 1, 40, 41, None),
            (V, 0, 80, 80, None),
            (A, 1, 80, 81, None),
            (V, 40, 120, 120, None),
        ],
    ),
    (
        "sound is still before the wrap when the picture is behind it",
        &[
            (V, LAST, 0, 0, None),
            (A, LAST, 0, 0, None),
            (V, 0, 40, 40, None),
            (V, 40, 80, 80, None),
            (A, 0, 80, 40, None),
            (A, 40, 80, 80, None),
        ],
    ),
    (
        "stamps pass the half of the circle",
        &[(V, HALF - 40, 0, 0, None), (V, HALF, 40, 40, None), (V, HALF + 40, 80, 80, None)],
    ),
    (
        "the clock is reset to 0 while frames go on",
        &[
            (V, 90_000, 0, 0, None),
            (A, 90_005, 0, 5, None),
            (V, 90_040, 40, 40, None),
            (V, 0, 80, 80, Some(-90_040)),
            (A, 5, 80, 85, None),
            (V, 40, 120, 120, None),
        ],
    ),
    (
        "the clock is reset to 0 just behind the wrap",
        &[(V, 100, 0, 0, None), (V, 140, 40, 40, None), (V, 0, 80, 80, Some(-140)), (V, 40, 120, 120, None)],
    ),
    (
        "the encoder starts again on its connection after three seconds: the pause stays a pause",
        &[
            (V, 50_000, 0, 0, None),
            (V, 50_040, 40, 40, None),
            (V, 0, 3_040, 3_040, Some(-50_040)),
            (A, 3, 3_040, 3_043, None),
            (V, 40, 3_080, 3_080, None),
        ],
    ),
    (
        "a jump of an hour while frames go on is closed",
        &[(V, 0, 0, 0, None), (V, 40, 40, 40, None), (V, 3_600_080, 80, 80, Some(3_600_040))],
    ),
    (
        "a jump that is a pause stays one",
        &[(V, 0, 0, 0, None), (V, 40, 40, 40, None), (V, 10_040, 10_040, 10_040, Some(10_000))],
    ),
    (
        "a pause below two seconds is the source's own",
        &[(V, 0, 0, 0, None), (V, 40, 40, 40, None), (V, 1_940, 45, 1_940, None)],
    ),
    (
        "a jump back of ten seconds",
        &[
            (V, 20_000, 0, 0, None),
            (A, 20_000, 0, 0, None),
            (V, 20_040, 40, 40, None),
            (V, 10_080, 80, 80, Some(-9_960)),
            (A, 10_061, 80, 61, None),
        ],
    ),
    (
        "sound comes out of order: its samples say where it belongs",
        &[(A, 0, 0, 0, None), (A, 80, 80, 40, None), (A, 40, 80, 80, None), (A, 120, 120, 120, None)],
    ),
    (
        "sound comes half a second behind the picture, as some encoders interleave it",
        &[(V, 500, 0, 0, None), (V, 540, 40, 40, None), (A, 0, 40, 0, None), (V, 580, 80, 80, None)],
    ),
];

#[test]
fn each_as_it_should_be() {
    for (name, units) in ROWS {
        let mut timeline = Timeline::new();
        for (index, &(kind, stamp, arrived, at, jump)) in units.iter().enumerate() {
            let placed = match kind {
                // 40 ms of sound.
                Kind::Audio => timeline.audio(stamp, 1920, 48_000, after(arrived)),
                Kind::Video => timeline.video(stamp, 0, after(arrived)),
            };
            let off_us = (placed.dts - ms(at)).as_nanos() / 1_000;
            assert!(off_us.abs() <= 1_000, "{name}, unit {index}: at {}, not {at} ms", placed.dts);
            let told = match placed.event {
                Some(TimelineEvent::Rebased { jump_ms, .. }) => Some(jump_ms),
                Some(TimelineEvent::AudioAnchored { .. }) | None => None,
            };
            assert_eq!(told, jump, "{name}, unit {index}");
        }
    }
}
