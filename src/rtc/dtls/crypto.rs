//! The cryptography handed to the webrtc-rs crates: theirs, with our randomness.

use std::sync::Arc;

use base::Randomness;
use rtc_crypto::providers::RingProvider;
use rtc_crypto::{CryptoError, RTCCrypto, RTCCryptoProvider, RTCRandom};

struct Random(Arc<dyn Randomness>);

impl RTCRandom for Random {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        self.0.fill(output);
        Ok(())
    }
}

/// Ring, with hello randoms and cookies drawn from a [`Randomness`]. Ephemeral keys and
/// signatures draw from ring's own, which cannot be replaced.
pub(super) struct Provider {
    ring: RingProvider,
    random: Random,
}

impl Provider {
    pub(super) fn new(randomness: Arc<dyn Randomness>) -> Self {
        Self { ring: RingProvider::new(), random: Random(randomness) }
    }
}

impl RTCCryptoProvider for Provider {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.ring.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        &self.random
    }
}
