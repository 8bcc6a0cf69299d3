//! The ciphers of a publisher's connection, with a guard behind them.
//!
//! What comes by data channels reaches the connection's SCTP inside the crate, where nobody else sees it. But the crate lets
//! its user bring the ciphers: what an AEAD of DTLS opens is looked at here, and what SCTP must not see counts as not
//! authentic, which DTLS drops (RFC 6347 4.1.2.7).

use std::sync::Arc;

use observe::metric;
use parking_lot::Mutex;
use rtc::SctpGuard;
use webrtc_core::crypto::{
    ActiveKeyExchange, AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CryptoAlgorithm, CryptoError,
    HashAlgorithm, HmacAlgorithm, KeyExchangeAlgorithm, Mac, PublicKey, RTCCrypto, RTCCryptoProvider,
    RTCRandom, SignatureScheme, SigningKey, StreamCipher, StreamCipherAlgorithm,
};
use webrtc_core::dtls::cipher_suite::CipherSuiteId;

/// What is agreed on: nothing but AEADs, which every browser has.
pub(super) const SUITES: [CipherSuiteId; 3] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
];

/// The bytes that a record of DTLS is authenticated with (RFC 5246 6.2.3.3). Those of SRTP are never as many: 12 and
/// four for each source, or the whole words of an extension.
const RECORD_BYTES: usize = 13;
/// Which of them says what is in the record, and what it says of application data.
const CONTENT: usize = 8;
const APPLICATION_DATA: u8 = 23;

/// The ciphers of one connection.
pub(super) struct Guarded {
    plain: Arc<dyn RTCCryptoProvider>,
    guard: Arc<Mutex<SctpGuard>>,
}

impl Guarded {
    pub(super) fn new(plain: Arc<dyn RTCCryptoProvider>) -> Self {
        Self { plain, guard: Arc::default() }
    }
}

impl RTCCryptoProvider for Guarded {
    fn name(&self) -> &'static str {
        self.plain.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self
    }

    fn random(&self) -> &dyn RTCRandom {
        self.plain.random()
    }
}

/// As the plain one, but for AEADs. There is no CBC: it could not be guarded.
impl RTCCrypto for Guarded {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        !matches!(algorithm, CryptoAlgorithm::Cbc(_)) && self.plain.crypto().supports(algorithm)
    }

    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.plain.crypto().hash(algorithm, data)
    }

    fn block_encrypt(
        &self,
        algorithm: BlockCipherAlgorithm,
        key: &[u8],
        block: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.plain.crypto().block_encrypt(algorithm, key, block)
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        self.plain.crypto().new_hmac(algorithm, key)
    }

    fn new_stream_cipher(
        &self,
        algorithm: StreamCipherAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn StreamCipher>, CryptoError> {
        self.plain.crypto().new_stream_cipher(algorithm, key)
    }

    fn new_aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn AeadCipher>, CryptoError> {
        let plain = self.plain.crypto().new_aead(algorithm, key)?;
        Ok(Box::new(GuardedAead { plain, guard: Arc::clone(&self.guard) }))
    }

    fn start_key_exchange(
        &self,
        algorithm: KeyExchangeAlgorithm,
    ) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        self.plain.crypto().start_key_exchange(algorithm)
    }

    fn generate_signing_key(&self, scheme: SignatureScheme) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.plain.crypto().generate_signing_key(scheme)
    }

    fn import_signing_key(
        &self,
        scheme: SignatureScheme,
        pkcs8_der: &[u8],
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.plain.crypto().import_signing_key(scheme, pkcs8_der)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        public_key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.plain.crypto().verify_signature(scheme, public_key, message, signature)
    }
}

struct GuardedAead {
    plain: Box<dyn AeadCipher>,
    guard: Arc<Mutex<SctpGuard>>,
}

/// Whether these are the bytes of a record with a packet of SCTP.
fn is_sctp(aad: &[u8]) -> bool {
    aad.len() == RECORD_BYTES && aad.get(CONTENT) == Some(&APPLICATION_DATA)
}

impl AeadCipher for GuardedAead {
    fn tag_len(&self) -> usize {
        self.plain.tag_len()
    }

    fn seal_in_place(
        &mut self,
        nonce: &[u8],
        aad: &[u8],
        bytes: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), CryptoError> {
        if is_sctp(aad) {
            self.guard.lock().told(bytes);
        }
        self.plain.seal_in_place(nonce, aad, bytes, tag)
    }

    fn open_in_place(
        &mut self,
        nonce: &[u8],
        aad: &[u8],
        bytes: &mut [u8],
        tag: &[u8],
    ) -> Result<(), CryptoError> {
        self.plain.open_in_place(nonce, aad, bytes, tag)?;
        if is_sctp(aad) && !self.guard.lock().admits(bytes) {
            metric::data_packets_refused().increment(1);
            return Err(CryptoError::AuthenticationFailed);
        }
        Ok(())
    }
}
