//! Records of recordings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A recording as AMS stores and shows it; times and lengths are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Vod {
    /// Name of the stream it was made of.
    pub stream_name: Option<String>,
    /// Name of the file.
    pub vod_name: Option<String>,
    /// The stream it was made of.
    pub stream_id: Option<String>,
    /// When it was made.
    pub creation_date: i64,
    /// Where it begins.
    pub start_time: i64,
    /// How long it is.
    pub duration: i64,
    /// Bytes.
    pub file_size: i64,
    /// Below the application's folder, as `streams/x.mp4`.
    pub file_path: Option<String>,
    /// Unique in its application.
    pub vod_id: Option<String>,
    /// `streamVod`, `userVod`, `uploadedVod`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A picture of it.
    pub preview_file_path: Option<String>,
    /// `inqueue`, `processing`, `finished`, `failed`.
    pub process_status: Option<String>,
    /// When processing began.
    pub process_start_time: i64,
    /// When processing ended.
    pub process_end_time: i64,
    /// Free text.
    pub description: Option<String>,
    /// Free text.
    pub metadata: Option<String>,
    /// Free text.
    pub latitude: Option<String>,
    /// Free text.
    pub longitude: Option<String>,
    /// Free text.
    pub altitude: Option<String>,
}
