//! From opened RTP packets to pictures, as far as a marker needs it (RFC 6184).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::source::fingerprint;

/// The fixed header of RTP (RFC 3550 5.1).
const HEADER_BYTES: usize = 12;
/// The header of an extension (5.3.1).
const EXTENSION_HEADER_BYTES: usize = 4;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

struct Packet {
    marker: bool,
    /// Opened, with its header.
    bytes: Bytes,
}

/// Puts the packets of one track of video in order, and its pictures together.
#[derive(Default)]
pub(super) struct Assembler {
    waiting: BTreeMap<u64, Packet>,
    /// The number of the packet behind the last one taken.
    next: Option<u64>,
    /// NAL units of the picture under way.
    nals: Vec<Vec<u8>>,
    /// Something of the picture under way is missing, or made no sense.
    broken: bool,
}

impl Assembler {
    /// Takes a packet, in any order.
    pub(super) fn packet(&mut self, sequence: u64, marker: bool, bytes: Bytes) {
        self.waiting.insert(sequence, Packet { marker, bytes });
    }

    /// Takes what stands before `cursor`, to which everything has come or was given up: the marker of the last
    /// picture that this made whole.
    pub(super) fn advance(&mut self, cursor: u64) -> Option<u64> {
        let ahead = self.waiting.split_off(&cursor);
        let mut last = None;
        for (sequence, packet) in std::mem::replace(&mut self.waiting, ahead) {
            let expected = self.next.replace(sequence + 1);
            self.broken |= expected.is_some_and(|expected| expected != sequence);
            self.broken |= self.take(&packet.bytes).is_none();
            if packet.marker {
                let nals = std::mem::take(&mut self.nals);
                let whole = !std::mem::take(&mut self.broken);
                last = whole.then(|| fingerprint(nals.iter().map(Vec::as_slice))).flatten().or(last);
            }
        }
        last
    }

    fn take(&mut self, packet: &[u8]) -> Option<()> {
        let payload = payload(packet)?;
        let &first = payload.first()?;
        match first & 0x1f {
            STAP_A => {
                let mut rest = payload.get(1..)?;
                while let Some((size, behind)) = rest.split_first_chunk::<2>() {
                    let (nal, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
                    self.nals.push(nal.to_vec());
                    rest = behind;
                }
            }
            FU_A => {
                let (&[indicator, header], body) = payload.split_first_chunk::<2>()?;
                if header & 0x80 != 0 {
                    self.nals.push(vec![indicator & 0xe0 | header & 0x1f]);
                }
                self.nals.last_mut()?.extend_from_slice(body);
            }
            _ => self.nals.push(payload.to_vec()),
        }
        Some(())
    }
}

/// What stands behind the header, its sources and its extension. Padding is not sent by the node.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let first = packet.first()?;
    let start = HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 == 0 {
        return packet.get(start..);
    }
    let &[_, _, w0, w1] = packet.get(start..)?.first_chunk::<EXTENSION_HEADER_BYTES>()?;
    packet.get(start + EXTENSION_HEADER_BYTES + usize::from(u16::from_be_bytes([w0, w1])) * 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: &[u8] = &[0x65, 1, 2, 3, 4, 5, 6];

    fn packet(payload: &[u8]) -> Bytes {
        [&[0x80; HEADER_BYTES][..], payload].concat().into()
    }

    fn fragments() -> [Bytes; 3] {
        [&[0x7c, 0x85, 1, 2][..], &[0x7c, 0x05, 3, 4], &[0x7c, 0x45, 5, 6]].map(packet)
    }

    #[test]
    fn a_picture_in_any_order_has_the_marker_of_its_slices() {
        let mut assembler = Assembler::default();
        let sets = packet(&[0x78, 0, 2, 0x67, 9, 0, 1, 0x68]);
        let [one, two, three] = fragments();
        assembler.packet(7, false, sets);
        assembler.packet(9, false, two);
        assert_eq!(assembler.advance(8), None);
        assembler.packet(10, true, three);
        assembler.packet(8, false, one);
        assert_eq!(assembler.advance(11), fingerprint(std::iter::once(SLICE)));
        assembler.packet(11, true, packet(SLICE));
        assert_eq!(assembler.advance(12), fingerprint(std::iter::once(SLICE)), "a picture in one packet");
    }

    #[test]
    fn a_picture_with_a_hole_has_no_marker_and_the_next_one_has() {
        let mut assembler = Assembler::default();
        let [one, _, three] = fragments();
        assembler.packet(1, false, one.clone());
        assembler.packet(3, true, three.clone());
        assert_eq!(assembler.advance(4), None);
        assembler.packet(4, true, packet(SLICE));
        assert!(assembler.advance(5).is_some());
        assembler.packet(5, true, three);
        assert_eq!(assembler.advance(6), None, "a fragment without a beginning");
    }

    #[test]
    fn an_extension_is_skipped() {
        let mut bytes = vec![0x90; HEADER_BYTES];
        bytes.extend([0xbe, 0xde, 0, 1, 0x32, 0, 0, 0]);
        bytes.extend(SLICE);
        assert_eq!(payload(&bytes), Some(SLICE));
        assert_eq!(payload(&bytes[..14]), None);
    }
}
