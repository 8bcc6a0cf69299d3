//! What both kinds of a publisher's media share on their way out.

use std::collections::VecDeque;

use super::RtpEvent;
use crate::clock::Arrival;
use crate::codec::{CodecConfig, Kind};
use crate::packet::{Packet, PacketRun, Payloads};
use crate::timeline::RtpTimeline;

/// The events, and what outlives the source (SSRC) of a kind: its numbers, and what was said of it.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) timeline: RtpTimeline,
    pub(super) events: VecDeque<RtpEvent>,
    video: Track,
    audio: Track,
}

#[derive(Debug, Default)]
struct Track {
    next_packet: u64,
    config: Option<CodecConfig>,
}

impl Out {
    pub(super) fn new(timeline: RtpTimeline) -> Self {
        Self { timeline, events: VecDeque::new(), video: Track::default(), audio: Track::default() }
    }

    const fn track(&mut self, kind: Kind) -> &mut Track {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    pub(super) fn broken(&mut self, kind: Kind, why: &'static str) {
        self.events.push_back(RtpEvent::Broken { kind, why });
    }

    pub(super) fn lost(&mut self, kind: Kind, packets: u64) {
        self.events.push_back(RtpEvent::Lost { kind, packets });
    }

    /// The next run begins so many packets further.
    pub(super) fn leave_hole(&mut self, kind: Kind, packets: u64) {
        self.track(kind).next_packet += packets;
    }

    /// Hands out a frame of the configuration, which is told first where it differs from the last one.
    pub(super) fn run(
        &mut self,
        config: &CodecConfig,
        packets: Vec<Packet>,
        key: bool,
        timestamp: u32,
        arrival: Arrival,
    ) {
        let kind = config.codec().kind();
        let (dts, event) = self.timeline.place(kind, timestamp, arrival);
        let track = self.track(kind);
        let first_packet = track.next_packet;
        track.next_packet += packets.len() as u64;
        let is_new = track.config.as_ref() != Some(config);
        if is_new {
            track.config = Some(config.clone());
        }
        self.events.extend(event.map(RtpEvent::Clock));
        self.events.extend(is_new.then(|| RtpEvent::Config(config.clone())));
        let run = PacketRun {
            first_packet,
            packets,
            dts,
            pts: dts,
            arrived: arrival.at,
            key,
            starts_frame: true,
            ends_frame: true,
            payloads: Payloads::Datagrams,
        };
        self.events.push_back(RtpEvent::Run { kind, run });
    }

    /// Places a frame that is not handed out, so that the clock knows of it.
    pub(super) fn pass_over(&mut self, kind: Kind, timestamp: u32, arrival: Arrival) {
        let (_, event) = self.timeline.place(kind, timestamp, arrival);
        self.events.extend(event.map(RtpEvent::Clock));
    }
}
