//! SRTP keys, sealing of outgoing RTP in place, and the two SRTCP directions
//! (RFC 3711 with AES-CM and HMAC-SHA1-80, RFC 7714 with AES-128-GCM).
//!
//! Sealing has no state: the rollover counter and the sequence number both come from the caller's
//! 48-bit index, so a packet sent again is sealed to the same bytes. The caller answers for never
//! sealing two different packets under one index: with GCM that would give the key away.

mod control;
mod keys;

pub use control::Srtcp;
pub use keys::{Profile, SrtpKeys};

use bytes::BufMut;
use rtc_crypto::{
    AeadAlgorithm, AeadCipher, CryptoError, HmacAlgorithm, Mac, RTCCrypto, StreamCipher,
    StreamCipherAlgorithm,
};

use keys::{Label, derive};

/// Bytes of an RTP header without extensions and contributing sources.
pub const RTP_HEADER_BYTES: usize = 12;
const PLAYOUT_DELAY_BYTES: usize = 8;
const GCM_TAG_BYTES: usize = 16;
const CM_TAG_BYTES: usize = 10;
const SHA1_BYTES: usize = 20;

/// The header of one outgoing RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The rollover counter (upper 32 bits) and the sequence number (lower 16 bits).
    pub index: u64,
    /// The media timestamp on the wire.
    pub timestamp: u32,
    /// The sender's name for this track.
    pub ssrc: u32,
    /// What the payload is, as negotiated.
    pub payload_type: u8,
    /// The last packet of a video frame.
    pub marker: bool,
    /// The one extension we send, if it was negotiated and this packet carries it.
    pub playout_delay: Option<PlayoutDelay>,
}

/// The header extension that asks a browser to show pictures no sooner than this after they came
/// (`playout-delay` of the WebRTC project): 12 bits each for least and most, in units of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The extension's id, as negotiated: 1 to 14.
    pub id: u8,
    /// Least delay in units of 10 ms.
    pub least: u16,
    /// Most delay in units of 10 ms.
    pub most: u16,
}

impl PlayoutDelay {
    /// One-byte header form (RFC 8285 4.2): profile, length in words, element.
    fn write(self, out: &mut Vec<u8>) {
        let delays = u32::from(self.least & 0xfff) << 12 | u32::from(self.most & 0xfff);
        out.put_u16(0xbede);
        out.put_u16(1);
        out.put_u32(u32::from(self.id & 0xf) << 28 | 2 << 24 | delays);
    }
}

impl RtpHeader {
    const fn sequence_number(&self) -> u16 {
        self.index as u16
    }

    const fn rollover_counter(&self) -> u32 {
        (self.index >> 16) as u32
    }

    /// Its size on the wire.
    pub const fn bytes(&self) -> usize {
        RTP_HEADER_BYTES + if self.playout_delay.is_some() { PLAYOUT_DELAY_BYTES } else { 0 }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(0x80 | u8::from(self.playout_delay.is_some()) << 4);
        out.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.put_u16(self.sequence_number());
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
        if let Some(delay) = self.playout_delay {
            delay.write(out);
        }
    }
}

enum Cipher {
    Gcm { aead: Box<dyn AeadCipher>, salt: [u8; 12] },
    Cm { stream: Box<dyn StreamCipher>, salt: [u8; 14], mac: Box<dyn Mac> },
}

/// Seals outgoing RTP packets of one player.
pub struct RtpSealer(Cipher);

impl RtpSealer {
    /// Derives the session keys of our direction.
    pub fn new(keys: &SrtpKeys, crypto: &dyn RTCCrypto) -> Result<Self, CryptoError> {
        let session_key: [u8; 16] = derive(keys.local_key(), keys.local_salt(), Label::Encryption, crypto)?;
        let cipher = match keys.profile() {
            Profile::Gcm => Cipher::Gcm {
                aead: crypto.new_aead(AeadAlgorithm::Aes128Gcm, &session_key)?,
                salt: derive(keys.local_key(), keys.local_salt(), Label::Salt, crypto)?,
            },
            Profile::Cm => {
                let auth: [u8; SHA1_BYTES] =
                    derive(keys.local_key(), keys.local_salt(), Label::Authentication, crypto)?;
                Cipher::Cm {
                    stream: crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, &session_key)?,
                    salt: derive(keys.local_key(), keys.local_salt(), Label::Salt, crypto)?,
                    mac: crypto.new_hmac(HmacAlgorithm::Sha1, &auth)?,
                }
            }
        };
        Ok(Self(cipher))
    }

    /// Bytes that the tag adds to header and payload.
    #[cfg(test)]
    pub const fn tag_bytes(&self) -> usize {
        match self.0 {
            Cipher::Gcm { .. } => GCM_TAG_BYTES,
            Cipher::Cm { .. } => CM_TAG_BYTES,
        }
    }

    /// Appends the sealed packet to `out`. On an error `out` is as it was.
    pub fn seal(&mut self, header: &RtpHeader, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        let start = out.len();
        header.write(out);
        out.extend_from_slice(payload);
        let sealed = self.seal_written(header, start, out);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    fn seal_written(
        &mut self,
        header: &RtpHeader,
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        let (_, packet) = out.split_at_mut(start);
        let (head, body) = packet.split_at_mut(header.bytes());
        match &mut self.0 {
            Cipher::Gcm { aead, salt } => {
                let mut nonce = [0; 12];
                nonce[2..6].copy_from_slice(&header.ssrc.to_be_bytes());
                nonce[6..10].copy_from_slice(&header.rollover_counter().to_be_bytes());
                nonce[10..].copy_from_slice(&header.sequence_number().to_be_bytes());
                xor(&mut nonce, salt);
                let mut tag = [0; GCM_TAG_BYTES];
                aead.seal_in_place(&nonce, head, body, &mut tag)?;
                out.extend_from_slice(&tag);
            }
            Cipher::Cm { stream, salt, mac } => {
                let mut counter = [0; 16];
                counter[4..8].copy_from_slice(&header.ssrc.to_be_bytes());
                counter[8..12].copy_from_slice(&header.rollover_counter().to_be_bytes());
                counter[12..14].copy_from_slice(&header.sequence_number().to_be_bytes());
                xor(&mut counter, salt);
                stream.apply_keystream(&counter, body)?;
                let mut tag = [0; SHA1_BYTES];
                mac.sign(&[packet, &header.rollover_counter().to_be_bytes()], &mut tag)?;
                out.extend_from_slice(&tag[..CM_TAG_BYTES]);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for RtpSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtpSealer").finish_non_exhaustive()
    }
}

fn xor(into: &mut [u8], with: &[u8]) {
    for (byte, other) in into.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests;
