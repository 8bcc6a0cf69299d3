//! H.264 by RFC 6184, packetization mode 1.

use bytes::BufMut;

use super::{Frame, PAYLOAD_BYTES_MAX};
use crate::h264::{H264Config, LengthSize, NalType, nals};
use crate::packet::Packet;
use crate::unit::Unit;

/// FU indicator and FU header (RFC 6184 5.8).
pub(super) const FU_HEADERS_BYTES: usize = 2;
pub(crate) const STAP_A: u8 = 24;
pub(crate) const FU_A: u8 = 28;
/// Bits of a FU header: the first fragment, the last one.
pub(crate) const FU_START: u8 = 0x80;
pub(crate) const FU_END: u8 = 0x40;
/// `F` and `NRI` of a NAL unit header; the rest is its type.
pub(crate) const IMPORTANCE: u8 = 0xe0;

/// A key frame has the parameter sets in front; the last packet is marked.
pub(super) fn packets(config: &H264Config, unit: &Unit) -> Option<Vec<Packet>> {
    let units: Vec<&[u8]> = nals(&unit.payload, LengthSize::Four).collect::<Result<_, _>>().ok()?;
    let mut frame = Frame::default();
    let sets_bytes = if unit.key { sets(config).map(|set| set.len() + 4).sum() } else { 0 };
    // One FU indicator and header per fragment, and one fragment more than full ones.
    let headers = (unit.payload.len() / PAYLOAD_BYTES_MAX + units.len() + 1) * FU_HEADERS_BYTES;
    frame.buffer.reserve(sets_bytes + unit.payload.len() + headers);
    if unit.key {
        frame.parameter_sets(config);
    }
    // Of unspecified types RTP would make aggregates and fragments of its own.
    for nal in units.into_iter().filter(|nal| NalType::of(nal) != NalType::Unspecified) {
        frame.nal(nal);
    }
    frame.finish()
}

/// The packets that stand before a key frame which came without its parameter sets. None is marked.
pub(crate) fn parameter_set_packets(config: &H264Config) -> Vec<Packet> {
    let mut frame = Frame::default();
    frame.parameter_sets(config);
    let packets = frame.finish().unwrap_or_default();
    packets.into_iter().map(|packet| Packet { marker: false, ..packet }).collect()
}

fn sets(config: &H264Config) -> impl Iterator<Item = &[u8]> + Clone {
    config.sps.iter().chain(&config.pps).map(|set| &set[..])
}

impl Frame {
    /// All parameter sets in one STAP-A (RFC 6184 5.7.1), or each for itself where they don't fit.
    fn parameter_sets(&mut self, config: &H264Config) {
        let sets = sets(config);
        if 1 + sets.clone().map(|set| 2 + set.len()).sum::<usize>() > PAYLOAD_BYTES_MAX {
            sets.for_each(|set| self.nal(set));
            return;
        }
        let importance = sets.clone().filter_map(|set| set.first()).map(|header| header & 0x60).max();
        self.packet(|buffer| {
            buffer.put_u8(importance.unwrap_or(0) | STAP_A);
            for set in sets {
                // Below the payload's size, checked above.
                buffer.put_u16(u16::try_from(set.len()).unwrap_or(u16::MAX));
                buffer.put_slice(set);
            }
        });
    }

    /// One NAL unit as it is (5.6), or as fragments of one size (5.8).
    fn nal(&mut self, nal: &[u8]) {
        if nal.len() <= PAYLOAD_BYTES_MAX {
            self.packet(|buffer| buffer.put_slice(nal));
            return;
        }
        let Some((&header, body)) = nal.split_first() else { return };
        let fragments = body.len().div_ceil(PAYLOAD_BYTES_MAX - FU_HEADERS_BYTES);
        let size = body.len().div_ceil(fragments);
        let last = body.chunks(size).count() - 1;
        for (index, fragment) in body.chunks(size).enumerate() {
            let start = if index == 0 { FU_START } else { 0 };
            let end = if index == last { FU_END } else { 0 };
            self.packet(|buffer| {
                buffer.put_u8(header & IMPORTANCE | FU_A);
                buffer.put_u8(start | end | header & !IMPORTANCE);
                buffer.put_slice(fragment);
            });
        }
    }
}
