//! Video tag bodies.

use bytes::Bytes;

use super::{Body, CodecName, FlvError};

/// What a decoder may do with a frame (annex E.4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// Decoding may start here.
    Key,
    /// Needs frames before it.
    Inter,
    /// Needs frames before it, and no frame needs it.
    Disposable,
    /// A key frame a server made.
    GeneratedKey,
    /// No picture: a command to the player.
    Command,
    /// A number nobody has given out.
    Other(u8),
}

impl FrameType {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Key,
            2 => Self::Inter,
            3 => Self::Disposable,
            4 => Self::GeneratedKey,
            5 => Self::Command,
            other => Self::Other(other),
        }
    }
}

/// What a video tag holds. The codec is H.264: every other one is an error that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoBody {
    /// An AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.2.4.1), not yet checked.
    SequenceHeader(Bytes),
    /// One access unit: NAL units behind lengths of the size the sequence header gave.
    Nalus {
        /// Presentation minus decoding time in milliseconds, a signed 24-bit number.
        composition_ms: i32,
        /// The NAL units, not yet checked.
        payload: Bytes,
    },
    /// No more pictures with this sequence header.
    EndOfSequence,
    /// Nothing to decode: a player command or HDR metadata.
    Nothing,
}

/// The body of a video message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoTag {
    /// What the encoder says of the frame. The bitstream is the truth; encoders get this wrong.
    pub frame_type: FrameType,
    /// What it holds.
    pub body: VideoBody,
}

const AVC: u8 = 7;

impl VideoTag {
    /// Reads the body of a video message; payloads share its memory.
    pub fn parse(bytes: &Bytes) -> Result<Self, FlvError> {
        let mut tag = Body::new(bytes);
        let first = tag.byte().map_err(|_| FlvError::Empty)?;
        let frame_type = FrameType::from_bits(first >> 4 & 0x07);
        let body = if first & 0x80 == 0 {
            legacy(tag, first & 0x0f, frame_type)?
        } else {
            enhanced(tag, first & 0x0f, frame_type)?
        };
        Ok(Self { frame_type, body })
    }
}

fn legacy(mut tag: Body<'_>, codec: u8, frame_type: FrameType) -> Result<VideoBody, FlvError> {
    if codec != AVC {
        return Err(FlvError::Unsupported { codec: CodecName::legacy_video(codec) });
    }
    if frame_type == FrameType::Command {
        return Ok(VideoBody::Nothing);
    }
    let packet_type = tag.byte()?;
    let composition_ms = signed_24(tag.take()?);
    match packet_type {
        0 => Ok(VideoBody::SequenceHeader(tag.rest())),
        1 => Ok(VideoBody::Nalus { composition_ms, payload: tag.rest() }),
        2 => Ok(VideoBody::EndOfSequence),
        other => Err(FlvError::BadPacketType(other)),
    }
}

fn enhanced(mut tag: Body<'_>, packet_type: u8, frame_type: FrameType) -> Result<VideoBody, FlvError> {
    const METADATA: u8 = 4;
    const MULTITRACK: u8 = 6;
    let packet_type = tag.skip_mod_ex(packet_type)?;
    if packet_type == MULTITRACK {
        return Err(FlvError::Unsupported { codec: CodecName::Known("multitrack video") });
    }
    if frame_type == FrameType::Command && packet_type != METADATA {
        return Ok(VideoBody::Nothing);
    }
    match CodecName::four_cc(tag.take()?) {
        CodecName::Known("H.264") => {}
        codec => return Err(FlvError::Unsupported { codec }),
    }
    match packet_type {
        0 => Ok(VideoBody::SequenceHeader(tag.rest())),
        1 => {
            let composition_ms = signed_24(tag.take()?);
            Ok(VideoBody::Nalus { composition_ms, payload: tag.rest() })
        }
        2 => Ok(VideoBody::EndOfSequence),
        3 => Ok(VideoBody::Nalus { composition_ms: 0, payload: tag.rest() }),
        METADATA => Ok(VideoBody::Nothing),
        other => Err(FlvError::BadPacketType(other)),
    }
}

fn signed_24([high, middle, low]: [u8; 3]) -> i32 {
    // Read into the upper three bytes, so that the shift back carries the sign.
    i32::from_be_bytes([high, middle, low, 0]) >> 8
}
