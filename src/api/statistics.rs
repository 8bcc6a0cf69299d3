//! Who watches, and what a live stream is made of.

use actix_web::HttpResponse;
use base::{AppName, StreamId, WallTime};
use cluster_model::Broadcast;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::age::{read_many, with_age};
use crate::answer::{ok, unavailable};
use crate::broadcasts::{known, shown};

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

/// One rendition of a live stream: pixels and bits per second. Of a stream of another node `videoBitrate` is that of all of it,
/// `audioBitrate` 0 and `videoCodec` null.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BasicStreamInfo {
    video_height: i32,
    video_width: i32,
    video_bitrate: i32,
    audio_bitrate: i32,
    video_codec: Option<&'static str>,
}

/// `GET /{id}/broadcast-statistics`: all -1 for an id nobody knows; RTMP is -1 while it is live nowhere.
pub(crate) async fn of_broadcast(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let nobody = BroadcastStatistics { rtmp: -1, hls: -1, webrtc: -1, dash: -1 };
    let Ok(id) = StreamId::new(id) else { return ok(&nobody) };
    match known(state, app, &id).await {
        (Ok(Some(broadcast)), age) => with_age(ok(&viewers(state, app, &broadcast)), age),
        (Ok(None), age) => with_age(ok(&nobody), age),
        (Err(error), _) => unavailable(&error),
    }
}

/// By what the stream does now where it is this node's; else by what its node told last.
fn viewers(state: &ApiState, app: &AppName, broadcast: &Broadcast) -> BroadcastStatistics {
    let shown = shown(state, app, broadcast);
    let shown = shown.broadcast();
    BroadcastStatistics {
        rtmp: if shown.status.is_live() { shown.rtmp_viewer_count } else { -1 },
        hls: shown.hls_viewer_count,
        webrtc: shown.web_rtc_viewer_count,
        dash: shown.dash_viewer_count,
    }
}

/// `GET /total-broadcast-statistics`: the sums of all live streams, whichever nodes they are on. As in AMS, RTMP is never counted
/// here.
pub(crate) async fn of_application(state: &ApiState, app: &AppName) -> HttpResponse {
    let nobody = BroadcastStatistics { rtmp: -1, hls: 0, webrtc: 0, dash: 0 };
    read_many(state, state.broadcasts.live(app), |live| {
        // Of one that has fallen silent nobody knows who watches it.
        let told = live.iter().map(|row| viewers(state, app, row)).filter(|viewers| viewers.rtmp >= 0);
        let viewers = told.fold(nobody, |sum, viewers| BroadcastStatistics {
            rtmp: sum.rtmp,
            hls: sum.hls.saturating_add(viewers.hls),
            webrtc: sum.webrtc.saturating_add(viewers.webrtc),
            dash: sum.dash.saturating_add(viewers.dash),
        });
        ok(&AppBroadcastStatistics { viewers, active_live_stream_count: int(live.len() as u64) })
    })
    .await
}

/// `GET /{id}/stream-info`: an array, empty for what is not live.
pub(crate) async fn stream_info(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let Ok(id) = StreamId::new(id) else { return ok(&NOT_LIVE) };
    if let Some(live) = state.streams.live(app, &id) {
        return ok(&[BasicStreamInfo {
            video_height: int(live.heartbeat.height.into()),
            video_width: int(live.heartbeat.width.into()),
            video_bitrate: int(live.video_bitrate_bps),
            audio_bitrate: int(live.audio_bitrate_bps),
            video_codec: live.video_codec,
        }]);
    }
    let (known, age) = known(state, app, &id).await;
    match known.map(|known| known.and_then(|row| told_of(&row, state.clock.wall()))) {
        Ok(Some(told)) => with_age(ok(&[told]), age),
        Ok(None) => with_age(ok(&NOT_LIVE), age),
        Err(error) => unavailable(&error),
    }
}

const NOT_LIVE: [BasicStreamInfo; 0] = [];

/// What the node of a live stream told of it last: one bitrate, of all it comes to, and no codec. A room has no media.
fn told_of(row: &Broadcast, now: WallTime) -> Option<BasicStreamInfo> {
    (row.is_live_at(now) && !row.is_virtual).then(|| BasicStreamInfo {
        video_height: row.height,
        video_width: row.width,
        video_bitrate: i32::try_from(row.bitrate).unwrap_or(i32::MAX),
        audio_bitrate: 0,
        video_codec: None,
    })
}

/// As AMS's `int`.
fn int(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
