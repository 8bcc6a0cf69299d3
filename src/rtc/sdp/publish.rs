//! Which of the codecs a publisher offers it is asked to send.

mod simplified;

use media::{Codec, Kind};

use super::agreement::{H264Profile, parameter, profile};
use super::policy::{OPUS_CLOCK_RATE, VIDEO_CLOCK_RATE};
use super::remote_offer::{RemoteCodec, RemoteOffer};

pub use simplified::{Simplified, TRANSPORT_CC_URI};

/// Which codecs an application takes from publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishCodecs {
    /// AMS's `h264Enabled`.
    pub h264: bool,
    /// AMS's `vp8Enabled`.
    pub vp8: bool,
}

/// A codec of the offer that is taken, alone: the answer names no other, so that nothing else comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenCodec {
    /// What it is.
    pub codec: Codec,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Channels; 0 of pictures.
    pub channels: u8,
    /// The publisher's number for it.
    pub payload_type: u8,
    /// Format parameters of the answer.
    pub parameters: String,
}

/// H.264 before all others, whatever the publisher's order: every output takes it as it is. Of its profiles
/// constrained baseline first, which every browser encodes and decodes. Among the rest the publisher chooses.
pub fn publish_codec(offer: &RemoteOffer, kind: Kind, allowed: PublishCodecs) -> Option<TakenCodec> {
    let offered = offer.codecs(kind)?;
    let taken = offered.iter().filter_map(|codec| Some((rank(codec, allowed)?, codec)));
    // The first of those that rank the same.
    let (_, codec) = taken.min_by_key(|(rank, _)| *rank)?;
    let what = what(codec)?;
    let is_opus = what == Codec::Opus;
    Some(TakenCodec {
        codec: what,
        clock_rate: if is_opus { OPUS_CLOCK_RATE } else { VIDEO_CLOCK_RATE },
        channels: if is_opus { 2 } else { 0 },
        payload_type: codec.payload_type,
        parameters: if is_opus { "minptime=10;useinbandfec=1".to_owned() } else { codec.parameters.clone() },
    })
}

fn what(codec: &RemoteCodec) -> Option<Codec> {
    const NAMES: [(&str, Codec); 5] = [
        ("H264/90000", Codec::H264),
        ("VP8/90000", Codec::Vp8),
        ("VP9/90000", Codec::Vp9),
        ("AV1/90000", Codec::Av1),
        ("opus/48000/2", Codec::Opus),
    ];
    NAMES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&codec.encoding)).map(|(_, what)| what)
}

/// Lower is preferred; `None` is not taken.
fn rank(codec: &RemoteCodec, allowed: PublishCodecs) -> Option<u8> {
    let is = |key, value| parameter(&codec.parameters, key).is_none_or(|held| held == value);
    match what(codec)? {
        Codec::H264 if allowed.h264 && parameter(&codec.parameters, "packetization-mode") == Some("1") => {
            Some(match profile(&codec.parameters)? {
                H264Profile::ConstrainedBaseline => 0,
                _ => 1,
            })
        }
        Codec::Vp8 if allowed.vp8 => Some(2),
        Codec::Vp9 if is("profile-id", "0") => Some(2),
        Codec::Av1 if is("profile", "0") => Some(2),
        Codec::Opus => Some(0),
        _ => None,
    }
}
