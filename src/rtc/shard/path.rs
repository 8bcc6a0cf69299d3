//! What the way to a player seems to carry, judged by its reports, and the pace that follows.
//!
//! There is no bandwidth estimate on the play side (its header extensions would make a packet that is
//! sent again another one under the same nonce), so a replay begins fast, goes on slowly until a report
//! has passed behind what it sent, and then goes by what the report says.

use std::time::{Duration, Instant};

use base::limits;

/// A round trip longer than the shortest by more than this stands in a queue.
const QUEUE_MAX: Duration = Duration::from_millis(80);
/// How long the shortest round trip counts as such.
const SHORTEST_HOLDS: Duration = Duration::from_secs(30);
/// A larger share of lost packets is the path's limit, not its noise.
const LOSS_MAX: f32 = 0.12;
/// Packets newly missing within [`LOSS_WINDOW`] that are no noise either.
const LOST_IN_WINDOW_MAX: u32 = 32;
const LOSS_WINDOW: Duration = Duration::from_millis(250);
/// Good reports after which a narrow path is taken for clear again.
const GOOD_REPORTS: u8 = 3;
/// Between two steps down: what a step brings shows only a round trip later.
const STEP_REST: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    /// No report has passed behind a fast piece yet.
    #[default]
    Unknown,
    /// Reports found it empty.
    Clear,
    /// It was too much, so many times in a row.
    Narrow { steps: u8, good: u8 },
}

/// What is known of the way to a player.
#[derive(Debug, Default)]
pub(super) struct Path {
    condition: Condition,
    /// The shortest round trip of late, and when it was.
    shortest: Option<(Duration, Instant)>,
    /// The middle of the NTP time of the sender report that went behind a fast piece.
    probe: Option<u32>,
    stepped: Option<Instant>,
    lost: u32,
    lost_since: Option<Instant>,
}

impl Path {
    /// The pace of a replay that began so long ago, bits per second, for a track of that rate.
    pub(super) fn replay_pace(&self, rate: u64, since: Duration) -> u64 {
        let fast = limits::REPLAY_BITRATE.max(rate.saturating_mul(limits::REPLAY_RATE_FACTOR));
        match self.condition {
            Condition::Clear => fast,
            Condition::Unknown if since < limits::REPLAY_PROBE => fast,
            Condition::Unknown | Condition::Narrow { steps: 1, .. } => rate.saturating_mul(5) / 2,
            Condition::Narrow { .. } => rate.saturating_mul(3) / 2,
        }
        .max(limits::PACE_BITRATE_MIN)
    }

    /// The pace of live frames, bits per second, for a track of that rate.
    pub(super) fn live_pace(&self, rate: u64) -> u64 {
        let pace = rate.saturating_mul(5) / 2;
        match self.condition {
            Condition::Unknown | Condition::Clear => pace.max(limits::REPLAY_BITRATE),
            Condition::Narrow { .. } => pace.max(limits::PACE_BITRATE_MIN),
        }
    }

    /// Whether a fast piece that has ended wants a sender report behind it: how long that takes to be
    /// answered shows whether the piece stands in a queue.
    pub(super) fn wants_probe(&self, since: Duration) -> bool {
        self.condition == Condition::Unknown && self.probe.is_none() && since >= limits::REPLAY_PROBE
    }

    /// A sender report with that NTP time goes behind a fast piece.
    pub(super) fn probed(&mut self, ntp: u64) {
        self.probe = Some(middle(ntp));
    }

    /// A report: which sender report it answers, the round trip it tells, the share it lost.
    pub(super) fn report(&mut self, answers: u32, round_trip: Option<Duration>, loss: f32, now: Instant) {
        let queued = match (round_trip, self.shortest) {
            (Some(took), Some((shortest, _))) => took > shortest + QUEUE_MAX,
            (Some(took), None) => took > 2 * QUEUE_MAX,
            (None, _) => false,
        };
        if let Some(took) = round_trip {
            // A route that became longer must not look like a queue for ever.
            let held = self.shortest.filter(|(shortest, at)| {
                *shortest <= took && now.saturating_duration_since(*at) < SHORTEST_HOLDS
            });
            self.shortest = held.or(Some((took, now)));
        }
        if queued || loss > LOSS_MAX {
            self.step_down(now);
            return;
        }
        let behind = self.probe.is_some_and(|probe| answers.wrapping_sub(probe) < 1 << 31);
        self.condition = match self.condition {
            Condition::Unknown if behind && round_trip.is_some() => Condition::Clear,
            Condition::Narrow { steps, good } if good + 1 < GOOD_REPORTS => {
                Condition::Narrow { steps, good: good + 1 }
            }
            Condition::Narrow { .. } => Condition::Clear,
            same => same,
        };
    }

