//! The applications of this node, as AMS's management shows them.

use std::path::{Path, PathBuf};

use actix_web::{HttpResponse, web};
use async_trait::async_trait;
use base::{AppName, limits};
use cluster_model::{MetaError, VodsWanted, Which};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::age::{read_many, with_age};
use crate::answer::{Outcome, ok, unavailable};
use crate::broadcasts::shown;

const NOT_ALPHANUMERIC: &str = "Application name is not alphanumeric. Please provide alphanumeric characters";

/// Makes and deletes applications while the node runs.
#[async_trait]
pub trait ApplicationKeeper: Send + Sync {
    /// Makes an application with settings of its own, and returns when it can be used on this node. Of one that could not be made
    /// nothing is left.
    async fn create(&self, app: &AppName) -> Result<(), ApplicationFault>;

    /// Ends the streams of an application and takes it away; its folder is moved out of the way.
    async fn delete(&self, app: &AppName, data: StoredData) -> Result<(), ApplicationFault>;
}

/// What becomes of what is stored of the streams of an application that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredData {
    /// It stays, and is there again when the application is made anew.
    Kept,
    /// It is deleted: broadcasts, and tokens and subscribers of them.
    Deleted,
}

/// Why an application was not made or not deleted. The texts go to the client as they are; AMS's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationFault {
    /// The name is taken.
    #[error("Application with the same name already exists")]
    Exists,
    /// There is none of that name.
    #[error("There is no such application")]
    Absent,
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// Something else, in words for the client.
    #[error("{0}")]
    Refused(String),
}

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
    for app in state.applications.all().iter() {
        match of(state, app).await {
            Ok(info) => all.push(info),
            Err(error) => return unavailable(&error),
        }
    }
    // Also of what is too old: what an operator looks at while nothing else is shown.
    with_age(ok(&all), state.cluster.place().age_ms)
}

async fn of(state: &ApiState, app: &AppName) -> Result<ApplicationInfo, MetaError> {
    let live_stream_count = state.broadcasts.count(app, Which::Live).await?;
    let folder = state.webapps.join(app.as_str());
    let storage = web::block(move || bytes_in(&folder)).await.unwrap_or_default();
    let vod_count = state.vods.count(app, &VodsWanted::default()).await?;
    Ok(ApplicationInfo { name: app.as_str().to_owned(), live_stream_count, vod_count, storage })
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
    let live = state.broadcasts.list(&app, Which::Live, 0, limits::BROADCASTS_PER_LIST_MAX);
    read_many(state, live, |live| ok(&live.iter().map(|broadcast| of(broadcast)).collect::<Vec<_>>())).await
}

/// `POST /applications/{app}`. Answered when the application can be used on this node.
pub(crate) async fn create(state: &ApiState, name: &str) -> HttpResponse {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return ok(&Outcome::failure(NOT_ALPHANUMERIC));
    }
    match AppName::new(name) {
        Ok(app) => answer(state.keeper.create(&app).await),
        Err(error) => ok(&Outcome::failure(error.to_string())),
    }
}

/// `DELETE /applications/{app}?deleteDB=true|false`. Answered when it is gone from this node.
pub(crate) async fn delete(state: &ApiState, name: &str, query: &str) -> HttpResponse {
    let parameters = sessions::Parameters::read(query);
    let also = parameters.get("deleteDB").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let data = if also { StoredData::Deleted } else { StoredData::Kept };
    match AppName::new(name) {
        Ok(app) => answer(state.keeper.delete(&app, data).await),
        Err(_) => answer(Err(ApplicationFault::Absent)),
    }
}

fn answer(done: Result<(), ApplicationFault>) -> HttpResponse {
    match done {
        Ok(()) => ok(&Outcome::success("")),
        Err(ApplicationFault::Meta(error)) => unavailable(&error),
        Err(fault) => ok(&Outcome::failure(fault.to_string())),
    }
}
