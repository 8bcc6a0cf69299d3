//! One publisher without I/O: datagrams, media and the time come in, datagrams and counts go out.

mod offer;
mod outgoing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Randomness, WallTime};
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use crate::link::{Credentials, Identity, Link, Profile, Remote, Stage};
use crate::receiver::TrackKind;
use outgoing::Outgoing;

/// Between two sender reports (Chromium: 1 s for video).
const REPORT: Duration = Duration::from_secs(1);

/// What a publisher sent, and was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    /// Pictures, whole.
    pub frames: u64,
    /// Packets of pictures and sound, each counted once.
    pub packets: u64,
    /// Packets that the socket did not take: the publisher's own loss.
    pub untaken: u64,
    /// Packets that the node asked for again.
    pub asked_again: u64,
    /// Requests for a key frame. They change nothing: a recording has its key frames where it has them.
    pub key_frames_asked: u64,
}

impl Sent {
    /// Adds what another one sent.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.packets += other.packets;
        self.untaken += other.untaken;
        self.asked_again += other.asked_again;
        self.key_frames_asked += other.key_frames_asked;
    }
}

/// Somebody who wants to publish and has not been answered.
pub(crate) struct Offering {
    identity: Arc<Identity>,
    own: Credentials,
    video: Outgoing,
    audio: Outgoing,
}

impl Offering {
    /// A picture and sound.
    pub(crate) fn new(identity: &Arc<Identity>, randomness: &dyn Randomness) -> Self {
        Self {
            identity: Arc::clone(identity),
            own: Credentials::random(randomness),
            video: Outgoing::new(TrackKind::Video, randomness),
            audio: Outgoing::new(TrackKind::Audio, randomness),
        }
    }

    /// The offer of H.264 of this profile, and Opus.
    pub(crate) fn sdp(&self, profile_level_id: &str) -> String {
        let ssrcs = [self.audio.ssrc(), self.video.ssrc()];
        offer::write(&self.own, &self.identity.fingerprint, ssrcs, profile_level_id)
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// It has no address or no names.
    pub(crate) fn answered(
        self,
        answer: &str,
        profile: Profile,
        randomness: &dyn Randomness,
        now: Instant,
    ) -> anyhow::Result<Sender> {
        let remote = Remote::read(answer)?;
        Ok(Sender {
            link: Link::new(&self.identity, remote, &self.own, profile, randomness, now),
            video: self.video,
            audio: self.audio,
            began: None,
            report_at: None,
            sent: Sent::default(),
        })
    }
}

/// One publisher.
pub(crate) struct Sender {
    pub(crate) link: Link,
    video: Outgoing,
    audio: Outgoing,
    /// When the media's clocks began.
    began: Option<(Instant, WallTime)>,
    report_at: Option<Instant>,
    pub(crate) sent: Sent,
}

impl Sender {
    /// The media's clocks begin.
    pub(crate) const fn begin(&mut self, now: Instant, wall: WallTime) {
        self.began = Some((now, wall));
        self.report_at = Some(now);
    }

    /// Seals a packet for the caller to send, `time` after the media's beginning.
    ///
    /// # Errors
    /// There are no keys.
    pub(crate) fn rtp(
        &mut self,
        kind: TrackKind,
        time: Duration,
        payload: &[u8],
        marker: bool,
    ) -> anyhow::Result<&[u8]> {
        let track = match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        let Some(keys) = self.link.keys() else { anyhow::bail!("there are no keys yet") };
        let packet = track.packet(time, payload, marker);
        let sealed = keys.seal_rtp(&packet)?;
        self.sent.packets += 1;
        Ok(track.remember(sealed))
    }

    /// Takes a datagram of the node.
    pub(crate) fn handle(&mut self, datagram: &[u8], now: Instant) {
        match datagram.first() {
            Some(0..=63) => {
                self.link.handle(datagram, now);
            }
            Some(128..=191) => {
                if let Err(error) = self.handle_rtcp(datagram) {
                    self.link.close_with(format!("{error:#}"));
                }
            }
            _ => {}
        }
    }

    fn handle_rtcp(&mut self, datagram: &[u8]) -> anyhow::Result<()> {
        let Some(keys) = self.link.keys() else { return Ok(()) };
        for packet in keys.open_rtcp(datagram)? {
            let packet = packet.as_any();
            if let Some(nack) = packet.downcast_ref::<TransportLayerNack>() {
                let mut tracks = [&self.video, &self.audio].into_iter();
                let Some(track) = tracks.find(|track| track.ssrc() == nack.media_ssrc) else { continue };
                for sequence in nack.nacks.iter().flat_map(|pair| pair.packet_list()) {
                    self.sent.asked_again += 1;
                    if let Some(sealed) = track.again(sequence) {
                        self.link.send_again(sealed.to_vec());
                    }
                }
            }
            let asks = packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>();
            self.sent.key_frames_asked += u64::from(asks);
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.poll_timeout()?;
        self.report_at.into_iter().chain([link]).min()
    }

    /// Does what is due: checks, flights, reports.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> anyhow::Result<()> {
        if matches!(self.link.stage(), Stage::Closed(_)) {
            return Ok(());
        }
        self.link.handle_timeout(now)?;
        if let Some((began, wall)) = self.began
            && self.report_at.is_some_and(|at| at <= now)
        {
            self.report_at = Some(now + REPORT);
            for track in [&self.video, &self.audio] {
                let report = track.report(wall, now.saturating_duration_since(began));
                self.link.send_rtcp(Box::new(report))?;
            }
        }
        Ok(())
    }
}
