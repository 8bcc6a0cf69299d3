//! SRTCP, by the contexts of `rtc-srtp`.

use base::limits;
use bytes::BytesMut;
use rtc_crypto::RTCCrypto;
use rtc_shared::error::Error;
use rtc_srtp::context::Context;
use rtc_srtp::option::srtcp_replay_protection;

use super::keys::SrtpKeys;

const REPLAY_WINDOW_PACKETS: usize = 64;
/// RTCP header and sender SSRC.
const CLEAR_BYTES: usize = 8;

/// Why an SRTCP packet was dropped.
#[derive(Debug, thiserror::Error)]
pub enum SrtcpError {
    /// It was not made with the session's keys, or it came before.
    #[error("not authentic, or a repeat")]
    Rejected,
    /// One more SSRC than [`limits::SRTCP_SENDERS_MAX`].
    #[error("reports come from too many ssrcs")]
    TooManySenders,
}

/// Both SRTCP directions of one player.
pub struct Srtcp {
    keys: SrtpKeys,
    outgoing: Context,
    incoming: Context,
    /// SSRCs that have sent something authentic. The context makes state for whatever SSRC it is
    /// shown, so that an unknown one is tried on a throw-away context first.
    pub(super) senders: Vec<u32>,
}

fn incoming(keys: &SrtpKeys, crypto: &dyn RTCCrypto) -> Result<Context, Error> {
    let replay = srtcp_replay_protection(REPLAY_WINDOW_PACKETS);
    Context::new(
        keys.remote_key(),
        keys.remote_salt(),
        keys.profile().context_profile(),
        None,
        Some(replay),
        crypto,
    )
}

impl Srtcp {
    /// Derives the session keys of both directions.
    pub fn new(keys: SrtpKeys, crypto: &dyn RTCCrypto) -> Result<Self, Error> {
        let profile = keys.profile().context_profile();
        Ok(Self {
            outgoing: Context::new(keys.local_key(), keys.local_salt(), profile, None, None, crypto)?,
            incoming: incoming(&keys, crypto)?,
            senders: Vec::new(),
            keys,
        })
    }

    /// Seals a compound packet.
    pub fn seal(&mut self, compound: &[u8]) -> Result<BytesMut, Error> {
        self.outgoing.encrypt_rtcp(compound)
    }

    /// Opens a received packet; a packet that came before is refused.
    pub fn open(&mut self, packet: &[u8], crypto: &dyn RTCCrypto) -> Result<BytesMut, SrtcpError> {
        let sender = packet
            .get(CLEAR_BYTES - 4..CLEAR_BYTES)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(SrtcpError::Rejected)?;
        if !self.senders.contains(&sender) {
            incoming(&self.keys, crypto)
                .and_then(|mut context| context.decrypt_rtcp(packet))
                .map_err(|_| SrtcpError::Rejected)?;
            if self.senders.len() >= limits::SRTCP_SENDERS_MAX {
                return Err(SrtcpError::TooManySenders);
            }
            self.senders.push(sender);
        }
        self.incoming.decrypt_rtcp(packet).map_err(|_| SrtcpError::Rejected)
    }
}

impl std::fmt::Debug for Srtcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtcp").field("keys", &self.keys).finish_non_exhaustive()
    }
}
