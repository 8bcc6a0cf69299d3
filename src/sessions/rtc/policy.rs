//! What of a stream a WebRTC player can be sent.

use media::{Catalogue, Kind};

/// The kinds of media that go out, and why one does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sendable {
    pub video: bool,
    pub audio: bool,
}

/// Sorts the tracks of a stream by what `media`'s codec table and the application's settings say.
pub(super) fn sendable(catalogue: &Catalogue, h264_enabled: bool) -> Sendable {
    let can = |kind| {
        catalogue.source(kind).is_some_and(|info| match media::webrtc_way(info) {
            media::Way::Pass | media::Way::Transcode => true,
            media::Way::Refuse(why) => {
                tracing::info!(track = %info.id, %why, "a track cannot be played by WebRTC");
                false
            }
        })
    };
    Sendable { video: h264_enabled && can(Kind::Video), audio: can(Kind::Audio) }
}
