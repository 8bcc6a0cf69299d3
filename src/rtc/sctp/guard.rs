//! What of a publisher's packets its connection's own SCTP may see.
//!
//! That is the same crate as the players' ([`super::Sctp`]), but out of reach behind the publisher's DTLS: it walks every
//! TSN a FORWARD TSN claims, makes an association of each INIT, and keeps pieces of one byte without end.

use base::limits;

use super::admission::Admission;
use super::packet::{self, Chunk};

/// How the peer has begun: by tag and first TSN.
#[derive(Debug)]
struct Begun {
    by: (u32, u32),
    inits: u32,
    admission: Admission,
}

/// Stands between a publisher's packets and the SCTP of its connection.
#[derive(Debug, Default)]
pub struct SctpGuard {
    begun: Option<Begun>,
}

impl SctpGuard {
    /// Whether the crate may see a packet of the peer's.
    pub fn admits(&mut self, packet: &[u8]) -> bool {
        let Some(chunks) = packet::read(packet) else { return false };
        if let [Chunk::Init { tag, first_tsn } | Chunk::InitAck { tag, first_tsn }] = *chunks.as_slice() {
            return self.begins((tag, first_tsn));
        }
        let Some(begun) = &mut self.begun else { return false };
        // An end is for those whose association we can end.
        begun.admission.admit(&chunks).unwrap_or(false)
    }

    /// The crate makes an association of each INIT; the peer says the same one again when the answer was lost.
    fn begins(&mut self, by: (u32, u32)) -> bool {
        let admission = || Admission::new(by.1, limits::DATA_PUBLISHER_CHUNKS_HELD_MAX);
        let begun = self.begun.get_or_insert_with(|| Begun { by, inits: 0, admission: admission() });
        begun.inits = begun.inits.saturating_add(1);
        begun.by == by && begun.inits <= limits::DATA_PUBLISHER_INITS_MAX
    }

    /// A packet of the crate's goes to the peer.
    pub fn told(&mut self, packet: &[u8]) {
        if let (Some(begun), Some((cumulative, credit))) = (&mut self.begun, packet::own_sack(packet)) {
            let holds_nothing = credit as usize == limits::DATA_PUBLISHER_RECEIVE_BYTES_MAX;
            begun.admission.window.told(cumulative, holds_nothing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with one chunk.
    fn packet(tag: u32, kind: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = [&[0x13, 0x88, 0x13, 0x88][..], &tag.to_be_bytes(), &[0; 4], &[kind, 0]].concat();
        packet.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
        packet.extend_from_slice(body);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet
    }

    fn begin(kind: u8, tag: u32, first_tsn: u32) -> Vec<u8> {
        let body = [&tag.to_be_bytes()[..], &[0, 1, 0, 0, 0, 64, 0, 64], &first_tsn.to_be_bytes()].concat();
        packet(u32::from(kind == 2) * 7, kind, &body)
    }

    fn data(tsn: u32) -> Vec<u8> {
        packet(7, 0, &[&tsn.to_be_bytes()[..], &[0, 1, 0, 0, 0, 0, 0, 51, b'x']].concat())
    }

    fn forward(to: u32) -> Vec<u8> {
        packet(7, 192, &to.to_be_bytes())
    }

    /// A SACK of ours.
    fn sack(cumulative: u32, credit: u32) -> Vec<u8> {
        packet(8, 3, &[&cumulative.to_be_bytes()[..], &credit.to_be_bytes(), &[0; 4]].concat())
    }

    #[test]
    fn what_an_honest_publisher_says_is_let_through() {
        for kind in [1, 2] {
            let mut guard = SctpGuard::default();
            assert!(!guard.admits(&data(100)), "nobody has begun");
            assert!(guard.admits(&begin(kind, 8, 100)));
            assert!(guard.admits(&packet(7, 10, b"cookie")) && guard.admits(&packet(7, 11, &[])));
            assert!(guard.admits(&data(100)) && guard.admits(&data(101)));
            guard.told(&sack(101, limits::DATA_PUBLISHER_RECEIVE_BYTES_MAX as u32));
            assert!(guard.admits(&forward(105)) && guard.admits(&data(106)));
        }
    }

    #[test]
    fn no_number_moves_the_crate_far() {
        let mut guard = SctpGuard::default();
        assert!(guard.admits(&begin(1, 8, 100)));
        for far in [
            100 + limits::DATA_CHUNKS_AHEAD_MAX as u32,
            99 + (1 << 30),
            99 + (1 << 31) - 1,
            99 + (1 << 31) + 9,
        ] {
            assert!(!guard.admits(&forward(far)) && !guard.admits(&data(far)), "{far}");
        }
        assert!(!guard.admits(&begin(1, 8, 5_000)), "another beginning");
        assert!(!guard.admits(&data(5_000)));
    }

    #[test]
    fn beginnings_pieces_and_resets_have_an_end() {
        let mut guard = SctpGuard::default();
        let inits = (0..100).filter(|_| guard.admits(&begin(1, 8, 100))).count();
        assert_eq!(inits, limits::DATA_PUBLISHER_INITS_MAX as usize);
        let mut pieces = 0;
        while pieces < 100_000 && guard.admits(&data(100 + pieces)) {
            guard.told(&sack(100 + pieces, 1));
            pieces += 1;
        }
        assert_eq!(pieces as usize, limits::DATA_PUBLISHER_CHUNKS_HELD_MAX);
        guard.told(&sack(100 + pieces, limits::DATA_PUBLISHER_RECEIVE_BYTES_MAX as u32));
        assert!(guard.admits(&data(101 + pieces)), "they were read");
        let reset = |request: u32| {
            let body = [&[0, 13, 0, 18][..], &request.to_be_bytes(), &[0; 4], &99_u32.to_be_bytes(), &[0, 2]];
            packet(7, 130, &body.concat())
        };
        let resets = (0..100).filter(|request| guard.admits(&reset(*request))).count();
        assert_eq!(resets, limits::DATA_RESETS_MAX as usize);
    }
}
