//! What becomes of a source track on its way to an output: passed on, transcoded, or refused.
//!
//! [`TABLE`] is the one table of codecs: sessions, shards and transcoders read it, and
//! ARCHITECTURE.md shows it ([`codec_table_markdown`]). A new case is a new row; of the rows that
//! fit a track the first counts, and a track that fits none is refused.

use std::fmt;
use std::fmt::Write as _;

use crate::catalogue::TrackInfo;
use crate::codec::{Codec, CodecConfig};

/// What becomes of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Pass,
    /// Through a transcoder that runs once per stream.
    Transcode(Conversion),
    /// Not at all; the reason, in words for people.
    Refuse(String),
}

/// What a transcoder makes, and where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Opus, on the pool of audio threads.
    OpusInProcess,
    /// AAC-LC by an ffmpeg of its own, and Opus from that.
    PlainAacThenOpus,
    /// H.264 whose pictures come in the order they are shown in, by an ffmpeg of its own (or what the
    /// node's setting `webrtc.b_frames` says instead).
    PicturesInOrder,
}

impl Conversion {
    /// What players get.
    pub const fn codec(self) -> Codec {
        match self {
            Self::OpusInProcess | Self::PlainAacThenOpus => Codec::Opus,
            Self::PicturesInOrder => Codec::H264,
        }
    }
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpusInProcess => "transcode to Opus, in process",
            Self::PlainAacThenOpus => "transcode to AAC-LC by ffmpeg, and to Opus in process",
            Self::PicturesInOrder => {
                "transcode to H.264 without B-frames by ffmpeg (`webrtc.b_frames`: or refuse, or drop)"
            }
        })
    }
}

/// A source the table tells apart from others.
struct Row {
    /// Its name in ARCHITECTURE.md.
    source: &'static str,
    fits: fn(&TrackInfo) -> bool,
    webrtc: Rule,
    flv: Rule,
}

enum Rule {
    Pass,
    Transcode(Conversion),
    Refuse(fn(&TrackInfo) -> String),
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { source: "H.264 without B-frames", fits: |info| h264(info) && !info.reorders, webrtc: Rule::Pass, flv: Rule::Pass },
    Row { source: "H.264 with B-frames", fits: h264, webrtc: Rule::Transcode(Conversion::PicturesInOrder), flv: Rule::Pass },
    Row { source: "HEVC", fits: |info| matches!(info.config, CodecConfig::Hevc(_)), webrtc: Rule::Refuse(hevc), flv: Rule::Pass },
    Row { source: "AV1", fits: |info| matches!(info.config, CodecConfig::Av1(_)), webrtc: Rule::Pass, flv: Rule::Pass },
    Row { source: "VP8", fits: |info| matches!(info.config, CodecConfig::Vp8(_)), webrtc: Rule::Pass, flv: Rule::Refuse(vp8) },
    Row { source: "VP9", fits: |info| matches!(info.config, CodecConfig::Vp9(_)), webrtc: Rule::Pass, flv: Rule::Pass },
    Row { source: "Opus, mono or stereo", fits: |info| opus_channels(info).is_some_and(|channels| channels <= 2), webrtc: Rule::Pass, flv: Rule::Pass },
    Row { source: "Opus with more channels", fits: |info| opus_channels(info).is_some(), webrtc: Rule::Refuse(surround_opus), flv: Rule::Refuse(surround_opus) },
    Row { source: "AAC-LC, mono or stereo, 44.1 or 48 kHz", fits: plain_aac, webrtc: Rule::Transcode(Conversion::OpusInProcess), flv: Rule::Pass },
    Row { source: "other AAC", fits: aac, webrtc: Rule::Transcode(Conversion::PlainAacThenOpus), flv: Rule::Pass },
];

fn h264(info: &TrackInfo) -> bool {
    matches!(info.config, CodecConfig::H264(_))
}

fn opus_channels(info: &TrackInfo) -> Option<u8> {
    match info.config {
        CodecConfig::Opus(opus) => Some(opus.channels),
        _ => None,
    }
}

fn aac(info: &TrackInfo) -> bool {
    matches!(info.config, CodecConfig::Aac(_))
}

fn plain_aac(info: &TrackInfo) -> bool {
    matches!(&info.config, CodecConfig::Aac(aac) if aac.is_plain())
}

// Chromium decodes it with the machine's hardware only, and few machines have the part.
fn hevc(_: &TrackInfo) -> String {
    "HEVC, which browsers do not take over WebRTC; use H.264, AV1 or VP9".to_owned()
}

// Enhanced RTMP has a name for it, and no player reads that.
fn vp8(_: &TrackInfo) -> String {
    "VP8, which players of FLV do not take; play it by WebRTC, or publish H.264".to_owned()
}

fn surround_opus(info: &TrackInfo) -> String {
    let channels = opus_channels(info).unwrap_or_default();
    format!("Opus with {channels} channels is not supported for players; use mono or stereo")
}

/// What becomes of a track on its way to WebRTC players.
pub fn webrtc_way(info: &TrackInfo) -> Way {
    way(info, |row| &row.webrtc)
}

/// What becomes of a track on its way to players of FLV. What legacy FLV has no number for goes as Enhanced RTMP
/// writes it: older players show the rest.
pub fn flv_way(info: &TrackInfo) -> Way {
    way(info, |row| &row.flv)
}

fn way(info: &TrackInfo, output: fn(&Row) -> &Rule) -> Way {
    match TABLE.iter().find(|row| (row.fits)(info)).map(output) {
        Some(Rule::Pass) => Way::Pass,
        Some(Rule::Transcode(conversion)) => Way::Transcode(*conversion),
        Some(Rule::Refuse(why)) => Way::Refuse(why(info)),
        None => Way::Refuse(format!("{}, which no output takes", info.config.codec().label())),
    }
}

/// The table as ARCHITECTURE.md shows it.
pub fn codec_table_markdown() -> String {
    let mut out = "| source | WebRTC | FLV |\n|---|---|---|\n".to_owned();
    let shown = |rule: &Rule| match rule {
        Rule::Pass => "pass".to_owned(),
        Rule::Transcode(conversion) => conversion.to_string(),
        Rule::Refuse(_) => "refuse, by name".to_owned(),
    };
    for row in TABLE {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "| {} | {} | {} |", row.source, shown(&row.webrtc), shown(&row.flv));
    }
    out
}
