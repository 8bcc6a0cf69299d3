//! Reading an answer to our offer.

use std::io::Cursor;

use base::limits;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::peer::{
    Unproven, count_media, fingerprint, is_bundled, is_ufrag, message_bytes_max, receives, value,
};
use super::{DATA, OfferedData, OfferedMedia, PLAYOUT_DELAY_URI, Transport};

/// What an answer says of one m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredMedia {
    /// The payload type the peer takes it as; `None` when it refused the track or does not receive.
    pub payload_type: Option<u8>,
    /// It asks for lost packets again (`nack`).
    pub nack: bool,
    /// It asks for key frames by picture loss (`nack pli`).
    pub pli: bool,
    /// It takes the `playout-delay` extension as it was offered.
    pub playout_delay: bool,
}

/// An answer that can be played to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who the peer is.
    pub transport: Transport,
    /// One entry per offered m-line of a track.
    pub media: Vec<AnsweredMedia>,
    /// The largest message the peer takes by data channels, if it takes those.
    pub data: Option<usize>,
}

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Larger than [`limits::SDP_BYTES_MAX`].
    #[error("the answer has more than {} bytes", limits::SDP_BYTES_MAX)]
    TooLarge,
    /// More m-lines than [`limits::SDP_MEDIA_MAX`].
    #[error("the answer has more than {} m-lines", limits::SDP_MEDIA_MAX)]
    TooManyMedia,
    /// Not SDP.
    #[error("the answer is not sdp: {0}")]
    Syntax(String),
    /// Other m-lines than the offer's.
    #[error("the answer's m-lines are not those of the offer")]
    MediaMismatch,
    /// Every m-line is refused or does not receive.
    #[error("the answer takes none of the tracks")]
    NothingAccepted,
    /// A payload type that was not offered.
    #[error("the answer takes m-line {0} as no payload type that was offered")]
    NoCommonCodec(usize),
    /// Several m-lines, but not on one transport.
    #[error("the answer does not bundle its m-lines")]
    NotBundled,
    /// RTCP on a port of its own.
    #[error("the answer does not multiplex rtcp")]
    NoRtcpMux,
    /// `ice-ufrag` is missing or too short.
    #[error("the answer has no valid ice-ufrag")]
    NoUfrag,
    /// `fingerprint` is missing or malformed.
    #[error("the answer has no valid fingerprint")]
    NoFingerprint,
    /// Only fingerprints of other hash functions than SHA-256.
    #[error("the answer's fingerprint is not sha-256")]
    FingerprintAlgorithm,
    /// Not `setup:active`: we are the DTLS server.
    #[error("the answer's setup is {0:?}, not active")]
    Setup(String),
    /// This player has had its answer.
    #[error("the offer has been answered already")]
    AlreadyAnswered,
    /// There is no such player.
    #[error("there is no such player")]
    NoSuchPlayer,
}

impl From<Unproven> for AnswerError {
    fn from(why: Unproven) -> Self {
        match why {
            Unproven::NoFingerprint => Self::NoFingerprint,
            Unproven::Algorithm => Self::FingerprintAlgorithm,
        }
    }
}

