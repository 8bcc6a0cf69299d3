//! What of a stream a WebRTC player can be sent.

use config::AppSettings;
use media::{Catalogue, Codec, Kind, TrackInfo, Unmade, Way};
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

/// What pictures the application's settings let WebRTC players have, of those that AMS has a switch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    h264: bool,
    vp8: bool,
}

impl Allowed {
    /// By those settings.
    pub(super) fn by(settings: &AppSettings) -> Self {
        Self { h264: settings.h264_enabled(), vp8: settings.vp8_enabled() }
    }

    /// Why a codec may not be sent, if so.
    fn refusal(self, codec: Codec) -> Option<String> {
        let (name, setting) = match codec {
            Codec::H264 if !self.h264 => ("H.264", "h264Enabled"),
            Codec::Vp8 if !self.vp8 => ("VP8", "vp8Enabled"),
            _ => return None,
        };
        Some(format!("the application's settings do not allow {name} for WebRTC ({setting})"))
    }
}

/// Why a stream's pictures cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsendable {
    /// In words.
    pub why: String,
    /// It may be otherwise in a while, without anybody having changed anything.
    pub for_now: bool,
}

impl From<String> for Unsendable {
    fn from(why: String) -> Self {
        Self { why, for_now: false }
    }
}

/// Sorts the tracks of a stream by what `media`'s codec table and the application's settings say; `None`
/// while its pictures are still being made into what can be sent. Pictures that cannot be sent refuse the
/// player, in words; sound that cannot be sent is left out.
pub(super) fn sendable(catalogue: &Catalogue, allowed: Allowed) -> Result<Option<Sendable>, Unsendable> {
    let mut sendable = Sendable::default();
    let mut pending = false;
    if let Some(video) = catalogue.source(Kind::Video) {
        if let Some(why) = allowed.refusal(video.config.codec()) {
            return Err(why.into());
        }
        match media::webrtc_way(video) {
            Way::Pass => sendable.video = Some(video.config.codec()),
            Way::Transcode(conversion) => match &video.unmade {
                Some(Unmade { why, for_now }) => {
                    return Err(Unsendable { why: format!("the stream's video {why}"), for_now: *for_now });
                }
                None => {
                    sendable.video = Some(conversion.codec());
                    pending = catalogue.for_webrtc(Kind::Video).is_none();
                }
            },
            Way::Refuse(why) => return Err(format!("the stream's video is {why}").into()),
        }
    }
    if let Some(audio) = catalogue.source(Kind::Audio) {
        match why_no_sound_of(audio) {
            None => sendable.audio = true,
            Some(_) if sendable.video.is_some() => {}
            Some(why) => return Err(format!("the stream's audio: {why}").into()),
        }
    }
    if sendable == Sendable::default() {
        return Err("the stream has neither picture nor sound".to_owned().into());
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
        Way::Transcode(_) => audio.unmade.as_ref().map(|unmade| (*unmade.why).to_owned()),
        Way::Refuse(why) => Some(why),
    }
}

#[cfg(test)]
mod tests {
    use base::TrackId;
    use media::{CodecConfig, MediaBudget, StreamMedia, Vp8Config, Vp9Config};

    use super::*;

    #[test]
    fn settings_refuse_codecs_by_name() {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let allowed = Allowed { h264: true, vp8: false };
        let sent_as = |config: CodecConfig, allowed| {
            media.write_track(&TrackId::new("video").unwrap(), &config, None).unwrap();
            sendable(&media.catalogue(), allowed).map(|sendable| sendable.unwrap().video)
        };
        let vp8 = || CodecConfig::Vp8(Vp8Config { width: 320, height: 180 });
        let why = "the application's settings do not allow VP8 for WebRTC (vp8Enabled)";
        assert_eq!(sent_as(vp8(), allowed), Err(why.to_owned().into()));
        assert_eq!(sent_as(vp8(), Allowed { vp8: true, ..allowed }), Ok(Some(Codec::Vp8)));
        let vp9 = CodecConfig::Vp9(Vp9Config { profile: 0, width: 320, height: 180 });
        assert_eq!(sent_as(vp9, allowed), Ok(Some(Codec::Vp9)), "AMS has no switch for it");
        assert_eq!(
            Allowed { h264: false, vp8: true }.refusal(Codec::H264).unwrap(),
            "the application's settings do not allow H.264 for WebRTC (h264Enabled)"
        );
    }
}
