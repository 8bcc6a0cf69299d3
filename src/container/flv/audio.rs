//! Audio tag bodies.

use bytes::Bytes;

use super::{Body, CodecName, FlvError};

/// What an audio tag holds. The codec is AAC: every other one is an error that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioBody {
    /// An AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), not yet checked.
    SequenceHeader(Bytes),
    /// One raw AAC frame without ADTS; empty where an encoder had nothing to say.
    Raw(Bytes),
    /// Nothing to decode.
    Nothing,
}

/// The body of an audio message. The rate, size and type bits of the legacy header say nothing
/// about AAC (annex E.4.2.1) and are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioTag {
    /// What it holds.
    pub body: AudioBody,
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
                0 => AudioBody::SequenceHeader(tag.rest()),
                1 => AudioBody::Raw(tag.rest()),
                other => return Err(FlvError::BadPacketType(other)),
            },
            EX_HEADER => enhanced(tag, first & 0x0f)?,
            other => return Err(FlvError::Unsupported { codec: CodecName::legacy_audio(other) }),
        };
        Ok(Self { body })
    }
}

fn enhanced(mut tag: Body<'_>, packet_type: u8) -> Result<AudioBody, FlvError> {
    const MULTITRACK: u8 = 5;
    let packet_type = tag.skip_mod_ex(packet_type)?;
    if packet_type == MULTITRACK {
        return Err(FlvError::Unsupported { codec: CodecName::Known("multitrack audio") });
    }
    match CodecName::four_cc(tag.take()?) {
        CodecName::Known("AAC") => {}
        codec => return Err(FlvError::Unsupported { codec }),
    }
    match packet_type {
        0 => Ok(AudioBody::SequenceHeader(tag.rest())),
        1 => Ok(AudioBody::Raw(tag.rest())),
        // The end of the sequence, and a channel order that the AudioSpecificConfig has too.
        2 | 4 => Ok(AudioBody::Nothing),
        other => Err(FlvError::BadPacketType(other)),
    }
}
