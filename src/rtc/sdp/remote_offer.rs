//! Reading an offer that the peer makes, as publishers and WHEP players do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use base::limits;
use media::Kind;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::peer::{
    Unproven, count_media, fingerprint, has_group, is_bundled, is_ufrag, message_bytes_max, receives, sends,
    value,
};
use super::{DATA, PLAYOUT_DELAY_URI, policy};
use crate::dtls::Fingerprint;

/// The transport that m-lines are taken with; others are rejected.
const PROTOCOL: &str = "UDP/TLS/RTP/SAVPF";
/// Ids of header extensions in the one-byte form (RFC 8285 4.2).
const EXTENSION_IDS: std::ops::RangeInclusive<u8> = 1..=14;
/// Payload types that RTCP packets look like when both share a port (RFC 5761 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 64..=95;
const PAYLOAD_TYPE_MAX: u8 = 127;
/// The longest mid and format that are repeated; browsers number theirs.
const TOKEN_BYTES_MAX: usize = 64;

/// An offer of the peer's that could be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOffer {
    pub(super) media: Vec<RemoteMedia>,
    /// Its m-lines are bundled; one alone need not be.
    pub(super) bundled: bool,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteMedia {
    /// What a rejection repeats of it: media, protocol, a format.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) format: String,
    /// Empty: it has none.
    pub(super) mid: String,
    /// What can be sent there; `None`: nothing we could send.
    pub(super) takes: Option<Takes>,
    /// What data channels it takes.
    pub(super) data: Option<TakesData>,
}

/// Data channels of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TakesData {
    /// The largest message the peer takes.
    pub(super) bytes_max: usize,
    pub(super) transport: Transport,
}

/// What an m-line takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Takes {
    pub(super) kind: Kind,
    /// In the peer's order.
    pub(super) codecs: Vec<RemoteCodec>,
    /// The id of the `playout-delay` extension.
    pub(super) playout_delay: Option<u8>,
    pub(super) reduced_size: bool,
    pub(super) transport: Transport,
}

/// A payload type of the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCodec {
    /// The number on the wire.
    pub payload_type: u8,
    /// Encoding name, clock rate and channels, as in `rtpmap`.
    pub encoding: String,
    /// Format parameters, as in `fmtp`; empty without.
    pub parameters: String,
    /// The feedback of ours that it gives.
    pub(super) feedback: Vec<&'static str>,
}

/// Who the peer is, on one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The peer's ICE name, the second half of its checks' USERNAME.
    pub ufrag: String,
    /// SHA-256 of the certificate the peer will show.
    pub fingerprint: Fingerprint,
}

/// Why an offer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Larger than [`limits::SDP_BYTES_MAX`].
    #[error("the offer has more than {} bytes", limits::SDP_BYTES_MAX)]
    TooLarge,
    /// More m-lines than [`limits::SDP_MEDIA_MAX`].
    #[error("the offer has more than {} m-lines", limits::SDP_MEDIA_MAX)]
    TooManyMedia,
    /// Not SDP.
    #[error("the offer is not sdp: {0}")]
    Syntax(String),
    /// Several tracks in one m-line.
    #[error("the offer has several tracks in one m-line (plan b): use unified plan")]
    PlanB,
    /// No m-line receives sound or pictures.
    #[error(
        "the offer receives neither sound nor pictures over {PROTOCOL}: add transceivers with direction recvonly"
    )]
    NothingToReceive,
    /// No m-line sends sound or pictures.
    #[error("the offer sends neither sound nor pictures over {PROTOCOL}: add a track to the connection")]
    NothingToSend,
    /// Several m-lines, but not on one transport.
    #[error("the offer does not bundle its m-lines")]
    NotBundled,
    /// RTCP on a port of its own.
    #[error("the offer does not multiplex rtcp")]
    NoRtcpMux,
    /// `ice-ufrag` is missing or too short.
    #[error("the offer has no valid ice-ufrag")]
    NoUfrag,
    /// `fingerprint` is missing or malformed.
    #[error("the offer has no valid fingerprint")]
    NoFingerprint,
    /// Only fingerprints of other hash functions than SHA-256.
    #[error("the offer's fingerprint is not sha-256")]
    FingerprintAlgorithm,
    /// It does not say who is the DTLS client, or wants us to be it where players never are.
    #[error("the offer's setup is {0:?}, which cannot be answered")]
    Setup(String),
}

impl From<Unproven> for OfferError {
    fn from(why: Unproven) -> Self {
        match why {
            Unproven::NoFingerprint => Self::NoFingerprint,
            Unproven::Algorithm => Self::FingerprintAlgorithm,
        }
    }
}

