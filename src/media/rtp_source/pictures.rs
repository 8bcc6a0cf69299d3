//! Pictures: packets in order to whole frames, from key frames on.

use base::limits;

use super::order::{Before, Knows, Ordered};
use super::out::Out;
use super::reader::{Picture, Reader, Taken};
use super::{Reads, RtpEvent, RtpPacket};
use crate::clock::Arrival;
use crate::codec::Kind;
use crate::packet::{DATAGRAM_BYTES, Packet};

/// Reads the packets of one source of pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    reader: Box<dyn Reader>,
    frame: Option<Frame>,
    /// The next packet begins a frame: the one before it, which was there, ended one.
    begins: bool,
    waits_for_key: bool,
    /// That was said since.
    asked: bool,
}

/// A frame while its packets come.
#[derive(Debug)]
struct Frame {
    timestamp: u32,
    /// Of its first packet.
    arrival: Arrival,
    packets: Vec<Packet>,
    bytes: usize,
    /// Its first packet is there.
    has_begin: bool,
}

impl Pictures {
    /// A source of which nothing came yet.
    pub(super) fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, frame: None, begins: false, waits_for_key: true, asked: false }
    }

    /// Whether nothing is handed out before the next key frame.
    pub(super) const fn waits_for_key(&self) -> bool {
        self.waits_for_key
    }

    /// Bytes held of the frame that is not whole yet.
    pub(super) fn held_bytes(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.bytes + frame.packets.len() * DATAGRAM_BYTES)
    }

    /// What comes next cannot be decoded: the frame that is not whole is dropped, and the others are until the
    /// next key frame.
    fn break_off(&mut self, out: &mut Out) {
        self.drop_frame();
        self.begins = false;
        self.waits_for_key = true;
        self.asked = false;
        self.ask(out);
    }

    /// Says that a key frame is wanted, once.
    fn ask(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.asked, true) {
            out.events.push_back(RtpEvent::KeyFrameWanted);
        }
    }

    fn drop_frame(&mut self) {
        if self.frame.take().is_some() {
            // Parameter sets in it count.
            let _ = self.reader.finish();
        }
    }

    fn packet(&mut self, packet: RtpPacket, arrival: Arrival, out: &mut Out) -> Result<(), &'static str> {
        let RtpPacket { timestamp, marker, payload, .. } = packet;
        if self.frame.as_ref().is_some_and(|frame| frame.timestamp != timestamp) {
            self.end_frame(out);
        }
        let frame = match &mut self.frame {
            Some(frame) => frame,
            none => {
                out.timeline.begin(Kind::Video, timestamp, arrival);
                let has_begin = self.begins || self.reader.begins(&payload);
                none.insert(Frame { timestamp, arrival, packets: Vec::new(), bytes: 0, has_begin })
            }
        };
        self.begins = false;
        if self.reader.packet(&payload)? == Taken::Kept {
            frame.bytes += payload.len();
            frame.packets.push(Packet { payload, marker });
            if frame.bytes > limits::UNIT_BYTES_MAX || frame.packets.len() > limits::RTP_FRAME_PACKETS_MAX {
                return Err("a frame that is too large");
            }
        }
        if marker {
            self.end_frame(out);
        }
        Ok(())
    }

    /// All packets of the frame are there that will come.
    fn end_frame(&mut self, out: &mut Out) {
        let Some(frame) = self.frame.take() else { return };
        match self.reader.finish() {
            Ok(picture) => self.picture(frame, picture, out),
            Err(why) if frame.has_begin => {
                out.broken(Kind::Video, why);
                self.break_off(out);
            }
            // A part of a picture may be wrong in any way.
            Err(_) => self.pass_over(&frame, out),
        }
        self.begins = true;
    }

    fn picture(&mut self, mut frame: Frame, picture: Picture, out: &mut Out) {
        let is_start = picture.key && frame.has_begin;
        let config = self.reader.config().filter(|_| is_start || !self.waits_for_key);
        let (Some(config), Some(last)) = (config, frame.packets.last_mut()) else {
            self.pass_over(&frame, out);
            return;
        };
        // Some receivers know the end of a frame by this alone.
        last.marker = true;
        self.waits_for_key = false;
        let mut packets = picture.in_front;
        packets.append(&mut frame.packets);
        out.run(&config, packets, is_start, frame.timestamp, frame.arrival);
        out.timeline.show();
    }

    /// A frame before the first key frame, or behind a hole, or of packets that are not sent.
    fn pass_over(&mut self, frame: &Frame, out: &mut Out) {
        out.pass_over(Kind::Video, frame.timestamp, frame.arrival);
        if self.waits_for_key {
            self.ask(out);
        }
    }
}

impl Knows for Pictures {
    fn follows(&self, packet: &RtpPacket) -> bool {
        self.begins && !self.waits_for_key && self.reader.follows(&packet.payload)
    }

    fn begins_anew(&self, packet: &RtpPacket) -> bool {
        self.waits_for_key && self.reader.begins_key(&packet.payload)
    }
}

impl Reads for Pictures {
    fn take(&mut self, ordered: Ordered, out: &mut Out) {
        let Ordered { packet, arrival, before } = ordered;
        match before {
            Before::Nothing => {}
            Before::Lost(packets) => {
                out.lost(Kind::Video, packets);
                self.break_off(out);
            }
            Before::Needless(packets) => {
                out.lost(Kind::Video, packets);
                self.drop_frame();
            }
            Before::Unknown => self.break_off(out),
        }
        // Padding for a probe of the path, which has a number of its own.
        if packet.payload.is_empty() {
            return;
        }
        if let Err(why) = self.packet(packet, arrival, out) {
            out.broken(Kind::Video, why);
            self.break_off(out);
        }
    }
}
