//! `/{App}/rest/v2/broadcasts`, one at a time: with AMS's shapes, status codes and messages.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use base::limits::{REST_IDS_MAX, REST_SUBTRACKS_MAX};
use base::{AppName, StreamId};
use cluster_model::{
    Broadcast, BroadcastPatch, CreateError, MetaError, Shown, Unreadable, is_source_url, read_texts,
};
use serde_json::Value;
use sessions::Parameters;

use crate::ApiState;
use crate::age::{Age, read_one, with_age};
use crate::answer::{self, Outcome, ok, refusal, unavailable};
use crate::body::is_true;
use crate::door::Asker;

const AUTO_START_NEEDS_SOURCE: &str = "Auto start query needs an IP camera or stream source.";
const AUTO_START_UNSUPPORTED: &str = "This server does not pull streams, so it cannot start one.";
const SUBFOLDER_INVALID: &str = "Subfolder is not valid. ";

/// A broadcast as it is in this second: what is live shows what it is doing, not what was stored of it.
pub(crate) fn shown(state: &ApiState, app: &AppName, broadcast: &Broadcast) -> Shown {
    let now = state.clock.wall();
    let id = broadcast.stream_id.as_deref().and_then(|id| StreamId::new(id).ok());
    let live = id.and_then(|id| state.streams.live(app, &id));
    match live.and_then(|live| broadcast.reported(&live.heartbeat, now)) {
        Some(reported) => reported.shown_at(now),
        None => broadcast.shown_at(now),
    }
}

/// The same as `asker` may see it.
pub(crate) fn shown_to(asker: &Asker, state: &ApiState, app: &AppName, broadcast: &Broadcast) -> Shown {
    let shown = shown(state, app, broadcast);
    if asker.sees_secrets_of(app) { shown } else { shown.without_secrets() }
}

