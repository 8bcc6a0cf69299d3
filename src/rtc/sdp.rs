//! Session descriptions (RFC 8866, RFC 8829): what we offer and the answer to it, or what the peer
//! offers and our answer.
//!
//! Policy ([`policy`]: which codecs a track is offered with; [`publish_codec`]: which one a publisher is asked to
//! send) is apart from the text, because publishers and WHEP clients bring offers of their own.

mod agreement;
mod answer;
mod fragment;
mod offer;
mod peer;
pub mod policy;
mod publish;
mod remote_offer;

pub use agreement::{AgreedData, AgreedMedia, Agreement};
pub use answer::{Answer, AnswerError, AnsweredMedia, read_answer};
pub use fragment::{Fragment, FragmentError, restarted};
pub use offer::{
    Candidate, Description, OfferedData, OfferedMedia, PLAYOUT_DELAY_ID, PLAYOUT_DELAY_URI, Session,
    candidate,
};
pub use publish::{PublishCodecs, Simplified, TRANSPORT_CC_URI, TakenCodec, publish_codec};
pub use remote_offer::{OfferError, RemoteCodec, RemoteOffer, Transport};

use media::Kind;

use crate::dtls::Fingerprint;

/// One codec a track is offered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedCodec {
    /// The number on the wire.
    pub payload_type: u8,
    /// Encoding name, clock rate and channels, as in `rtpmap`.
    pub encoding: &'static str,
    /// Format parameters, as in `fmtp`.
    pub parameters: String,
    /// Feedback taken for it, as in `rtcp-fb`.
    pub feedback: Vec<&'static str>,
}

/// Data channels as an m-line names them (RFC 8841 4): its media, protocol and format.
const DATA: (&str, &str, &str) = ("application", "UDP/DTLS/SCTP", "webrtc-datachannel");
/// The port that SCTP has within DTLS; there is no other.
const SCTP_PORT: u16 = 5000;

/// The name AMS's pages know a track by: `ARDAMSv` or `ARDAMSa` and the track's id.
pub fn track_label(kind: Kind, track: &str) -> String {
    match kind {
        Kind::Video => format!("ARDAMSv{track}"),
        Kind::Audio => format!("ARDAMSa{track}"),
    }
}

/// A fingerprint as SDP has it: upper case hexadecimal with colons (RFC 8122 5).
pub fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    fingerprint.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

fn read_fingerprint(text: &str) -> Option<Fingerprint> {
    let mut fingerprint = [0; 32];
    let mut parts = text.split(':');
    for byte in &mut fingerprint {
        let part =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(fingerprint)
}

#[cfg(test)]
mod tests;
