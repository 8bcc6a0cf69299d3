//! `/{App}/rest/v2/broadcasts`, with AMS's shapes, status codes and messages.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Query};
use base::limits::BROADCASTS_PER_LIST_MAX;
use base::{AppName, StreamId};
use cluster_model::{Broadcast, CreateError, MetaError, Unreadable, Which};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Outcome, SimpleStat, ok, refusal};
use crate::{ApiState, answer};

const AUTO_START_NEEDS_SOURCE: &str = "Auto start query needs an IP camera or stream source.";
const AUTO_START_UNSUPPORTED: &str = "This server does not pull streams, so it cannot start one.";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CreateQuery {
    auto_start: Option<String>,
}

/// `POST /create`: 200 with the stored broadcast, 400 with a `Result` that says what is wrong.
pub(crate) async fn create(state: &ApiState, app: &AppName, body: &Bytes, query: &str) -> HttpResponse {
    let draft = match read_draft(body) {
        Ok(draft) => draft,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, &message),
    };
    let auto_start = read_query::<CreateQuery>(query).auto_start;
    if auto_start.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        // AMS answers 200 here.
        let is_source = draft
            .kind
            .as_deref()
            .is_some_and(|kind| matches!(kind, "ipCamera" | "streamSource" | "playlist"));
        let message = if is_source { AUTO_START_UNSUPPORTED } else { AUTO_START_NEEDS_SOURCE };
        return ok(&Outcome::failure(message));
    }
    match state.broadcasts.create(app, draft, Some(&state.server_name)).await {
        Ok(broadcast) => ok(&broadcast.shown_at(state.clock.wall())),
        Err(CreateError::Meta(error)) => unavailable(&error),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// What AMS makes of a body: nothing and `null` are an empty broadcast, a text is its name.
fn read_draft(body: &[u8]) -> Result<Broadcast, String> {
    if body.is_empty() {
        return Ok(Broadcast::default());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) => return Ok(Broadcast::default()),
        Ok(Value::String(name)) => return Ok(Broadcast { name: Some(name), ..Broadcast::default() }),
        Ok(Value::Object(fields)) if fields.get("streamId") == Some(&Value::Null) => {
            return Err("stream id cannot be null".to_owned());
        }
        _ => {}
    }
    Broadcast::parse(body).map_err(|error| match error {
        Unreadable::UnrecognizedField(name) => {
            format!("Unrecognized field {name:?}, not marked as ignorable")
        }
        Unreadable::Malformed(why) => why,
    })
}

/// `GET /{id}`: 200 with the broadcast, or 404.
pub(crate) async fn get(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let Ok(id) = StreamId::new(id) else { return answer::not_found() };
    match state.broadcasts.get(app, &id).await {
        Ok(Some(broadcast)) => ok(&broadcast.shown_at(state.clock.wall())),
        Ok(None) => answer::not_found(),
        Err(error) => unavailable(&error),
    }
}

/// `DELETE /{id}`: a `Result`, 200 also for an id nobody knows.
pub(crate) async fn delete(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let unknown = || ok(&Outcome::failure(""));
    let Ok(id) = StreamId::new(id) else { return unknown() };
    let known = match state.broadcasts.get(app, &id).await {
        Ok(broadcast) => broadcast.is_some(),
        Err(error) => return unavailable(&error),
    };
    if !known {
        return unknown();
    }
    let stopped = state.streams.stop(app, &id).await;
    // An unregistered stream's broadcast may have gone with its publisher: that is a delete, too.
    match state.broadcasts.delete(app, &id).await {
        Ok(deleted) if !deleted && !stopped => unknown(),
        Ok(_) if stopped => ok(&Outcome::success("broadcast is deleted and stopped successfully")),
        Ok(_) => ok(&Outcome::success("broadcast is deleted but could not stopped ")),
        Err(error) => unavailable(&error),
    }
}

