//! From frames to RTP payloads: H.264 by RFC 6184 (packetization mode 1), AV1 by AOMedia's RTP payload
//! format, VP9 by RFC 9628, Opus by RFC 7587. VP8 comes in packets only (RFC 7741) and goes on as it came.

pub(crate) mod av1;
pub(crate) mod h264;
mod vp9;

use std::ops::Range;
use std::sync::Arc;

use base::limits;
use bytes::{Bytes, BytesMut};

use crate::av1::Av1Config;
use crate::codec::CodecConfig;
use crate::h264::H264Config;
use crate::packet::{Packet, PacketRun, Payloads};
use crate::unit::Unit;
use crate::vp9::Vp9Config;

/// The fixed RTP header (RFC 3550 5.1).
const RTP_HEADER_BYTES: usize = 12;
/// The longest authentication tag of the SRTP profiles offered (AES-GCM, RFC 7714).
const SRTP_TAG_BYTES: usize = 16;
/// Room for header extensions (RFC 8285).
const RTP_EXTENSIONS_BYTES: usize = 16;
/// What is left of a datagram for an RTP payload.
pub const PAYLOAD_BYTES_MAX: usize =
    limits::RTP_PACKET_BYTES_MAX - RTP_HEADER_BYTES - SRTP_TAG_BYTES - RTP_EXTENSIONS_BYTES;

/// Makes packets of a track's frames.
#[derive(Clone, Debug)]
pub struct Packetizer(RtpCodec);

#[derive(Clone, Debug)]
enum RtpCodec {
    H264(Arc<H264Config>),
    Av1(Arc<Av1Config>),
    Vp9(Vp9Config),
    Opus,
    /// AAC and HEVC, which browsers do not take, and VP8, of which no source sends frames.
    None,
}

impl RtpCodec {
    fn new(config: &CodecConfig) -> Self {
        match config {
            CodecConfig::H264(config) => Self::H264(Arc::clone(config)),
            CodecConfig::Av1(config) => Self::Av1(Arc::clone(config)),
            CodecConfig::Vp9(config) => Self::Vp9(*config),
            CodecConfig::Opus(_) => Self::Opus,
            CodecConfig::Aac(_) | CodecConfig::Hevc(_) | CodecConfig::Vp8(_) => Self::None,
        }
    }
}

impl Packetizer {
    /// A packetizer for frames of this configuration.
    pub fn new(config: &CodecConfig) -> Self {
        Self(RtpCodec::new(config))
    }

    /// The packets of one unit, of which the first has that number. `None` when it has none: a codec without
    /// an RTP view, an empty or malformed unit, or an Opus packet that fits no datagram (RFC 7587 knows no
    /// fragments).
    ///
    /// The payloads share one buffer, so a unit is copied once whatever the number of viewers.
    pub fn packetize(&self, unit: &Unit, first_packet: u64) -> Option<PacketRun> {
        let payloads = match &self.0 {
            RtpCodec::Opus => Payloads::OfUnit,
            _ => Payloads::OneBuffer,
        };
        let packets = match &self.0 {
            RtpCodec::H264(config) => h264::packets(config, unit)?,
            RtpCodec::Av1(config) => av1::packets(config, unit)?,
            RtpCodec::Vp9(config) => vp9::packets(config, unit)?,
            RtpCodec::Opus if (1..=PAYLOAD_BYTES_MAX).contains(&unit.payload.len()) => {
                vec![Packet { payload: unit.payload.clone(), marker: false }]
            }
            RtpCodec::Opus | RtpCodec::None => return None,
        };
        Some(PacketRun {
            first_packet,
            packets,
            dts: unit.dts,
            pts: unit.pts,
            arrived: unit.arrived,
            key: unit.key,
            starts_frame: true,
            ends_frame: true,
            payloads,
        })
    }
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

    fn finish(self) -> Option<Vec<Packet>> {
        let buffer: Bytes = self.buffer.freeze();
        let last = self.packets.len().checked_sub(1)?;
        let packet = |(index, range)| Packet { payload: buffer.slice(range), marker: index == last };
        Some(self.packets.into_iter().enumerate().map(packet).collect())
    }
}

#[cfg(test)]
mod tests;
