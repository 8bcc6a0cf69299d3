//! RTP payloads: the packet view of a track.

use std::time::Instant;

use base::MediaTime;
use bytes::Bytes;

use crate::ring::Timed;
use crate::unit::Unit;

/// What a datagram takes beside its payload: RTP header, extensions and tag, reference counts, and what the
/// allocator keeps of it.
pub(crate) const DATAGRAM_BYTES: usize = 128;

/// One RTP payload, shared by every viewer; only the 12-byte header differs between them.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The payload after the RTP header: at most [`base::limits::RTP_PACKET_BYTES_MAX`] with it where this
    /// node packetized, [`base::limits::RTP_PAYLOAD_BYTES_MAX`] without it where the source did.
    pub payload: Bytes,
    /// The RTP marker bit: the last packet of a video frame.
    pub marker: bool,
}

/// Whose memory the payloads of a run are: what they cost is charged to the node's media budget once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// Slices of the unit's own payload, for which the ring of frames is charged.
    OfUnit,
    /// Slices of one buffer, made for this run.
    OneBuffer,
    /// An allocation each: datagrams as they came.
    Datagrams,
}

/// Consecutive packets of one frame: all of it.
///
/// Packets are numbered through the track: packet `i` of this run has the number
/// `first_packet + i`, and a viewer's sequence number is that number plus its own offset. Numbers that no
/// run has are packets that the source lost.
#[derive(Clone, Debug)]
pub struct PacketRun {
    /// The track-wide number of `packets[0]`.
    pub first_packet: u64,
    /// The payloads, in order. All but the last of a fragmented NAL unit have the same size, so
    /// that a run leaves in few segmented sends.
    pub packets: Vec<Packet>,
    /// When the frame is decoded, on the stream's clock.
    pub dts: MediaTime,
    /// When the frame is shown; the RTP timestamp comes from it.
    pub pts: MediaTime,
    /// When the frame's first byte reached this node.
    pub arrived: Instant,
    /// The frame can be decoded on its own, and parameter sets stand before it.
    pub key: bool,
    /// The first packet here begins the frame.
    pub starts_frame: bool,
    /// The last packet here ends the frame.
    pub ends_frame: bool,
    /// Whose memory the payloads are.
    pub payloads: Payloads,
}

impl PacketRun {
    /// The track-wide number behind the last packet.
    pub fn end_packet(&self) -> u64 {
        self.first_packet + self.packets.len() as u64
    }
}

impl Timed for PacketRun {
    fn dts(&self) -> MediaTime {
        self.dts
    }
    fn bytes(&self) -> usize {
        self.packets.iter().map(|packet| packet.payload.len()).sum()
    }
    fn allocated(&self) -> usize {
        let payloads = match self.payloads {
            Payloads::OfUnit => 0,
            Payloads::OneBuffer => self.bytes(),
            Payloads::Datagrams => self.bytes() + self.packets.len() * DATAGRAM_BYTES,
        };
        payloads + self.packets.capacity() * size_of::<Packet>()
    }
    fn key(&self) -> bool {
        self.key && self.starts_frame
    }
}

impl Timed for Unit {
    fn dts(&self) -> MediaTime {
        self.dts
    }
    fn bytes(&self) -> usize {
        self.payload.len()
    }
    fn allocated(&self) -> usize {
        self.payload.len()
    }
    fn key(&self) -> bool {
        self.key
    }
}
