//! How busy a shard was over the last two seconds, and how busy one more player would make it.

use std::time::{Duration, Instant};

/// Pieces of the window: what is older than all of them is forgotten.
const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which piece of time this is; its place is used again every [`SLOTS`].
    number: u64,
    /// Time spent on media and everything that comes with players.
    media: Duration,
    /// Time spent on letting players in.
    joins: Duration,
    /// Players, as last counted.
    players: usize,
}

/// Time a shard's loop spent, in pieces of 100 ms.
#[derive(Debug)]
pub(super) struct BusyMeter {
    start: Instant,
    slots: [Slot; SLOTS],
}

impl BusyMeter {
    /// A meter of a shard that starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, slots: [Slot::default(); SLOTS] }
    }

    fn number(&self, now: Instant) -> u64 {
        let slots = now.saturating_duration_since(self.start).as_millis() / SLOT.as_millis();
        u64::try_from(slots).unwrap_or(u64::MAX)
    }

    /// A turn of the loop is over.
    pub(super) fn record(&mut self, media: Duration, joins: Duration, players: usize, now: Instant) {
        let number = self.number(now);
        let Some(slot) = self.slots.get_mut((number % SLOTS as u64) as usize) else { return };
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.media += media;
        slot.joins += joins;
        slot.players = players;
    }

    /// Share of its time that the shard is busy with so many players, 0 to 1 and above.
    ///
    /// What was measured belongs to the players of the window; media grows with their number, letting
    /// in does not. Thus players that came a moment ago count before their load shows.
    pub(super) fn projected(&self, players: usize, now: Instant) -> f64 {
        let newest = self.number(now);
        let held =
            self.slots.iter().filter(|slot| slot.number + SLOTS as u64 > newest && slot.number <= newest);
        let (mut media, mut joins, mut slots, mut played) = (Duration::ZERO, Duration::ZERO, 0, 0);
        for slot in held.filter(|slot| slot.media > Duration::ZERO || slot.joins > Duration::ZERO) {
            media += slot.media;
            joins += slot.joins;
            slots += 1;
            played += slot.players;
        }
        let window = now.saturating_duration_since(self.start).min(SLOT * SLOTS as u32).max(SLOT);
        let share = |spent: Duration| spent.as_secs_f64() / window.as_secs_f64();
        // A shard that was all but empty says nothing of what a full one will do.
        let before = (played as f64 / f64::from(slots.max(1))).max(PLAYERS_THAT_TELL);
        let growth = (players as f64 / before).max(1.0);
        share(media) * growth + share(joins)
    }
}

/// Below this the fixed part of a shard's work is most of it, and must not be multiplied.
const PLAYERS_THAT_TELL: f64 = 20.0;

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const TURN: Duration = Duration::from_millis(10);

    fn run(meter: &mut BusyMeter, from: Instant, turns: u32, media: u64, players: usize) -> Instant {
        for turn in 1..=turns {
            meter.record(Duration::from_millis(media), Duration::ZERO, players, from + TURN * turn);
        }
        from + TURN * turns
    }

    #[test]
    fn the_share_is_of_the_last_two_seconds() {
        let start = SystemClock.now();
        let mut meter = BusyMeter::new(start);
        let now = run(&mut meter, start, 1_000, 9, 100);
        assert!((meter.projected(100, now) - 0.9).abs() < 0.05, "{}", meter.projected(100, now));
        let now = run(&mut meter, now, 200, 2, 100);
        assert!((meter.projected(100, now) - 0.2).abs() < 0.05, "{}", meter.projected(100, now));
        let later = now + Duration::from_secs(3);
        assert!(meter.projected(100, later) < 0.001, "a shard without turns is idle");
    }

    #[test]
    fn players_that_just_came_count_before_their_load_shows() {
        let start = SystemClock.now();
        let mut meter = BusyMeter::new(start);
        let now = run(&mut meter, start, 400, 3, 300);
        assert!((meter.projected(300, now) - 0.3).abs() < 0.02);
        assert!((meter.projected(900, now) - 0.9).abs() < 0.05);
        assert!((meter.projected(30, now) - 0.3).abs() < 0.02, "and those that left count until it shows");
    }

    #[test]
    fn the_first_players_of_a_shard_are_not_multiplied() {
        let start = SystemClock.now();
        let mut meter = BusyMeter::new(start);
        let now = run(&mut meter, start, 400, 1, 1);
        assert!(meter.projected(10, now) < 0.15);
    }
}