/// `POST /create`: 200 with the stored broadcast, 400 with a `Result` that says what is wrong.
pub(crate) async fn create(
    state: &ApiState,
    app: &AppName,
    body: Option<Value>,
    query: &str,
) -> HttpResponse {
    let auto_start = is_true(Parameters::read(query).get("autoStart"), false);
    if auto_start && body.is_none() {
        return ok(&Outcome::failure("unexpected parameters received"));
    }
    let mut draft = match read_draft(body) {
        Ok(draft) => draft,
        Err(why) => return answer::unreadable(&why),
    };
    if auto_start {
        return start_at_once(state, app, &draft).await;
    }
    if draft.listener_hook_url.as_deref().is_none_or(str::is_empty) {
        let settings = state.settings.snapshot(app);
        let hook = settings.as_ref().and_then(|settings| settings.get("listenerHookURL")?.as_str());
        draft.listener_hook_url =
            hook.filter(|hook| !hook.is_empty()).map(str::to_owned).or(draft.listener_hook_url);
    }
    match state.broadcasts.create(app, draft, Some(&state.server_name)).await {
        Ok(broadcast) => ok(&shown(state, app, &broadcast)),
        Err(CreateError::Meta(error)) => unavailable(&error),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// What `autoStart` asks for, this server cannot do; AMS answers 200 here, but for ids that cannot be.
async fn start_at_once(state: &ApiState, app: &AppName, draft: &Broadcast) -> HttpResponse {
    if let Some(id) = draft.stream_id.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        let taken = match StreamId::new(id) {
            Ok(id) => state.broadcasts.get(app, &id).await.map(|known| known.map(|_| CreateError::Exists)),
            Err(error) => Ok(Some(CreateError::InvalidStreamId(error))),
        };
        match taken {
            Ok(None) => {}
            Ok(Some(error)) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
            Err(error) => return unavailable(&error),
        }
    }
    let is_source = matches!(draft.kind.as_deref(), Some("ipCamera" | "streamSource" | "playlist"));
    ok(&Outcome::failure(if is_source { AUTO_START_UNSUPPORTED } else { AUTO_START_NEEDS_SOURCE }))
}

/// What AMS makes of a body: nothing is an empty broadcast, a text is its name.
fn read_draft(body: Option<Value>) -> Result<Broadcast, Unreadable> {
    match body {
        None => Ok(Broadcast::default()),
        Some(Value::String(name)) => Ok(Broadcast { name: Some(name), ..Broadcast::default() }),
        Some(Value::Object(fields)) if fields.get("streamId") == Some(&Value::Null) => {
            Err(Unreadable::Malformed("stream id cannot be null".to_owned()))
        }
        Some(value) => Broadcast::read(value),
    }
}

/// `GET /{id}`: 200 with the broadcast, or 404. While the metadata plane is away it is what this node knows, and how old
/// that may be; not for ever.
pub(crate) async fn get(state: &ApiState, app: &AppName, asker: &Asker, id: &str) -> HttpResponse {
    let Ok(id) = StreamId::new(id) else { return answer::not_found() };
    match known(state, app, &id).await {
        (Ok(Some(broadcast)), age) => with_age(ok(&shown_to(asker, state, app, &broadcast)), age),
        (Ok(None), age) => with_age(answer::not_found(), age),
        (Err(error), _) => unavailable(&error),
    }
}

/// One broadcast as it is stored, and how old that may be.
pub(crate) async fn known(
    state: &ApiState,
    app: &AppName,
    id: &StreamId,
) -> (Result<Option<Arc<Broadcast>>, MetaError>, Age) {
    read_one(state, state.broadcasts.get(app, id), state.broadcasts.get_local(app, id)).await
}

/// `PUT /{id}`: changes the fields that are not null, as far as AMS lets a client change them. A `Result`;
/// without a body nothing is a success.
pub(crate) async fn update(state: &ApiState, app: &AppName, id: &str, body: Option<Value>) -> HttpResponse {
    let Some(body) = body else { return ok(&Outcome::failure("")) };
    let patch = match BroadcastPatch::read(body) {
        Ok(patch) => patch,
        Err(why) => return answer::unreadable(&why),
    };
    match change(state, app, id, patch).await {
        Ok(outcome) => ok(&outcome),
        Err(error) => unavailable(&error),
    }
}

async fn change(
    state: &ApiState,
    app: &AppName,
    id: &str,
    mut patch: BroadcastPatch,
) -> Result<Outcome, MetaError> {
    let unknown = || {
        let id = id.replace(|letter: char| letter.is_control(), "_");
        Outcome::failure(format!("Broadcast with streamId: {id} does not exist"))
    };
    let Ok(id) = StreamId::new(id) else { return Ok(unknown()) };
    let Some(before) = state.broadcasts.get(app, &id).await? else { return Ok(unknown()) };
    if patch.text("subFolder").is_some_and(|folder| folder.contains("..")) {
        return Ok(Outcome::failure(SUBFOLDER_INVALID));
    }
    if let Some(kind @ ("ipCamera" | "streamSource" | "VoD" | "playlist")) = before.kind.as_deref() {
        let url = patch.text("streamUrl").filter(|url| !url.trim().is_empty());
        if kind != "playlist" && url.is_some_and(|url| !is_source_url(url)) {
            return Ok(Outcome::failure("Stream URL is not valid"));
        }
        patch = patch.without("status");
    }
    let known = state.broadcasts.patch(app, &id, patch).await?;
    Ok(if known { Outcome::success("") } else { unknown() })
}

/// `DELETE /{id}`: a `Result`, 200 also for an id nobody knows. A room's subtracks go first, so that a delete
/// that fails half way can be asked for again.
pub(crate) async fn delete(state: &Data<ApiState>, app: &AppName, id: &str, query: &str) -> HttpResponse {
    let subtracks = is_true(Parameters::read(query).get("deleteSubtracks"), true);
    let (state, app, id) = (state.clone(), app.clone(), id.to_owned());
    carried_through(async move {
        if subtracks && !delete_subtracks(&state, &app, &id).await? {
            return Ok(too_many_subtracks());
        }
        delete_one(&state, &app, &id).await
    })
    .await
}

/// Does what several steps are needed for: to its end, whether or not the asker waits for it.
async fn carried_through(work: impl Future<Output = Result<Outcome, MetaError>> + 'static) -> HttpResponse {
    match actix_web::rt::spawn(work).await {
        Ok(Ok(outcome)) => ok(&outcome),
        Ok(Err(error)) => unavailable(&error),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn too_many_subtracks() -> Outcome {
    Outcome::failure(format!("More than {REST_SUBTRACKS_MAX} subtracks: ask again for the rest"))
}

async fn delete_one(state: &ApiState, app: &AppName, id: &str) -> Result<Outcome, MetaError> {
    let unknown = Ok(Outcome::failure(""));
    let Ok(id) = StreamId::new(id) else { return unknown };
    let Some(known) = state.broadcasts.get(app, &id).await? else { return unknown };
    let stopped = end_live(state, app, &id, &known).await?;
    // An unregistered stream's broadcast may have gone with its publisher: that is a delete, too.
    let deleted = state.broadcasts.delete(app, &id).await?;
    Ok(match (stopped, deleted) {
        (false, false) => Outcome::failure(""),
        (true, _) => Outcome::success("broadcast is deleted and stopped successfully"),
        (false, true) => Outcome::success("broadcast is deleted but could not stopped "),
    })
}

/// Of a room that is known; `false` when there are more than one request deletes.
async fn delete_subtracks(state: &ApiState, app: &AppName, room: &str) -> Result<bool, MetaError> {
    let Ok(room) = StreamId::new(room) else { return Ok(true) };
    if state.broadcasts.get(app, &room).await?.is_none() {
        return Ok(true);
    }
    let tracks = state.broadcasts.subtracks(app, &room).await?;
    // A broadcast may be told that it is its own room.
    for id in tracks.iter().filter(|id| **id != room).take(REST_SUBTRACKS_MAX) {
        if let Some(known) = state.broadcasts.get(app, id).await? {
            end_live(state, app, id, &known).await?;
        }
        state.broadcasts.delete(app, id).await?;
    }
    Ok(tracks.len() <= REST_SUBTRACKS_MAX)
}

/// `DELETE /?ids=a,b,c`: deletes in this order and stops at the first that fails.
pub(crate) async fn delete_many(state: &Data<ApiState>, app: &AppName, query: &str) -> HttpResponse {
    let query = Parameters::read(query);
    let ids = query.get("ids").unwrap_or_default();
    if ids.trim().is_empty() {
        return ok(&Outcome::failure("ids parameter is blank"));
    }
    // As Java splits: what ends the text makes no empty id.
    let ids = ids.trim_end_matches(',').split(',').map(str::to_owned).collect();
    delete_in_order(state, app, ids).await
}

/// `DELETE /bulk` (AMS up to 2.17): the same for the ids in the body.
pub(crate) async fn delete_listed(
    state: &Data<ApiState>,
    app: &AppName,
    body: Option<Value>,
) -> HttpResponse {
    match body.map_or_else(|| Ok(Vec::new()), read_texts) {
        Ok(ids) => delete_in_order(state, app, ids).await,
        Err(why) => answer::unreadable(&why),
    }
}

async fn delete_in_order(state: &Data<ApiState>, app: &AppName, ids: Vec<String>) -> HttpResponse {
    if ids.len() > REST_IDS_MAX {
        return refusal(StatusCode::BAD_REQUEST, &format!("At most {REST_IDS_MAX} ids at once"));
    }
    let (state, app) = (state.clone(), app.clone());
    carried_through(async move {
        let mut outcome = Outcome::failure("");
        for id in ids {
            outcome = delete_one(&state, &app, &id).await?;
            if !outcome.success {
                break;
            }
        }
        Ok(outcome)
    })
    .await
}

/// Ends a stream that is live, whichever node it is on; `false`: it is not. It is gone by then where it was this node's; another
/// is told to end its publisher, and with that the stream.
async fn end_live(
    state: &ApiState,
    app: &AppName,
    id: &StreamId,
    known: &Broadcast,
) -> Result<bool, MetaError> {
    if state.streams.stop(app, id).await {
        return Ok(true);
    }
    // As it is stored: one that has fallen silent may still run there.
    let is_elsewhere = known.status.is_live() && !known.is_virtual;
    if is_elsewhere {
        state.gate.kick(app, id, None).await?;
    }
    Ok(is_elsewhere)
}

/// `POST /{id}/stop`: a success only when something was running; and only once nothing is, where it was this node's.
pub(crate) async fn stop(state: &Data<ApiState>, app: &AppName, id: &str, query: &str) -> HttpResponse {
    let subtracks = is_true(Parameters::read(query).get("stopSubtracks"), true);
    let (state, app, id) = (state.clone(), app.clone(), id.to_owned());
    carried_through(async move { stop_live(&state, &app, &id, subtracks).await }).await
}

async fn stop_live(state: &ApiState, app: &AppName, id: &str, subtracks: bool) -> Result<Outcome, MetaError> {
    let Ok(id) = StreamId::new(id) else { return Ok(Outcome::failure("")) };
    let Some(known) = state.broadcasts.get(app, &id).await? else { return Ok(Outcome::failure("")) };
    let mut stopped = usize::from(end_live(state, app, &id, &known).await?);
    if subtracks {
        for track in state.broadcasts.subtracks(app, &id).await? {
            if stopped > REST_SUBTRACKS_MAX {
                return Ok(too_many_subtracks());
            }
            let Some(known) = state.broadcasts.get(app, &track).await? else { continue };
            stopped += usize::from(end_live(state, app, &track, &known).await?);
        }
    }
    Ok(if stopped > 0 { Outcome::success("") } else { Outcome::failure("") })
}
