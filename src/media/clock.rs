//! How far a stream's clock has come, across publishers.

use std::time::{Duration, Instant};

use base::{MediaTime, WallTime};
use parking_lot::Mutex;

use crate::codec::Kind;

/// How far back the most punctual unit is looked for, at least; at most twice that.
const PUNCTUAL_WINDOW: Duration = Duration::from_secs(1);

/// When a unit came, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// On the monotonic clock.
    pub at: Instant,
    /// On the wall.
    pub wall: WallTime,
}

/// A unit's place on the stream's clock, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPoint {
    /// Where it lies.
    pub dts: MediaTime,
    /// When it came.
    pub arrived: Instant,
}

impl ClockPoint {
    /// Where the clock stands at `now`, by this unit.
    pub fn at(&self, now: Instant) -> MediaTime {
        match now.checked_duration_since(self.arrived) {
            Some(passed) => self.dts.plus(passed),
            None => self.dts - MediaTime::ZERO.plus(self.arrived.saturating_duration_since(now)),
        }
    }
}

/// The unit that came soonest of those of the last moments: the others were held up on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Punctual {
    since: Instant,
    soonest: ClockPoint,
    before: Option<ClockPoint>,
}

impl Punctual {
    fn after(held: Option<Self>, point: ClockPoint) -> Self {
        match held {
            Some(held) if point.arrived.saturating_duration_since(held.since) < PUNCTUAL_WINDOW => {
                Self { soonest: sooner(held.soonest, point), ..held }
            }
            held => Self { since: point.arrived, soonest: point, before: held.map(|held| held.soonest) },
        }
    }

    fn point(&self) -> ClockPoint {
        self.before.map_or(self.soonest, |before| sooner(before, self.soonest))
    }
}

/// Of two units the one that came sooner for where it lies.
fn sooner(a: ClockPoint, b: ClockPoint) -> ClockPoint {
    if a.at(b.arrived) > b.dts { a } else { b }
}

/// Where a stream's clock stands. Told by the units of its source; outlives tracks and publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    newest: ClockPoint,
    video: Option<Punctual>,
    audio: Option<Punctual>,
}

impl StreamPosition {
    /// The position after one more unit.
    pub fn after(before: Option<Self>, kind: Kind, dts: MediaTime, arrived: Instant) -> Self {
        let point = ClockPoint { dts, arrived };
        let mut next = before.unwrap_or(Self { newest: point, video: None, audio: None });
        next.newest.dts = next.newest.dts.max(dts);
        next.newest.arrived = next.newest.arrived.max(arrived);
        let punctual = match kind {
            Kind::Video => &mut next.video,
            Kind::Audio => &mut next.audio,
        };
        *punctual = Some(Punctual::after(*punctual, point));
        next
    }

    /// The farthest unit, and when the last one came.
    pub const fn newest(&self) -> ClockPoint {
        self.newest
    }

    /// Where a unit lies that arrived at `now` on a source's new clock, which says nothing of it: as far as
    /// the punctual units of its kind lay behind their arrival.
    ///
    /// So time that passed without media passes on the stream's clock as well. Were the gap closed, every
    /// later frame would come that much after its RTP time: receivers take this for delay of the path and
    /// buffer as long as the gap was. And pictures and sound are compared with their own kind, because
    /// encoders send one ahead of the other.
    pub fn at(&self, kind: Kind, now: Instant) -> MediaTime {
        let (own, other) = match kind {
            Kind::Video => (self.video, self.audio),
            Kind::Audio => (self.audio, self.video),
        };
        own.or(other).map_or(self.newest, |punctual| punctual.point()).at(now)
    }
}

/// The position of one stream, moved by the writers of its source's tracks.
#[derive(Debug, Default)]
pub struct StreamClock(Mutex<Option<StreamPosition>>);

impl StreamClock {
    /// A unit was written.
    pub(crate) fn note(&self, kind: Kind, dts: MediaTime, arrived: Instant) {
        let mut position = self.0.lock();
        *position = Some(StreamPosition::after(*position, kind, dts, arrived));
    }

    /// Where it stands; `None` before the first unit.
    pub fn position(&self) -> Option<StreamPosition> {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    fn ms(value: i64) -> MediaTime {
        MediaTime::from_millis(value)
    }

    /// Units as (kind, place, arrival), both in ms.
    fn position(start: Instant, units: &[(Kind, i64, u64)]) -> StreamPosition {
        let noted = units.iter().fold(None, |before, (kind, dts, arrived)| {
            let arrived = start + Duration::from_millis(*arrived);
            Some(StreamPosition::after(before, *kind, ms(*dts), arrived))
        });
        noted.unwrap()
    }

    #[test]
    fn a_new_source_lies_as_punctual_units_of_its_kind_did() {
        let start = SystemClock.now();
        // Sound comes 60 ms ahead of its picture, and the last picture was held up by 90 ms.
        let units = [
            (Kind::Video, 0, 100),
            (Kind::Audio, 60, 100),
            (Kind::Video, 40, 140),
            (Kind::Audio, 100, 140),
            (Kind::Video, 80, 270),
        ];
        let position = position(start, &units);
        let now = start + Duration::from_secs(3);
        assert_eq!(position.at(Kind::Video, now), ms(2_900));
        assert_eq!(position.at(Kind::Audio, now), ms(2_960));
        assert_eq!(
            position.newest(),
            ClockPoint { dts: ms(100), arrived: start + Duration::from_millis(270) }
        );
    }

    #[test]
    fn of_a_kind_that_was_not_there_nothing_is_known() {
        let start = SystemClock.now();
        let position = position(start, &[(Kind::Audio, 10, 0)]);
        assert_eq!(position.at(Kind::Video, start + Duration::from_millis(500)), ms(510));
    }

    #[test]
    fn what_was_punctual_long_ago_does_not_count() {
        let start = SystemClock.now();
        // From the first second on everything comes 200 ms later: a longer path.
        let units: Vec<_> = (0..100)
            .map(|unit| (Kind::Video, unit * 40, unit as u64 * 40 + 200 * u64::from(unit > 24)))
            .collect();
        let now = start + Duration::from_millis(6_000);
        assert_eq!(position(start, &units).at(Kind::Video, now), ms(5_800));
    }
}
