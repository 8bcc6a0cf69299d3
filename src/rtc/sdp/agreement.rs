//! What an offer of the peer's and a stream have in common.

use media::Kind;

use super::remote_offer::{RemoteCodec, RemoteOffer, Takes, TakesData, Transport};
use super::{OfferedCodec, OfferedMedia};

/// One track that the peer takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedMedia {
    /// Which m-line of the offer.
    pub line: usize,
    /// What that m-line is called; empty: it has no name.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// As what it is sent, by the peer's number.
    pub codec: OfferedCodec,
    /// The peer's id of the `playout-delay` extension.
    pub playout_delay: Option<u8>,
    /// The peer takes RTCP of reduced size.
    pub reduced_size: bool,
}

impl AgreedMedia {
    /// Its m-line in the answer, with the `playout-delay` extension if it is to be sent.
    pub fn offered(self, label: String, ssrc: u32, playout_delay: Option<u8>) -> OfferedMedia {
        let Self { mid, kind, codec, reduced_size, .. } = self;
        OfferedMedia {
            mid,
            kind,
            label,
            ssrc,
            codecs: vec![codec],
            playout_delay,
            reduced_size,
            active: true,
        }
    }
}

/// The m-line of data channels that the peer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedData {
    /// Which m-line of the offer.
    pub line: usize,
    /// What that m-line is called.
    pub mid: String,
    /// The largest message the peer takes.
    pub bytes_max: usize,
}

/// What is sent of a stream, in the order of the offer's m-lines, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The peer.
    pub transport: Transport,
    /// Never empty.
    pub media: Vec<AgreedMedia>,
    /// Data channels, if there are to be any.
    pub data: Option<AgreedData>,
}

impl RemoteOffer {
    /// Chooses, for each kind of media with what it can be sent as (preferred first), the first m-line that takes
    /// it; `None` when nothing is taken. `data`: with data channels, if the offer has them.
    pub fn agree<'a>(
        &self,
        wanted: impl Iterator<Item = (Kind, &'a [OfferedCodec])>,
        data: bool,
    ) -> Option<Agreement> {
        let mut media: Vec<_> = wanted.filter_map(|(kind, codecs)| self.choose(kind, codecs)).collect();
        media.sort_by_key(|agreed| agreed.line);
        // With everything bundled the first m-line that lives carries the transport.
        let first = media.first()?.line;
        let transport = &self.media.get(first)?.takes.as_ref()?.transport;
        let data = if data { self.choose_data() } else { None };
        let of_data =
            data.as_ref().filter(|(agreed, _)| agreed.line < first).map(|(_, transport)| *transport);
        let transport = of_data.unwrap_or(transport).clone();
        Some(Agreement { transport, media, data: data.map(|(agreed, _)| agreed) })
    }

    fn choose_data(&self) -> Option<(AgreedData, &Transport)> {
        self.media.iter().enumerate().find_map(|(line, media)| {
            let TakesData { bytes_max, transport } = media.data.as_ref()?;
            Some((AgreedData { line, mid: media.mid.clone(), bytes_max: *bytes_max }, transport))
        })
    }

    fn choose(&self, kind: Kind, ours: &[OfferedCodec]) -> Option<AgreedMedia> {
        self.media.iter().enumerate().find_map(|(line, media)| {
            let takes = media.takes.as_ref().filter(|takes| takes.kind == kind)?;
            Some(AgreedMedia {
                line,
                mid: media.mid.clone(),
                kind,
                codec: common(ours, takes)?,
                playout_delay: takes.playout_delay,
                reduced_size: takes.reduced_size,
            })
        })
    }
}

/// The codec that we prefer among those the peer has.
fn common(ours: &[OfferedCodec], takes: &Takes) -> Option<OfferedCodec> {
    ours.iter().find_map(|ours| {
        let theirs = takes.codecs.iter().find(|theirs| fits(ours, theirs))?;
        // Of Opus the parameters say what is sent; of pictures, which of its formats the peer meant.
        let own = takes.kind == Kind::Audio;
        Some(OfferedCodec {
            payload_type: theirs.payload_type,
            encoding: ours.encoding,
            parameters: if own { ours.parameters.clone() } else { theirs.parameters.clone() },
            feedback: ours.feedback.iter().copied().filter(|kind| theirs.feedback.contains(kind)).collect(),
        })
    })
}

fn fits(ours: &OfferedCodec, theirs: &RemoteCodec) -> bool {
    let same = |key, default| {
        let of = |parameters| parameter(parameters, key).unwrap_or(default);
        of(&ours.parameters) == of(&theirs.parameters)
    };
    ours.encoding.eq_ignore_ascii_case(&theirs.encoding)
        && match ours.encoding {
            "H264/90000" => {
                parameter(&theirs.parameters, "packetization-mode") == Some("1")
                    && profile(&ours.parameters) == profile(&theirs.parameters)
            }
            "VP9/90000" => same("profile-id", "0"),
            "AV1/90000" => same("profile", "0"),
            _ => true,
        }
}

/// A parameter of an `fmtp`.
pub(super) fn parameter<'a>(parameters: &'a str, key: &str) -> Option<&'a str> {
    let pairs = parameters.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

/// Names a profile of H.264; several spellings name the same one (RFC 6184 8.1, table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum H264Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    Other { idc: u8, constraints: u8 },
}

/// The profile of an `fmtp`; which level of it is not compared, as browsers do not. Baseline when nothing is said.
pub(super) fn profile(parameters: &str) -> Option<H264Profile> {
    let text = parameter(parameters, "profile-level-id").unwrap_or("42000a");
    let number = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 6)?;
    let [_, idc, constraints, _] = number.to_be_bytes();
    Some(match (idc, constraints) {
        (0x42, c) if c & 0x4f == 0x40 => H264Profile::ConstrainedBaseline,
        (0x4d, c) if c & 0x8f == 0x80 => H264Profile::ConstrainedBaseline,
        (0x58, c) if c & 0xcf == 0xc0 => H264Profile::ConstrainedBaseline,
        (0x42, c) if c & 0x4f == 0x00 => H264Profile::Baseline,
        (0x58, c) if c & 0xcf == 0x80 => H264Profile::Baseline,
        (0x4d, c) if c & 0xaf == 0x00 => H264Profile::Main,
        (idc, constraints) => H264Profile::Other { idc, constraints },
    })
}
