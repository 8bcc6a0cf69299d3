//! A publisher by WHIP that does what no browser does, or, for comparison, what it should.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base::{Clock, Randomness, SystemClock, SystemRandomness};
use bytes::BytesMut;
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_shared::TransportProtocol;
use test_support::offer::{H264, offered_data, offered_media, publish_offer};
use tokio::net::UdpSocket;
use tokio::time::{interval, timeout};

use super::sctp::{self, Link, Step};
use super::{STEP_MAX, Sending, TURN};
use crate::link::{Checks, Identity, Keys, Profile, candidate};
use crate::source::{FPS, Recording};

/// The payload type of pictures in its offer.
pub const PICTURES: u8 = 102;
/// The source of pictures in its offer.
pub const PICTURES_SSRC: u32 = 2_002;
/// Bytes of one packet's payload.
const PAYLOAD_BYTES_MAX: usize = 1_100;
/// Its own tag.
const TAG: u32 = 0x0102_0304;
/// Between two INITs that get no answer.
const INIT_REST: Duration = Duration::from_millis(300);
/// The end of the digest in `test_support`'s offers.
const NOBODYS_DIGEST: &str = "CD";

/// What it shows of itself in its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The digest of its certificate.
    Itself,
    /// The digest of a certificate that it has not.
    SomebodyElse,
}

/// One publisher that was answered. Whatever it does next is the caller's choice; dropped, it is silent.
pub struct HostilePublisher {
    identity: Arc<Identity>,
    socket: UdpSocket,
    /// Where the node takes datagrams.
    server: SocketAddr,
    /// The node's name for its checks, and the digest of the node's certificate.
    name: String,
    fingerprint: String,
    checks: Checks,
    endpoint: Endpoint,
    keys: Option<Keys>,
    link: Link,
    sequence: u16,
    last_check: Vec<u8>,
    ended: Option<String>,
}

impl HostilePublisher {
    /// Offers to publish at a WHIP address; no more than that.
    ///
    /// # Errors
    /// It was refused, or the answer cannot be read.
    pub async fn ask(url: &str, identity: &Arc<Identity>, shown: Shown) -> anyhow::Result<Self> {
        let randomness = SystemRandomness;
        let (ufrag, password) = (randomness.alphanumeric(8), randomness.alphanumeric(24));
        let mut offer = publish_offer(&[offered_media("video", "0", &[H264]), offered_data("1")])
            .replace("ice-ufrag:them", &format!("ice-ufrag:{ufrag}"))
            .replace("ice-pwd:0123456789012345678901", &format!("ice-pwd:{password}"));
        if shown == Shown::Itself {
            offer = offer.replace(&[NOBODYS_DIGEST; 32].join(":"), &identity.fingerprint);
        }
        let answer = test_support::ask("POST", url, &[("Content-Type", "application/sdp")], &offer).await?;
        ensure!(answer.status == 201, "{url}: {} {}", answer.status, answer.text());
        let answer = answer.text();
        let value = |start: &str| {
            answer
                .lines()
                .find_map(|line| line.strip_prefix(start))
                .with_context(|| format!("the answer has no {start}"))
        };
        let server = answer.lines().find_map(candidate).context("the answer has no UDP candidate")?;
        let name = value("a=ice-ufrag:")?.to_owned();
        let checks = Checks::new(
            Arc::clone(&identity.provider),
            (&name, &ufrag),
            value("a=ice-pwd:")?,
            &randomness,
            SystemClock.now(),
        );
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.context("no UDP port")?;
        socket.connect(server).await.context("no way to the node's UDP port")?;
        socket.writable().await.context("UDP")?;
        Ok(Self {
            identity: Arc::clone(identity),
            socket,
            server,
            fingerprint: value("a=fingerprint:sha-256 ")?.to_owned(),
            name,
            checks,
            endpoint: Endpoint::new(SocketAddr::from(([0, 0, 0, 0], 0)), TransportProtocol::UDP, None),
            keys: None,
            link: Link::default(),
            sequence: 0,
            last_check: Vec::new(),
            ended: None,
        })
    }

    /// Asks, has its address checked, and shakes hands.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); it came no further within 10 s.
    pub async fn connect(url: &str, identity: &Arc<Identity>) -> anyhow::Result<Self> {
        let mut publisher = Self::ask(url, identity, Shown::Itself).await?;
        publisher.be_checked().await?;
        publisher.shake_hands().await?;
        Ok(publisher)
    }

    /// Has its address checked.
    ///
    /// # Errors
    /// Nobody answered within 10 s.
    pub async fn be_checked(&mut self) -> anyhow::Result<()> {
        self.behave_until(|publisher| publisher.checks.answered()).await
    }