/// `GET /active-live-stream-count`.
pub(crate) async fn count_live(state: &ApiState, app: &AppName) -> HttpResponse {
    match state.broadcasts.count(app, Which::Live).await {
        Ok(number) => ok(&SimpleStat { number }),
        Err(error) => unavailable(&error),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    type_by: Option<String>,
    sort_by: Option<String>,
    order_by: Option<String>,
    search: Option<String>,
}

/// `GET /list/{offset}/{size}`: an array of at most 250. 404 for what is no number, as Jersey does.
pub(crate) async fn list(
    state: &ApiState,
    app: &AppName,
    offset: &str,
    size: &str,
    query: &str,
) -> HttpResponse {
    let (Ok(offset), Ok(size)) = (offset.parse::<i32>(), size.parse::<i32>()) else {
        return answer::not_found();
    };
    let offset = usize::try_from(offset).unwrap_or(0);
    let size = usize::try_from(size).unwrap_or(0).min(BROADCASTS_PER_LIST_MAX);
    let wish = Wish::new(read_query(query));
    match page(state, app, &wish, offset, size).await {
        Ok(page) => {
            let now = state.clock.wall();
            ok(&page.iter().map(|broadcast| broadcast.shown_at(now)).collect::<Vec<_>>())
        }
        Err(error) => unavailable(&error),
    }
}

/// What of a list is wanted, and in which order.
struct Wish {
    kind: Option<String>,
    search: Option<String>,
    order: Option<(Key, Direction)>,
}

#[derive(Clone, Copy)]
enum Key {
    Name,
    Date,
    Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

impl Wish {
    /// Sorting takes both `sort_by` and `order_by`; an unknown `sort_by` does not sort (AMS).
    fn new(query: ListQuery) -> Self {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let key = match query.sort_by.as_deref() {
            Some("name") => Some(Key::Name),
            Some("date") => Some(Key::Date),
            Some("status") => Some(Key::Status),
            _ => None,
        };
        let direction = match query.order_by.as_deref() {
            Some("asc") => Some(Direction::Ascending),
            Some("desc") => Some(Direction::Descending),
            _ => None,
        };
        Self {
            kind: filled(query.type_by),
            search: filled(query.search).map(|text| text.to_lowercase()),
            order: key.zip(direction),
        }
    }

    fn is_everything(&self) -> bool {
        self.kind.is_none() && self.search.is_none() && self.order.is_none()
    }

    fn takes(&self, broadcast: &Broadcast) -> bool {
        let holds = |field: &Option<String>, part: &str| {
            field.as_ref().is_some_and(|text| text.to_lowercase().contains(part))
        };
        self.kind.as_ref().is_none_or(|kind| broadcast.kind.as_ref() == Some(kind))
            && self
                .search
                .as_ref()
                .is_none_or(|part| holds(&broadcast.name, part) || holds(&broadcast.stream_id, part))
    }
}

async fn page(
    state: &ApiState,
    app: &AppName,
    wish: &Wish,
    offset: usize,
    size: usize,
) -> Result<Vec<Arc<Broadcast>>, MetaError> {
    if wish.is_everything() || size == 0 {
        return state.broadcasts.list(app, Which::All, offset, size).await;
    }
    let enough = if wish.order.is_some() { usize::MAX } else { offset.saturating_add(size) };
    let mut wanted = Vec::new();
    let mut seen = 0;
    // Ends: an application holds a limited number of broadcasts, and each read has its deadline.
    loop {
        let next = state.broadcasts.list(app, Which::All, seen, BROADCASTS_PER_LIST_MAX).await?;
        seen += next.len();
        let is_last = next.len() < BROADCASTS_PER_LIST_MAX;
        wanted.extend(next.into_iter().filter(|broadcast| wish.takes(broadcast)));
        if is_last || wanted.len() >= enough {
            break;
        }
    }
    if let Some((key, direction)) = wish.order {
        let now = state.clock.wall();
        wanted.sort_by_cached_key(|broadcast| match key {
            Key::Name => {
                (broadcast.name.as_ref().map_or((1, String::new()), |name| (0, name.to_lowercase())), 0)
            }
            Key::Date => ((0, String::new()), broadcast.date),
            Key::Status => ((0, broadcast.status_at(now).as_str().to_owned()), 0),
        });
        if direction == Direction::Descending {
            wanted.reverse();
        }
    }
    Ok(wanted.into_iter().skip(offset).take(size).collect())
}

/// Keys that cannot be read are as good as absent: AMS ignores what it does not know in a query.
fn read_query<Q: Default + for<'de> Deserialize<'de>>(query: &str) -> Q {
    Query::<Q>::from_query(query).map_or_else(|_| Q::default(), Query::into_inner)
}

/// 400 for a rule of the stored data; 503, to be tried again, when nothing is promised.
fn unavailable(error: &MetaError) -> HttpResponse {
    if let MetaError::Refused(rule) = error {
        return refusal(StatusCode::BAD_REQUEST, &rule.to_string());
    }
    tracing::warn!(%error, "a REST request could not be carried out");
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}