/// What a peer means to do with the m-lines of its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Play,
    Publish,
}

impl Purpose {
    fn is_served_by(self, line: &MediaDescription, session: &SessionDescription) -> bool {
        match self {
            Self::Play => receives(line, session),
            Self::Publish => sends(line, session),
        }
    }
}

impl RemoteOffer {
    /// Reads a player's offer. Never panics; the input is bounded first. What we do not know is not refused but left to
    /// be rejected, m-line by m-line (RFC 3264 6).
    pub fn read(text: &str) -> Result<Self, OfferError> {
        Self::read_for(Purpose::Play, text)
    }

    /// The same for a publisher's.
    pub fn read_publish(text: &str) -> Result<Self, OfferError> {
        Self::read_for(Purpose::Publish, text)
    }

    fn read_for(purpose: Purpose, text: &str) -> Result<Self, OfferError> {
        if text.len() > limits::SDP_BYTES_MAX {
            return Err(OfferError::TooLarge);
        }
        if count_media(text) > limits::SDP_MEDIA_MAX {
            return Err(OfferError::TooManyMedia);
        }
        let session = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
            .map_err(|error| OfferError::Syntax(error.to_string()))?;
        let lines = &session.media_descriptions;
        let mut media =
            lines.iter().map(|line| read_media(purpose, line, &session)).collect::<Result<Vec<_>, _>>()?;
        let taking: Vec<_> =
            media.iter().filter(|line| line.takes.is_some()).map(|line| line.mid.as_str()).collect();
        let bundled = has_group(&session);
        if taking.is_empty() {
            return Err(match purpose {
                Purpose::Play => OfferError::NothingToReceive,
                Purpose::Publish => OfferError::NothingToSend,
            });
        }
        if (taking.len() > 1 || bundled) && !is_bundled(&session, taking.into_iter()) {
            return Err(OfferError::NotBundled);
        }
        // What is on another transport is left out, as all that is no sound or picture.
        for line in &mut media {
            line.data = line.data.take().filter(|_| is_bundled(&session, [line.mid.as_str()].into_iter()));
        }
        Ok(Self { media, bundled })
    }

    /// The codecs of the first m-line of that kind, in the peer's order; `None`: it has no such m-line.
    pub fn codecs(&self, kind: Kind) -> Option<&[RemoteCodec]> {
        let takes = self.media.iter().filter_map(|line| line.takes.as_ref());
        takes.into_iter().find(|takes| takes.kind == kind).map(|takes| takes.codecs.as_slice())
    }

    /// The peer's ICE names: one, unless its m-lines could do without being bundled.
    pub fn ufrags(&self) -> Vec<String> {
        let mut ufrags: Vec<_> =
            self.media.iter().filter_map(|line| Some(line.takes.as_ref()?.transport.ufrag.clone())).collect();
        ufrags.dedup();
        ufrags
    }
}

fn read_media(
    purpose: Purpose,
    line: &MediaDescription,
    session: &SessionDescription,
) -> Result<RemoteMedia, OfferError> {
    if has_several_tracks(line) {
        return Err(OfferError::PlanB);
    }
    let mid = value(line, "mid").unwrap_or_default();
    if !mid.is_empty() && !is_token(mid) {
        return Err(OfferError::Syntax("a mid is no token".to_owned()));
    }
    let name = &line.media_name;
    let protocol = name.protos.join("/");
    let format = name.formats.first().filter(|format| is_token(format)).map_or("0", String::as_str);
    let kind = [Kind::Video, Kind::Audio].into_iter().find(|kind| kind.label() == name.media);
    let refused = name.port.value == 0 && !line.has_attribute("bundle-only");
    let takes = match kind {
        Some(kind) if !refused && protocol == PROTOCOL && purpose.is_served_by(line, session) => {
            Some(read_takes(purpose, kind, line, session)?)
        }
        _ => None,
    };
    let is_data = !refused && (name.media.as_str(), protocol.as_str(), format) == DATA;
    // It is no reason to refuse the whole.
    let transport = is_data.then(|| read_transport(purpose, line, session).ok()).flatten();
    let data = transport.map(|transport| TakesData { bytes_max: message_bytes_max(line), transport });
    let (media, format, mid) = (name.media.clone(), format.to_owned(), mid.to_owned());
    Ok(RemoteMedia { media, protocol, format, mid, takes, data })
}

