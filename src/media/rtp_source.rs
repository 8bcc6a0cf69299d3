//! From a publisher's RTP packets to runs of them on the stream's clock: what a track whose packets are native is
//! written with ([`crate::TrackWriter::write_run`]).
//!
//! Packets are put in order and looked into as far as needed (frames, key frames, configuration), and are passed on
//! as they came: no payload is copied, and none put together. Not here: SRTP, RTCP and retransmission, which are the
//! peer connection's.
//!
//! A run is one whole frame. Packets are not passed on before the frame's last one is there, because a player cannot
//! decode it sooner, and because a whole frame leaves to each player in one system call.

mod av1;
mod h264;
mod order;
mod out;
mod pictures;
mod reader;
mod sounds;
mod vp8;
mod vp9;

use std::time::Instant;

use base::limits;
use bytes::Bytes;

use crate::clock::{Arrival, StreamPosition};
use crate::codec::{Codec, CodecConfig, Kind};
use crate::packet::PacketRun;
use crate::timeline::{RtpTimeline, TimelineEvent};
use order::Order;
use out::Out;
use pictures::Pictures;
use sounds::Sounds;

/// What the packets of one kind are, as the session description has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpFormat {
    /// H.264, VP8, VP9 or AV1, or Opus.
    pub codec: Codec,
    /// Ticks of the timestamps per second.
    pub clock_rate: u32,
    /// Of sound, at least 1; of pictures it says nothing.
    pub channels: u8,
}

/// A packet that was authenticated and decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The marker bit: of pictures the last packet of a frame.
    pub marker: bool,
    /// The payload without padding. It is held for as long as players may want it, and is to be an allocation
    /// of its own, or a slice of the datagram it came in.
    pub payload: Bytes,
}

/// What the packets gave.
#[derive(Clone, Debug)]
pub enum RtpEvent {
    /// The configuration that the runs of its kind after it need: the first one, or a changed one.
    Config(CodecConfig),
    /// A whole frame. `first_packet` counts this source's own packets.
    Run {
        /// Audio or video.
        kind: Kind,
        /// The frame.
        run: PacketRun,
    },
    /// Pictures stand still until the next key frame: the publisher is to be asked for one, now and again as long
    /// as [`RtpIngest::waits_for_key`].
    KeyFrameWanted,
    /// Packets that did not come in time.
    Lost {
        /// Audio or video.
        kind: Kind,
        /// How many.
        packets: u64,
    },
    /// The publisher's clock did something worth a log line.
    Clock(TimelineEvent),
    /// Something was dropped that cannot be what it says.
    Broken {
        /// Audio or video.
        kind: Kind,
        /// What was wrong with it.
        why: &'static str,
    },
}

/// Turns the RTP packets of one publisher (one video and one audio track) into runs on the stream's clock.
///
/// * **Order**: packets are put in order by their sequence numbers, duplicates dropped. Without a hole nothing
///   is held beyond the end of its frame. A hole is waited for ([`limits::RTP_PICTURE_HOLE_WAIT_MAX`],
///   [`limits::RTP_SOUND_HOLE_WAIT_MAX`]) and then given up; sooner, where what is behind it shows that nothing is
///   missed.
/// * **Pictures**: a frame that is not whole is dropped with all that follow until the next key frame. Packet
///   numbers close the gap, so that players see a pause and ask for nothing.
/// * **Sound**: each packet is a run. What is lost stays a hole in the packet numbers, which receivers conceal, or
///   fill from the next packet's FEC.
/// * **Clock**: see `RtpTimeline`: the publisher's own spacing, and lip sync by its sender reports.
///
/// A machine without sockets, tasks and clock: feed it, [`RtpIngest::poll`] it until there is nothing more, and call
/// [`RtpIngest::handle_timeout`] when [`RtpIngest::poll_timeout`] says. Times told must not go back.
#[derive(Debug)]
pub struct RtpIngest {
    pictures: Option<Received<Pictures>>,
    sounds: Option<Received<Sounds>>,
    out: Out,
}

/// One kind of media while its format is known.
#[derive(Debug)]
struct Received<T> {
    order: Order,
    reads: T,
}

/// What reads one kind's packets in order.
trait Reads: order::Knows {
    fn take(&mut self, ordered: order::Ordered, out: &mut Out);
}

impl<T: Reads> Received<T> {
    fn packet(&mut self, packet: RtpPacket, arrival: Arrival, out: &mut Out) {
        self.order.insert(packet, arrival);
        self.advance(arrival.at, out);
    }

