//! Which codecs a track is offered with.

use media::{Av1Config, CodecConfig, Vp9Config};

use super::OfferedCodec;

/// RTP clock of video (RFC 6184 8.2.1).
pub const VIDEO_CLOCK_RATE: u32 = 90_000;
/// RTP clock of Opus, whatever the sampling rate (RFC 7587 4.1).
pub const OPUS_CLOCK_RATE: u32 = 48_000;

const H264_OWN: u8 = 96;
const H264_BASELINE: u8 = 97;
const VP9: u8 = 98;
const AV1: u8 = 99;
const VP8: u8 = 100;
const OPUS: u8 = 111;

/// Constrained Baseline 3.1, which every browser takes.
const BASELINE: [u8; 3] = [0x42, 0xe0, 0x1f];

/// What is understood of feedback on pictures.
pub const VIDEO_FEEDBACK: &[&str] = &["nack", "nack pli", "ccm fir"];
const AUDIO_FEEDBACK: &[&str] = &["nack"];

/// What a track is offered as; `None` of what browsers take in no form. A track of AAC is offered as
/// the Opus that is made from it.
pub fn offered(config: &CodecConfig) -> Option<Vec<OfferedCodec>> {
    match config {
        CodecConfig::H264(config) => Some(h264(config.profile_level_id())),
        CodecConfig::Av1(config) => Some(av1(config)),
        CodecConfig::Vp8(_) => Some(vp8()),
        CodecConfig::Vp9(config) => Some(vp9(config)),
        CodecConfig::Opus(config) => Some(opus(config.channels)),
        CodecConfig::Aac(config) => Some(opus(config.channels)),
        CodecConfig::Hevc(_) => None,
    }
}

/// AV1 as the stream is (AOMedia's RTP payload format, 7.1).
fn av1(config: &Av1Config) -> Vec<OfferedCodec> {
    let Av1Config { profile, level_idx, .. } = config;
    let tier = u8::from(config.high_tier);
    vec![video(AV1, "AV1/90000", format!("level-idx={level_idx};profile={profile};tier={tier}"))]
}

/// VP8, which has no profiles that browsers tell apart (RFC 7741 6).
pub fn vp8() -> Vec<OfferedCodec> {
    vec![video(VP8, "VP8/90000", String::new())]
}

/// VP9 as the stream is (RFC 9628 6).
fn vp9(config: &Vp9Config) -> Vec<OfferedCodec> {
    vec![video(VP9, "VP9/90000", format!("profile-id={}", config.profile))]
}

fn video(payload_type: u8, encoding: &'static str, parameters: String) -> OfferedCodec {
    OfferedCodec { payload_type, encoding, parameters, feedback: VIDEO_FEEDBACK.to_vec() }
}

/// H.264 with the stream's own profile, and with the baseline that every browser answers: what is
/// sent is the same, but a browser that does not list the own profile would refuse the track.
///
/// `own` is `profile_idc`, `profile_compatibility` and `level_idc` of the stream's SPS.
pub fn h264(own: [u8; 3]) -> Vec<OfferedCodec> {
    let codec = |payload_type, [profile, compatibility, level]: [u8; 3]| {
        let own = format!("profile-level-id={profile:02x}{compatibility:02x}{level:02x}");
        video(payload_type, "H264/90000", format!("level-asymmetry-allowed=1;packetization-mode=1;{own}"))
    };
    let mut codecs = vec![codec(H264_OWN, own)];
    if own != BASELINE {
        codecs.push(codec(H264_BASELINE, BASELINE));
    }
    codecs
}

/// Opus, which is always signalled as two channels of 48 kHz (RFC 7587 7).
pub fn opus(channels: u8) -> Vec<OfferedCodec> {
    let stereo = u8::from(channels > 1);
    vec![OfferedCodec {
        payload_type: OPUS,
        encoding: "opus/48000/2",
        parameters: format!("minptime=10;useinbandfec=1;stereo={stereo};sprop-stereo={stereo}"),
        feedback: AUDIO_FEEDBACK.to_vec(),
    }]
}