    /// Shakes hands with DTLS.
    ///
    /// # Errors
    /// The node did not, within 10 s.
    pub async fn shake_hands(&mut self) -> anyhow::Result<()> {
        self.say_hello()?;
        self.behave_until(|publisher| publisher.keys.is_some()).await
    }

    /// Begins the handshake; the first flight goes out with what is sent next.
    ///
    /// # Errors
    /// The settings were refused.
    pub fn say_hello(&mut self) -> anyhow::Result<()> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.identity.provider))
            .with_certificates(vec![self.identity.certificate.clone()])
            .with_srtp_protection_profiles(Profile::Cm.offered())
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .build(true, Some(self.server))
            .context("DTLS settings")?;
        self.endpoint.connect(SystemClock.now(), self.server, Arc::new(config), None).context("DTLS")
    }

    /// Has an association of SCTP, where FORWARD TSN is agreed on.
    ///
    /// # Errors
    /// There was none within 10 s.
    pub async fn associate(&mut self) -> anyhow::Result<()> {
        let mut said: Option<Instant> = None;
        let associate = async {
            let mut turn = interval(TURN);
            while !self.link.stands {
                turn.tick().await;
                let now = SystemClock.now();
                if self.link.tag.is_none() && said.is_none_or(|said| now >= said + INIT_REST) {
                    said = Some(now);
                    let init = sctp::packet(0, &[sctp::init(TAG, sctp::FIRST_TSN)]);
                    self.send_record(&init)?;
                }
                self.behave()?;
                while let Some(packet) = self.link.came.pop_front() {
                    if let Step::Say(packet) = self.link.take(&packet)? {
                        self.send_record(&packet)?;
                    }
                }
            }
            anyhow::Ok(())
        };
        timeout(STEP_MAX, associate).await.context("no association")?
    }

    /// Does what an ordinary publisher does until `enough`.
    ///
    /// # Errors
    /// It was not within 10 s, or the connection ended.
    pub async fn behave_until(&mut self, enough: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let behave = async {
            let mut turn = interval(TURN);
            while !enough(self) {
                turn.tick().await;
                self.behave()?;
            }
            anyhow::Ok(())
        };
        timeout(STEP_MAX, behave).await.context("a hostile publisher came no further")?
    }

    /// Sends `per_second` datagrams that `make` makes of their numbers for so long, and otherwise does what an ordinary
    /// publisher does; how many were sent.
    ///
    /// # Errors
    /// `make` failed. An end of the connection is none: it may be what `make` is for.
    pub async fn storm(
        &mut self,
        length: Duration,
        per_second: f64,
        mut make: impl FnMut(&mut Self, u64) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<u64> {
        let mut sending = Sending::new(length, per_second);
        let mut number = 0;
        while let Some(due) = sending.turn().await {
            let _ended = self.behave();
            for _ in 0..due {
                let datagram = make(self, number)?;
                number += 1;
                self.send(&datagram);
            }
        }
        Ok(number)
    }

    /// Sends one datagram as it is; a full socket loses it, as the network may.
    pub fn send(&self, datagram: &[u8]) {
        let _lost = self.socket.try_send(datagram);
    }

    /// An authentic packet of RTP with what is in `plain`, whatever that is.
    ///
    /// # Errors
    /// There are no keys, or `plain` does not begin like RTP.
    pub fn seal_rtp(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.keys.as_mut().context("no keys")?.seal_rtp(plain).map(|sealed| sealed.to_vec())
    }

    /// An authentic packet of RTCP with what is in `plain`, whatever that is.
    ///
    /// # Errors
    /// There are no keys.
    pub fn seal_rtcp(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.keys.as_mut().context("no keys")?.seal_rtcp(plain).map(|sealed| sealed.to_vec())
    }

    /// An authentic record of DTLS with `plain` as its application data.
    ///
    /// # Errors
    /// There is no connection.
    pub fn record(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.endpoint.write(SystemClock.now(), self.server, plain).context("DTLS")?;
        let mut datagrams = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            datagrams.push(transmit.message.to_vec());
        }
        datagrams.pop().context("DTLS sent nothing")
    }

    /// The node's tag of the association.
    pub fn tag(&self) -> u32 {
        self.link.tag.unwrap_or_default()
    }

    /// The last check it sent, for who overhears it.
    pub fn last_check(&self) -> &[u8] {
        &self.last_check
    }

    /// The node's name for this publisher's checks.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the node takes datagrams.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Why the connection ended, as far as it was told.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Publishes a recording for good, as an ordinary publisher would.
    ///
    /// # Errors
    /// The node ended it.
    pub async fn publish(mut self, recording: &Recording) -> anyhow::Result<()> {
        let config = recording.config()?;
        let mut turn = interval(TURN);
        let began = SystemClock.now();
        let pictures: Vec<_> = recording.pictures().collect();
        for (number, (picture, key)) in (0_u32..).zip(pictures.iter().cycle()) {
            let mut units: Vec<&[u8]> = Vec::new();
            if *key {
                units.extend(config.sps.iter().chain(&config.pps).map(|set| &set[..]));
            }
            let mut rest = &picture[..];
            while let Some((length, behind)) = rest.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                let (unit, behind) = behind.split_at_checked(length).context("no NAL unit")?;
                units.push(unit);
                rest = behind;
            }
            let due = began + Duration::from_secs(u64::from(number)) / FPS;
            while SystemClock.now() < due {
                turn.tick().await;
                self.behave()?;
            }
            for packet in payloads(&units) {
                let plain = self.rtp(number.wrapping_mul(90_000 / FPS), packet.1, &packet.0);
                let sealed = self.seal_rtp(&plain)?;
                self.send(&sealed);
            }
        }
        Ok(())
    }

    /// The next packet of pictures, in the clear.
    pub fn rtp(&mut self, timestamp: u32, last: bool, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        rtp(PICTURES | u8::from(last) << 7, self.sequence, timestamp, PICTURES_SSRC, payload)
    }

    fn send_record(&mut self, plain: &[u8]) -> anyhow::Result<()> {
        let record = self.record(plain)?;
        self.send(&record);
        Ok(())
    }

    /// Takes what came, and sends what is due.
    fn behave(&mut self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let mut buffer = [0; 2_048];
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            self.take(buffer.get(..length).unwrap_or_default(), now);
        }
        while let Some(check) = self.checks.poll(now)? {
            self.send(&check);
            self.last_check = check;
        }
        if self.endpoint.poll_timeout(&self.server).is_some_and(|at| at <= now)
            && let Err(error) = self.endpoint.handle_timeout(self.server, now)
        {
            self.ended.get_or_insert(format!("DTLS: {error}"));
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.send(&transmit.message);
        }
        if let Some(why) = &self.ended {
            bail!("{why}");
        }
        Ok(())
    }

    fn take(&mut self, datagram: &[u8], now: Instant) {
        match datagram.first() {
            Some(0..=3) => self.checks.handle(datagram, now),
            Some(20..=63) => {
                if let Err(error) = self.take_records(datagram, now) {
                    self.ended.get_or_insert(format!("{error:#}"));
                }
            }
            // Feedback, of which it thinks nothing.
            _ => {}
        }
    }

    fn take_records(&mut self, datagram: &[u8], now: Instant) -> anyhow::Result<()> {
        if self.endpoint.get_connection_state(self.server).is_none() {
            return Ok(());
        }
        for event in self.endpoint.read(now, self.server, None, BytesMut::from(datagram)).context("DTLS")? {
            match event {
                EndpointEvent::HandshakeComplete => {
                    let identity = &self.identity;
                    let (fingerprint, server) = (&self.fingerprint, self.server);
                    self.keys = Some(Keys::take(&self.endpoint, server, fingerprint, identity, Profile::Cm)?);
                }
                EndpointEvent::PeerClosed => bail!("the node closed DTLS"),
                EndpointEvent::ApplicationData(packet) => self.link.came.push_back(packet.to_vec()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A packet of RTP in the clear; `kind` is the payload type with the marker.
pub fn rtp(kind: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let (sequence, timestamp) = (sequence.to_be_bytes(), timestamp.to_be_bytes());
    [&[0x80, kind][..], &sequence, &timestamp, &ssrc.to_be_bytes(), payload].concat()
}

/// The payloads of a picture (RFC 6184 5.6, 5.8), and which is the last.
fn payloads(units: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
    let mut payloads = Vec::new();
    for unit in units {
        let Some((&header, body)) = unit.split_first() else { continue };
        if unit.len() <= PAYLOAD_BYTES_MAX {
            payloads.push((unit.to_vec(), false));
            continue;
        }
        let pieces = body.chunks(PAYLOAD_BYTES_MAX - 2);
        let last = pieces.len() - 1;
        for (index, piece) in pieces.enumerate() {
            let (begins, ends) = (u8::from(index == 0) << 7, u8::from(index == last) << 6);
            payloads
                .push(([&[header & 0xe0 | 28, begins | ends | header & 0x1f][..], piece].concat(), false));
        }
    }
    if let Some((_, last)) = payloads.last_mut() {
        *last = true;
    }
    payloads
}
