//! The stream record of AMS, field by field.

use std::fmt;

use base::WallTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Ratio, STREAM_TIMEOUT, Status};

/// One stream of an application as AMS stores and shows it: same JSON names (misspellings are part
/// of the wire), defaults and nulls. Times are Unix milliseconds unless a field says otherwise.
///
/// This form is also the stored one. Clients are shown [`Broadcast::shown_at`], and what clients send
/// is read by [`Broadcast::parse`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Broadcast {
    /// Unique in its application. `None` only before it is created.
    pub stream_id: Option<String>,
    /// As stored; readers want [`Broadcast::status_at`].
    pub status: Status,
    /// State of a playlist.
    pub play_list_status: Option<String>,
    /// `liveStream`, `ipCamera`, `streamSource`, `VoD`, `playlist`; `None` becomes `liveStream` on creation.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `WebRTC`, `RTMP`, `SRT`, `Pull`.
    pub publish_type: Option<String>,
    /// Shown name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Legacy; always true.
    pub publish: bool,
    /// When it was created.
    pub date: i64,
    /// Unix **seconds**. Both planned dates non-zero: publishing only inside.
    pub planned_start_date: i64,
    /// Unix **seconds**.
    pub planned_end_date: i64,
    /// Milliseconds since the publisher began.
    pub duration: i64,
    /// Where it is pushed to.
    pub end_point_list: Option<Vec<Endpoint>>,
    /// What a playlist plays.
    pub play_list_item_list: Option<Vec<PlayListItem>>,
    /// Listed in public.
    pub public_stream: bool,
    /// A 360 degree picture.
    pub is360: bool,
    /// Address of an IP camera.
    pub ip_addr: Option<String>,
    /// User name of an IP camera.
    pub username: Option<String>,
    /// Password of an IP camera.
    pub password: Option<String>,
    /// Health of the ingest in a word.
    pub quality: Option<String>,
    /// Media time per wall time of the ingest; 1.0 is healthy.
    pub speed: Ratio,
    /// Source to pull.
    pub stream_url: Option<String>,
    /// Node that ingests.
    pub origin_adress: Option<String>,
    /// 1 records, -1 does not, 0 follows the application.
    pub mp4_enabled: i32,
    /// As `mp4_enabled`.
    pub web_m_enabled: i32,
    /// Where a VoD source starts, in milliseconds.
    pub seek_time_in_ms: i64,
    /// Sub tracks that may be live at once; -1 any number.
    pub subtracks_limit: i32,
    /// Milliseconds after `date` until which publishing is allowed; 0 for ever.
    #[serde(rename = "expireDurationMS")]
    pub expire_duration_ms: i32,
    /// Where an encoder publishes.
    #[serde(rename = "rtmpURL")]
    pub rtmp_url: Option<String>,
    /// Made by a publish of an unregistered id; goes when that ends.
    pub zombi: bool,
    /// Packets waiting in the ingest.
    pub pending_packet_size: i32,
    /// HLS viewers of all nodes.
    pub hls_viewer_count: i32,
    /// DASH viewers of all nodes.
    pub dash_viewer_count: i32,
    /// WebRTC viewers of all nodes.
    #[serde(rename = "webRTCViewerCount")]
    pub web_rtc_viewer_count: i32,
    /// RTMP viewers of all nodes.
    pub rtmp_viewer_count: i32,
    /// When the publisher began.
    pub start_time: i64,
    /// Bytes from the publisher.
    pub received_bytes: i64,
    /// Bits per second from the publisher.
    pub bitrate: i64,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Frames waiting for an encoder.
    pub encoder_queue_size: i32,
    /// Packets dropped on the way in.
    pub drop_packet_count_in_ingestion: i32,
    /// Frames an encoder dropped.
    pub drop_frame_count_in_encoding: i32,
    /// Packets that did not arrive.
    pub packets_lost: i32,
    /// Share of packets that did not arrive.
    pub packet_lost_ratio: Ratio,
    /// Jitter of the ingest.
    pub jitter_ms: i32,
    /// Round trip to the publisher.
    pub rtt_ms: i32,
    /// What the publisher calls itself.
    pub user_agent: Option<String>,
    /// The publisher's address.
    pub remote_ip: Option<String>,
    /// Free text.
    pub latitude: Option<String>,
    /// Free text.
    pub longitude: Option<String>,
    /// Free text.
    pub altitude: Option<String>,
    /// The room, when this is one of its tracks.
    pub main_track_stream_id: Option<String>,
    /// The publisher's own wall clock at the start.
    pub absolute_start_time_ms: i64,
    /// WebRTC viewers allowed; -1 any number.
    #[serde(rename = "webRTCViewerLimit")]
    pub web_rtc_viewer_limit: i32,
    /// HLS viewers allowed; -1 any number.
    pub hls_viewer_limit: i32,
    /// DASH viewers allowed; -1 any number.
    pub dash_viewer_limit: i32,
    /// Folder below `streams/`.
    pub sub_folder: Option<String>,
    /// Item a playlist is at.
    pub current_play_index: i32,
    /// Free text (JSON for conferences).
    pub meta_data: Option<String>,
    /// A playlist begins again at its end.
    pub playlist_loop_enabled: bool,
    /// When the publisher last reported.
    pub update_time: i64,
    /// Role in a conference.
    pub role: Option<String>,
    /// HLS settings of this stream.
    pub hls_parameters: Option<HlsParameters>,
    /// A pull source starts with its first viewer.
    pub auto_start_stop_enabled: bool,
    /// Ladder of this stream.
    pub encoder_settings_list: Option<Vec<EncoderSettings>>,
    /// A main track without media of its own.
    #[serde(rename = "virtual")]
    pub is_virtual: bool,
    /// Seconds without a viewer until the idle webhook.
    pub max_idle_time: i32,
    /// Free text.
    pub category: Option<String>,
    /// Webhook of this stream.
    #[serde(rename = "listenerHookURL")]
    pub listener_hook_url: Option<String>,
    /// Tracks of a room (AMS up to 2.17).
    pub sub_track_stream_ids: Vec<String>,
    /// Mode of a room (AMS up to 2.17).
    pub conference_mode: Option<String>,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self {
            stream_id: None,
            status: Status::Created,
            play_list_status: None,
            kind: None,
            publish_type: None,
            name: None,
            description: None,
            publish: true,
            date: 0,
            planned_start_date: 0,
            planned_end_date: 0,
            duration: 0,
            end_point_list: None,
            play_list_item_list: None,
            public_stream: true,
            is360: false,
            ip_addr: None,
            username: None,
            password: None,
            quality: None,
            speed: Ratio::default(),
            stream_url: None,
            origin_adress: None,
            mp4_enabled: 0,
            web_m_enabled: 0,
            seek_time_in_ms: 0,
            subtracks_limit: -1,
            expire_duration_ms: 0,
            rtmp_url: None,
            zombi: false,
            pending_packet_size: 0,
            hls_viewer_count: 0,
            dash_viewer_count: 0,
            web_rtc_viewer_count: 0,
            rtmp_viewer_count: 0,
            start_time: 0,
            received_bytes: 0,
            bitrate: 0,
            width: 0,
            height: 0,
            encoder_queue_size: 0,
            drop_packet_count_in_ingestion: 0,
            drop_frame_count_in_encoding: 0,
            packets_lost: 0,
            packet_lost_ratio: Ratio::default(),
            jitter_ms: 0,
            rtt_ms: 0,
            user_agent: Some("N/A".to_owned()),
            remote_ip: None,
            latitude: None,
            longitude: None,
            altitude: None,
            main_track_stream_id: None,
            absolute_start_time_ms: 0,
            web_rtc_viewer_limit: -1,
            hls_viewer_limit: -1,
            dash_viewer_limit: -1,
            sub_folder: None,
            current_play_index: 0,
            meta_data: None,
            playlist_loop_enabled: true,
            update_time: 0,
            role: None,
            hls_parameters: None,
            auto_start_stop_enabled: false,
            encoder_settings_list: None,
            is_virtual: false,
            max_idle_time: 0,
            category: None,
            listener_hook_url: None,
            sub_track_stream_ids: Vec::new(),
            conference_mode: None,
        }
    }
}

