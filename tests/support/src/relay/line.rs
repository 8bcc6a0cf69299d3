//! One direction of a relay, without sockets: datagrams and the time come in, datagrams go out.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use base::{Randomness, SeededRandomness};

use super::numbers::{Header, Numbers, Seen};

/// Datagrams that wait in one direction. More: dropped as overflow.
const WAITING_MAX: usize = 65_536;
/// Tracks whose numbers are remembered. More: not told apart, counted as sent once.
const TRACKS_MAX: usize = 4_096;
/// Packets that may be told to be lost for good, of tracks that were not seen yet as well.
const TO_LOSE_MAX: usize = 64;

/// How one direction behaves: by default it passes everything on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Share of the datagrams that are lost, whatever they are, 0 to 1.
    pub loss: f64,
    /// How narrow it is.
    pub narrow: Option<Narrow>,
    /// How long every datagram takes.
    pub delay: Duration,
    /// How much longer one may take, at random. What is behind it waits for it: order is kept.
    pub jitter: Duration,
}

/// A narrow line with a buffer before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// Bits per second of UDP payload.
    pub bits_per_second: u64,
    /// Bytes that wait their turn; more are dropped as they come.
    pub buffer_bytes: u64,
}

/// What went over one direction. RTP is counted as it comes in, whatever becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Datagrams passed on.
    pub passed: u64,
    /// Datagrams lost at random.
    pub lost: u64,
    /// Packets lost for good, as often as they came.
    pub lost_for_good: u64,
    /// Datagrams for which there was no room.
    pub overflowed: u64,
    /// RTP packets.
    pub packets: u64,
    /// Their bytes, as datagrams.
    pub bytes: u64,
    /// Of those packets, the ones whose number came before.
    pub again: u64,
    /// Their bytes.
    pub again_bytes: u64,
}

impl LineCounts {
    /// What was counted since `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            passed: self.passed - before.passed,
            lost: self.lost - before.lost,
            lost_for_good: self.lost_for_good - before.lost_for_good,
            overflowed: self.overflowed - before.overflowed,
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
            again: self.again - before.again,
            again_bytes: self.again_bytes - before.again_bytes,
        }
    }
}

#[derive(Debug)]
struct Waiting {
    datagram: Vec<u8>,
    viewer: usize,
    due: Instant,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Direction {
    line: Line,
    randomness: SeededRandomness,
    waiting: VecDeque<Waiting>,
    /// When all that waits for a narrow line has gone over it.
    free_at: Instant,
    tracks: HashMap<(usize, u32), Numbers>,
    /// Tracks not seen yet, and how many of their packets are to be lost.
    to_lose: Vec<(u32, u32)>,
    counts: LineCounts,
}

impl Direction {
    pub(super) fn new(line: Line, seed: u64, now: Instant) -> Self {
        Self {
            line,
            randomness: SeededRandomness::new(seed),
            waiting: VecDeque::new(),
            free_at: now,
            tracks: HashMap::new(),
            to_lose: Vec::new(),
            counts: LineCounts::default(),
        }
    }

    pub(super) const fn change(&mut self, line: Line) {
        self.line = line;
    }

    pub(super) const fn counts(&self) -> LineCounts {
        self.counts
    }

    pub(super) fn lose_for_good(&mut self, ssrc: u32, count: u32) {
        let mut known = false;
        for ((_, of), numbers) in &mut self.tracks {
            if *of == ssrc {
                numbers.lose(count);
                known = true;
            }
        }
        if !known && self.to_lose.len() < TO_LOSE_MAX {
            self.to_lose.push((ssrc, count));
        }
    }

    pub(super) fn busiest_track(&self) -> Option<u32> {
        self.tracks.iter().max_by_key(|(_, numbers)| numbers.packets()).map(|((_, ssrc), _)| *ssrc)
    }

    /// Takes a datagram from or to a viewer.
    pub(super) fn take(&mut self, datagram: &[u8], viewer: usize, now: Instant) {
        let bytes = datagram.len() as u64;
        if let Some(seen) = Header::read(datagram).and_then(|header| self.note(viewer, header)) {
            self.counts.packets += 1;
            self.counts.bytes += bytes;
            if seen.again {
                self.counts.again += 1;
                self.counts.again_bytes += bytes;
            }
            if seen.lost {
                self.counts.lost_for_good += 1;
                return;
            }
        }
        if self.random_share() < self.line.loss {
            self.counts.lost += 1;
            return;
        }
        let waits = self.free_at.saturating_duration_since(now);
        let full = self.line.narrow.is_some_and(|narrow| {
            let waiting = waits.as_nanos() * u128::from(narrow.bits_per_second) / 8_000_000_000;
            waiting + u128::from(bytes) > u128::from(narrow.buffer_bytes)
        });
        if full || self.waiting.len() >= WAITING_MAX {
            self.counts.overflowed += 1;
            return;
        }
        let takes = self.line.narrow.map_or(Duration::ZERO, |narrow| {
            Duration::from_nanos(bytes * 8_000_000_000 / narrow.bits_per_second.max(1))
        });
        self.free_at = now + waits + takes;
        let jitter = self.line.jitter.mul_f64(self.random_share());
        let due = self.free_at + self.line.delay + jitter;
        let due = self.waiting.back().map_or(due, |last| due.max(last.due));
        self.waiting.push_back(Waiting { datagram: datagram.to_vec(), viewer, due });
    }