/// Reads the answer to an offer of these m-lines. Never panics; the input is bounded first.
pub fn read_answer(
    text: &str,
    offered: &[OfferedMedia],
    offered_data: Option<&OfferedData>,
) -> Result<Answer, AnswerError> {
    if text.len() > limits::SDP_BYTES_MAX {
        return Err(AnswerError::TooLarge);
    }
    if count_media(text) > limits::SDP_MEDIA_MAX {
        return Err(AnswerError::TooManyMedia);
    }
    let session = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
        .map_err(|error| AnswerError::Syntax(error.to_string()))?;
    let mut lines: Vec<_> = session.media_descriptions.iter().enumerate().collect();
    if lines.len() != offered.len() + usize::from(offered_data.is_some()) {
        return Err(AnswerError::MediaMismatch);
    }
    let data = offered_data.map(|offered| (offered, lines.remove(offered.line.min(lines.len() - 1)).1));

    let mut media = Vec::with_capacity(offered.len());
    let mut accepted = Vec::new();
    for ((index, line), offer) in lines.into_iter().zip(offered) {
        let mid = value(line, "mid");
        if line.media_name.media != offer.kind.label() || mid.is_some_and(|mid| mid != offer.mid) {
            return Err(AnswerError::MediaMismatch);
        }
        let refused = is_refused(line);
        if refused || !offer.active || !receives(line, &session) {
            media.push(AnsweredMedia { payload_type: None, nack: false, pli: false, playout_delay: false });
        } else {
            media.push(answered(index, line, offer)?);
        }
        if !refused {
            accepted.push((index, line, offer.mid.as_str()));
        }
    }
    if media.iter().all(|answered| answered.payload_type.is_none()) {
        return Err(AnswerError::NothingAccepted);
    }
    if accepted.iter().any(|(_, line, _)| !line.has_attribute("rtcp-mux")) {
        return Err(AnswerError::NoRtcpMux);
    }
    let mut data_max = None;
    if let Some((offered, line)) = data {
        let mid = value(line, "mid");
        if line.media_name.media != DATA.0 || mid.is_some_and(|mid| mid != offered.mid) {
            return Err(AnswerError::MediaMismatch);
        }
        if offered.active && !is_refused(line) {
            data_max = Some(message_bytes_max(line));
            accepted.push((offered.line, line, offered.mid.as_str()));
        }
    }
    if accepted.len() > 1 && !is_bundled(&session, accepted.iter().map(|(.., mid)| *mid)) {
        return Err(AnswerError::NotBundled);
    }
    // With everything bundled the first m-line that lives carries the transport.
    let (_, transport, _) =
        accepted.iter().min_by_key(|(index, ..)| *index).ok_or(AnswerError::NothingAccepted)?;
    let find = |key: &str| value(transport, key).or_else(|| session.attribute(key).map(String::as_str));

    let ufrag = find("ice-ufrag").filter(|ufrag| is_ufrag(ufrag)).ok_or(AnswerError::NoUfrag)?;
    let setup = find("setup").unwrap_or_default();
    if setup != "active" {
        return Err(AnswerError::Setup(setup.chars().take(16).collect()));
    }
    let transport = Transport { ufrag: ufrag.to_owned(), fingerprint: fingerprint(transport, &session)? };
    Ok(Answer { transport, media, data: data_max })
}

fn is_refused(line: &MediaDescription) -> bool {
    line.media_name.port.value == 0 && !line.has_attribute("bundle-only")
}

fn answered(
    index: usize,
    line: &MediaDescription,
    offer: &OfferedMedia,
) -> Result<AnsweredMedia, AnswerError> {
    let payload_type = line
        .media_name
        .formats
        .iter()
        .filter_map(|format| format.parse::<u8>().ok())
        .find(|number| offer.codecs.iter().any(|codec| codec.payload_type == *number))
        .ok_or(AnswerError::NoCommonCodec(index))?;
    let own = format!("{payload_type} ");
    let feedback = |kind: &str| {
        line.attributes.iter().filter(|attribute| attribute.key == "rtcp-fb").any(|attribute| {
            let value = attribute.value.as_deref().unwrap_or_default();
            value.strip_prefix(&own).or_else(|| value.strip_prefix("* ")).map(str::trim) == Some(kind)
        })
    };
    let playout_delay = offer.playout_delay.is_some_and(|id| {
        let extension = format!("{id} {PLAYOUT_DELAY_URI}");
        line.attributes.iter().any(|attribute| {
            attribute.key == "extmap" && attribute.value.as_deref().map(str::trim) == Some(extension.as_str())
        })
    });
    Ok(AnsweredMedia {
        payload_type: Some(payload_type),
        nack: feedback("nack"),
        pli: feedback("nack pli"),
        playout_delay,
    })
}
