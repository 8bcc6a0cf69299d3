//! From a publisher's RTP packets to the tracks of its stream.

use std::sync::Arc;
use std::time::Instant;

use base::{Clock, ExitReason, MediaTime};
use media::{
    Arrival, Kind, RtpEvent, RtpFormat, RtpIngest, RtpPacket, StreamMedia, UnfinishedMessages, WriteError,
};
use rtc::sdp::TakenCodec;
use streams::{Ending, PublishGrant};

use super::reception::{ReceivedFigures, Reception};
use super::sources::{Sources, Whose};
use crate::tracks::{TrackError, Tracks};

/// The fixed RTP header (RFC 3550 5.1), for what is counted as received.
const RTP_HEADER_BYTES: u64 = 12;

/// What is written of one publisher.
pub(super) struct Feed {
    media: Arc<StreamMedia>,
    /// Its session, which tells what it has carried.
    ending: Ending,
    ingest: RtpIngest,
    /// What is held until it is whole, and in order.
    unfinished: UnfinishedMessages,
    tracks: Tracks,
    clock: Arc<dyn Clock>,
    sources: Sources,
    /// Pictures and sound.
    received: [Reception; 2],
    expects_both: bool,
    newest: Option<MediaTime>,
    /// When a packet came last.
    heard: Option<Instant>,
    /// A key frame is wanted at once.
    key_frame_wanted: bool,
    broken: u64,
}

impl Feed {
    /// Writes to the stream of `grant` what comes as the codecs that were taken.
    pub(super) fn new(
        grant: &PublishGrant,
        taken: &[TakenCodec],
        sources: Sources,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut ingest = grant.resume.map_or_else(RtpIngest::new, RtpIngest::resuming);
        for TakenCodec { codec, clock_rate, channels, .. } in taken {
            let format = RtpFormat { codec: *codec, clock_rate: *clock_rate, channels: *channels };
            ingest.format(codec.kind(), format);
        }
        let mut unfinished = grant.media.unfinished();
        unfinished.let_in();
        Self {
            media: Arc::clone(&grant.media),
            ending: grant.ending.clone(),
            ingest,
            unfinished,
            tracks: Tracks::in_order(Arc::clone(&grant.media)),
            clock,
            sources,
            received: [Kind::Video, Kind::Audio].map(|kind| {
                let codec = taken.iter().find(|codec| codec.codec.kind() == kind);
                Reception::new(codec.map_or(0, |codec| codec.clock_rate))
            }),
            expects_both: taken.len() > 1,
            newest: None,
            heard: None,
            key_frame_wanted: false,
            broken: 0,
        }
    }

    /// The time now.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whose a packet is that comes now.
    pub(super) fn whose(&mut self, source: u32, payload_type: u8) -> Whose {
        self.sources.whose(source, payload_type, self.clock.now())
    }

    fn received_mut(&mut self, kind: Kind) -> &mut Reception {
        let [video, audio] = &mut self.received;
        if kind == Kind::Video { video } else { audio }
    }

    /// What came of a kind.
    pub(super) const fn received(&self, kind: Kind) -> &ReceivedFigures {
        let [video, audio] = &self.received;
        if matches!(kind, Kind::Video) { &video.figures } else { &audio.figures }
    }

    /// Packets of a source are asked for again.
    pub(super) fn asked_again(&mut self, source: u32) {
        if let Some(kind) = self.sources.kind_of(source) {
            self.received_mut(kind).figures.nacks += 1;
        }
    }

    /// A key frame is asked for.
    pub(super) fn asked_for_key_frame(&mut self) {
        self.received_mut(Kind::Video).figures.key_frame_requests += 1;
    }

    fn arrival(&self) -> Arrival {
        Arrival { at: self.clock.now(), wall: self.clock.wall() }
    }

    /// Takes a packet; an error is the publisher's end.
    pub(super) fn packet(&mut self, kind: Kind, packet: RtpPacket) -> Result<(), ExitReason> {
        let arrival = self.arrival();
        self.heard = Some(arrival.at);
        let bytes = packet.payload.len() as u64 + RTP_HEADER_BYTES;
        self.media.count_received(bytes);
        self.ending.carry(kind, bytes);
        self.received_mut(kind).packet(bytes, packet.timestamp, arrival.at);
        self.ingest.packet(kind, packet, arrival);
        self.unfinished.hold(self.ingest.held_bytes()).map_err(|_| ExitReason::LimitExceeded)?;
        self.write()
    }

    /// Takes a sender report; one of a source that was not heard yet says nothing.
    pub(super) fn report(&mut self, ssrc: u32, ntp: u64, rtp: u32) {
        let arrival = self.arrival();
        if let Some(kind) = self.sources.kind_of(ssrc) {
            self.ingest.sender_report(kind, ntp, rtp, arrival);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) -> Result<(), ExitReason> {
        let now = self.clock.now();
        self.received.iter_mut().for_each(|received| received.tick(now));
        if self.ingest.poll_timeout().is_some_and(|due| due <= now) {
            self.ingest.handle_timeout(now);
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), ExitReason> {
        while let Some(event) = self.ingest.poll() {
            let written = match event {
                RtpEvent::Config(config) => self.tracks.configure(&config),
                RtpEvent::Run { kind, run } => {
                    self.newest = self.newest.max(Some(run.dts));
                    self.received_mut(kind).figures.frames += 1;
                    self.tracks.write_run(kind, run)
                }
                RtpEvent::KeyFrameWanted => {
                    self.key_frame_wanted = true;
                    Ok(())
                }
                RtpEvent::Lost { kind, packets } => {
                    self.received_mut(kind).figures.lost += packets;
                    Ok(())
                }
                RtpEvent::Clock(event) => {
                    tracing::info!(?event, "a WebRTC publisher's clock stepped");
                    Ok(())
                }
                RtpEvent::Broken { kind, why } => {
                    self.broken += 1;
                    if self.broken == 1 {
                        tracing::info!(
                            kind = kind.label(),
                            why,
                            "a broken packet of a WebRTC publisher was skipped"
                        );
                    }
                    Ok(())
                }
            };
            written.map_err(|error| {
                tracing::info!(%error, "what a WebRTC publisher sent could not be written");
                match error {
                    TrackError::Write(WriteError::Fenced) => ExitReason::Replaced,
                    TrackError::Write(WriteError::TooLarge(_)) | TrackError::TooManyTracks => {
                        ExitReason::LimitExceeded
                    }
                }
            })?;
        }
        Ok(())
    }

    /// True once: players may come.
    pub(super) fn begins(&mut self) -> bool {
        self.tracks.begins(self.newest, self.expects_both)
    }

    /// The source of pictures, if it needs to be asked for a key frame: nothing can be shown before one.
    pub(super) fn wants_key_frame(&mut self) -> bool {
        std::mem::take(&mut self.key_frame_wanted) || self.ingest.waits_for_key()
    }

    /// The source of pictures.
    pub(super) fn pictures(&self) -> Option<u32> {
        self.sources.of_kind(Kind::Video)
    }

    /// The sources that were heard.
    pub(super) fn heard_sources(&self) -> Vec<u32> {
        self.sources.heard().collect()
    }

    /// When a packet came last.
    pub(super) const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Packets that never came, and such that could not be read.
    pub(super) fn flaws(&self) -> (u64, u64) {
        (self.received.iter().map(|received| received.figures.lost).sum(), self.broken)
    }
}
