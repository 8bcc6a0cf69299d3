//! Cryptography of a client that has the keys and breaks the rules with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use rtc_crypto::{
    ActiveKeyExchange, AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CbcAlgorithm, CbcCipher,
    CryptoAlgorithm, CryptoError, HashAlgorithm, HmacAlgorithm, KeyExchangeAlgorithm, Mac, PublicKey,
    RTCCrypto, RTCCryptoProvider, RTCRandom, SignatureScheme, SigningKey, StreamCipher,
    StreamCipherAlgorithm,
};

/// Bytes that DTLS 1.2 authenticates beside a record; the ninth is its content type (RFC 5246 6.2.3.3).
const RECORD_DATA_BYTES: usize = 13;
const CONTENT_TYPE_AT: usize = 8;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const FINISHED: u8 = 20;

/// What is to be forged.
#[derive(Debug, Default)]
pub struct Forgery {
    /// Application data is sealed as content of this type, unless it is 0.
    content: AtomicU8,
    /// The Finished message is numbered as if one message fewer had come before it.
    finished_earlier: AtomicBool,
    /// Finished messages sealed so.
    pub finished: AtomicUsize,
}

impl Forgery {
    /// Seals application data as content of another type from now on.
    pub fn seal_as(&self, content: u8) {
        self.content.store(content, Ordering::Relaxed);
    }

    /// Numbers Finished one lower.
    pub fn leave_out_one_message(&self) {
        self.finished_earlier.store(true, Ordering::Relaxed);
    }
}

/// Honest cryptography but for one [`Forgery`].
pub struct Forger {
    honest: Arc<dyn RTCCryptoProvider>,
    forgery: Arc<Forgery>,
}

impl Forger {
    pub fn with_forgery() -> (Arc<dyn RTCCryptoProvider>, Arc<Forgery>) {
        let forgery = Arc::<Forgery>::default();
        let honest = rtc_crypto::default_provider().unwrap();
        (Arc::new(Self { honest, forgery: Arc::clone(&forgery) }), forgery)
    }
}

impl RTCCryptoProvider for Forger {
    fn name(&self) -> &'static str {
        "forger"
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self
    }

    fn random(&self) -> &dyn RTCRandom {
        self.honest.random()
    }
}

impl RTCCrypto for Forger {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        self.honest.crypto().supports(algorithm)
    }

    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().hash(algorithm, data)
    }

    fn block_encrypt(
        &self,
        algorithm: BlockCipherAlgorithm,
        key: &[u8],
        block: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.honest.crypto().block_encrypt(algorithm, key, block)
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        self.honest.crypto().new_hmac(algorithm, key)
    }

    fn new_stream_cipher(
        &self,
        algorithm: StreamCipherAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn StreamCipher>, CryptoError> {
        self.honest.crypto().new_stream_cipher(algorithm, key)
    }

    fn new_aead(&self, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Box<dyn AeadCipher>, CryptoError> {
        let honest = self.honest.crypto().new_aead(algorithm, key)?;
        Ok(Box::new(ForgingCipher { honest, forgery: Arc::clone(&self.forgery) }))
    }

    fn new_cbc(&self, algorithm: CbcAlgorithm, key: &[u8]) -> Result<Box<dyn CbcCipher>, CryptoError> {
        self.honest.crypto().new_cbc(algorithm, key)
    }

    fn start_key_exchange(
        &self,
        algorithm: KeyExchangeAlgorithm,
    ) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        self.honest.crypto().start_key_exchange(algorithm)
    }

    fn generate_signing_key(&self, scheme: SignatureScheme) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.honest.crypto().generate_signing_key(scheme)
    }

    fn import_signing_key(
        &self,
        scheme: SignatureScheme,
        pkcs8: &[u8],
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.honest.crypto().import_signing_key(scheme, pkcs8)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        public_key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.honest.crypto().verify_signature(scheme, public_key, message, signature)
    }
}

struct ForgingCipher {
    honest: Box<dyn AeadCipher>,
    forgery: Arc<Forgery>,
}

impl AeadCipher for ForgingCipher {
    fn tag_len(&self) -> usize {
        self.honest.tag_len()
    }

    fn seal_in_place(
        &mut self,
        nonce: &[u8],
        data: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), CryptoError> {
        let mut data = data.to_vec();
        if data.len() == RECORD_DATA_BYTES {
            let content = self.forgery.content.load(Ordering::Relaxed);
            if data[CONTENT_TYPE_AT] == APPLICATION_DATA && content != 0 {
                data[CONTENT_TYPE_AT] = content;
            }
            let finished = data[CONTENT_TYPE_AT] == HANDSHAKE && text[0] == FINISHED;
            if finished && self.forgery.finished_earlier.load(Ordering::Relaxed) {
                text[5] -= 1;
                self.forgery.finished.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.honest.seal_in_place(nonce, &data, text, tag)
    }

    fn open_in_place(
        &mut self,
        nonce: &[u8],
        data: &[u8],
        text: &mut [u8],
        tag: &[u8],
    ) -> Result<(), CryptoError> {
        self.honest.open_in_place(nonce, data, text, tag)
    }
}
