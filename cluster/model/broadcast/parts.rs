//! The records inside a broadcast.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A restream target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Endpoint {
    /// `created`, `broadcasting`, `finished`, `error`, `failed`.
    pub status: Option<String>,
    /// `generic`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where to; `rtmpUrl` for clients of AMS up to 2.17.
    #[serde(alias = "rtmpUrl")]
    pub endpoint_url: Option<String>,
    /// What it is deleted by.
    pub endpoint_service_id: Option<String>,
}

/// One item of a playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PlayListItem {
    /// Source.
    pub stream_url: Option<String>,
    /// Kind of source.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Shown name.
    pub name: Option<String>,
    /// Milliseconds.
    pub duration_in_ms: i64,
    /// Where it starts, in milliseconds.
    pub seek_time_in_ms: i64,
}

/// HLS settings of one stream, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HlsParameters {
    /// Seconds per segment.
    pub hls_time: Option<String>,
    /// Segments in the playlist.
    pub hls_list_size: Option<String>,
    /// `event`, `vod` or nothing.
    pub hls_play_list_type: Option<String>,
}

/// One rung of a ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EncoderSettings {
    /// Pixels.
    pub height: i32,
    /// Bits per second.
    pub video_bitrate: i32,
    /// Bits per second.
    pub audio_bitrate: i32,
    /// Also when the source is smaller.
    pub force_encode: bool,
    /// Also when the source is as large.
    pub force_same_resolution_encode: bool,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self {
            height: 0,
            video_bitrate: 0,
            audio_bitrate: 0,
            force_encode: true,
            force_same_resolution_encode: false,
        }
    }
}
