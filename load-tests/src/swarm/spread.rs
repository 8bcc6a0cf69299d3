//! How times are spread, in constant memory.

use std::time::Duration;

/// Steps within a doubling: a value is known to 1/32.
const STEPS: u64 = 32;
/// Doublings above [`STEPS`] microseconds: up to 35 minutes.
const DOUBLINGS: usize = 26;

/// A spread of times from a microsecond up, each known to 3 %.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// Grows to what was added.
    counts: Vec<u32>,
    count: u64,
    max: Duration,
}

/// What is said of a spread, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Half are not above.
    pub p50: f64,
    /// 95 of 100 are not above.
    pub p95: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// Adds all of another spread.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The time that `share` of the times (0 to 1) are not above; `None` without any.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Some(Duration::from_micros(highest(bucket)).min(self.max));
            }
        }
        None
    }

    /// The usual percentiles; `None` without any time.
    pub fn percentiles_ms(&self) -> Option<Percentiles> {
        let at = |share| Some(self.percentile(share)?.as_secs_f64() * 1_000.0);
        Some(Percentiles {
            p50: at(0.5)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max: self.max.as_secs_f64() * 1_000.0,
        })
    }
}

impl Extend<Duration> for Spread {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, times: T) {
        times.into_iter().for_each(|time| self.add(time));
    }
}

fn bucket(micros: u64) -> usize {
    let doublings = (micros / STEPS).checked_ilog2().map_or(0, |log| log as usize + 1).min(DOUBLINGS);
    if doublings == 0 {
        return micros as usize;
    }
    let step = (micros >> (doublings - 1)).min(2 * STEPS - 1) as usize;
    (doublings - 1) * STEPS as usize + step
}

/// The largest value of a bucket.
const fn highest(bucket: usize) -> u64 {
    let steps = STEPS as usize;
    if bucket < 2 * steps {
        return bucket as u64;
    }
    let doublings = bucket / steps - 1;
    (((bucket % steps + steps + 1) as u64) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_holds_it_to_3_percent() {
        for micros in (0..5_000).chain((5_000..2_000_000_000).step_by(777_777)) {
            let bucket = bucket(micros);
            let high = highest(bucket);
            assert!(
                high >= micros && high as f64 <= micros as f64 * 1.04,
                "{micros} in {bucket} up to {high}"
            );
            assert!(bucket == 0 || highest(bucket - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_of_all_that_was_added() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentiles_ms(), None);
        spread.extend((1..=50).map(Duration::from_millis));
        let mut others = Spread::default();
        others.extend((51..=100).map(Duration::from_millis));
        spread.merge(&others);
        let percentiles = spread.percentiles_ms().unwrap();
        assert!(
            (percentiles.p50 - 50.0).abs() < 2.0 && (percentiles.p99 - 99.0).abs() < 3.0,
            "{percentiles:?}"
        );
        assert_eq!(percentiles.max, 100.0);
        spread.add(Duration::from_secs(1 << 40));
        assert_eq!(spread.percentiles_ms().unwrap().max, 1_000.0 * (1u64 << 40) as f64);
    }
}