    fn advance(&mut self, now: Instant, out: &mut Out) {
        while let Some(ordered) = self.order.next(now, &self.reads) {
            self.reads.take(ordered, out);
        }
    }
}

impl RtpIngest {
    /// The first publisher of a stream: its first packet is the zero of the stream's clock.
    pub fn new() -> Self {
        Self { pictures: None, sounds: None, out: Out::new(RtpTimeline::new()) }
    }

    /// A publisher that goes on with a stream whose clock stands at `position`: its first packet lies behind it
    /// by the time that has passed.
    pub fn resuming(position: StreamPosition) -> Self {
        Self { out: Out::new(RtpTimeline::resuming(position)), ..Self::new() }
    }

    /// The packets of a kind that come from here on are of a new source (SSRC) of that format: to be called before
    /// its first packet, and once. Nothing is expected of its sequence numbers and timestamps; what waits of
    /// the source before is dropped.
    pub fn format(&mut self, kind: Kind, format: RtpFormat) {
        self.out.timeline.restart(kind, format.clock_rate);
        match kind {
            Kind::Video => {
                self.pictures = reader::reader_of(format.codec).map(|reader| Received {
                    order: Order::new(limits::RTP_PICTURE_HOLE_WAIT_MAX),
                    reads: Pictures::new(reader),
                });
            }
            Kind::Audio => {
                self.sounds = (format.codec == Codec::Opus).then(|| Received {
                    order: Order::new(limits::RTP_SOUND_HOLE_WAIT_MAX),
                    reads: Sounds::new(format.channels),
                });
            }
        }
        let is_read = match kind {
            Kind::Video => self.pictures.is_some(),
            Kind::Audio => self.sounds.is_some(),
        };
        if !is_read {
            self.out.broken(kind, "a codec that publishers cannot send");
        }
    }

    /// Takes a packet. One of a kind whose format is not known is dropped.
    pub fn packet(&mut self, kind: Kind, packet: RtpPacket, arrival: Arrival) {
        if packet.payload.len() > limits::RTP_PAYLOAD_BYTES_MAX {
            self.out.broken(kind, "a packet that fits no datagram to a player");
            return;
        }
        match (kind, &mut self.pictures, &mut self.sounds) {
            (Kind::Video, Some(pictures), _) => pictures.packet(packet, arrival, &mut self.out),
            (Kind::Audio, _, Some(sounds)) => sounds.packet(packet, arrival, &mut self.out),
            _ => self.out.broken(kind, "a packet of no format"),
        }
    }

    /// Takes a sender report (RFC 3550 6.4.1): when the publisher's wall clock, in seconds and units of 2^-32,
    /// showed `ntp`, the timestamps of that kind stood at `rtp`.
    pub fn sender_report(&mut self, kind: Kind, ntp: u64, rtp: u32, arrival: Arrival) {
        self.out.timeline.report(kind, ntp, rtp, arrival.at);
    }

    /// When [`RtpIngest::handle_timeout`] is to be called: a hole is given up then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pictures = self.pictures.as_ref().and_then(|pictures| pictures.order.due());
        let sounds = self.sounds.as_ref().and_then(|sounds| sounds.order.due());
        [pictures, sounds].into_iter().flatten().min()
    }

    /// Gives up the holes whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(pictures) = &mut self.pictures {
            pictures.advance(now, &mut self.out);
        }
        if let Some(sounds) = &mut self.sounds {
            sounds.advance(now, &mut self.out);
        }
    }

    /// What came of the packets so far, in order.
    pub fn poll(&mut self) -> Option<RtpEvent> {
        self.out.events.pop_front()
    }

    /// Whether no picture goes out before the next key frame; so it is before the first one too. `false` of a
    /// publisher whose pictures have no format yet.
    pub fn waits_for_key(&self) -> bool {
        self.pictures.as_ref().is_some_and(|pictures| pictures.reads.waits_for_key())
    }

    /// Bytes held: packets behind a hole, and the frame that is not whole yet. To be charged to the node's budget
    /// ([`crate::UnfinishedMessages`]).
    pub fn held_bytes(&self) -> usize {
        let sounds = self.sounds.as_ref().map_or(0, |sounds| sounds.order.held_bytes());
        let pictures = self
            .pictures
            .as_ref()
            .map_or(0, |pictures| pictures.order.held_bytes() + pictures.reads.held_bytes());
        pictures + sounds
    }
}

impl Default for RtpIngest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
