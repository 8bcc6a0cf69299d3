//! The way to the node that players and publishers have alike, without I/O: ICE, DTLS, and the keys it leaves.

mod checks;
mod identity;
mod keys;

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
use rtc_shared::TransportProtocol;

use checks::Checks;
use keys::Keys;

pub use identity::{Identity, Profile};

/// Between two flights of the handshake that got no answer.
const FLIGHT: Duration = Duration::from_millis(500);

/// The type of DTLS records with handshake messages.
const HANDSHAKE: u8 = 22;

/// Whether a datagram has a record of an epoch that has keys (RFC 6347 4.1).
fn has_sealed_record(mut datagram: &[u8]) -> bool {
    while let [_, _, _, high, low, _, _, _, _, _, _, long, short, rest @ ..] = datagram {
        if [*high, *low] != [0, 0] {
            return true;
        }
        datagram = rest.get(usize::from(u16::from_be_bytes([*long, *short]))..).unwrap_or_default();
    }
    false
}

/// How far somebody has come on the way to the node.
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

/// What a description of the node says of the way there.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// The first candidate: where checks go.
    pub(crate) server: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) password: String,
    /// SHA-256 of the node's certificate, in SDP's form.
    pub(crate) fingerprint: String,
}

impl Remote {
    /// Reads an offer or an answer.
    pub(crate) fn read(sdp: &str) -> anyhow::Result<Self> {
        Ok(Self {
            server: sdp.lines().find_map(candidate).context("the node names no UDP candidate")?,
            ufrag: value(sdp, "a=ice-ufrag:")?.to_owned(),
            password: value(sdp, "a=ice-pwd:")?.to_owned(),
            fingerprint: value(sdp, "a=fingerprint:sha-256 ")?.to_owned(),
        })
    }
}

/// The first line of an SDP that starts so, without its start.
pub(crate) fn value<'a>(text: &'a str, start: &str) -> anyhow::Result<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(start))
        .with_context(|| format!("the node's description has no line {start}"))
}

/// The address of a candidate line (RFC 8839 5.1), unless it is not UDP.
fn candidate(line: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
    let (transport, ip, port) = (words.get(2)?, words.get(4)?, words.get(5)?);
    transport
        .eq_ignore_ascii_case("udp")
        .then(|| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))?
}

/// The own ICE name and password.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) password: String,
}

impl Credentials {
    pub(crate) fn random(randomness: &dyn Randomness) -> Self {
        Self { ufrag: randomness.alphanumeric(8), password: randomness.alphanumeric(24) }
    }
}

/// One way to the node.
pub(crate) struct Link {
    identity: Arc<Identity>,
    profile: Profile,
    pub(crate) remote: Remote,
    checks: Checks,
    endpoint: Endpoint,
    keys: Option<Keys>,
    stage: Stage,
    /// The handshake begins by itself.
    says_hello: bool,
    reachable_at: Option<Instant>,
    connected_at: Option<Instant>,
    /// The last flight of its handshake was sent.
    finished: bool,
    out: VecDeque<Vec<u8>>,
}

