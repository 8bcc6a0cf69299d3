//! One access unit or audio frame.

use std::time::Instant;

use base::MediaTime;
use bytes::Bytes;

/// One access unit of video or one frame of audio, as it flows from a source to every reader.
///
/// `payload` by codec: H.264: NAL units, each behind a 4-byte big-endian length (AVCC with
/// `lengthSizeMinusOne` = 3), without SPS/PPS/AUD; HEVC: the same with everything in it; AV1: one
/// temporal unit in which every OBU has its size, without temporal delimiters; VP9: one frame or
/// superframe; AAC: one raw frame without ADTS; Opus: one packet.
#[derive(Clone, Debug)]
pub struct Unit {
    /// When it is to be decoded, on the stream's clock. Never goes back within a track.
    pub dts: MediaTime,
    /// When it is to be shown. `pts >= dts`; differs from it only in video with B-frames.
    pub pts: MediaTime,
    /// When its first byte reached this node.
    pub arrived: Instant,
    /// A reader may start here: an IDR picture, or any audio frame.
    pub key: bool,
    /// The generation of the codec configuration it needs (see [`crate::TrackInfo::generation`]).
    pub generation: u32,
    /// The coded data, shared by all readers.
    pub payload: Bytes,
}
