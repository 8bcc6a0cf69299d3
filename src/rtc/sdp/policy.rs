//! Which codecs a track is offered with.

use super::OfferedCodec;

/// RTP clock of video (RFC 6184 8.2.1).
pub const VIDEO_CLOCK_RATE: u32 = 90_000;
/// RTP clock of Opus, whatever the sampling rate (RFC 7587 4.1).
pub const OPUS_CLOCK_RATE: u32 = 48_000;

const H264_OWN: u8 = 96;
const H264_BASELINE: u8 = 97;
const OPUS: u8 = 111;

/// Constrained Baseline 3.1, which every browser takes.
const BASELINE: [u8; 3] = [0x42, 0xe0, 0x1f];

const VIDEO_FEEDBACK: &[&str] = &["nack", "nack pli", "ccm fir"];
const AUDIO_FEEDBACK: &[&str] = &["nack"];

/// H.264 with the stream's own profile, and with the baseline that every browser answers: what is
/// sent is the same, but a browser that does not list the own profile would refuse the track.
///
/// `own` is `profile_idc`, `profile_compatibility` and `level_idc` of the stream's SPS.
pub fn h264(own: [u8; 3]) -> Vec<OfferedCodec> {
    let codec = |payload_type, [profile, compatibility, level]: [u8; 3]| OfferedCodec {
        payload_type,
        encoding: "H264/90000",
        parameters: format!(
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile:02x}{compatibility:02x}{level:02x}"
        ),
        feedback: VIDEO_FEEDBACK,
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
        feedback: AUDIO_FEEDBACK,
    }]
}
