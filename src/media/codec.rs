//! Codecs and their out-of-band configuration.

use std::sync::Arc;

use crate::aac::AacConfig;
use crate::h264::H264Config;

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
    /// ISO/IEC 14496-3 AAC.
    Aac,
    /// RFC 6716 Opus.
    Opus,
}

impl Codec {
    /// Whether it codes sound or pictures.
    pub const fn kind(self) -> Kind {
        match self {
            Self::H264 => Kind::Video,
            Self::Aac | Self::Opus => Kind::Audio,
        }
    }

    /// The name AMS uses in `stream-info` and `streamInformation`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }
}

/// What Opus needs beside its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// 1 or 2.
    pub channels: u8,
}

/// What a decoder needs before the first unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecConfig {
    /// SPS and PPS and what they say.
    H264(Arc<H264Config>),
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
            Self::Aac(_) => Codec::Aac,
            Self::Opus(_) => Codec::Opus,
        }
    }
}
