//! Codecs and their out-of-band configuration.

use std::sync::Arc;

use crate::aac::AacConfig;
use crate::av1::Av1Config;
use crate::h264::H264Config;
use crate::hevc::HevcConfig;
use crate::opus::OpusConfig;
use crate::vp8::Vp8Config;
use crate::vp9::Vp9Config;

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl Kind {
    /// `video` or `audio`, as in SDP and metric labels.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// A codec a track can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    Hevc,
    /// AOMedia AV1.
    Av1,
    /// RFC 6386 VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// ISO/IEC 14496-3 AAC.
    Aac,
    /// RFC 6716 Opus.
    Opus,
}

impl Codec {
    /// Whether it codes sound or pictures.
    pub const fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::Hevc | Self::Av1 | Self::Vp8 | Self::Vp9 => Kind::Video,
            Self::Aac | Self::Opus => Kind::Audio,
        }
    }

    /// The name AMS uses in `stream-info` and `streamInformation`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "h265",
            Self::Av1 => "av1",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }
}

/// What a decoder needs before the first unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecConfig {
    /// SPS and PPS and what they say.
    H264(Arc<H264Config>),
    /// The decoder configuration record and what it says.
    Hevc(Arc<HevcConfig>),
    /// The sequence header and what it says.
    Av1(Arc<Av1Config>),
    /// What the key frames say.
    Vp8(Vp8Config),
    /// What the key frames say.
    Vp9(Vp9Config),
    /// AudioSpecificConfig and what it says.
    Aac(Arc<AacConfig>),
    /// Channel count.
    Opus(OpusConfig),
}

impl CodecConfig {
    /// The codec this configures.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::Hevc(_) => Codec::Hevc,
            Self::Av1(_) => Codec::Av1,
            Self::Vp8(_) => Codec::Vp8,
            Self::Vp9(_) => Codec::Vp9,
            Self::Aac(_) => Codec::Aac,
            Self::Opus(_) => Codec::Opus,
        }
    }
    /// Width and height in pixels; `None` of sound.
    pub fn picture_size(&self) -> Option<(u32, u32)> {
        match self {
            Self::H264(config) => Some((config.width, config.height)),
            Self::Hevc(config) => Some((config.width, config.height)),
            Self::Av1(config) => Some((config.width, config.height)),
            Self::Vp8(config) => Some((config.width, config.height)),
            Self::Vp9(config) => Some((config.width, config.height)),
            Self::Aac(_) | Self::Opus(_) => None,
        }
    }
}
