//! What of a stream a WebRTC player can be sent.

use media::{Catalogue, Codec, Kind, Way};
use rtc::Kinds;

/// The media that goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sendable {
    /// As what the picture goes out.
    pub video: Option<Codec>,
    /// Sound goes out, as Opus.
    pub audio: bool,
}

impl Sendable {
    /// The kinds of it.
    pub(super) const fn kinds(self) -> Kinds {
        Kinds { video: self.video.is_some(), audio: self.audio }
    }
}

/// Sorts the tracks of a stream by what `media`'s codec table and the application's settings say.
/// Pictures that cannot be sent refuse the player, in words; sound that cannot be sent is left out.
pub(super) fn sendable(catalogue: &Catalogue, h264_enabled: bool) -> Result<Sendable, String> {
    let mut sendable = Sendable::default();
    if let Some(video) = catalogue.source(Kind::Video) {
        if !h264_enabled && video.config.codec() == Codec::H264 {
            return Err("the application's settings do not allow H.264 for WebRTC (h264Enabled)".to_owned());
        }
        match media::webrtc_way(video) {
            Way::Pass | Way::Transcode(_) => sendable.video = Some(video.config.codec()),
            Way::Refuse(why) => return Err(format!("the stream's video is {why}")),
        }
    }
    if let Some(audio) = catalogue.source(Kind::Audio) {
        match media::webrtc_way(audio) {
            Way::Pass | Way::Transcode(_) => sendable.audio = true,
            Way::Refuse(_) if sendable.video.is_some() => {}
            Way::Refuse(why) => return Err(format!("the stream's audio: {why}")),
        }
    }
    if sendable == Sendable::default() {
        return Err("the stream has neither picture nor sound".to_owned());
    }
    Ok(sendable)
}

/// Why a stream's sound is left out, if it is.
pub(super) fn why_no_sound(catalogue: &Catalogue) -> Option<String> {
    match media::webrtc_way(catalogue.source(Kind::Audio)?) {
        Way::Pass | Way::Transcode(_) => None,
        Way::Refuse(why) => Some(why),
    }
}