    /// From 0 to 1, without 1.
    fn random_share(&mut self) -> f64 {
        // 53 bits: what a float of this size holds.
        (self.randomness.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn note(&mut self, viewer: usize, header: Header) -> Option<Seen> {
        let key = (viewer, header.ssrc);
        if !self.tracks.contains_key(&key) {
            if self.tracks.len() >= TRACKS_MAX {
                return Some(Seen { again: false, lost: false });
            }
            let at = self.to_lose.iter().position(|(ssrc, _)| *ssrc == header.ssrc);
            let count = at.map_or(0, |at| self.to_lose.swap_remove(at).1);
            self.tracks.insert(key, Numbers::new(count));
        }
        self.tracks.get_mut(&key).map(|numbers| numbers.take(header.sequence))
    }

    /// The next datagram that has arrived, and its viewer.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(Vec<u8>, usize)> {
        if self.due()? > now {
            return None;
        }
        let Waiting { datagram, viewer, .. } = self.waiting.pop_front()?;
        self.counts.passed += 1;
        Some((datagram, viewer))
    }

    /// When the next datagram arrives.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.due)
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    fn rtp(sequence: u16) -> Vec<u8> {
        let mut datagram = vec![0x80, 0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
        datagram.resize(1_000, 0);
        datagram
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_same_seed_loses_the_same_share_and_the_same_datagrams() {
        let now = SystemClock.now();
        let came = |seed| {
            let mut line = Direction::new(Line { loss: 0.05, ..Line::default() }, seed, now);
            (0..20_000u32).for_each(|n| line.take(&n.to_be_bytes(), 0, now));
            let all: Vec<_> = std::iter::from_fn(|| line.poll(now)).collect();
            assert_eq!(line.counts().lost, 20_000 - all.len() as u64);
            all
        };
        let (one, again, other) = (came(1), came(1), came(2));
        assert!(one == again && one != other);
        assert!((18_800..19_200).contains(&one.len()), "{}", one.len());
    }

    #[test]
    fn a_narrow_line_lets_its_rate_through_and_drops_what_its_buffer_cannot_hold() {
        let start = SystemClock.now();
        let narrow = Narrow { bits_per_second: 8_000_000, buffer_bytes: 10_000 };
        let mut line =
            Direction::new(Line { narrow: Some(narrow), delay: ms(5), ..Line::default() }, 0, start);
        // A datagram takes one millisecond; ten fit.
        (0..30).for_each(|n| line.take(&rtp(n), 3, start));
        assert_eq!(line.counts().overflowed, 20);
        assert!(line.poll(start + ms(5)).is_none());
        assert_eq!(line.due(), Some(start + ms(6)));
        assert_eq!(line.poll(start + ms(6)).unwrap().1, 3);
        assert!(line.poll(start + ms(6)).is_none());
        // Four have gone: four fit again, behind the others.
        (30..40).for_each(|n| line.take(&rtp(n), 3, start + ms(4)));
        assert_eq!(line.counts().overflowed, 26);
        let rest = std::iter::from_fn(|| line.poll(start + ms(19))).count();
        assert_eq!((rest, line.counts().passed, line.due()), (13, 14, None));
    }

    #[test]
    fn a_line_with_jitter_takes_longer_now_and_then_and_keeps_the_order() {
        let start = SystemClock.now();
        let mut line = Direction::new(Line { delay: ms(25), jitter: ms(50), ..Line::default() }, 1, start);
        let (mut came, mut late) = (Vec::new(), Vec::new());
        for step in 0..2_000 {
            let now = start + ms(step);
            if step % 10 == 0 {
                line.take(&rtp(step as u16 / 10), 0, now);
            }
            while let Some((datagram, _)) = line.poll(now) {
                late.push(step - 10 * came.len() as u64);
                came.push(u16::from_be_bytes([datagram[2], datagram[3]]));
            }
        }
        assert!(came.len() > 180 && came.is_sorted());
        assert!(late.iter().all(|ms| (25..=76).contains(ms)));
        assert!(late.iter().any(|ms| *ms < 40) && late.iter().any(|ms| *ms > 65), "{late:?}");
    }

    #[test]
    fn packets_lost_for_good_are_lost_when_sent_again_and_others_pass() {
        let now = SystemClock.now();
        let mut line = Direction::new(Line::default(), 0, now);
        line.take(&rtp(1), 0, now);
        line.lose_for_good(7, 2);
        for sequence in [2, 3, 4, 2, 1, 3] {
            line.take(&rtp(sequence), 0, now);
        }
        line.take(b"stun", 0, now);
        let passed: Vec<_> = std::iter::from_fn(|| line.poll(now)).map(|(d, _)| d[..4].to_vec()).collect();
        assert_eq!(
            passed,
            [rtp(1)[..4].to_vec(), rtp(4)[..4].to_vec(), rtp(1)[..4].to_vec(), b"stun".to_vec()]
        );
        let counts = line.counts();
        assert_eq!((counts.lost_for_good, counts.again, counts.packets), (4, 3, 7));
        assert_eq!((counts.bytes, counts.again_bytes), (7_000, 3_000));
    }

    #[test]
    fn a_track_can_be_told_to_lose_before_it_begins() {
        let now = SystemClock.now();
        let mut line = Direction::new(Line::default(), 0, now);
        line.lose_for_good(7, 1);
        (1..=2).for_each(|sequence| line.take(&rtp(sequence), 0, now));
        assert_eq!(line.counts().lost_for_good, 1);
    }
}
