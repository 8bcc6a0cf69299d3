//! What `getStreamInfo` tells of a live stream.

use media::{Codec, CodecConfig, StreamMedia};

use super::message::Rendition;

/// The stream as its source sends it.
pub(super) fn rendition(media: &StreamMedia) -> Rendition {
    let catalogue = media.catalogue();
    let mut rendition =
        Rendition { width: 0, height: 0, video_bitrate: 0, audio_bitrate: 0, video_codec: "" };
    for info in catalogue.tracks.iter().filter(|info| info.derived_from.is_none()) {
        let bitrate = info.track.bitrate_bps();
        match &info.config {
            CodecConfig::H264(h264) => {
                rendition.width = h264.width;
                rendition.height = h264.height;
                rendition.video_bitrate = bitrate;
                rendition.video_codec = Codec::H264.label();
            }
            CodecConfig::Aac(_) | CodecConfig::Opus(_) => rendition.audio_bitrate = bitrate,
        }
    }
    rendition
}
