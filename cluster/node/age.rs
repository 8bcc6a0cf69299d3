//! How fresh the node is, to be asked at any time without waiting for its thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster_core::Moment;

/// The newest moment at which what the node knows was known to be all there is, told by the thread.
#[derive(Default)]
pub(crate) struct FreshAt(
    /// Nanoseconds since the node began, plus one; 0: never.
    AtomicU64,
);

impl FreshAt {
    /// The thread tells it.
    pub(crate) fn tell(&self, at: Option<Moment>) {
        let nanos = at.map_or(0, |at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).saturating_add(1));
        self.0.store(nanos, Ordering::Release);
    }

    /// How old what the node knows is at most at `now`, if it began at `origin`.
    pub(crate) fn age(&self, origin: Instant, now: Instant) -> Option<Duration> {
        let at = Duration::from_nanos(self.0.load(Ordering::Acquire).checked_sub(1)?);
        Some(now.saturating_duration_since(origin).saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, ManualClock, WallTime};

    use super::*;

    #[test]
    fn an_age_grows_though_nobody_tells_it() {
        let clock = ManualClock::new(WallTime(0));
        let (origin, fresh_at) = (clock.now(), FreshAt::default());
        assert_eq!(fresh_at.age(origin, clock.now()), None);
        fresh_at.tell(Some(Duration::ZERO));
        assert_eq!(fresh_at.age(origin, clock.now()), Some(Duration::ZERO));
        clock.advance(Duration::from_secs(7));
        fresh_at.tell(Some(Duration::from_secs(4)));
        assert_eq!(fresh_at.age(origin, clock.now()), Some(Duration::from_secs(3)));
    }
}
