//! Whether a shard is too late for all players of a stream, and whose frames it drops then.

use std::time::{Duration, Instant};

/// A standstill is made good within this; who is late for longer has too much to do.
const MADE_GOOD_WITHIN: Duration = Duration::from_millis(300);
/// How long it is looked at whether lateness grows.
const WINDOW: Duration = Duration::from_millis(100);
/// Of so many late sends one is dropped: the load goes down by steps, and not for all at once.
const SHED_EVERY: u32 = 16;

/// How late the frames of one stream have been begun.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// Since when no frame was begun in time.
    since: Option<Instant>,
    window: Option<Instant>,
    worst: Duration,
    worst_before: Duration,
    grows: bool,
    late_sends: u32,
}

impl Lateness {
    /// A frame is about to be begun so long after it came: whether its player is to be spared it, and
    /// all up to a replay.
    ///
    /// Who is late first tries to make good: dropping a frame costs a replay of the group of pictures.
    /// Only who stays late, and becomes later, drops, and of some players.
    pub(super) fn sheds(&mut self, late: Duration, late_max: Duration, now: Instant) -> bool {
        if late <= late_max {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let window = *self.window.get_or_insert(now);
        if now.saturating_duration_since(window) >= WINDOW {
            self.grows = self.worst > self.worst_before;
            self.worst_before = self.worst;
            self.worst = Duration::ZERO;
            self.window = Some(now);
        }
        self.worst = self.worst.max(late);
        if !self.grows || now.saturating_duration_since(since) < MADE_GOOD_WITHIN {
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
    fn only_who_becomes_later_and_later_drops_and_not_everything() {
        let start = SystemClock.now();
        let ms = Duration::from_millis;
        let shed = |late: fn(u64) -> u64| {
            let mut lateness = Lateness::default();
            (0..1_000).filter(|at| lateness.sheds(ms(late(*at)), MAX, start + ms(*at))).collect::<Vec<_>>()
        };
        let growing = shed(|at| 201 + at / 10);
        assert!((40..=44).contains(&growing.len()), "{growing:?}");
        assert!(growing.iter().all(|at| *at >= 300));
        assert_eq!(shed(|at| 700 - at / 2), [0; 0], "it makes good");
        assert_eq!(shed(|at| if at % 50 == 0 { 10 } else { 300 + at }), [0; 0], "some are in time");
    }
}
