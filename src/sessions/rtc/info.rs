//! What `getStreamInfo` tells of a live stream.

use media::StreamMedia;

use super::message::Rendition;

/// The stream as its source sends it.
pub(super) fn rendition(media: &StreamMedia) -> Rendition {
    let catalogue = media.catalogue();
    let mut rendition =
        Rendition { width: 0, height: 0, video_bitrate: 0, audio_bitrate: 0, video_codec: "" };
    for info in catalogue.tracks.iter().filter(|info| info.derived_from.is_none()) {
        let bitrate = info.track.bitrate_bps();
        match info.config.picture_size() {
            Some((width, height)) => {
                (rendition.width, rendition.height) = (width, height);
                rendition.video_bitrate = bitrate;
                rendition.video_codec = info.config.codec().label();
            }
            None => rendition.audio_bitrate = bitrate,
        }
    }
    rendition
}
