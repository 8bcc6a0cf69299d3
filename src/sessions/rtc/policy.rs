//! What of a stream a WebRTC player can be sent.

use media::{Catalogue, Codec, Kind, TrackInfo, Way};
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

/// Sorts the tracks of a stream by what `media`'s codec table and the application's settings say; `None`
/// while its pictures are still being made into what can be sent. Pictures that cannot be sent refuse the
/// player, in words; sound that cannot be sent is left out.
pub(super) fn sendable(catalogue: &Catalogue, h264_enabled: bool) -> Result<Option<Sendable>, String> {
    let mut sendable = Sendable::default();
    let mut pending = false;
    if let Some(video) = catalogue.source(Kind::Video) {
        if !h264_enabled && video.config.codec() == Codec::H264 {
            return Err("the application's settings do not allow H.264 for WebRTC (h264Enabled)".to_owned());
        }
        match media::webrtc_way(video) {
            Way::Pass => sendable.video = Some(video.config.codec()),
            Way::Transcode(conversion) => match &video.unmade {
                Some(why) => return Err(format!("the stream's video {why}")),
                None => {
                    sendable.video = Some(conversion.codec());
                    pending = catalogue.for_webrtc(Kind::Video).is_none();
                }
            },
            Way::Refuse(why) => return Err(format!("the stream's video is {why}")),
        }
    }
    if let Some(audio) = catalogue.source(Kind::Audio) {
        match why_no_sound_of(audio) {
            None => sendable.audio = true,
            Some(_) if sendable.video.is_some() => {}
            Some(why) => return Err(format!("the stream's audio: {why}")),
        }
    }
    if sendable == Sendable::default() {
        return Err("the stream has neither picture nor sound".to_owned());
    }
    Ok((!pending).then_some(sendable))
}

/// Whether a program is still to begin with a stream's sound. By how much that will be later than the pictures
/// has to be known when both are agreed on.
pub(super) fn sound_is_coming(catalogue: &Catalogue) -> bool {
    let made = catalogue.source(Kind::Audio).filter(|audio| media::webrtc_way(audio) != Way::Pass);
    made.is_some_and(|audio| why_no_sound_of(audio).is_none()) && catalogue.opus_source().is_none()
}

/// Why a stream's sound is left out, if it is.
pub(super) fn why_no_sound(catalogue: &Catalogue) -> Option<String> {
    why_no_sound_of(catalogue.source(Kind::Audio)?)
}

fn why_no_sound_of(audio: &TrackInfo) -> Option<String> {
    match media::webrtc_way(audio) {
        Way::Pass => None,
        Way::Transcode(_) => audio.unmade.as_deref().map(str::to_owned),
        Way::Refuse(why) => Some(why),
    }
}