fn read_takes(
    purpose: Purpose,
    kind: Kind,
    line: &MediaDescription,
    session: &SessionDescription,
) -> Result<Takes, OfferError> {
    if !line.has_attribute("rtcp-mux") {
        return Err(OfferError::NoRtcpMux);
    }
    Ok(Takes {
        kind,
        codecs: read_codecs(line),
        playout_delay: line.attributes.iter().filter(|attribute| attribute.key == "extmap").find_map(
            |attribute| {
                let (id, uri) = attribute.value.as_deref()?.split_once(' ')?;
                let id = id.split('/').next()?.parse().ok().filter(|id| EXTENSION_IDS.contains(id))?;
                (uri.split_ascii_whitespace().next() == Some(PLAYOUT_DELAY_URI)).then_some(id)
            },
        ),
        reduced_size: line.has_attribute("rtcp-rsize"),
        transport: read_transport(purpose, line, session)?,
    })
}

fn read_transport(
    purpose: Purpose,
    line: &MediaDescription,
    session: &SessionDescription,
) -> Result<Transport, OfferError> {
    // What a bundled m-line does not say itself, the first one says for all of them (RFC 9143 7.1.3).
    let first = session.media_descriptions.first().unwrap_or(line);
    let find = |key: &str| {
        value(line, key)
            .or_else(|| session.attribute(key).map(String::as_str))
            .or_else(|| value(first, key).filter(|_| line.has_attribute("bundle-only")))
    };
    let ufrag = find("ice-ufrag").filter(|ufrag| is_ufrag(ufrag)).ok_or(OfferError::NoUfrag)?.to_owned();
    let setup = find("setup").unwrap_or_default();
    let may_be_server = setup == "passive" && purpose == Purpose::Publish;
    if !["actpass", "active"].contains(&setup) && !may_be_server {
        return Err(OfferError::Setup(setup.chars().take(16).collect()));
    }
    let fingerprint = match fingerprint(line, session) {
        Err(Unproven::NoFingerprint) if line.has_attribute("bundle-only") => fingerprint(first, session)?,
        read => read?,
    };
    Ok(Transport { ufrag, fingerprint })
}

/// The codecs of an m-line in its order; those without a name or with a number that cannot be used are left out.
fn read_codecs(line: &MediaDescription) -> Vec<RemoteCodec> {
    let mut codecs: BTreeMap<u8, RemoteCodec> = BTreeMap::new();
    for (number, encoding) in of_formats(line, "rtpmap") {
        let Ok(payload_type) = number.parse() else { continue };
        codecs.entry(payload_type).or_insert_with(|| RemoteCodec {
            payload_type,
            encoding: encoding.to_owned(),
            parameters: String::new(),
            feedback: Vec::new(),
        });
    }
    for (number, parameters) in of_formats(line, "fmtp") {
        let codec = number.parse().ok().and_then(|number: u8| codecs.get_mut(&number));
        if let Some(codec) = codec.filter(|codec| codec.parameters.is_empty()) {
            parameters.clone_into(&mut codec.parameters);
        }
    }
    for (number, kind) in of_formats(line, "rtcp-fb") {
        let Some(kind) = policy::VIDEO_FEEDBACK.iter().find(|ours| **ours == kind) else { continue };
        let give = |codec: &mut RemoteCodec| {
            if !codec.feedback.contains(kind) {
                codec.feedback.push(kind);
            }
        };
        if number == "*" {
            codecs.values_mut().for_each(give);
        } else if let Some(codec) = number.parse().ok().and_then(|number: u8| codecs.get_mut(&number)) {
            give(codec);
        }
    }
    // Each once: taken out, it is not found again.
    let numbers = line.media_name.formats.iter().filter_map(|format| format.parse::<u8>().ok());
    let usable = |number: &u8| *number <= PAYLOAD_TYPE_MAX && !RTCP_TYPES.contains(number);
    numbers.filter(usable).filter_map(|number| codecs.remove(&number)).collect()
}

/// The attributes of a format: its number, and what is said of it.
fn of_formats<'a>(line: &'a MediaDescription, key: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let values = line.attributes.iter().filter(move |attribute| attribute.key == key);
    let values = values.filter_map(|attribute| attribute.value.as_deref()?.split_once(' '));
    // Some of it is written into the answer again.
    let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    values.map(|(number, what)| (number, what.trim())).filter(move |(_, what)| printable(what))
}

/// Plan B: sources of several tracks.
fn has_several_tracks(line: &MediaDescription) -> bool {
    let sources = line.attributes.iter().filter(|attribute| attribute.key == "ssrc");
    let msids = sources.filter_map(|attribute| attribute.value.as_deref()?.split_once(" msid:"));
    msids.map(|(_, msid)| msid).collect::<BTreeSet<_>>().len() > 1
}

fn is_token(text: &str) -> bool {
    text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
