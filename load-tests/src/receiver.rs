//! One player without I/O: datagrams and the time come in, datagrams and counts go out.

mod listener;
mod needless;
mod offer;
mod picture;
mod track;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Randomness;
use bytes::Bytes;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

use crate::link::{Credentials, Identity, Link, Profile, Stage};
use listener::Listener;
use offer::Offer;
use picture::Assembler;
use track::Header;

pub use offer::TrackKind;
pub use track::{Counts, Track};

/// Between two receiver reports (Chromium: 1 s for video).
const REPORT: Duration = Duration::from_secs(1);
/// Between two requests for a key frame.
const KEY_FRAME_REST: Duration = Duration::from_secs(1);
/// A frame of video of which every packet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeFrame {
    /// When it was taken, by the node's clock, in ticks of the RTP clock modulo 2^32: the same for all players.
    /// `None` before the first sender report.
    pub wall_ticks: Option<u32>,
    /// Its marker ([`fingerprint`](crate::fingerprint)), for players that open media.
    pub fingerprint: Option<u64>,
}

/// What a datagram brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The rest of a frame of video.
    Frame(WholeFrame),
    /// A packet of sound that had not come yet.
    Sound {
        /// As [`WholeFrame::wall_ticks`], in ticks of the sound's RTP clock.
        wall_ticks: Option<u32>,
    },
}

/// One player.
pub struct Receiver {
    identity: Arc<Identity>,
    offer: Offer,
    own: Credentials,
    link: Link,
    /// The name its feedback comes from.
    ssrc: u32,
    /// Puts pictures together; only where media is decrypted, and so known to be authentic.
    assembler: Option<Assembler>,
    opened: u64,
    listener: Option<Box<Listener>>,
    tracks: Vec<Track>,
    first_media_at: Option<Instant>,
    report_at: Option<Instant>,
    key_frame_asked_at: Option<Instant>,
    feedback: Feedback,
}

/// Feedback packets sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Feedback {
    /// Receiver reports.
    pub reports: u64,
    /// NACK packets; one may ask for many.
    pub nacks: u64,
    /// Requests for a key frame.
    pub key_frames: u64,
    /// Sender reports that came, all authentic.
    pub sender_reports: u64,
}

impl Receiver {
    /// Takes an offer. Ready to be polled; [`answer`](Self::answer) goes to the node first.
    ///
    /// # Errors
    /// The offer cannot be read, or has no address.
    pub fn new(
        identity: &Arc<Identity>,
        offer: &str,
        profile: Profile,
        randomness: &dyn Randomness,
        now: Instant,
    ) -> anyhow::Result<Self> {
        let offer = Offer::read(offer)?;
        let own = Credentials::random(randomness);
        Ok(Self {
            identity: Arc::clone(identity),
            link: Link::new(identity, offer.remote.clone(), &own, profile, randomness, now),
            own,
            ssrc: randomness.next_u64() as u32,
            assembler: None,
            opened: 0,
            listener: None,
            tracks: offer.tracks.iter().map(Track::new).collect(),
            offer,
            first_media_at: None,
            report_at: None,
            key_frame_asked_at: None,
            feedback: Feedback::default(),
        })
    }

    /// Decrypts media too and puts pictures together: costs as much as all the rest, so only a few players do.
    #[must_use]
    pub fn open_media(mut self) -> Self {
        self.assembler = Some(Assembler::default());
        self
    }

    /// Takes data channels, too; a deaf one acknowledges no message.
    #[must_use]
    pub fn listen(mut self, deaf: bool) -> Self {
        self.listener = Some(Box::new(Listener::new(deaf)));
        self.offer.takes_data = true;
        self
    }

    /// The messages that came by data channels since this was asked last.
    pub fn messages(&mut self) -> Vec<Bytes> {
        self.listener.as_mut().map(|listener| listener.take()).unwrap_or_default()
    }

    /// Takes a further offer of the same connection; tracks it names already go on.
    ///
    /// # Errors
    /// The offer cannot be read.
    pub fn update(&mut self, offer: &str) -> anyhow::Result<()> {
        self.offer = Offer::read(offer)?;
        self.offer.takes_data = self.listener.is_some();
        for offered in &self.offer.tracks {
            if !self.tracks.iter().any(|track| track.ssrc == offered.ssrc) {
                self.tracks.push(Track::new(offered));
            }
        }
        Ok(())
    }

    /// The answer to the newest offer.
    pub fn answer(&self) -> String {
        self.offer.answer(&self.own, &self.identity.fingerprint)
    }

    /// Where everything goes.
    pub const fn server(&self) -> SocketAddr {
        self.link.remote.server
    }

    /// How far it has come.
    pub const fn stage(&self) -> &Stage {
        self.link.stage()
    }

    /// The tracks offered so far.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Feedback so far.
    pub const fn feedback(&self) -> Feedback {
        self.feedback
    }

    /// Media packets that were decrypted and found authentic.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    /// When the first check was answered.
    pub const fn reachable_at(&self) -> Option<Instant> {
        self.link.reachable_at()
    }

    /// When the keys were there.
    pub const fn connected_at(&self) -> Option<Instant> {
        self.link.connected_at()
    }

    /// When the first RTP packet came.
    pub const fn first_media_at(&self) -> Option<Instant> {
        self.first_media_at
    }

