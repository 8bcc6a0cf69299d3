//! DTLS 1.2 as the server: one endpoint for all players of a shard, on `rtc-dtls`.
//!
//! What this adds to the crate: the SRTP profile is chosen by us, not by the client's order; only
//! well-formed records of the one handshake reach the crate, within a budget; a peer that ended is
//! never fed again.
//! Only datagrams from addresses that passed ICE may be given to [`DtlsServer::read`].

mod crypto;
mod hello;
mod record;

pub use hello::HelloReader;

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Randomness, limits};
use bytes::BytesMut;
use rtc_crypto::{HashAlgorithm, RTCCrypto, RTCCryptoProvider};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::config::LABEL_EXTRACTOR_DTLS_SRTP;

use crate::srtp::{Profile, SrtpKeys};
use crypto::Provider;

/// Time between repeats of a flight; the crate repeats seven times without back-off, so that a
/// handshake has 4 s.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(500);

/// SHA-256 of a certificate (RFC 8122 5).
pub type Fingerprint = [u8; 32];

/// Why DTLS with a peer failed, or could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DtlsError {
    /// The certificate or a configuration could not be made.
    #[error("dtls cannot be set up: {0}")]
    Setup(String),
    /// The ClientHello is malformed.
    #[error("the client hello is malformed")]
    MalformedHello,
    /// The ClientHello takes more than [`limits::DTLS_HELLO_BYTES_MAX`], or the handshake more
    /// than [`limits::DTLS_HANDSHAKE_BYTES_MAX`].
    #[error("the handshake takes too many bytes")]
    TooLarge,
    /// The client offers neither of our SRTP profiles.
    #[error("no srtp profile in common")]
    NoProfile,
    /// The handshake failed, or the peer sent a fatal alert.
    #[error("dtls failed: {0}")]
    Failed(String),
}

/// What a datagram brought about.
#[derive(Debug)]
pub enum DtlsProgress {
    /// Nothing to act on.
    Nothing,
    /// The handshake is through. Nothing may be sent before the fingerprint has been compared
    /// with the one the peer signalled.
    Handshaken {
        /// Of the certificate the peer has proven to own.
        fingerprint: Fingerprint,
        /// Keys for SRTP.
        keys: SrtpKeys,
    },
    /// The peer said goodbye.
    PeerClosed,
}

/// Names one peer for good: a key that ended is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey(pub u64);

impl PeerKey {
    /// The crate tells peers apart by address. A player may change its address, so that it is
    /// given a made-up one (of the unique local range) for life.
    fn address(self) -> SocketAddr {
        let ip = Ipv6Addr::from_bits(0xfd_u128 << 120 | u128::from(self.0));
        SocketAddr::new(ip.into(), 1)
    }

    fn from_address(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V6(v6) => Some(Self(v6.ip().to_bits() as u64)),
            SocketAddr::V4(_) => None,
        }
    }
}

#[derive(Debug)]
enum Phase {
    /// Datagrams are held until the ClientHello is whole.
    Hello(HelloReader),
    Handshaking(Profile),
    Established,
    Ended,
}

/// What we keep of one peer.
#[derive(Debug)]
pub struct DtlsPeer {
    key: PeerKey,
    phase: Phase,
    bytes: usize,
    datagrams: usize,
}

impl DtlsPeer {
    /// A peer that has sent nothing yet.
    pub fn new(key: PeerKey) -> Self {
        Self { key, phase: Phase::Hello(HelloReader::default()), bytes: 0, datagrams: 0 }
    }

    /// Whether the handshake is through and the association still stands.
    pub const fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established)
    }

    /// Counts what anybody may have sent; the crate itself bounds fragments at 2 MB per peer, and
    /// until the handshake is through it queues records of the next epoch without bound. Afterwards it
    /// keeps up to 65,536 handshake messages of who has the keys.
    fn spend(&mut self, bytes: usize) -> Result<(), DtlsError> {
        self.bytes += bytes;
        self.datagrams += 1;
        if self.bytes > limits::DTLS_HANDSHAKE_BYTES_MAX
            || self.datagrams > limits::DTLS_HANDSHAKE_DATAGRAMS_MAX
        {
            return Err(DtlsError::TooLarge);
        }
        Ok(())
    }
}

