//! How fast one track of one player may leave: some bytes at once, then at a pace.

use std::time::{Duration, Instant};

/// A leaky bucket, kept as the moment it will be empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pacer {
    empty_at: Option<Instant>,
}

impl Pacer {
    /// Since when the next packets may leave; in the future: not yet. `None`: always could.
    pub(super) fn ready_at(&self, allowance: Duration) -> Option<Instant> {
        self.empty_at.and_then(|at| at.checked_sub(allowance))
    }

    /// Bytes left at that pace, bits per second.
    pub(super) fn spend(&mut self, bytes: usize, pace: u64, now: Instant) {
        let from = self.empty_at.map_or(now, |at| at.max(now));
        self.empty_at = Some(from + time_of(bytes as u64, pace));
    }
}

/// How long so many bytes take.
pub(super) fn time_of(bytes: u64, pace: u64) -> Duration {
    Duration::from_nanos((bytes * 8).saturating_mul(1_000_000_000) / pace.max(1))
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_pace() {
        let start = SystemClock.now();
        let mut pacer = Pacer::default();
        let allowance = time_of(38_400, 10_000_000);
        let mut sent = Vec::new();
        for ms in 0..200 {
            let now = start + Duration::from_millis(ms);
            while pacer.ready_at(allowance).is_none_or(|at| at <= now) {
                pacer.spend(1_200, 10_000_000, now);
                sent.push(ms);
            }
        }
        let at_once = sent.iter().filter(|ms| **ms == 0).count();
        assert!((32..=33).contains(&at_once), "{at_once}");
        let in_all = sent.len() * 1_200 * 8;
        // 200 ms of 10 Mbit/s and the burst.
        assert!((2_280_000..2_330_000).contains(&in_all), "{in_all}");
    }
}
