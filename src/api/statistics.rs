//! Who watches, and what a live stream is made of.

use actix_web::HttpResponse;
use base::{AppName, StreamId};
use cluster_model::{MetaError, Which};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::answer::{ok, unavailable};
use crate::broadcasts::shown;

/// Viewers of one broadcast; -1 where AMS has nothing to count.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct BroadcastStatistics {
    #[serde(rename = "totalRTMPWatchersCount")]
    rtmp: i32,
    #[serde(rename = "totalHLSWatchersCount")]
    hls: i32,
    #[serde(rename = "totalWebRTCWatchersCount")]
    webrtc: i32,
    #[serde(rename = "totalDASHWatchersCount")]
    dash: i32,
}

/// Viewers of an application, and its live broadcasts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppBroadcastStatistics {
    #[serde(flatten)]
    viewers: BroadcastStatistics,
    active_live_stream_count: i32,
}

/// One rendition of a live stream: pixels and bits per second.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BasicStreamInfo {
    video_height: i32,
    video_width: i32,
    video_bitrate: i32,
    audio_bitrate: i32,
    video_codec: Option<&'static str>,
}

/// `GET /{id}/broadcast-statistics`: all -1 for an id nobody knows; RTMP is -1 while it is not live.
pub(crate) async fn of_broadcast(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    match viewers(state, app, id).await {
        Ok(viewers) => ok(&viewers),
        Err(error) => unavailable(&error),
    }
}

async fn viewers(state: &ApiState, app: &AppName, id: &str) -> Result<BroadcastStatistics, MetaError> {
    let nobody = BroadcastStatistics { rtmp: -1, hls: -1, webrtc: -1, dash: -1 };
    let Ok(id) = StreamId::new(id) else { return Ok(nobody) };
    let Some(broadcast) = state.broadcasts.get(app, &id).await? else { return Ok(nobody) };
    let is_live = state.streams.live(app, &id).is_some();
    let shown = shown(state, app, &broadcast);
    let shown = shown.broadcast();
    Ok(BroadcastStatistics {
        rtmp: if is_live { shown.rtmp_viewer_count } else { -1 },
        hls: shown.hls_viewer_count,
        webrtc: shown.web_rtc_viewer_count,
        dash: shown.dash_viewer_count,
    })
}

/// `GET /total-broadcast-statistics`. As in AMS, RTMP is never counted here.
pub(crate) async fn of_application(state: &ApiState, app: &AppName) -> HttpResponse {
    let live = match state.broadcasts.count(app, Which::Live).await {
        Ok(live) => live,
        Err(error) => return unavailable(&error),
    };
    let viewers = BroadcastStatistics { rtmp: -1, hls: 0, webrtc: int(state.streams.players(app)), dash: 0 };
    ok(&AppBroadcastStatistics { viewers, active_live_stream_count: int(live) })
}

/// `GET /{id}/stream-info`: an array, empty for what is not live.
pub(crate) fn stream_info(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let live = StreamId::new(id).ok().and_then(|id| state.streams.live(app, &id));
    let renditions: Vec<_> = live
        .map(|live| BasicStreamInfo {
            video_height: int(live.heartbeat.height.into()),
            video_width: int(live.heartbeat.width.into()),
            video_bitrate: int(live.video_bitrate_bps),
            audio_bitrate: int(live.audio_bitrate_bps),
            video_codec: live.video_codec,
        })
        .into_iter()
        .collect();
    ok(&renditions)
}

/// As AMS's `int`.
fn int(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
