//! The stream record of AMS, field by field.

mod parts;

use std::fmt;

use base::WallTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::sealing::is_sealed;
use crate::source_url::{without_credentials, without_key};
use crate::{Heartbeat, Ratio, STREAM_TIMEOUT, Status, Unreadable, lenient};

pub use parts::{EncoderSettings, Endpoint, HlsParameters, PlayListItem};

/// One stream of an application as AMS stores and shows it: same JSON names (misspellings are part
/// of the wire), defaults and nulls. Times are Unix milliseconds unless a field says otherwise.
///
/// This form is also the stored one. Clients are shown [`Broadcast::shown_at`], and what clients send
/// is read by [`Broadcast::parse`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Broadcast {
    /// Unique in its application. `None` only before it is created.
    pub stream_id: Option<String>,
    /// As stored; readers want [`Broadcast::status_at`].
    #[schema(value_type = String)]
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
    /// Webhook of this stream.
    #[serde(rename = "listenerHookURL")]
    pub listener_hook_url: Option<String>,
    /// Free text.
    pub category: Option<String>,
    /// Address of an IP camera.
    pub ip_addr: Option<String>,
    /// User name of an IP camera.
    pub username: Option<String>,
    /// Password of an IP camera. REST shows it to whom the application's own filters let in, and to users who are its
    /// administrators; to other users it is null.
    pub password: Option<String>,
    /// Health of the ingest in a word.
    pub quality: Option<String>,
    /// Media time per wall time of the ingest; 1.0 is healthy.
    #[schema(value_type = f64)]
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
    /// Mode of a room (AMS up to 2.17).
    pub conference_mode: Option<String>,
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
    /// Share of packets that did not arrive.
    #[schema(value_type = f64)]
    pub packet_lost_ratio: Ratio,
    /// Packets that did not arrive.
    pub packets_lost: i32,
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
    /// Tracks of a room (AMS up to 2.17).
    pub sub_track_stream_ids: Vec<String>,
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
            listener_hook_url: None,
            category: None,
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
            conference_mode: None,
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
            packet_lost_ratio: Ratio::default(),
            packets_lost: 0,
            jitter_ms: 0,
            rtt_ms: 0,
            user_agent: Some("N/A".to_owned()),
            remote_ip: None,
            latitude: None,
            longitude: None,
            altitude: None,
            main_track_stream_id: None,
            sub_track_stream_ids: Vec::new(),
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
        }
    }
}

/// How a text of a broadcast may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// It is one.
    Password,
    /// It is a URL or an address, which may carry one.
    Address,
    /// It is where a stream is pushed to: whoever has it can push there, too.
    Target,
}

impl SecretKind {
    /// Whether `text` is to be sealed where it is stored.
    pub(crate) fn is_secret(self, text: &str) -> bool {
        match self {
            Self::Password | Self::Target => true,
            // A name in front of the host, or a query, in which keys of cameras and of SRT stand. What looks sealed would be taken
            // for that.
            Self::Address => text.contains(['@', '?']) || is_sealed(text),
        }
    }
}

impl Broadcast {
    /// All texts that are secret, or may be.
    pub(crate) fn secrets_mut(&mut self) -> impl Iterator<Item = (SecretKind, &mut Option<String>)> {
        let addresses = [&mut self.stream_url, &mut self.ip_addr, &mut self.listener_hook_url];
        let items = self.play_list_item_list.iter_mut().flatten().map(|item| &mut item.stream_url);
        let targets = self.end_point_list.iter_mut().flatten().map(|target| &mut target.endpoint_url);
        std::iter::once((SecretKind::Password, &mut self.password))
            .chain(addresses.into_iter().chain(items).map(|address| (SecretKind::Address, address)))
            .chain(targets.map(|target| (SecretKind::Target, target)))
    }

    /// Whether one of them is sealed.
    pub(crate) fn is_sealed(&self) -> bool {
        let items = self.play_list_item_list.iter().flatten().map(|item| &item.stream_url);
        let targets = self.end_point_list.iter().flatten().map(|target| &target.endpoint_url);
        [&self.password, &self.stream_url, &self.ip_addr, &self.listener_hook_url]
            .into_iter()
            .chain(items)
            .chain(targets)
            .flatten()
            .any(|text| is_sealed(text))
    }

    /// Reads what a client sent. Absent and null keys take their defaults; a key that AMS does not
    /// know is refused, as it does (also `anyoneWatching` and `dbId`).
    pub fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        Self::read(serde_json::from_slice(json)?)
    }

    /// The same for what was JSON.
    pub fn read(value: Value) -> Result<Self, Unreadable> {
        lenient::read(value)
    }

    /// As it would be stored if its publisher reported now: what is live shows `heartbeat`, what is over
    /// stays over.
    #[must_use]
    pub fn reported(&self, heartbeat: &Heartbeat, now: WallTime) -> Option<Self> {
        let long = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        self.status.is_live().then(|| Self {
            update_time: millis(now),
            bitrate: long(heartbeat.bitrate_bps),
            received_bytes: long(heartbeat.received_bytes),
            duration: long(heartbeat.duration_ms),
            speed: heartbeat.speed,
            width: int(heartbeat.width),
            height: int(heartbeat.height),
            web_rtc_viewer_count: int(heartbeat.webrtc_viewers),
            hls_viewer_count: int(heartbeat.hls_viewers),
            rtmp_viewer_count: int(heartbeat.rtmp_viewers),
            ..self.clone()
        })
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
        let anyone_watching = viewers.into_iter().any(|count| count != 0);
        Shown { broadcast: Self { status: self.status_at(now), ..self.clone() }, anyone_watching }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    #[serde(flatten)]
    broadcast: Broadcast,
    anyone_watching: bool,
}

impl Shown {
    /// The broadcast, its status derived.
    pub const fn broadcast(&self) -> &Broadcast {
        &self.broadcast
    }

    /// The same without its camera's password, whose key stays, as null; without names and passwords in URLs; and without the last
    /// part of where it is pushed to, which is a key of somebody's.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        let mut broadcast = self.broadcast;
        for (kind, text) in broadcast.secrets_mut() {
            let Some(shown) = text.as_deref() else { continue };
            *text = match kind {
                SecretKind::Password => None,
                SecretKind::Address => Some(without_credentials(shown)),
                SecretKind::Target => Some(without_key(&without_credentials(shown))),
            };
        }
        Self { broadcast, ..self }
    }
}

#[cfg(test)]
mod tests;