/// The DTLS side of a shard.
pub struct DtlsServer {
    provider: Arc<dyn RTCCryptoProvider>,
    endpoint: Endpoint,
    gcm: Arc<HandshakeConfig>,
    cm: Arc<HandshakeConfig>,
    fingerprint: String,
    /// Application data of the peer that was read last.
    data: Vec<BytesMut>,
}

impl DtlsServer {
    /// A server with a new self-made certificate.
    pub fn new(randomness: Arc<dyn Randomness>) -> Result<Self, DtlsError> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(Provider::new(randomness));
        let setup = |error: rtc_shared::error::Error| DtlsError::Setup(error.to_string());
        let certificate = Certificate::generate_self_signed(vec!["penstock".to_owned()], provider.crypto())
            .map_err(setup)?;
        let der = certificate.certificate.first().map(|der| der.as_ref()).unwrap_or_default();
        let digest =
            sha256(der, provider.crypto()).ok_or_else(|| DtlsError::Setup("no sha-256".to_owned()))?;
        let config = |profile| {
            ConfigBuilder::default()
                .with_crypto_provider(Arc::clone(&provider))
                .with_certificates(vec![certificate.clone()])
                .with_srtp_protection_profiles(vec![profile])
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // The certificate is self-made by nature; its fingerprint is compared instead.
                .with_insecure_skip_verify(true)
                .with_extended_master_secret(ExtendedMasterSecretType::Require)
                .with_flight_interval(FLIGHT_INTERVAL)
                .build(false, None)
                .map(Arc::new)
                .map_err(setup)
        };
        let gcm = config(SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm)?;
        let cm = config(SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80)?;
        let local = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 1);
        Ok(Self {
            endpoint: Endpoint::new(local, TransportProtocol::UDP, None),
            gcm,
            cm,
            fingerprint: crate::sdp::fingerprint_text(&digest),
            data: Vec::new(),
            provider,
        })
    }

    /// The fingerprint of our certificate as SDP has it: upper case hexadecimal with colons.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The cryptography everything of the shard uses.
    pub fn crypto(&self) -> &dyn RTCCrypto {
        self.provider.crypto()
    }

    /// Takes a datagram from an address of `peer` that passed ICE. On an error the peer has ended. Application data
    /// that it brought is to be taken by [`DtlsServer::take_data`].
    pub fn read(
        &mut self,
        peer: &mut DtlsPeer,
        datagram: &[u8],
        now: Instant,
    ) -> Result<DtlsProgress, DtlsError> {
        self.data.clear();
        let progress = self.read_inner(peer, datagram, now);
        if progress.is_err() {
            self.stop(peer, now);
        }
        progress
    }

    fn read_inner(
        &mut self,
        peer: &mut DtlsPeer,
        datagram: &[u8],
        now: Instant,
    ) -> Result<DtlsProgress, DtlsError> {
        let Some(content) = record::inspect(datagram) else { return Ok(DtlsProgress::Nothing) };
        if !peer.is_established() {
            peer.spend(datagram.len())?;
        } else if content.counted && peer.spend(datagram.len()).is_err() {
            // After the handshake anybody may have sent it: the player must not end for it.
            return Ok(DtlsProgress::Nothing);
        }
        match &mut peer.phase {
            Phase::Hello(reader) => {
                let Some(hello) = reader.push(datagram)? else { return Ok(DtlsProgress::Nothing) };
                let (profile, config) = if hello.profiles.contains(&Profile::Gcm.number()) {
                    (Profile::Gcm, &self.gcm)
                } else if hello.profiles.contains(&Profile::Cm.number()) {
                    (Profile::Cm, &self.cm)
                } else {
                    return Err(DtlsError::NoProfile);
                };
                self.endpoint.set_server_config(Some(Arc::clone(config)));
                peer.phase = Phase::Handshaking(profile);
                for held in hello.datagrams {
                    self.feed(peer, &held, now)?;
                }
                Ok(DtlsProgress::Nothing)
            }
            Phase::Handshaking(_) | Phase::Established => self.feed(peer, datagram, now),
            Phase::Ended => Ok(DtlsProgress::Nothing),
        }
    }

    fn feed(
        &mut self,
        peer: &mut DtlsPeer,
        datagram: &[u8],
        now: Instant,
    ) -> Result<DtlsProgress, DtlsError> {
        let failed = |error: rtc_shared::error::Error| DtlsError::Failed(error.to_string());
        let address = peer.key.address();
        let events = self.endpoint.read(now, address, None, BytesMut::from(datagram)).map_err(failed)?;
        let mut progress = DtlsProgress::Nothing;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => progress = self.handshaken(peer)?,
                EndpointEvent::PeerClosed => {
                    peer.phase = Phase::Ended;
                    progress = DtlsProgress::PeerClosed;
                }
                EndpointEvent::ApplicationData(data) => self.data.push(data),
                _ => {}
            }
        }
        Ok(progress)
    }

    fn handshaken(&self, peer: &mut DtlsPeer) -> Result<DtlsProgress, DtlsError> {
        let failed = |what: &str| DtlsError::Failed(what.to_owned());
        let Phase::Handshaking(profile) = peer.phase else { return Err(failed("out of turn")) };
        let state = self
            .endpoint
            .get_connection_state(peer.key.address())
            .ok_or_else(|| failed("the association is gone"))?;
        let negotiated = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Cm,
            _ => return Err(DtlsError::NoProfile),
        };
        if negotiated != profile {
            return Err(DtlsError::NoProfile);
        }
        let fingerprint = state
            .peer_certificates
            .first()
            .and_then(|der| sha256(der, self.provider.crypto()))
            .ok_or_else(|| failed("the peer has no certificate"))?;
        let keys = state
            .export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], profile.material_bytes())
            .ok()
            .and_then(|material| SrtpKeys::new(profile, material))
            .ok_or_else(|| failed("no keying material"))?;
        peer.phase = Phase::Established;
        Ok(DtlsProgress::Handshaken { fingerprint, keys })
    }

    /// The application data that the last datagram brought. Nothing is known of the peer before its fingerprint was
    /// compared.
    pub fn take_data(&mut self) -> Vec<BytesMut> {
        std::mem::take(&mut self.data)
    }

    /// The datagram with application data for `peer`; `None` without an association. Flights of others have to be
    /// taken out before.
    pub fn write(&mut self, peer: &mut DtlsPeer, data: &[u8], now: Instant) -> Option<BytesMut> {
        if !peer.is_established() {
            return None;
        }
        self.endpoint.write(now, peer.key.address(), data).ok()?;
        self.poll_transmit().map(|(_, datagram)| datagram)
    }

    /// When a flight of `peer` is to be repeated.
    pub fn poll_timeout(&self, peer: &DtlsPeer) -> Option<Instant> {
        match peer.phase {
            Phase::Handshaking(_) => self.endpoint.poll_timeout(&peer.key.address()),
            _ => None,
        }
    }

    /// Repeats a flight that is due. On an error the peer has ended: it did not answer.
    pub fn handle_timeout(&mut self, peer: &mut DtlsPeer, now: Instant) -> Result<(), DtlsError> {
        if !matches!(peer.phase, Phase::Handshaking(_)) {
            return Ok(());
        }
        let repeated = self.endpoint.handle_timeout(peer.key.address(), now);
        if let Err(error) = repeated {
            self.stop(peer, now);
            return Err(DtlsError::Failed(error.to_string()));
        }
        Ok(())
    }

    /// Ends the association with a `close_notify`, if there is one.
    pub fn stop(&mut self, peer: &mut DtlsPeer, now: Instant) {
        if matches!(peer.phase, Phase::Handshaking(_) | Phase::Established) {
            self.endpoint.stop(now, peer.key.address());
        }
        peer.phase = Phase::Ended;
    }

    /// The next datagram to send, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(PeerKey, BytesMut)> {
        loop {
            let transmit = self.endpoint.poll_transmit()?;
            if let Some(key) = PeerKey::from_address(transmit.transport.peer_addr) {
                return Some((key, transmit.message));
            }
        }
    }
}

impl std::fmt::Debug for DtlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsServer").finish_non_exhaustive()
    }
}

fn sha256(data: &[u8], crypto: &dyn RTCCrypto) -> Option<Fingerprint> {
    crypto.hash(HashAlgorithm::Sha256, data).ok()?.try_into().ok()
}
