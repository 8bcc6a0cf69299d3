//! What a player may send by data channels: so much a second, a burst more, and what it is forgiven.

use std::time::{Duration, Instant};

use base::limits;

/// What becomes of something that a player sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is within what it may.
    Granted,
    /// It is not, and is dropped.
    Dropped,
    /// It has not been for so long that the player is to be ended.
    Forfeited,
}

/// One bound: a leaky bucket for what was granted, and one of the same rate for all that was asked for. Both are
/// kept as the moment they will be empty.
#[derive(Clone, Copy, Debug)]
struct Flow {
    per_second: u64,
    burst: u64,
    patience: u64,
    granted: Option<Instant>,
    asked: Option<Instant>,
}

impl Flow {
    const fn new(per_second: u64, burst: u64, patience: u64) -> Self {
        Self { per_second, burst, patience, granted: None, asked: None }
    }

    fn time_of(&self, amount: u64) -> Duration {
        Duration::from_nanos(amount.saturating_mul(1_000_000_000) / self.per_second.max(1))
    }

    fn filled(&self, empty_at: Option<Instant>, amount: u64, now: Instant) -> Instant {
        empty_at.map_or(now, |at| at.max(now)) + self.time_of(amount)
    }

    fn ask(&mut self, amount: u64, now: Instant) -> Verdict {
        let asked = self.filled(self.asked, amount, now);
        self.asked = Some(asked);
        if asked > now + self.time_of(self.patience) {
            return Verdict::Forfeited;
        }
        let granted = self.filled(self.granted, amount, now);
        if granted > now + self.time_of(self.burst) { Verdict::Dropped } else { Verdict::Granted }
    }

    fn grant(&mut self, amount: u64, now: Instant) {
        self.granted = Some(self.filled(self.granted, amount, now));
    }
}

/// The bounds of one player.
#[derive(Debug)]
pub(super) struct Allowance {
    messages: Flow,
    bytes: Flow,
    packets: Flow,
}

impl Allowance {
    pub(super) const fn new() -> Self {
        Self {
            messages: Flow::new(
                limits::DATA_MESSAGES_PER_SECOND_MAX,
                limits::DATA_BURST_MESSAGES_MAX,
                limits::DATA_PATIENCE_MESSAGES_MAX,
            ),
            bytes: Flow::new(
                limits::DATA_BYTES_PER_SECOND_MAX,
                limits::DATA_BURST_BYTES_MAX,
                limits::DATA_PATIENCE_BYTES_MAX,
            ),
            packets: Flow::new(
                limits::DATA_PACKETS_PER_SECOND_MAX,
                limits::DATA_PACKETS_PER_SECOND_MAX,
                u64::MAX,
            ),
        }
    }

    /// Whether a packet may be looked at. One that is not was lost, as packets are: nobody is ended for it.
    pub(super) fn packet(&mut self, now: Instant) -> bool {
        let granted = self.packets.ask(1, now) == Verdict::Granted;
        if granted {
            self.packets.grant(1, now);
        }
        granted
    }

    /// What becomes of a message.
    pub(super) fn message(&mut self, bytes: usize, now: Instant) -> Verdict {
        let bytes = bytes as u64;
        match (self.messages.ask(1, now), self.bytes.ask(bytes, now)) {
            (Verdict::Granted, Verdict::Granted) => {
                self.messages.grant(1, now);
                self.bytes.grant(bytes, now);
                Verdict::Granted
            }
            (Verdict::Forfeited, _) | (_, Verdict::Forfeited) => Verdict::Forfeited,
            _ => Verdict::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_burst_is_granted_and_then_so_much_a_second() {
        let start = SystemClock.now();
        let mut allowance = Allowance::new();
        let mut granted = |second: u64| {
            let now = start + Duration::from_secs(second);
            let count = (0..500).filter(|_| allowance.message(10, now) == Verdict::Granted).count();
            count as u64
        };
        assert_eq!(granted(0), limits::DATA_BURST_MESSAGES_MAX);
        assert_eq!(granted(1), limits::DATA_MESSAGES_PER_SECOND_MAX);
        assert_eq!(granted(3), 2 * limits::DATA_MESSAGES_PER_SECOND_MAX);
    }

    #[test]
    fn a_large_file_is_cut_short_and_a_flood_ends() {
        let now = SystemClock.now();
        let mut allowance = Allowance::new();
        let mut verdicts = Vec::new();
        while verdicts.last() != Some(&Verdict::Forfeited) {
            verdicts.push(allowance.message(16_000, now));
        }
        let granted = verdicts.iter().filter(|verdict| **verdict == Verdict::Granted).count() as u64;
        assert_eq!(granted, limits::DATA_BURST_BYTES_MAX / 16_000);
        assert_eq!(verdicts.len() as u64, limits::DATA_PATIENCE_BYTES_MAX / 16_000 + 1);
        let later = now + Duration::from_secs(3_600);
        assert_eq!(allowance.message(16_000, later), Verdict::Granted, "time heals it");
    }

    #[test]
    fn packets_are_dropped_beyond_their_rate_and_nobody_is_ended_for_it() {
        let now = SystemClock.now();
        let mut allowance = Allowance::new();
        let granted = (0..50_000).filter(|_| allowance.packet(now)).count() as u64;
        assert_eq!(granted, limits::DATA_PACKETS_PER_SECOND_MAX);
        assert!(allowance.packet(now + Duration::from_millis(1)));
    }
}
