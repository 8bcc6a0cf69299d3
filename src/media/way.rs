//! What becomes of a source track on its way to an output: passed on, transcoded, or refused.
//!
//! The one table of codecs; ARCHITECTURE.md shows it, sessions and transcoders read it.

use crate::catalogue::TrackInfo;
use crate::codec::CodecConfig;

/// What becomes of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Pass,
    /// Through a transcoder that runs once per stream.
    Transcode,
    /// Not at all; the reason, in words for people.
    Refuse(String),
}

/// What becomes of a track on its way to WebRTC players.
pub fn webrtc_way(info: &TrackInfo) -> Way {
    match &info.config {
        // RTP carries pictures in decoding order and browsers show them in that order.
        CodecConfig::H264(_) if info.reorders => Way::Refuse(
            "H.264 with B-frames, which WebRTC cannot show; switch B-frames off in the encoder (bf=0, or tune zerolatency)".to_owned(),
        ),
        CodecConfig::H264(_) | CodecConfig::Opus(_) => Way::Pass,
        CodecConfig::Aac(aac) => match aac.webrtc_support() {
            Ok(()) => Way::Transcode,
            Err(why) => Way::Refuse(why.to_string()),
        },
    }
}
