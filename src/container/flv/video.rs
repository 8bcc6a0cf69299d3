//! Video tag bodies.

use bytes::Bytes;
use media::{Codec, Kind};

use super::codec::carried;
use super::enhanced::Part;
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

/// What a video tag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoBody {
    /// The codec's decoder configuration record, not yet checked: of H.264 and HEVC by ISO/IEC
    /// 14496-15, of AV1 and VP9 by their bindings to ISO media files.
    SequenceHeader(Codec, Bytes),
    /// One access unit.
    Frame {
        /// The codec.
        codec: Codec,
        /// Presentation minus decoding time in milliseconds, a signed 24-bit number.
        composition_ms: i32,
        /// Not yet checked. H.264 and HEVC: NAL units behind lengths of the size the sequence header
        /// gave; AV1: a temporal unit; VP9: a frame or superframe.
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
    /// What it holds of the first track, the only one that is carried.
    pub body: VideoBody,
    /// It has further tracks.
    pub other_tracks: bool,
}

const AVC: u8 = 7;

impl VideoTag {
    /// Reads the body of a video message; payloads share its memory.
    pub fn parse(bytes: &Bytes) -> Result<Self, FlvError> {
        let mut tag = Body::new(bytes);
        let first = tag.byte().map_err(|_| FlvError::Empty)?;
        let frame_type = FrameType::from_bits(first >> 4 & 0x07);
        let (body, other_tracks) = if first & 0x80 == 0 {
            (legacy(tag, first & 0x0f, frame_type)?, false)
        } else {
            enhanced(tag, first & 0x0f, frame_type)?
        };
        Ok(Self { frame_type, body, other_tracks })
    }
}

fn legacy(mut tag: Body, codec: u8, frame_type: FrameType) -> Result<VideoBody, FlvError> {
    if codec != AVC {
        return Err(FlvError::Unsupported { codec: CodecName::legacy_video(codec) });
    }
    if frame_type == FrameType::Command {
        return Ok(VideoBody::Nothing);
    }
    let packet_type = tag.byte()?;
    let composition_ms = signed_24(tag.take()?);
    match packet_type {
        0 => Ok(VideoBody::SequenceHeader(Codec::H264, tag.rest())),
        1 => Ok(VideoBody::Frame { codec: Codec::H264, composition_ms, payload: tag.rest() }),
        2 => Ok(VideoBody::EndOfSequence),
        other => Err(FlvError::BadPacketType(other)),
    }
}

const METADATA: u8 = 4;

/// The second value: it has further tracks.
fn enhanced(mut tag: Body, packet_type: u8, frame_type: FrameType) -> Result<(VideoBody, bool), FlvError> {
    const MULTITRACK: u8 = 6;
    let packet_type = tag.skip_mod_ex(packet_type)?;
    if frame_type == FrameType::Command && packet_type != METADATA {
        return Ok((VideoBody::Nothing, false));
    }
    let first = tag.first_track(packet_type, MULTITRACK)?;
    Ok((first.part.map_or(Ok(VideoBody::Nothing), body)?, first.others))
}

fn body(part: Part) -> Result<VideoBody, FlvError> {
    let codec = carried(part.four_cc).map_err(|codec| FlvError::Unsupported { codec })?;
    if codec.kind() != Kind::Video {
        return Err(FlvError::WrongKind);
    }
    let mut body = part.body;
    match part.packet_type {
        0 => Ok(VideoBody::SequenceHeader(codec, body.rest())),
        1 => {
            // The others have no reordering, and no time for it.
            let reorders = matches!(codec, Codec::H264 | Codec::Hevc);
            let composition_ms = if reorders { signed_24(body.take()?) } else { 0 };
            Ok(VideoBody::Frame { codec, composition_ms, payload: body.rest() })
        }
        2 => Ok(VideoBody::EndOfSequence),
        3 => Ok(VideoBody::Frame { codec, composition_ms: 0, payload: body.rest() }),
        // Colours, and AV1's descriptor of MPEG-2 streams: its sequence header comes in band.
        METADATA | 5 => Ok(VideoBody::Nothing),
        other => Err(FlvError::BadPacketType(other)),
    }
}

fn signed_24([high, middle, low]: [u8; 3]) -> i32 {
    // Read into the upper three bytes, so that the shift back carries the sign.
    i32::from_be_bytes([high, middle, low, 0]) >> 8
}