impl Broadcast {
    /// Reads what a client sent. Absent and null keys take their defaults; a key that AMS does not
    /// know is refused, as it does (also `anyoneWatching` and `dbId`).
    pub fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        let Value::Object(mut fields) =
            serde_json::from_slice(json).map_err(|error| Unreadable::Malformed(error.to_string()))?
        else {
            return Err(Unreadable::Malformed("not an object".to_owned()));
        };
        if let Some(unknown) = fields.keys().find(|key| !Self::knows(key)) {
            return Err(Unreadable::UnrecognizedField(unknown.clone()));
        }
        fields.retain(|_, value| !value.is_null());
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| Unreadable::Malformed(error.to_string()))
    }

    /// The status a reader is shown at `now`: a live one whose publisher stopped reporting is
    /// `terminated_unexpectedly` (AMS; rooms without media of their own are exempt).
    pub fn status_at(&self, now: WallTime) -> Status {
        if self.status.is_live() && !self.is_virtual && self.is_silent(now) {
            Status::TerminatedUnexpectedly
        } else {
            self.status.clone()
        }
    }

    /// Whether a publisher is there at `now`.
    pub fn is_live_at(&self, now: WallTime) -> bool {
        self.status_at(now).is_live()
    }

    /// Whether the planned window and the expiry of this broadcast let a publisher in at `now`. Both
    /// planned dates must be set to make a window; bounds belong to it.
    pub fn may_be_published_at(&self, now: WallTime) -> bool {
        let now_ms = millis(now);
        let windowed = self.planned_start_date != 0 && self.planned_end_date != 0;
        let in_window = !windowed
            || (self.planned_start_date.saturating_mul(1000) <= now_ms
                && now_ms <= self.planned_end_date.saturating_mul(1000));
        let expired = self.expire_duration_ms != 0
            && now_ms > self.date.saturating_add(i64::from(self.expire_duration_ms));
        in_window && !expired
    }

    /// As a client is shown it at `now`.
    pub fn shown_at(&self, now: WallTime) -> Shown {
        let viewers = [
            self.hls_viewer_count,
            self.web_rtc_viewer_count,
            self.rtmp_viewer_count,
            self.dash_viewer_count,
        ];
        let anyone_watching = viewers.into_iter().any(|count| count > 0);
        Shown { broadcast: Self { status: self.status_at(now), ..self.clone() }, anyone_watching }
    }

    pub(crate) fn knows(key: &str) -> bool {
        // The record lists its own names: there is no second table to keep in step.
        static NAMES: std::sync::LazyLock<std::collections::BTreeSet<String>> =
            std::sync::LazyLock::new(|| match serde_json::to_value(Broadcast::default()) {
                Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
                _ => std::collections::BTreeSet::new(),
            });
        NAMES.contains(key)
    }

    /// What may be shown to any viewer: without the addresses, accounts and URLs that only who runs
    /// the stream should know. Their keys stay, as null, so that the shape is AMS's.
    pub fn for_viewers(&self) -> Self {
        Self {
            end_point_list: None,
            ip_addr: None,
            username: None,
            password: None,
            stream_url: None,
            remote_ip: None,
            listener_hook_url: None,
            play_list_item_list: None,
            ..self.clone()
        }
    }

    fn is_silent(&self, now: WallTime) -> bool {
        let limit = i64::try_from(STREAM_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        millis(now).saturating_sub(self.update_time) > limit
    }
}

impl fmt::Debug for Broadcast {
    /// Id and status only: the record holds a camera's password and URLs with credentials in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.stream_id.as_deref().unwrap_or_default();
        write!(f, "Broadcast({id:?}, {})", self.status)
    }
}

/// Milliseconds as AMS's `long`.
pub(crate) fn millis(time: WallTime) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A broadcast as a client is shown it: status derived, `anyoneWatching` added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    #[serde(flatten)]
    broadcast: Broadcast,
    anyone_watching: bool,
}

/// Why a client's broadcast cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A key the record does not have; AMS answers 400 and names it.
    #[error("unrecognized field {0:?}")]
    UnrecognizedField(String),
    /// Not JSON, or a value of the wrong type.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// A restream target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Endpoint {
    /// `created`, `broadcasting`, `finished`, `error`, `failed`.
    pub status: Option<String>,
    /// `generic`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Where to.
    pub endpoint_url: Option<String>,
    /// What it is deleted by.
    pub endpoint_service_id: Option<String>,
}

/// One item of a playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests;
