//! The applications of this node, as AMS's management shows them.

use std::path::{Path, PathBuf};

use actix_web::{HttpResponse, web};
use base::{AppName, limits};
use cluster_model::{MetaError, Which};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::answer::{Outcome, ok, unavailable};
use crate::broadcasts::shown;

const NOT_ALPHANUMERIC: &str = "Application name is not alphanumeric. Please provide alphanumeric characters";
const EXISTS: &str = "Application with the same name already exists";

/// AMS's `ApplicationInfo`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationInfo {
    name: String,
    live_stream_count: u64,
    vod_count: u64,
    /// Bytes of its folder.
    storage: u64,
}

/// AMS's `BroadcastInfo`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BroadcastInfo {
    /// The stream's id.
    name: String,
    watcher_count: i64,
}

/// `GET /applications-info`.
pub(crate) async fn info(state: &ApiState) -> HttpResponse {
    let mut all = Vec::new();
    for app in &state.applications {
        match of(state, app).await {
            Ok(info) => all.push(info),
            Err(error) => return unavailable(&error),
        }
    }
    ok(&all)
}

async fn of(state: &ApiState, app: &AppName) -> Result<ApplicationInfo, MetaError> {
    let live_stream_count = state.broadcasts.count(app, Which::Live).await?;
    let folder = state.webapps.join(app.as_str());
    let storage = web::block(move || bytes_in(&folder)).await.unwrap_or_default();
    // This version records nothing.
    Ok(ApplicationInfo { name: app.as_str().to_owned(), live_stream_count, vod_count: 0, storage })
}

/// Bytes of the files in a folder and below, of so many as are looked at. Links are not followed.
fn bytes_in(folder: &Path) -> u64 {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let (mut bytes, mut looked_at) = (0_u64, 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            looked_at += 1;
            if looked_at > limits::STORAGE_FILES_MAX {
                return bytes;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() => bytes = bytes.saturating_add(metadata.len()),
                _ => {}
            }
        }
    }
    bytes
}

/// `GET /applications/live-streams/{app}`: live streams with their viewers, at most 250; none of an application nobody knows.
pub(crate) async fn live_streams(state: &ApiState, name: &str) -> HttpResponse {
    let Some(app) = state.application(name) else { return ok(&Vec::<BroadcastInfo>::new()) };
    match state.broadcasts.list(&app, Which::Live, 0, limits::BROADCASTS_PER_LIST_MAX).await {
        Ok(live) => {
            let of = |broadcast: &_| {
                let shown = shown(state, &app, broadcast);
                let broadcast = shown.broadcast();
                let counts = [
                    broadcast.web_rtc_viewer_count,
                    broadcast.hls_viewer_count,
                    broadcast.dash_viewer_count,
                    broadcast.rtmp_viewer_count,
                ];
                BroadcastInfo {
                    name: broadcast.stream_id.clone().unwrap_or_default(),
                    watcher_count: counts.into_iter().map(|count| i64::from(count.max(0))).sum(),
                }
            };
            ok(&live.iter().map(|broadcast| of(broadcast)).collect::<Vec<_>>())
        }
        Err(error) => unavailable(&error),
    }
}

/// `POST /applications/{app}`. Applications are folders, which are looked for when the node starts; nothing is made over REST.
pub(crate) fn create(state: &ApiState, name: &str) -> HttpResponse {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    ok(&Outcome::failure(if !is_name {
        NOT_ALPHANUMERIC.to_owned()
    } else if state.has_application(name) {
        EXISTS.to_owned()
    } else {
        format!(
            "Applications are not created over REST: make the folder {name}/WEB-INF in data.webapps of every node and start \
             the nodes again"
        )
    }))
}

/// `DELETE /applications/{app}`. As for the way there.
pub(crate) fn delete(state: &ApiState, name: &str) -> HttpResponse {
    ok(&Outcome::failure(if state.has_application(name) {
        format!(
            "Applications are not deleted over REST: remove the folder {name} from data.webapps of every node and start the \
             nodes again"
        )
    } else {
        "There is no such application".to_owned()
    }))
}
