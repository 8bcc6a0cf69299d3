//! The names of codecs that FLV can carry, and those that are carried on.

use std::fmt;

use media::Codec;

/// A codec as FLV names it, for refusals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CodecName {
    /// One of the codecs the specifications list.
    Known(&'static str),
    /// A number nobody has given out.
    Number(u8),
    /// A FourCC nobody has given out.
    FourCc([u8; 4]),
}

impl CodecName {
    /// The name as a metric label: unknown ones, which an outsider can vary, share one.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Known(name) => name,
            Self::Number(_) | Self::FourCc(_) => "unknown",
        }
    }

    /// Names a video codec by the CodecID of a legacy header (annex E.4.3.1; 12 is the HEVC of
    /// Chinese CDNs).
    pub(super) const fn legacy_video(id: u8) -> Self {
        Self::Known(match id {
            1 => "JPEG",
            2 => "Sorenson H.263",
            3 => "Screen video",
            4 => "On2 VP6",
            5 => "On2 VP6 with alpha",
            6 => "Screen video 2",
            12 => "HEVC (codec id 12)",
            _ => return Self::Number(id),
        })
    }

    /// Names an audio codec by the SoundFormat of a legacy header (annex E.4.2.1; 13 is the Opus
    /// of Chinese CDNs).
    pub(super) const fn legacy_audio(id: u8) -> Self {
        Self::Known(match id {
            0 | 3 => "PCM",
            1 => "ADPCM",
            2 => "MP3",
            4 => "Nellymoser 16 kHz",
            5 => "Nellymoser 8 kHz",
            6 => "Nellymoser",
            7 => "G.711 A-law",
            8 => "G.711 mu-law",
            11 => "Speex",
            13 => "Opus (sound format 13)",
            14 => "MP3 8 kHz",
            15 => "device-specific sound",
            _ => return Self::Number(id),
        })
    }

    /// Names a codec that is not carried by its FourCC in an Enhanced RTMP header.
    const fn four_cc(code: [u8; 4]) -> Self {
        Self::Known(match &code {
            b"vvc1" => "VVC",
            b"vp08" => "VP8",
            b"fLaC" => "FLAC",
            b"ac-3" => "AC-3",
            b"ec-3" => "E-AC-3",
            b".mp3" => "MP3",
            _ => return Self::FourCc(code),
        })
    }
}

/// The codecs that are carried, by their FourCC in an Enhanced RTMP header.
pub const CARRIED: [(&str, Codec); 6] = [
    ("avc1", Codec::H264),
    ("hvc1", Codec::Hevc),
    ("av01", Codec::Av1),
    ("vp09", Codec::Vp9),
    ("mp4a", Codec::Aac),
    ("Opus", Codec::Opus),
];

/// The codec of a FourCC; of one that is not carried, its name.
pub(super) fn carried(code: [u8; 4]) -> Result<Codec, CodecName> {
    let found = CARRIED.iter().find(|(four_cc, _)| four_cc.as_bytes() == code);
    found.map(|(_, codec)| *codec).ok_or(CodecName::four_cc(code))
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => f.write_str(name),
            Self::Number(id) => write!(f, "number {id}"),
            Self::FourCc(code) => write!(f, "\"{}\"", code.escape_ascii()),
        }
    }
}

impl fmt::Debug for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
