//! Audio tag bodies.

use bytes::Bytes;
use media::{Codec, Kind};

use super::codec::carried;
use super::enhanced::Part;
use super::{Body, CodecName, FlvError};

/// What an audio tag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioBody {
    /// What a decoder needs first, not yet checked: an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1),
    /// or an identification header of Opus (RFC 7845 5.1), which may be empty.
    SequenceHeader(Codec, Bytes),
    /// One raw AAC frame without ADTS, or one Opus packet; empty where an encoder had nothing to say.
    Raw(Codec, Bytes),
    /// Nothing to decode.
    Nothing,
}

/// The body of an audio message. The rate, size and type bits of the legacy header say nothing
/// about AAC (annex E.4.2.1) and are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioTag {
    /// What it holds of the first track, the only one that is carried.
    pub body: AudioBody,
    /// It has further tracks.
    pub other_tracks: bool,
}

const AAC: u8 = 10;
const EX_HEADER: u8 = 9;

impl AudioTag {
    /// Reads the body of an audio message; payloads share its memory.
    pub fn parse(bytes: &Bytes) -> Result<Self, FlvError> {
        let mut tag = Body::new(bytes);
        let first = tag.byte().map_err(|_| FlvError::Empty)?;
        let body = match first >> 4 {
            AAC => match tag.byte()? {
                0 => AudioBody::SequenceHeader(Codec::Aac, tag.rest()),
                1 => AudioBody::Raw(Codec::Aac, tag.rest()),
                other => return Err(FlvError::BadPacketType(other)),
            },
            EX_HEADER => return enhanced(tag, first & 0x0f),
            other => return Err(FlvError::Unsupported { codec: CodecName::legacy_audio(other) }),
        };
        Ok(Self { body, other_tracks: false })
    }
}

fn enhanced(mut tag: Body, packet_type: u8) -> Result<AudioTag, FlvError> {
    const MULTITRACK: u8 = 5;
    let packet_type = tag.skip_mod_ex(packet_type)?;
    let first = tag.first_track(packet_type, MULTITRACK)?;
    let body = first.part.map_or(Ok(AudioBody::Nothing), body)?;
    Ok(AudioTag { body, other_tracks: first.others })
}

fn body(part: Part) -> Result<AudioBody, FlvError> {
    let codec = carried(part.four_cc).map_err(|codec| FlvError::Unsupported { codec })?;
    if codec.kind() != Kind::Audio {
        return Err(FlvError::WrongKind);
    }
    match part.packet_type {
        0 => Ok(AudioBody::SequenceHeader(codec, part.body.rest())),
        1 => Ok(AudioBody::Raw(codec, part.body.rest())),
        // The end of the sequence, and a channel order that the sequence header has too.
        2 | 4 => Ok(AudioBody::Nothing),
        other => Err(FlvError::BadPacketType(other)),
    }
}
