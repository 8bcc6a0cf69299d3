//! One player without I/O: datagrams and the time come in, datagrams and counts go out.

mod checks;
mod identity;
mod keys;
mod listener;
mod needless;
mod offer;
mod picture;
mod track;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base::Randomness;
use bytes::{Bytes, BytesMut};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc_shared::TransportProtocol;

use listener::Listener;
use offer::{Local, Offer};
use picture::Assembler;
use track::Header;

pub(crate) use checks::Checks;
pub(crate) use keys::Keys;

pub use identity::{Identity, Profile};
pub use offer::TrackKind;
pub use track::{Counts, Track};

/// Between two receiver reports (Chromium: 1 s for video).
const REPORT: Duration = Duration::from_secs(1);
/// Between two requests for a key frame.
const KEY_FRAME_REST: Duration = Duration::from_secs(1);
/// Between two flights of the handshake that got no answer.
const FLIGHT: Duration = Duration::from_millis(500);

/// How far a player has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No check was answered yet.
    Checking,
    /// The path works; DTLS is at work.
    Handshaking,
    /// Keys are there.
    Connected,
    /// It is over, for this reason.
    Closed(String),
}

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
    profile: Profile,
    offer: Offer,
    ufrag: String,
    password: String,
    /// The name its feedback comes from.
    ssrc: u32,
    /// Puts pictures together; only where media is decrypted, and so known to be authentic.
    assembler: Option<Assembler>,
    opened: u64,
    listener: Option<Box<Listener>>,
    checks: Checks,
    endpoint: Endpoint,
    keys: Option<Keys>,
    stage: Stage,
    tracks: Vec<Track>,
    reachable_at: Option<Instant>,
    connected_at: Option<Instant>,
    first_media_at: Option<Instant>,
    report_at: Option<Instant>,
    key_frame_asked_at: Option<Instant>,
    feedback: Feedback,
    out: VecDeque<Vec<u8>>,
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
        let (ufrag, password) = (randomness.alphanumeric(8), randomness.alphanumeric(24));
        let checks = Checks::new(
            Arc::clone(&identity.provider),
            (&offer.ufrag, &ufrag),
            &offer.password,
            randomness,
            now,
        );
        let local = SocketAddr::from(([0, 0, 0, 0], 0));
        Ok(Self {
            identity: Arc::clone(identity),
            profile,
            ufrag,
            password,
            ssrc: randomness.next_u64() as u32,
            assembler: None,
            opened: 0,
            listener: None,
            checks,
            endpoint: Endpoint::new(local, TransportProtocol::UDP, None),
            keys: None,
            stage: Stage::Checking,
            tracks: offer.tracks.iter().map(Track::new).collect(),
            offer,
            reachable_at: None,
            connected_at: None,
            first_media_at: None,
            report_at: None,
            key_frame_asked_at: None,
            feedback: Feedback::default(),
            out: VecDeque::new(),
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
        self.offer.answer(&Local {
            ufrag: &self.ufrag,
            password: &self.password,
            fingerprint: &self.identity.fingerprint,
        })
    }

    /// Where everything goes.
    pub const fn server(&self) -> SocketAddr {
        self.offer.server
    }

    /// How far it has come.
    pub const fn stage(&self) -> &Stage {
        &self.stage
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
        self.reachable_at
    }

    /// When the keys were there.
    pub const fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    /// When the first RTP packet came.
    pub const fn first_media_at(&self) -> Option<Instant> {
        self.first_media_at
    }

    /// Takes a datagram of the node; what of the media is there by it.
    pub fn handle(&mut self, datagram: &[u8], now: Instant) -> Option<Arrival> {
        match datagram.first()? {
            0..=3 => self.handle_stun(datagram, now),
            20..=63 => self.handle_dtls(datagram, now),
            // Payload types 192 to 223 are RTCP (RFC 5761 4).
            128..=191 if matches!(datagram.get(1), Some(192..=223)) => self.handle_rtcp(datagram, now),
            128..=191 => return self.handle_rtp(datagram, now),
            _ => {}
        }
        None
    }

    fn handle_stun(&mut self, datagram: &[u8], now: Instant) {
        self.checks.handle(datagram, now);
        if self.checks.answered() && self.stage == Stage::Checking {
            self.stage = Stage::Handshaking;
            self.reachable_at = Some(now);
            if let Err(error) = self.connect(now) {
                self.close_with(format!("{error:#}"));
            }
        }
    }

    fn connect(&mut self, now: Instant) -> anyhow::Result<()> {
        let server = self.offer.server;
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.identity.provider))
            .with_certificates(vec![self.identity.certificate.clone()])
            .with_srtp_protection_profiles(self.profile.offered())
            // The certificate is held against the offer's fingerprint once the handshake is through.
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_flight_interval(FLIGHT)
            .build(true, Some(server))
            .context("DTLS settings")?;
        self.endpoint.connect(now, server, Arc::new(config), None).context("DTLS")
    }

    fn handle_dtls(&mut self, datagram: &[u8], now: Instant) {
        if !matches!(self.stage, Stage::Handshaking | Stage::Connected) {
            return;
        }
        let events = match self.endpoint.read(now, self.offer.server, None, BytesMut::from(datagram)) {
            Ok(events) => events,
            Err(error) => return self.close_with(format!("DTLS: {error}")),
        };
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => match self.take_keys() {
                    Ok(keys) => {
                        self.keys = Some(keys);
                        self.stage = Stage::Connected;
                        self.connected_at = Some(now);
                        self.report_at = Some(now + REPORT);
                        if let Some(listener) = &mut self.listener {
                            listener.connect(now);
                        }
                    }
                    Err(error) => self.close_with(format!("{error:#}")),
                },
                EndpointEvent::PeerClosed => self.close_with("the node closed DTLS".to_owned()),
                EndpointEvent::ApplicationData(packet) => {
                    if let Some(listener) = &mut self.listener {
                        listener.receive(packet.freeze(), now);
                    }
                }
                _ => {}
            }
        }
        self.send_data(now);
    }

    fn send_data(&mut self, now: Instant) {
        let Some(listener) = &mut self.listener else { return };
        for packet in listener.packets(now) {
            if let Err(error) = self.endpoint.write(now, self.offer.server, &packet) {
                return self.close_with(format!("DTLS: {error}"));
            }
        }
    }

    fn take_keys(&self) -> anyhow::Result<Keys> {
        let Offer { server, fingerprint, .. } = &self.offer;
        Keys::take(&self.endpoint, *server, fingerprint, &self.identity, self.profile)
    }

    fn handle_rtcp(&mut self, datagram: &[u8], now: Instant) {
        let Some(keys) = &mut self.keys else { return };
        let packets = match keys.open_rtcp(datagram) {
            Ok(packets) => packets,
            Err(error) => return self.close_with(format!("{error:#}")),
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
        let keys = self.keys.as_mut()?;
        let mut opened = None;
        if self.assembler.is_some() {
            match keys.open_rtp(datagram) {
                Ok(packet) => opened = Some(packet),
                Err(error) => {
                    self.close_with(format!("{error:#}"));
                    return None;
                }
            }
            self.opened += 1;
        }
        let Some(track) = self.tracks.iter_mut().find(|track| track.ssrc == ssrc) else {
            self.close_with(format!("RTP of ssrc {ssrc}, which was not offered"));
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
        if matches!(self.stage, Stage::Closed(_)) {
            return None;
        }
        let dtls = match self.stage {
            Stage::Handshaking => self.endpoint.poll_timeout(&self.offer.server),
            _ => None,
        };
        let asks = self.tracks.iter().filter_map(Track::poll_timeout);
        let data = self.listener.as_ref().and_then(|listener| listener.poll_timeout());
        asks.chain(dtls).chain(data).chain(self.report_at).chain([self.checks.next_at()]).min()
    }

    /// Does what is due: checks, flights, reports, requests.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.try_handle_timeout(now) {
            self.close_with(format!("{error:#}"));
        }
    }

    fn try_handle_timeout(&mut self, now: Instant) -> anyhow::Result<()> {
        if matches!(self.stage, Stage::Closed(_)) {
            return Ok(());
        }
        self.out.extend(self.checks.poll(now)?);
        self.send_data(now);
        if self.stage == Stage::Handshaking {
            self.endpoint.handle_timeout(self.offer.server, now).context("DTLS")?;
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = Some(now + REPORT);
            let reports: Vec<_> = self.tracks.iter_mut().filter_map(|track| track.report(now)).collect();
            if !reports.is_empty() {
                self.feedback.reports += 1;
                self.send_feedback(Box::new(ReceiverReport {
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
        packets.into_iter().try_for_each(|packet| self.send_feedback(packet))
    }

    fn send_feedback(&mut self, packet: Box<dyn Packet>) -> anyhow::Result<()> {
        if let Some(keys) = &mut self.keys {
            self.out.push_back(keys.seal(packet)?);
        }
        Ok(())
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Some(datagram) = self.out.pop_front() {
            return Some(datagram);
        }
        self.endpoint.poll_transmit().map(|transmit| transmit.message.to_vec())
    }

    fn close_with(&mut self, reason: String) {
        if !matches!(self.stage, Stage::Closed(_)) {
            self.stage = Stage::Closed(reason);
        }
    }
}

#[cfg(test)]
mod tests;
