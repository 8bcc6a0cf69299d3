//! AV1 by AOMedia's RTP payload format: a temporal unit as elements, each behind its length.

use bytes::BufMut;

use super::{Frame, PAYLOAD_BYTES_MAX};
use crate::av1::{Av1Config, Obu, kind, leb128_bytes, obus, put_leb128};
use crate::packet::Packet;
use crate::unit::Unit;

/// Bits of the aggregation header (4.4): the first element goes on, the last one will, and a coded
/// video sequence begins. Every element has a length (W = 0).
pub(crate) const GOES_ON: u8 = 0x80;
pub(crate) const WILL_GO_ON: u8 = 0x40;
pub(crate) const SEQUENCE_BEGINS: u8 = 0x08;
const HEADER_BYTES: usize = 1;
/// No room is worth an element's length below this.
const ELEMENT_BYTES_MIN: usize = 2;

/// Elements fill packet after packet. A key frame has the sequence header in front; the last packet
/// is marked.
pub(super) fn packets(config: &Av1Config, unit: &Unit) -> Option<Vec<Packet>> {
    let units: Vec<Obu<'_>> = obus(&unit.payload).collect::<Result<_, _>>().ok()?;
    let mut layout = Layout { frame: Frame::default(), start: None, key: unit.key };
    let headers = unit.payload.len() / (PAYLOAD_BYTES_MAX - 8) * 4 + 16 + 4 * units.len();
    layout.frame.buffer.reserve(unit.payload.len() + config.sequence_header.len() + headers);
    if unit.key && units.iter().all(|obu| obu.kind() != kind::SEQUENCE_HEADER) {
        for obu in obus(&config.sequence_header).flatten() {
            layout.element(&obu);
        }
    }
    for obu in &units {
        layout.element(obu);
    }
    layout.close(0);
    layout.frame.finish()
}

struct Layout {
    frame: Frame,
    /// Where the packet being filled begins.
    start: Option<usize>,
    key: bool,
}

impl Layout {
    fn element(&mut self, obu: &Obu<'_>) {
        let (header, length) = obu.header_without_size();
        let mut head = header.get(..length).unwrap_or_default();
        let mut body = obu.body;
        let mut begins = true;
        loop {
            let left = head.len() + body.len();
            let mut room = self.room(!begins);
            if room < ELEMENT_BYTES_MIN + 1 {
                self.close(if begins { 0 } else { WILL_GO_ON });
                room = self.room(!begins);
            }
            let taken = if left + leb128_bytes(left) <= room {
                left
            } else {
                // With the length of the room itself there is enough of it, maybe one byte too much.
                room - leb128_bytes(room)
            };
            let from_head = taken.min(head.len());
            put_leb128(&mut self.frame.buffer, taken);
            self.frame.buffer.put_slice(head.get(..from_head).unwrap_or_default());
            self.frame.buffer.put_slice(body.get(..taken - from_head).unwrap_or_default());
            head = head.get(from_head..).unwrap_or_default();
            body = body.get(taken - from_head..).unwrap_or_default();
            if head.is_empty() && body.is_empty() {
                return;
            }
            begins = false;
            self.close(WILL_GO_ON);
        }
    }

    /// What the packet still takes; without one, one is begun.
    fn room(&mut self, goes_on: bool) -> usize {
        let start = *self.start.get_or_insert_with(|| {
            let start = self.frame.buffer.len();
            let first = self.key && self.frame.packets.is_empty();
            let begins = if first { SEQUENCE_BEGINS } else { 0 };
            self.frame.buffer.put_u8(begins | if goes_on { GOES_ON } else { 0 });
            start
        });
        (PAYLOAD_BYTES_MAX + start).saturating_sub(self.frame.buffer.len())
    }

    fn close(&mut self, bits: u8) {
        let Some(start) = self.start.take() else { return };
        if let Some(header) = self.frame.buffer.get_mut(start) {
            *header |= bits;
        }
        // A packet has at least one element behind its header.
        debug_assert!(self.frame.buffer.len() > start + HEADER_BYTES);
        self.frame.packets.push(start..self.frame.buffer.len());
    }
}
