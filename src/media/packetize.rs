//! From frames to RTP payloads: H.264 by RFC 6184 (packetization mode 1), Opus by RFC 7587.

use std::ops::Range;
use std::sync::Arc;

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::CodecConfig;
use crate::h264::{H264Config, LengthSize, NalType, nals};
use crate::packet::{Packet, PacketRun};
use crate::unit::Unit;

/// The fixed RTP header (RFC 3550 5.1).
const RTP_HEADER_BYTES: usize = 12;
/// The longest authentication tag of the SRTP profiles offered (AES-GCM, RFC 7714).
const SRTP_TAG_BYTES: usize = 16;
/// Room for header extensions (RFC 8285).
const RTP_EXTENSIONS_BYTES: usize = 16;
/// What is left of a datagram for an RTP payload.
pub(crate) const PAYLOAD_BYTES_MAX: usize =
    limits::RTP_PACKET_BYTES_MAX - RTP_HEADER_BYTES - SRTP_TAG_BYTES - RTP_EXTENSIONS_BYTES;

/// FU indicator and FU header (RFC 6184 5.8).
const FU_HEADERS_BYTES: usize = 2;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// `F` and `NRI` of a NAL unit header.
const IMPORTANCE: u8 = 0xe0;

/// Makes the packet view of a track. Packets are numbered from 0 without a hole.
#[derive(Clone, Debug)]
pub struct Packetizer {
    codec: RtpCodec,
    next_packet: u64,
}

#[derive(Clone, Debug)]
enum RtpCodec {
    H264(Arc<H264Config>),
    Opus,
    /// AAC: browsers take none, so it has no packet view.
    None,
}

impl RtpCodec {
    fn new(config: &CodecConfig) -> Self {
        match config {
            CodecConfig::H264(config) => Self::H264(Arc::clone(config)),
            CodecConfig::Opus(_) => Self::Opus,
            CodecConfig::Aac(_) => Self::None,
        }
    }
}

impl Packetizer {
    /// A packetizer for the track's first configuration.
    pub fn new(config: &CodecConfig) -> Self {
        Self { codec: RtpCodec::new(config), next_packet: 0 }
    }

    /// Takes a new configuration; the numbering goes on.
    pub fn reconfigure(&mut self, config: &CodecConfig) {
        self.codec = RtpCodec::new(config);
    }

    /// The packets of one unit. `None` when it has none: a codec without an RTP view, an empty or
    /// malformed unit, or an Opus packet that fits no datagram (RFC 7587 knows no fragments).
    ///
    /// The payloads share one buffer, so a unit is copied once whatever the number of viewers.
    pub fn packetize(&mut self, unit: &Unit) -> Option<PacketRun> {
        let shares_unit = matches!(self.codec, RtpCodec::Opus);
        let packets = match &self.codec {
            RtpCodec::H264(config) => h264(config, unit)?,
            RtpCodec::Opus if (1..=PAYLOAD_BYTES_MAX).contains(&unit.payload.len()) => {
                vec![Packet { payload: unit.payload.clone(), marker: false }]
            }
            RtpCodec::Opus | RtpCodec::None => return None,
        };
        let first_packet = self.next_packet;
        self.next_packet += packets.len() as u64;
        Some(PacketRun {
            first_packet,
            packets,
            dts: unit.dts,
            pts: unit.pts,
            arrived: unit.arrived,
            key: unit.key,
            starts_frame: true,
            ends_frame: true,
            shares_unit,
        })
    }
}

fn h264(config: &H264Config, unit: &Unit) -> Option<Vec<Packet>> {
    let units: Vec<&[u8]> = nals(&unit.payload, LengthSize::Four).collect::<Result<_, _>>().ok()?;
    let mut frame = Frame::default();
    let sets = config.sps.iter().chain(&config.pps);
    let sets_bytes = if unit.key { sets.clone().map(|set| set.len() + 4).sum() } else { 0 };
    // One FU indicator and header per fragment, and one fragment more than full ones.
    let headers = (unit.payload.len() / PAYLOAD_BYTES_MAX + units.len() + 1) * FU_HEADERS_BYTES;
    frame.buffer.reserve(sets_bytes + unit.payload.len() + headers);
    if unit.key {
        let sets: Vec<&[u8]> = sets.map(|set| &set[..]).collect();
        frame.parameter_sets(&sets);
    }
    // Of unspecified types RTP would make aggregates and fragments of its own.
    for nal in units.into_iter().filter(|nal| NalType::of(nal) != NalType::Unspecified) {
        frame.nal(nal);
    }
    frame.finish()
}

/// The packets of a frame while they are laid out in one buffer.
#[derive(Default)]
struct Frame {
    buffer: BytesMut,
    packets: Vec<Range<usize>>,
}

impl Frame {
    /// A packet that `write` fills.
    fn packet(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let start = self.buffer.len();
        write(&mut self.buffer);
        self.packets.push(start..self.buffer.len());
    }

    /// All parameter sets in one STAP-A (RFC 6184 5.7.1), or each for itself where they don't fit.
    fn parameter_sets(&mut self, sets: &[&[u8]]) {
        if 1 + sets.iter().map(|set| 2 + set.len()).sum::<usize>() > PAYLOAD_BYTES_MAX {
            for set in sets {
                self.nal(set);
            }
            return;
        }
        let importance = sets.iter().filter_map(|set| set.first()).map(|header| header & 0x60).max();
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
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index == last { 0x40 } else { 0 };
            self.packet(|buffer| {
                buffer.put_u8(header & IMPORTANCE | FU_A);
                buffer.put_u8(start | end | header & 0x1f);
                buffer.put_slice(fragment);
            });
        }
    }

    fn finish(self) -> Option<Vec<Packet>> {
        let buffer: Bytes = self.buffer.freeze();
        let last = self.packets.len().checked_sub(1)?;
        let packet = |(index, range)| Packet { payload: buffer.slice(range), marker: index == last };
        Some(self.packets.into_iter().enumerate().map(packet).collect())
    }
}

#[cfg(test)]
mod tests;
