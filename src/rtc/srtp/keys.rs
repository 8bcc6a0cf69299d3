//! Master keys out of the DTLS handshake, and the key derivation of RFC 3711 4.3.

use rtc_crypto::{BlockCipherAlgorithm, CryptoError, RTCCrypto, SecretVec};
use rtc_srtp::protection_profile::ProtectionProfile;

/// Bytes of a master key, the same in both profiles.
const MASTER_KEY_BYTES: usize = 16;
const GCM_SALT_BYTES: usize = 12;
const CM_SALT_BYTES: usize = 14;
const BLOCK_BYTES: usize = 16;

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `SRTP_AEAD_AES_128_GCM`, the cheaper one: preferred.
    Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`, which every peer must have (RFC 8827 6.5).
    Cm,
}

impl Profile {
    /// Number of the profile in the `use_srtp` extension (RFC 5764 4.1.2, RFC 7714 14.2).
    pub const fn number(self) -> u16 {
        match self {
            Self::Gcm => 0x0007,
            Self::Cm => 0x0001,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::Gcm => GCM_SALT_BYTES,
            Self::Cm => CM_SALT_BYTES,
        }
    }

    /// Bytes of keying material to export: two keys and two salts.
    pub const fn material_bytes(self) -> usize {
        2 * (MASTER_KEY_BYTES + self.salt_bytes())
    }

    pub(super) const fn context_profile(self) -> ProtectionProfile {
        match self {
            Self::Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::Cm => ProtectionProfile::Aes128CmHmacSha1_80,
        }
    }
}

/// The master keys and salts of both directions, as the DTLS server sees them.
pub struct SrtpKeys {
    profile: Profile,
    /// Client key, server key, client salt, server salt (RFC 5764 4.2).
    material: SecretVec,
}

impl SrtpKeys {
    /// Takes exported keying material; `None` when its length is not the profile's.
    pub fn new(profile: Profile, material: SecretVec) -> Option<Self> {
        (material.len() == profile.material_bytes()).then_some(Self { profile, material })
    }

    /// How packets are protected.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    fn part(&self, start: usize, length: usize) -> &[u8] {
        // The constructor has checked the whole length.
        self.material.as_ref().get(start..start + length).unwrap_or_default()
    }

    pub(super) fn remote_key(&self) -> &[u8] {
        self.part(0, MASTER_KEY_BYTES)
    }

    pub(super) fn local_key(&self) -> &[u8] {
        self.part(MASTER_KEY_BYTES, MASTER_KEY_BYTES)
    }

    pub(super) fn remote_salt(&self) -> &[u8] {
        self.part(2 * MASTER_KEY_BYTES, self.profile.salt_bytes())
    }

    pub(super) fn local_salt(&self) -> &[u8] {
        self.part(2 * MASTER_KEY_BYTES + self.profile.salt_bytes(), self.profile.salt_bytes())
    }
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// What a key derived for RTP is for (RFC 3711 4.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// AES in counter mode over the label and the master salt; the key derivation rate is 0.
///
/// A 12-byte salt counts as one of 14 bytes that ends in zeros (RFC 7714 11).
pub(super) fn derive<const N: usize>(
    master_key: &[u8],
    master_salt: &[u8],
    label: Label,
    crypto: &dyn RTCCrypto,
) -> Result<[u8; N], CryptoError> {
    let mut input = [0; BLOCK_BYTES];
    for (byte, salt) in input.iter_mut().zip(master_salt) {
        *byte = *salt;
    }
    input[7] ^= label as u8;
    let mut output = [0; N];
    for (chunk, counter) in output.chunks_mut(BLOCK_BYTES).zip(0_u16..) {
        let mut block = input;
        block[14..].copy_from_slice(&counter.to_be_bytes());
        crypto.block_encrypt(BlockCipherAlgorithm::Aes128, master_key, &mut block)?;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(output)
}
