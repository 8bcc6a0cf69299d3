//! Which packets of a track are to be sent again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use base::limits;

/// What has been sent again, and when.
#[derive(Debug)]
struct Times {
    count: u8,
    last: Instant,
}

/// What comes of a request for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It will be sent again, for the first time.
    First,
    /// It will be sent once more.
    Again,
    /// It will be sent once more, for the last time.
    Last,
    /// It will not: asked for within a round trip, or nobody knows how often before.
    NotNow,
    /// It was sent as often as one may be and still did not come: resends do not help.
    InVain,
}

/// The bookkeeping of one track's resends.
#[derive(Debug)]
pub(super) struct Resends {
    waiting: VecDeque<u64>,
    times: BTreeMap<u64, Times>,
    /// Highest index whose count was forgotten: it and everything before is not sent again.
    forgotten: Option<u64>,
    budget_bytes: usize,
}

impl Default for Resends {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            times: BTreeMap::new(),
            forgotten: None,
            budget_bytes: limits::NACK_BURST_BYTES_MAX,
        }
    }
}

impl Resends {
    /// Forgets everything asked for; the budget stays.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.times.clear();
        self.forgotten = None;
    }

    /// New packets went out: a share of them may be spent on resends.
    pub(super) fn sent(&mut self, bytes: usize) {
        let share = bytes * limits::NACK_SHARE_PERCENT_MAX / 100;
        self.budget_bytes = (self.budget_bytes + share).min(limits::NACK_BURST_BYTES_MAX);
    }

    /// A packet was asked for again.
    pub(super) fn ask(&mut self, index: u64, round_trip: Duration, now: Instant) -> Asked {
        if self.waiting.len() >= limits::NACK_QUEUE_MAX
            || self.forgotten.is_some_and(|forgotten| index <= forgotten)
        {
            return Asked::NotNow;
        }
        let times = self.times.entry(index).or_insert(Times { count: 0, last: now });
        if times.count > 0 && now.saturating_duration_since(times.last) < round_trip {
            return Asked::NotNow;
        }
        if times.count >= limits::NACK_RESENDS_MAX {
            return Asked::InVain;
        }
        let asked = match times.count {
            0 => Asked::First,
            count if count + 1 == limits::NACK_RESENDS_MAX => Asked::Last,
            _ => Asked::Again,
        };
        *times = Times { count: times.count + 1, last: now };
        self.waiting.push_back(index);
        while self.times.len() > limits::NACK_PACKETS_COUNTED_MAX {
            self.forgotten = self.times.pop_first().map(|(oldest, _)| oldest);
        }
        asked
    }

    /// The next packet to send again.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a packet of that size may be sent again now; it is paid for if so.
    pub(super) fn pay(&mut self, bytes: usize) -> bool {
        let paid = self.budget_bytes.checked_sub(bytes);
        self.budget_bytes = paid.unwrap_or(self.budget_bytes);
        paid.is_some()
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(50);

    #[test]
    fn a_packet_is_sent_again_three_times_and_once_per_round_trip() {
        let start = SystemClock.now();
        let mut resends = Resends::default();
        let mut answers = Vec::new();
        for ms in 0..1000 {
            let asked = resends.ask(7, ROUND_TRIP, start + Duration::from_millis(ms));
            if asked != Asked::NotNow && answers.len() < 4 {
                answers.push((ms, asked));
            }
        }
        assert_eq!(
            answers,
            [(0, Asked::First), (50, Asked::Again), (100, Asked::Last), (150, Asked::InVain)]
        );
        assert_eq!(
            [resends.next(), resends.next(), resends.next(), resends.next()],
            [Some(7), Some(7), Some(7), None]
        );
    }

    #[test]
    fn resends_take_a_share_of_the_rate() {
        let mut resends = Resends::default();
        while resends.pay(1000) {}
        assert!(!resends.pay(1000));
        resends.sent(10_000);
        assert!(resends.pay(1000));
        resends.sent(usize::MAX / 200);
        assert_eq!(resends.budget_bytes, limits::NACK_BURST_BYTES_MAX);
    }

    #[test]
    fn memory_is_bounded() {
        let start = SystemClock.now();
        let mut resends = Resends::default();
        for index in 0..100_000 {
            resends.ask(index, ROUND_TRIP, start);
            resends.next();
        }
        assert!(resends.times.len() <= limits::NACK_PACKETS_COUNTED_MAX);
        assert_eq!(resends.ask(0, ROUND_TRIP, start), Asked::NotNow, "its count is forgotten");
        for index in 200_000..300_000 {
            resends.ask(index, ROUND_TRIP, start);
        }
        assert!(resends.waiting.len() <= limits::NACK_QUEUE_MAX);
    }
}