    /// Takes a datagram of the node; what of the media is there by it.
    pub fn handle(&mut self, datagram: &[u8], now: Instant) -> Option<Arrival> {
        match datagram.first()? {
            0..=63 => self.handle_link(datagram, now),
            // Payload types 192 to 223 are RTCP (RFC 5761 4).
            128..=191 if matches!(datagram.get(1), Some(192..=223)) => self.handle_rtcp(datagram, now),
            128..=191 => return self.handle_rtp(datagram, now),
            _ => {}
        }
        None
    }

    fn handle_link(&mut self, datagram: &[u8], now: Instant) {
        let was_connected = self.link.connected_at().is_some();
        let data = self.link.handle(datagram, now);
        let connects = !was_connected && self.link.connected_at().is_some();
        if connects {
            self.report_at = Some(now + REPORT);
        }
        if let Some(listener) = &mut self.listener {
            if connects {
                listener.connect(now);
            }
            data.into_iter().for_each(|packet| listener.receive(packet, now));
        }
        self.send_data(now);
    }

    fn send_data(&mut self, now: Instant) {
        let Some(listener) = &mut self.listener else { return };
        listener.packets(now).into_iter().for_each(|packet| self.link.write(&packet, now));
    }

    fn handle_rtcp(&mut self, datagram: &[u8], now: Instant) {
        let Some(keys) = self.link.keys() else { return };
        let packets = match keys.open_rtcp(datagram) {
            Ok(packets) => packets,
            Err(error) => return self.link.close_with(format!("{error:#}")),
        };
        for packet in packets {
            if let Some(report) = packet.as_any().downcast_ref::<SenderReport>()
                && let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == report.ssrc)
            {
                track.sender_report(report.ntp_time, report.rtp_time, now);
                self.feedback.sender_reports += 1;
            }
        }
    }

    fn handle_rtp(&mut self, datagram: &[u8], now: Instant) -> Option<Arrival> {
        let &[_, kind, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = datagram.first_chunk::<12>()?;
        let ssrc = u32::from_be_bytes([c0, c1, c2, c3]);
        let keys = self.link.keys()?;
        let mut opened = None;
        if self.assembler.is_some() {
            match keys.open_rtp(datagram) {
                Ok(packet) => opened = Some(packet),
                Err(error) => {
                    self.link.close_with(format!("{error:#}"));
                    return None;
                }
            }
            self.opened += 1;
        }
        let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == ssrc) else {
            self.link.close_with(format!("RTP of ssrc {ssrc}, which was not offered"));
            return None;
        };
        self.first_media_at.get_or_insert(now);
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        let marker = kind & 0x80 != 0;
        let sequence = u16::from_be_bytes([s0, s1]);
        let came = track.packet(Header { sequence, timestamp, marker, bytes: datagram.len() }, now)?;
        let wall_ticks = track.wall_ticks(timestamp);
        if track.kind == TrackKind::Audio {
            return Some(Arrival::Sound { wall_ticks });
        }
        let mut fingerprint = None;
        if let (Some(assembler), Some(opened)) = (&mut self.assembler, opened) {
            assembler.packet(came.sequence, marker, opened.freeze());
            fingerprint = assembler.advance(track.cursor());
        }
        came.frame.then_some(Arrival::Frame(WholeFrame { wall_ticks, fingerprint }))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // Whoever is not on the way any more has nothing to do.
        let link = self.link.poll_timeout()?;
        let asks = self.tracks.iter().filter_map(Track::poll_timeout);
        let data = self.listener.as_ref().and_then(|listener| listener.poll_timeout());
        asks.chain(data).chain(self.report_at).chain([link]).min()
    }

    /// Does what is due: checks, flights, reports, requests.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.try_handle_timeout(now) {
            self.link.close_with(format!("{error:#}"));
        }
    }

    fn try_handle_timeout(&mut self, now: Instant) -> anyhow::Result<()> {
        if matches!(self.link.stage(), Stage::Closed(_)) {
            return Ok(());
        }
        self.link.handle_timeout(now)?;
        self.send_data(now);
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT);
            let reports: Vec<_> = self.tracks.iter_mut().filter_map(|track| track.report(now)).collect();
            if !reports.is_empty() {
                self.feedback.reports += 1;
                self.link.send_rtcp(Box::new(ReceiverReport {
                    ssrc: self.ssrc,
                    reports,
                    ..Default::default()
                }))?;
            }
        }
        let mut packets: Vec<Box<dyn Packet>> = Vec::new();
        for track in &mut self.tracks {
            let asked = track.asks(now);
            if !asked.is_empty() {
                self.feedback.nacks += 1;
                packets.push(Box::new(TransportLayerNack {
                    sender_ssrc: self.ssrc,
                    media_ssrc: track.ssrc,
                    nacks: nack_pairs_from_sequence_numbers(&asked),
                }));
            }
            let rested = self.key_frame_asked_at.is_none_or(|at| now >= at + KEY_FRAME_REST);
            if rested && track.take_picture_lost() {
                self.key_frame_asked_at = Some(now);
                self.feedback.key_frames += 1;
                packets
                    .push(Box::new(PictureLossIndication { sender_ssrc: self.ssrc, media_ssrc: track.ssrc }));
            }
        }
        packets.into_iter().try_for_each(|packet| self.link.send_rtcp(packet))
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.link.poll_transmit()
    }
}

#[cfg(test)]
mod tests;
