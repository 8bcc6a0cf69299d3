//! SRTP at its least: a header, a copy, a cipher.

use anyhow::Context;
use bytes::Bytes;
use rtc_crypto::{
    AeadAlgorithm, AeadCipher, HmacAlgorithm, Mac, StreamCipher, StreamCipherAlgorithm, default_provider,
};

const HEADER_BYTES: usize = 12;
const GCM_TAG_BYTES: usize = 16;
const CM_TAG_BYTES: usize = 10;
const SHA1_BYTES: usize = 20;

/// What is done to a packet before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Nothing: the bytes go out as they are.
    Plain,
    /// AES-128-GCM (RFC 7714).
    Gcm,
    /// AES-128 in counter mode with HMAC-SHA1-80 (RFC 3711).
    Cm,
}

enum Cipher {
    Plain,
    Gcm(Box<dyn AeadCipher>),
    Cm(Box<dyn StreamCipher>, Box<dyn Mac>),
}

/// Writes the packets of one viewer.
pub(super) struct Sealer {
    cipher: Cipher,
    ssrc: u32,
    index: u64,
}

impl Sealer {
    pub(super) fn new(sealing: Sealing, ssrc: u32) -> anyhow::Result<Self> {
        let provider = default_provider().context("no crypto provider")?;
        let crypto = provider.crypto();
        // Each viewer has keys of its own.
        let mut key = [0x5a; 16];
        key[..4].copy_from_slice(&ssrc.to_be_bytes());
        let cipher = match sealing {
            Sealing::Plain => Cipher::Plain,
            Sealing::Gcm => Cipher::Gcm(crypto.new_aead(AeadAlgorithm::Aes128Gcm, &key)?),
            Sealing::Cm => Cipher::Cm(
                crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, &key)?,
                crypto.new_hmac(HmacAlgorithm::Sha1, &[key, key].concat()[..SHA1_BYTES])?,
            ),
        };
        Ok(Self { cipher, ssrc, index: 0 })
    }

    /// Fills `out` with the packets of a run; the size of the first.
    pub(super) fn seal(&mut self, run: &[Bytes], out: &mut Vec<u8>) -> anyhow::Result<usize> {
        out.clear();
        let mut first = 0;
        for payload in run {
            let start = out.len();
            let [.., s0, s1] = self.index.to_be_bytes();
            out.extend_from_slice(&[0x80, 96, s0, s1, 0, 0, 0, 0]);
            out.extend_from_slice(&self.ssrc.to_be_bytes());
            out.extend_from_slice(payload);
            self.seal_written(start, out)?;
            self.index += 1;
            if first == 0 {
                first = out.len();
            }
        }
        Ok(first)
    }

    fn seal_written(&mut self, start: usize, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let (_, packet) = out.split_at_mut(start);
        let (head, body) = packet.split_at_mut(HEADER_BYTES);
        match &mut self.cipher {
            // As many bytes as sealed with GCM.
            Cipher::Plain => out.extend_from_slice(&[0; GCM_TAG_BYTES]),
            Cipher::Gcm(aead) => {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&self.index.to_be_bytes());
                let mut tag = [0; GCM_TAG_BYTES];
                aead.seal_in_place(&nonce, head, body, &mut tag)?;
                out.extend_from_slice(&tag);
            }
            Cipher::Cm(stream, mac) => {
                let mut counter = [0; 16];
                counter[6..14].copy_from_slice(&self.index.to_be_bytes());
                stream.apply_keystream(&counter, body)?;
                let mut tag = [0; SHA1_BYTES];
                mac.sign(&[packet, &[0; 4]], &mut tag)?;
                out.extend_from_slice(&tag[..CM_TAG_BYTES]);
            }
        }
        Ok(())
    }
}
