//! Sound: Opus by RFC 7587, a frame in each packet.

use base::limits;

use super::order::{Before, Knows, Ordered};
use super::out::Out;
use super::{Reads, RtpPacket};
use crate::codec::{CodecConfig, Kind};
use crate::opus::OpusConfig;
use crate::packet::Packet;

/// Reads the packets of one source of sound.
#[derive(Debug)]
pub(super) struct Sounds {
    config: CodecConfig,
    /// Packets lost since the last one that held anything.
    lost: u64,
}

impl Sounds {
    /// Sound of that many channels.
    pub(super) fn new(channels: u8) -> Self {
        Self { config: CodecConfig::Opus(OpusConfig { channels: channels.max(1) }), lost: 0 }
    }
}

/// Each packet stands for itself.
impl Knows for Sounds {
    fn follows(&self, _packet: &RtpPacket) -> bool {
        false
    }

    fn begins_anew(&self, _packet: &RtpPacket) -> bool {
        false
    }
}

impl Reads for Sounds {
    fn take(&mut self, ordered: Ordered, out: &mut Out) {
        let Ordered { packet, arrival, before } = ordered;
        if let Before::Lost(packets) = before {
            out.lost(Kind::Audio, packets);
            self.lost = self.lost.saturating_add(packets);
        }
        let RtpPacket { timestamp, marker, payload, .. } = packet;
        // Padding for a probe of the path, which has a number of its own.
        if !payload.is_empty() {
            let lost = std::mem::take(&mut self.lost);
            if lost <= limits::RTP_HOLE_PACKETS_MAX {
                out.leave_hole(Kind::Audio, lost);
            }
            out.run(&self.config, vec![Packet { payload, marker }], true, timestamp, arrival);
        }
    }
}
