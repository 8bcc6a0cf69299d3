//! Certificates from the secret.
//!
//! Each secret is a certificate authority, whose key is derived from it: every node has the same one, and no file
//! holds it. At its start, and when it enters a cluster, a node makes itself a key and has the authority say who it is.
//! Neither ever leaves its memory.
//!
//! Certificates do not expire, and the time of day is not looked at: a node whose clock is off by a year must reach
//! the others all the same, if only to be told so. A certificate is worth something for as long as its secret is
//! accepted.

use std::sync::Arc;
use std::time::Duration;

use base::Randomness;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519,
};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::name::ANY_NODE;
use crate::secret::{ClusterSecret, Secrets};
use crate::{LinkError, PeerName};

const SALT: &[u8] = b"penstock cluster secret 1";
const SEALING_KEY: &[u8] = b"secrets at rest, AES-256-GCM";
const AUTHORITY_KEY: &[u8] = b"certificate authority, Ed25519";
/// What both sides speak above TLS.
pub(crate) const ALPN: &[u8] = b"h2";
/// An Ed25519 key of 32 bytes as PKCS #8 (RFC 8410, 7), up to these bytes.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What a node shows itself by, and what it knows others by.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

impl Credentials {
    /// Makes a certificate for `name`.
    pub(crate) fn new(
        secrets: &Secrets,
        name: PeerName,
        randomness: &dyn Randomness,
    ) -> Result<Self, LinkError> {
        let roots = Arc::new(roots(secrets)?);
        let mut seed = Zeroizing::new([0; 32]);
        randomness.fill(&mut *seed);
        let key = key(&seed)?;
        let leaf = leaf(secrets.shown(), name, &key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = || PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = server(Arc::clone(&provider), Arc::clone(&roots), leaf.clone(), key())?;
        let client = client(provider, roots, leaf, key())?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

/// The authorities of the secrets that are accepted.
pub(crate) fn roots(secrets: &Secrets) -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    for secret in secrets.accepted() {
        let (authority, key) = authority(secret)?;
        roots.add(authority.self_signed(&key).map_err(making)?.der().clone()).map_err(tls)?;
    }
    Ok(roots)
}

fn server(
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    leaf: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, LinkError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        // Strangers need not know what the authorities are called.
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| LinkError::Certificate(error.to_string()))?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf], key)
        .map_err(tls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A session that goes on would not be asked for its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    leaf: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, LinkError> {
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf], key)
        .map_err(tls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The authority of a secret, and its key.
fn authority(secret: &ClusterSecret) -> Result<(CertificateParams, KeyPair), LinkError> {
    let mut seed = Zeroizing::new([0; 32]);
    derive(secret, AUTHORITY_KEY, &mut *seed)?;
    let key = key(&seed)?;
    // Named after its key, so that of two authorities the right one is found.
    let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    let mut name = DistinguishedName::new();
    let hex: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    name.push(DnType::CommonName, format!("penstock cluster {hex}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok((params, key))
}

fn leaf(secret: &ClusterSecret, name: PeerName, key: &KeyPair) -> Result<CertificateDer<'static>, LinkError> {
    let (params, authority_key) = authority(secret)?;
    let issuer = Issuer::new(params, authority_key);
    let mut names = vec![name.to_string()];
    let mut purposes = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if name.node().is_some() {
        names.push(ANY_NODE.to_owned());
        purposes.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    let mut params = CertificateParams::new(names).map_err(making)?;
    params.distinguished_name = DistinguishedName::new();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = purposes;
    Ok(params.signed_by(key, &issuer).map_err(making)?.der().clone())
}

fn key(seed: &[u8; 32]) -> Result<KeyPair, LinkError> {
    let mut der = Zeroizing::new(PKCS8_ED25519.to_vec());
    der.extend_from_slice(seed);
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(&**der), &PKCS_ED25519).map_err(making)
}

/// How many bytes are derived.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The key that a secret seals stored secrets with.
pub(crate) fn sealing_key(secret: &ClusterSecret) -> Result<Zeroizing<[u8; 32]>, LinkError> {
    let mut key = Zeroizing::new([0; 32]);
    derive(secret, SEALING_KEY, &mut *key)?;
    Ok(key)
}

fn derive(secret: &ClusterSecret, purpose: &[u8], bytes: &mut [u8]) -> Result<(), LinkError> {
    let length = Length(bytes.len());
    Salt::new(HKDF_SHA256, SALT)
        .extract(secret.expose())
        .expand(&[purpose], length)
        .and_then(|derived| derived.fill(bytes))
        .map_err(|_| LinkError::Certificate("no key could be derived from the secret".to_owned()))
}

fn making(error: rcgen::Error) -> LinkError {
    LinkError::Certificate(error.to_string())
}

fn tls(error: rustls::Error) -> LinkError {
    LinkError::Certificate(error.to_string())
}

/// The first of January 2030.
const DAY: Duration = Duration::from_secs(1_893_456_000);

/// Shows the same day for ever, one in the long life of the certificates.
#[derive(Debug)]
pub(crate) struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(DAY))
    }
}

/// Who showed these certificates, which TLS has found to be of an authority of ours.
pub(crate) fn peer_name(certificates: Option<&[CertificateDer<'_>]>) -> Option<PeerName> {
    let certificate = webpki::EndEntityCert::try_from(certificates?.first()?).ok()?;
    let mut names = certificate.valid_dns_names().filter(|name| *name != ANY_NODE);
    let name = PeerName::parse(names.next()?)?;
    // Who has two names has none.
    names.next().is_none().then_some(name)
}

#[cfg(test)]
mod tests {
    use base::SeededRandomness;
    use cluster_core::NodeId;

    use super::*;

    fn secret(seed: u64) -> ClusterSecret {
        ClusterSecret::generate(&SeededRandomness::new(seed))
    }

    #[test]
    fn the_same_secret_gives_the_same_authority() {
        let public = |seed| authority(&secret(seed)).unwrap().1.public_key_raw().to_vec();
        assert_eq!(public(1), public(1));
        assert_ne!(public(1), public(2));
    }

    /// What nodes of the first version derive, for ever: another value would split a cluster during an update.
    #[test]
    fn what_is_derived_stays_what_it_is() {
        let text = format!("penstock-cluster-secret-1:{}", "0123456789abcdef".repeat(4));
        let (_, key) = authority(&ClusterSecret::parse(&text).unwrap()).unwrap();
        let hex: String = key.public_key_raw().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "31cfcbc4c4e5af02d3ebae768d13130df2e41156c0cdde9885b923c2c1702632");
    }

    #[test]
    fn a_certificate_names_who_it_is_for() {
        for name in [PeerName::Node { node: NodeId(3), cluster: Some(crate::ClusterId(5)) }, PeerName::Admin]
        {
            let key = key(&[7; 32]).unwrap();
            let leaf = leaf(&secret(1), name, &key).unwrap();
            assert_eq!(peer_name(Some(&[leaf])), Some(name));
        }
        assert_eq!(peer_name(None), None);
        assert_eq!(peer_name(Some(&[CertificateDer::from(vec![0x30, 0])])), None);
    }
}
