//! Whether a shard is too late for all its players, and whose frames it drops then.

use std::time::{Duration, Instant};

/// A standstill is made good within this; who is late for longer has too much to do.
const MADE_GOOD_WITHIN: Duration = Duration::from_millis(300);
/// Of so many late sends one is dropped: the load goes down by steps, and not for all at once.
const SHED_EVERY: u32 = 8;

/// How late the sends of a shard have been.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// Since when no frame was begun in time.
    since: Option<Instant>,
    late_sends: u32,
}

impl Lateness {
    /// A frame is about to be begun so long after it came: whether its player is to be spared it, and
    /// all up to a replay.
    ///
    /// A late shard first tries to make good: dropping a frame costs a replay of the group of pictures.
    /// Only one that stays late drops, and of some players.
    pub(super) fn sheds(&mut self, late: Duration, late_max: Duration, now: Instant) -> bool {
        if late <= late_max {
            self.since = None;
            self.late_sends = 0;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < MADE_GOOD_WITHIN {
            return false;
        }
        self.late_sends += 1;
        self.late_sends.is_multiple_of(SHED_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const MAX: Duration = Duration::from_millis(200);

    #[test]
    fn only_who_stays_late_drops_and_not_everything() {
        let start = SystemClock.now();
        let ms = Duration::from_millis;
        let mut lateness = Lateness::default();
        let mut shed = Vec::new();
        for at in 0..500 {
            if lateness.sheds(ms(250), MAX, start + ms(at)) {
                shed.push(at);
            }
        }
        assert_eq!(shed.len(), 200 / SHED_EVERY as usize);
        assert!(shed.iter().all(|at| *at >= 300));
        assert!(!lateness.sheds(ms(10), MAX, start + ms(501)), "in time");
        assert!(!lateness.sheds(ms(250), MAX, start + ms(502)), "late anew");
    }
}
