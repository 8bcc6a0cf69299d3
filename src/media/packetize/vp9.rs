//! VP9 by RFC 9628, without picture ids and layers: what is left out of a stream between two key
//! frames would otherwise be a hole in the ids, for packets are the same for every viewer.

use bytes::BufMut;

use super::{Frame, PAYLOAD_BYTES_MAX};
use crate::packet::Packet;
use crate::unit::Unit;
use crate::vp9::Vp9Config;

const DESCRIPTOR_BYTES: usize = 1;
/// Bits of the descriptor (4.2): the picture needs others, the frame begins, it ends, and the sizes
/// of its layers follow.
const INTER: u8 = 0x40;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const STRUCTURE: u8 = 0x02;
/// One spatial layer with its size, no group of pictures (4.2.1), then width and height.
const ONE_LAYER_WITH_SIZE: u8 = 0x10;
const STRUCTURE_BYTES: usize = 5;

/// Fragments of one size, the first of a key frame with the picture's size; the last is marked.
pub(super) fn packets(config: &Vp9Config, unit: &Unit) -> Option<Vec<Packet>> {
    let mut frame = Frame::default();
    let structure = if unit.key { STRUCTURE_BYTES } else { 0 };
    let needed = unit.payload.len() + structure;
    let fragments = needed.div_ceil(PAYLOAD_BYTES_MAX - DESCRIPTOR_BYTES);
    let size = needed.div_ceil(fragments.max(1));
    frame.buffer.reserve(needed + fragments * DESCRIPTOR_BYTES);
    let mut left = &unit.payload[..];
    while !left.is_empty() {
        let first = left.len() == unit.payload.len();
        let taken = if first { size.saturating_sub(structure).max(1) } else { size };
        let (fragment, rest) = left.split_at(taken.min(left.len()));
        left = rest;
        let mut descriptor = if unit.key { 0 } else { INTER };
        descriptor |= if first { BEGINS } else { 0 };
        descriptor |= if left.is_empty() { ENDS } else { 0 };
        frame.packet(|buffer| {
            if first && unit.key {
                buffer.put_u8(descriptor | STRUCTURE);
                buffer.put_u8(ONE_LAYER_WITH_SIZE);
                // A picture's sides have 16 bits in the bitstream too.
                buffer.put_u16(u16::try_from(config.width).unwrap_or(u16::MAX));
                buffer.put_u16(u16::try_from(config.height).unwrap_or(u16::MAX));
            } else {
                buffer.put_u8(descriptor);
            }
            buffer.put_slice(fragment);
        });
    }
    frame.finish()
}
