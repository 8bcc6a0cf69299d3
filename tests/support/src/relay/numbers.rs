//! The sequence numbers of one RTP track: which were seen, and which are lost for good.

use std::collections::BTreeSet;

/// Numbers behind the newest that are remembered: what is older counts as seen.
const REMEMBERED: u64 = 4_096;
/// A `u64` holds this many of them.
const BITS: u64 = 64;

/// The fields of an RTP header that are sent in clear (RFC 3711 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
}

impl Header {
    /// `None` for what is not RTP: STUN, DTLS, RTCP (RFC 7983 7, RFC 5761 4).
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let &[first, kind, s0, s1, _, _, _, _, c0, c1, c2, c3] = datagram.first_chunk::<12>()?;
        let is_rtp = (128..192).contains(&first) && !(192..224).contains(&kind);
        is_rtp.then(|| Self {
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            sequence: u16::from_be_bytes([s0, s1]),
        })
    }
}

/// What is known of a track's packets.
#[derive(Debug)]
pub(super) struct Numbers {
    /// The highest number so far, with the times it wrapped.
    newest: Option<u64>,
    seen: Vec<u64>,
    packets: u64,
    /// Packets to come that are lost for good.
    to_lose: u32,
    lost: BTreeSet<u64>,
}

/// What a packet is to its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its number came before.
    pub(super) again: bool,
    /// Its number is one of those lost for good.
    pub(super) lost: bool,
}

impl Numbers {
    pub(super) fn new(to_lose: u32) -> Self {
        Self {
            newest: None,
            seen: vec![0; (REMEMBERED / BITS) as usize],
            packets: 0,
            to_lose,
            lost: BTreeSet::new(),
        }
    }

    /// The next so many new packets are lost for good too.
    pub(super) const fn lose(&mut self, count: u32) {
        self.to_lose = self.to_lose.saturating_add(count);
    }

    /// Packets noted.
    pub(super) const fn packets(&self) -> u64 {
        self.packets
    }

    /// Notes a packet.
    pub(super) fn take(&mut self, sequence: u16) -> Seen {
        self.packets += 1;
        // One wrap up, so that packets before the first one have numbers too.
        let newest = *self.newest.get_or_insert(0x1_0000 + u64::from(sequence) - 1);
        let step = sequence.wrapping_sub(newest as u16).cast_signed();
        let number = newest.saturating_add_signed(i64::from(step));
        if number > newest {
            (newest + 1..=number).take(REMEMBERED as usize).for_each(|skipped| self.set(skipped, false));
            self.newest = Some(number);
        }
        let again = number + REMEMBERED <= newest || self.is_set(number);
        self.set(number, true);
        if !again && self.to_lose > 0 {
            self.to_lose -= 1;
            self.lost.insert(number);
        }
        Seen { again, lost: self.lost.contains(&number) }
    }

    fn set(&mut self, number: u64, seen: bool) {
        let bit = 1 << (number % BITS);
        if let Some(word) = self.seen.get_mut((number % REMEMBERED / BITS) as usize) {
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }

    fn is_set(&self, number: u64) -> bool {
        let word = self.seen.get((number % REMEMBERED / BITS) as usize);
        word.is_some_and(|word| word & (1 << (number % BITS)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Seen = Seen { again: false, lost: false };
    const AGAIN: Seen = Seen { again: true, lost: false };

    #[test]
    fn numbers_seen_before_are_known_over_the_wrap_and_a_hole_is_new() {
        let mut numbers = Numbers::new(0);
        for offset in 0..10_000u16 {
            assert_eq!(numbers.take(60_000u16.wrapping_add(offset)), NEW, "{offset}");
        }
        assert_eq!(numbers.take(4_463), AGAIN);
        assert_eq!(numbers.take(4_466), NEW);
        assert_eq!(numbers.take(4_464), NEW, "late, not sent before");
        assert_eq!(numbers.take(4_464), AGAIN);
        assert_eq!(numbers.take(65_535), AGAIN, "before the wrap");
        assert_eq!(numbers.take(20_000), NEW, "a jump");
        assert_eq!(numbers.take(19_999), NEW);
    }

    #[test]
    fn what_is_lost_for_good_stays_lost_when_it_is_sent_again() {
        let mut numbers = Numbers::new(0);
        numbers.take(1);
        numbers.lose(2);
        assert_eq!(numbers.take(1), AGAIN);
        assert_eq!(numbers.take(2), Seen { again: false, lost: true });
        assert_eq!(numbers.take(3), Seen { again: false, lost: true });
        assert_eq!(numbers.take(4), NEW);
        assert_eq!(numbers.take(2), Seen { again: true, lost: true });
    }

    #[test]
    fn only_rtp_has_a_number() {
        let mut datagram = vec![0x80, 0xe0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 9];
        assert_eq!(Header::read(&datagram), Some(Header { ssrc: 7, sequence: 0x102 }));
        datagram[1] = 200;
        assert_eq!(Header::read(&datagram), None, "a sender report");
        datagram[0] = 22;
        assert_eq!(Header::read(&datagram), None, "DTLS");
        assert_eq!(Header::read(&[0x80; 11]), None);
    }
}
