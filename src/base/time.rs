//! The two times of the node that are not `std::time::Instant`.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a stream's own clock, in nanoseconds from the start of the stream.
///
/// It never goes back over takeovers of the publisher; RTP timestamps, `tfdt`, PTS/PCR and
/// PROGRAM-DATE-TIME all come from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

impl MediaTime {
    /// The start of a stream.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(ns: i64) -> Self {
        Self(ns)
    }

    /// From milliseconds (RTMP's unit).
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// From `ticks` of a clock of `rate` ticks per second, rounded down.
    pub fn from_ticks(ticks: i64, rate: u32) -> Self {
        let ns = i128::from(ticks) * 1_000_000_000 / i128::from(rate.max(1));
        Self(i64::try_from(ns).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX }))
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// In milliseconds, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// In ticks of a clock of `rate` ticks per second, rounded to the nearest tick.
    pub fn as_ticks(self, rate: u32) -> i64 {
        let scaled = i128::from(self.0) * i128::from(rate);
        let ticks = (scaled + 500_000_000).div_euclid(1_000_000_000);
        i64::try_from(ticks).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// The distance from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Moved forward by `by`.
    pub fn plus(self, by: Duration) -> Self {
        let ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ns))
    }
}

impl Add for MediaTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MediaTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.as_millis())
    }
}

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z, AMS's unit for dates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Moved forward by `by`, rounded down to a millisecond.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_round_trip_at_every_media_rate() {
        for rate in [1_000, 44_100, 48_000, 90_000] {
            for ticks in [0, 1, 1023, 1024, 90_001, 1 << 40] {
                assert_eq!(MediaTime::from_ticks(ticks, rate).as_ticks(rate), ticks, "{ticks} at {rate}");
            }
        }
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(MediaTime::from_millis(i64::MAX).as_nanos(), i64::MAX);
        assert_eq!(MediaTime::from_ticks(i64::MAX, 1).as_nanos(), i64::MAX);
        assert_eq!(MediaTime::ZERO.since(MediaTime::from_millis(5)), Duration::ZERO);
    }
}
