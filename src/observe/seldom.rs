//! What would be said for every stream or every request, and is the same each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base::{Clock as _, SystemClock};
use parking_lot::Mutex;

/// A line of the log that comes at most once in a time, with how often it was left out. To be a `static` beside that line.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    last: Mutex<Option<Instant>>,
    unsaid: AtomicU64,
}

impl Seldom {
    /// At most once in `every`.
    pub const fn new(every: Duration) -> Self {
        Self { every, last: Mutex::new(None), unsaid: AtomicU64::new(0) }
    }

    /// Whether it is to be said now, and how often it was not since it was said last.
    pub fn now(&self) -> Option<u64> {
        self.at(SystemClock.now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock();
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.every) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *last = Some(now);
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_soon_is_counted_and_told_of_later() {
        let seldom = Seldom::new(Duration::from_secs(10));
        let begin = SystemClock.now();
        let at = |s| seldom.at(begin + Duration::from_secs(s));
        assert_eq!(
            [at(0), at(1), at(9), at(10), at(11), at(20), at(40)],
            [Some(0), None, None, Some(2), None, Some(1), Some(0)]
        );
    }
}