impl Link {
    /// A way to be gone: checks begin at once.
    pub(crate) fn new(
        identity: &Arc<Identity>,
        remote: Remote,
        own: &Credentials,
        profile: Profile,
        randomness: &dyn Randomness,
        now: Instant,
    ) -> Self {
        let names = (remote.ufrag.as_str(), own.ufrag.as_str());
        let checks = Checks::new(Arc::clone(&identity.provider), names, &remote.password, randomness, now);
        let local = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            identity: Arc::clone(identity),
            profile,
            remote,
            checks,
            endpoint: Endpoint::new(local, TransportProtocol::UDP, None),
            keys: None,
            stage: Stage::Checking,
            finished: false,
            says_hello: true,
            reachable_at: None,
            connected_at: None,
            out: VecDeque::new(),
        }
    }

    /// The same, whose handshake begins with [`say_hello`](Self::say_hello) alone.
    pub(crate) fn holding_back(self) -> Self {
        Self { says_hello: false, ..self }
    }

    /// How far it has come.
    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// When the first check was answered.
    pub(crate) const fn reachable_at(&self) -> Option<Instant> {
        self.reachable_at
    }

    /// When the keys were there.
    pub(crate) const fn connected_at(&self) -> Option<Instant> {
        self.connected_at
    }

    /// The keys, once they are there.
    pub(crate) const fn keys(&mut self) -> Option<&mut Keys> {
        self.keys.as_mut()
    }

    /// Takes a datagram of STUN or DTLS; what DTLS carried.
    pub(crate) fn handle(&mut self, datagram: &[u8], now: Instant) -> Vec<Bytes> {
        match datagram.first() {
            Some(0..=3) => self.handle_stun(datagram, now),
            Some(20..=63) => return self.handle_dtls(datagram, now),
            _ => {}
        }
        Vec::new()
    }

    fn handle_stun(&mut self, datagram: &[u8], now: Instant) {
        self.checks.handle(datagram, now);
        if self.checks.answered() && self.reachable_at.is_none() {
            self.reachable_at = Some(now);
            if self.says_hello {
                self.say_hello(now);
            }
        }
    }

    /// Begins the handshake, on a path that works.
    pub(crate) fn say_hello(&mut self, now: Instant) {
        self.stage = Stage::Handshaking;
        if let Err(error) = self.connect(now) {
            self.close_with(format!("{error:#}"));
        }
    }

    fn connect(&mut self, now: Instant) -> anyhow::Result<()> {
        let server = self.remote.server;
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

    fn handle_dtls(&mut self, datagram: &[u8], now: Instant) -> Vec<Bytes> {
        let mut data = Vec::new();
        if !matches!(self.stage, Stage::Handshaking | Stage::Connected) {
            return data;
        }
        // The node did not hear the last flight and repeats its own. The library forgets its timer over that, and would
        // never send the last flight again.
        let is_repeated = datagram.first() == Some(&HANDSHAKE) && !has_sealed_record(datagram);
        if self.stage == Stage::Handshaking && self.finished && is_repeated {
            return data;
        }
        let events = match self.endpoint.read(now, self.remote.server, None, BytesMut::from(datagram)) {
            Ok(events) => events,
            Err(error) => {
                self.close_with(format!("DTLS: {error}"));
                return data;
            }
        };
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => match self.take_keys() {
                    Ok(keys) => {
                        self.keys = Some(keys);
                        self.stage = Stage::Connected;
                        self.connected_at = Some(now);
                    }
                    Err(error) => self.close_with(format!("{error:#}")),
                },
                EndpointEvent::PeerClosed => self.close_with("the node closed DTLS".to_owned()),
                EndpointEvent::ApplicationData(packet) => data.push(packet.freeze()),
                _ => {}
            }
        }
        data
    }

    fn take_keys(&self) -> anyhow::Result<Keys> {
        let Remote { server, fingerprint, .. } = &self.remote;
        Keys::take(&self.endpoint, *server, fingerprint, &self.identity, self.profile)
    }

    /// Sends data through DTLS.
    pub(crate) fn write(&mut self, data: &[u8], now: Instant) {
        if let Err(error) = self.endpoint.write(now, self.remote.server, data) {
            self.close_with(format!("DTLS: {error}"));
        }
    }

    /// A record with data, for the caller to send.
    pub(crate) fn record(&mut self, data: &[u8], now: Instant) -> anyhow::Result<Vec<u8>> {
        self.endpoint.write(now, self.remote.server, data).context("DTLS")?;
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.out.push_back(transmit.message.to_vec());
        }
        // The newest.
        self.out.pop_back().context("DTLS sent nothing")
    }

    /// Seals a packet of RTCP and sends it, once there are keys.
    pub(crate) fn send_rtcp(&mut self, packet: Box<dyn Packet>) -> anyhow::Result<()> {
        if let Some(keys) = &mut self.keys {
            self.out.push_back(keys.seal(packet)?);
        }
        Ok(())
    }

    /// Sends a datagram that was sealed before.
    pub(crate) fn send_again(&mut self, datagram: Vec<u8>) {
        self.out.push_back(datagram);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` once it is over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let dtls = match self.stage {
            Stage::Closed(_) => return None,
            Stage::Handshaking => self.endpoint.poll_timeout(&self.remote.server),
            _ => None,
        };
        dtls.into_iter().chain([self.checks.next_at()]).min()
    }

    /// Sends the checks and flights that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> anyhow::Result<()> {
        self.out.extend(self.checks.poll(now)?);
        if self.stage == Stage::Handshaking {
            self.endpoint.handle_timeout(self.remote.server, now).context("DTLS")?;
        }
        Ok(())
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Some(datagram) = self.out.pop_front() {
            return Some(datagram);
        }
        let datagram = self.endpoint.poll_transmit()?.message.to_vec();
        self.finished |= has_sealed_record(&datagram);
        Some(datagram)
    }

    /// It is over, unless it was before.
    pub(crate) fn close_with(&mut self, reason: String) {
        if !matches!(self.stage, Stage::Closed(_)) {
            self.stage = Stage::Closed(reason);
        }
    }
}