    /// Packets are missing that were not before.
    pub(super) fn lost(&mut self, packets: u32, now: Instant) {
        let fresh = self.lost_since.is_some_and(|since| now.saturating_duration_since(since) < LOSS_WINDOW);
        if !fresh {
            self.lost_since = Some(now);
            self.lost = 0;
        }
        self.lost = self.lost.saturating_add(packets);
        if self.lost > LOST_IN_WINDOW_MAX {
            self.lost = 0;
            self.step_down(now);
        }
    }

    fn step_down(&mut self, now: Instant) {
        if self.stepped.is_some_and(|at| now.saturating_duration_since(at) < STEP_REST) {
            return;
        }
        self.stepped = Some(now);
        let steps = match self.condition {
            Condition::Narrow { steps, .. } => steps.saturating_add(1),
            Condition::Unknown | Condition::Clear => 1,
        };
        self.condition = Condition::Narrow { steps, good: 0 };
    }
}

/// The middle 32 bits of an NTP time, as reports repeat them (RFC 3550 6.4.1).
const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const RATE: u64 = 2_000_000;
    const SLOW: u64 = 5_000_000;
    const LATER: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_replay_begins_fast_and_waits_for_a_report_that_passed_behind_it() {
        let now = SystemClock.now();
        let mut path = Path::default();
        assert_eq!(path.replay_pace(RATE, Duration::ZERO), limits::REPLAY_BITRATE);
        assert_eq!(path.replay_pace(RATE, LATER), SLOW);
        assert!(!path.wants_probe(Duration::ZERO) && path.wants_probe(LATER));
        path.probed(5 << 16);
        assert!(!path.wants_probe(LATER));
        path.report(4, ms(10), 0.0, now);
        assert_eq!(path.replay_pace(RATE, LATER), SLOW, "that one went before");
        path.report(5, ms(12), 0.0, now);
        assert_eq!(path.replay_pace(RATE, LATER), limits::REPLAY_BITRATE);
    }

    #[test]
    fn a_queue_or_loss_slows_it_down_step_by_step() {
        let now = SystemClock.now();
        let mut path = Path::default();
        path.probed(5 << 16);
        path.report(4, ms(10), 0.0, now);
        path.report(5, ms(300), 0.0, now);
        assert_eq!(path.replay_pace(RATE, Duration::ZERO), SLOW);
        path.report(6, ms(300), 0.0, now);
        assert_eq!(path.replay_pace(RATE, Duration::ZERO), SLOW, "the first step has not shown yet");
        path.report(7, None, 0.3, now + LATER);
        assert_eq!(path.replay_pace(RATE, Duration::ZERO), 3_000_000);
        for _ in 0..GOOD_REPORTS {
            path.report(8, ms(11), 0.0, now + LATER);
        }
        assert_eq!(path.replay_pace(RATE, LATER), limits::REPLAY_BITRATE);
    }

    #[test]
    fn five_percent_of_loss_is_noise_and_a_flood_of_it_is_not() {
        let now = SystemClock.now();
        let mut path = Path::default();
        path.probed(5 << 16);
        path.report(5, ms(10), 0.05, now);
        // 5 % of a fast replay are 52 packets a second.
        for packet in 0..520 {
            path.lost(1, now + Duration::from_millis(packet * 1000 / 52));
        }
        assert_eq!(path.replay_pace(RATE, LATER), limits::REPLAY_BITRATE);
        path.lost(40, now + 11 * LATER);
        assert_eq!(path.replay_pace(RATE, LATER), SLOW);
    }
}
