//! What players and publishers offer and show: SRTP profiles and a certificate.

use std::sync::Arc;

use anyhow::Context as _;
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

/// Which SRTP profiles a player offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// CM first, then GCM, as Chromium does: a node that wants GCM gets it.
    Gcm,
    /// AES_CM_128_HMAC_SHA1_80 alone.
    Cm,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gcm => "GCM",
            Self::Cm => "CM",
        })
    }
}

impl Profile {
    pub(crate) fn offered(self) -> Vec<SrtpProtectionProfile> {
        match self {
            Self::Gcm => vec![
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            ],
            Self::Cm => vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80],
        }
    }
}

/// The certificate that all players and publishers of a process show: a key pair each would cost more than it says.
pub struct Identity {
    pub(super) provider: Arc<dyn RTCCryptoProvider>,
    pub(super) certificate: Certificate,
    pub(crate) fingerprint: String,
}

impl Identity {
    /// Makes a certificate.
    ///
    /// # Errors
    /// The crypto provider refused.
    pub fn new() -> anyhow::Result<Self> {
        let provider = rtc_crypto::default_provider().context("no crypto provider")?;
        let certificate = Certificate::generate_self_signed(vec!["player".to_owned()], provider.crypto())
            .context("no certificate")?;
        let bytes = certificate.certificate.first().context("the certificate is empty")?;
        let fingerprint = fingerprint(&*provider, bytes.as_ref())?;
        Ok(Self { provider, certificate, fingerprint })
    }
}

/// SHA-256 in SDP's form (RFC 8122 5).
pub(crate) fn fingerprint(provider: &dyn RTCCryptoProvider, certificate: &[u8]) -> anyhow::Result<String> {
    let digest = provider.crypto().hash(HashAlgorithm::Sha256, certificate).context("no digest")?;
    Ok(digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}
