//! Subscribers of a stream: registered, blocked, given codes, and what their sessions came to.

use actix_web::HttpResponse;
use base::{AppName, StreamId};
use cluster_model::{
    Direction, Figures, Hidden, MetaError, SubscriberId, SubscriberShown, SubscriberTerms, read_discreetly,
};
use security::credential::totp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sessions::Parameters;
use utoipa::ToSchema;

use crate::ApiState;
use crate::age::{read_many, read_one, read_past, with_age};
use crate::answer::{Outcome, not_found, ok, unavailable, unreadable};
use crate::history::{Addresses, ConnectionEventShown, addresses, event_shown};
use crate::lists::page;

const MISSING: &str = "Missing parameter: Make sure you set subscriber object correctly and make subscriberId's length at \
                       least 3";
const NOT_BASE32: &str = "Secret code is not multiple of 8 bytes length. Use b32Secret which is a string and its lenght \
                          is multiple of 8 bytes and allowed characters A-Z, 2-7";
const BAD_PERIOD: &str = "Custom TOTP expiry period must be between 10 and 2147483647";
const BLANK: &str = "streamId or subscriberId is blank";
const NO_SECRET: &str =
    "Secret is not set in AppSettings. Please set timetokensecret publish or play in Application settings";
/// Seconds that a subscriber's own period is at least (AMS).
const PERIOD_S_MIN: i32 = 10;
/// An id must be longer than this; AMS's message says otherwise.
const ID_CHARS_SHORT: usize = 3;

/// AMS's `Subscriber`, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscriber)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriberView {
    subscriber_id: String,
    subscriber_name: Option<String>,
    stream_id: String,
    /// `play` or `publish`; who may publish may also play.
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    connected: bool,
    current_concurrent_connections: u32,
    concurrent_connections_limit: u32,
    /// `play`, `publish` or `publish_play`.
    blocked_type: Option<String>,
    /// Milliseconds since 1970.
    blocked_until_unit_time_stamp_ms: u64,
    /// The node that serves the newest session of those it has now.
    registered_node_ip: Option<String>,
    /// Bits per second.
    avg_video_bitrate: u64,
    /// Bits per second.
    avg_audio_bitrate: u64,
    /// How long each of its codes is the one, in seconds; `null`: as long as the application says.
    totp_expiry_period_seconds: Option<u32>,
}

/// AMS's `SubscriberStats`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriberStats {
    subscriber_id: String,
    stream_id: String,
    /// The newest ones, oldest first.
    connection_events: Vec<ConnectionEventShown>,
    avg_video_bitrate: u64,
    avg_audio_bitrate: u64,
}

/// One subscriber with what its sessions came to (ours).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriberDetails {
    #[serde(flatten)]
    subscriber: SubscriberView,
    /// Sessions so far, running ones included.
    total_connections: u64,
    /// Milliseconds of all of them.
    total_duration_ms: u64,
    /// Bytes of all of them.
    total_bytes: u64,
    total_video_bytes: u64,
    total_audio_bytes: u64,
    /// The newest ones, oldest first.
    connection_events: Vec<ConnectionEventShown>,
}

/// What a client says of a subscriber. What the server derives is taken and ignored.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = SubscriberToAdd)]
#[serde(default, rename = "Subscriber", rename_all = "camelCase")]
pub(crate) struct SubscriberGiven {
    /// Longer than three characters.
    subscriber_id: Option<String>,
    subscriber_name: Option<String>,
    stream_id: Option<String>,
    /// Base32 in whole groups of eight; never shown again.
    b32_secret: Option<String>,
    /// `play` or `publish`.
    #[serde(rename = "type")]
    kind: Option<String>,
    connected: bool,
    current_concurrent_connections: i32,
    concurrent_connections_limit: Option<i32>,
    blocked_type: Option<String>,
    blocked_until_unit_time_stamp_ms: i64,
    registered_node_ip: Option<String>,
    avg_video_bitrate: i64,
    avg_audio_bitrate: i64,
    totp_expiry_period_seconds: Option<i32>,
}

/// `POST /{id}/subscribers`: registers a subscriber, or replaces what is said of it.
pub(crate) async fn add(state: &ApiState, app: &AppName, id: &str, body: Option<Value>) -> HttpResponse {
    let given: SubscriberGiven = match body.map_or_else(|| Ok(SubscriberGiven::default()), read_discreetly) {
        Ok(given) => given,
        Err(why) => return unreadable(&why),
    };
    let outcome = match stream_and_subscriber(id, given.subscriber_id.as_deref().unwrap_or_default()) {
        Ok((stream, subscriber)) => put(state, app, &stream, &subscriber, given).await,
        Err(refused) => Ok(refused),
    };
    match outcome {
        Ok(outcome) => ok(&outcome),
        Err(error) => unavailable(&error),
    }
}

fn stream_and_subscriber(stream: &str, subscriber: &str) -> Result<(StreamId, SubscriberId), Outcome> {
    if subscriber.trim().is_empty() || subscriber.chars().count() <= ID_CHARS_SHORT {
        return Err(Outcome::failure(MISSING));
    }
    let stream = StreamId::new(stream).map_err(|_| Outcome::failure("Stream id is not valid."))?;
    let subscriber =
        SubscriberId::new(subscriber).map_err(|why| Outcome::failure(format!("subscriberId: {why}")))?;
    Ok((stream, subscriber))
}

async fn put(
    state: &ApiState,
    app: &AppName,
    stream: &StreamId,
    subscriber: &SubscriberId,
    given: SubscriberGiven,
) -> Result<Outcome, MetaError> {
    if given.totp_expiry_period_seconds.is_some_and(|period| period < PERIOD_S_MIN) {
        return Ok(Outcome::failure(BAD_PERIOD));
    }
    let secret = given.b32_secret.filter(|secret| !secret.is_empty());
    if secret.as_deref().is_some_and(|secret| totp::key_of_base32(secret).is_none()) {
        return Ok(Outcome::failure(NOT_BASE32));
    }
    let own_period = given.totp_expiry_period_seconds.and_then(|period| u32::try_from(period).ok());
    let terms = SubscriberTerms {
        name: given.subscriber_name,
        b32_secret: secret.map(Hidden::new),
        // Any other text is dropped, as by AMS's setter.
        direction: match given.kind.as_deref() {
            Some("play") => Some(Direction::Play),
            Some("publish") => Some(Direction::Publish),
            _ => None,
        },
        concurrent_connections_limit: given
            .concurrent_connections_limit
            .map_or(1, |limit| u32::try_from(limit).unwrap_or(0)),
        // As in AMS a subscriber keeps the period that the application had when it was registered.
        totp_period_s: own_period.or_else(|| period_of_application(state, app)),
    };
    if let Some(kind) = given.blocked_type {
        let now = i64::try_from(state.clock.wall().as_millis()).unwrap_or(i64::MAX);
        let left_ms = given.blocked_until_unit_time_stamp_ms.saturating_sub(now);
        if let Some(seconds) = u64::try_from(left_ms).ok().map(|left| left.div_ceil(1_000)).filter(|s| *s > 0)
        {
            // First, so that it is never there unblocked.
            state.subscribers.block(app, stream, subscriber, &kind, seconds).await?;
        }
    }
    state.subscribers.put(app, stream, subscriber, terms).await?;
    Ok(Outcome::success(""))
}

/// `timeTokenPeriod`; `None` where it is no period.
fn period_of_application(state: &ApiState, app: &AppName) -> Option<u32> {
    let settings = state.settings.snapshot(app)?;
    let period = settings.get("timeTokenPeriod")?.as_u64()?;
    u32::try_from(period).ok().filter(|period| *period > 0)
}

/// `GET /{id}/subscribers/list/{offset}/{size}`: in byte order of their ids, at most 250.
pub(crate) async fn list(
    state: &ApiState,
    app: &AppName,
    id: &str,
    offset: &str,
    size: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let Ok(stream) = StreamId::new(id) else { return ok(&Vec::<SubscriberView>::new()) };
    let addresses = addresses(state).await;
    read_many(state, state.subscribers.list(app, &stream, offset, size), |page| {
        ok(&page.iter().map(|known| view(&stream, known, &addresses)).collect::<Vec<_>>())
    })
    .await
}

fn view(stream: &StreamId, known: &SubscriberShown, addresses: &Addresses) -> SubscriberView {
    let terms = &known.subscriber.terms;
    let block = known.subscriber.block.as_ref();
    SubscriberView {
        subscriber_id: known.id.as_str().to_owned(),
        subscriber_name: terms.name.clone(),
        stream_id: stream.as_str().to_owned(),
        kind: terms.direction.map(Direction::as_str),
        connected: known.connections > 0,
        current_concurrent_connections: known.connections,
        concurrent_connections_limit: terms.concurrent_connections_limit,
        blocked_type: block.map(|block| block.kind.clone()),
        blocked_until_unit_time_stamp_ms: block.map_or(0, |block| block.until_ms),
        registered_node_ip: known.node.and_then(|node| addresses.get(&node).cloned()),
        avg_video_bitrate: known.figures.video_bitrate(),
        avg_audio_bitrate: known.figures.audio_bitrate(),
        totp_expiry_period_seconds: terms.totp_period_s,
    }
}

/// `GET /{id}/subscriber-stats/list/{offset}/{size}`: a subscriber each, with the events that the metadata plane has of it;
/// older ones are in `connection-events`.
pub(crate) async fn statistics(
    state: &ApiState,
    app: &AppName,
    id: &str,
    offset: &str,
    size: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let Ok(stream) = StreamId::new(id) else { return ok(&Vec::<SubscriberStats>::new()) };
    let of_all = async {
        let mut all = Vec::new();
        let addresses = addresses(state).await;
        for known in state.subscribers.list(app, &stream, offset, size).await? {
            let connection_events = events(state, app, &stream, &known.id, &addresses).await?;
            all.push(SubscriberStats {
                subscriber_id: known.id.as_str().to_owned(),
                stream_id: stream.as_str().to_owned(),
                connection_events,
                avg_video_bitrate: known.figures.video_bitrate(),
                avg_audio_bitrate: known.figures.audio_bitrate(),
            });
        }
        Ok(all)
    };
    read_past(state, of_all, |all| ok(&all)).await
}

async fn events(
    state: &ApiState,
    app: &AppName,
    stream: &StreamId,
    subscriber: &SubscriberId,
    addresses: &Addresses,
) -> Result<Vec<ConnectionEventShown>, MetaError> {
    let known = state.subscribers.events(app, stream, Some(subscriber), 0, usize::MAX).await?;
    Ok(known.into_iter().map(|(who, event)| event_shown(stream, Some(who), event, addresses)).collect())
}

/// `GET /{id}/subscribers/{sid}`, which is ours: one with its statistics.
pub(crate) async fn get(state: &ApiState, app: &AppName, id: &str, subscriber: &str) -> HttpResponse {
    let (Ok(stream), Ok(subscriber)) = (StreamId::new(id), SubscriberId::new(subscriber)) else {
        return not_found();
    };
    let (of_now, of_here) = (
        state.subscribers.get(app, &stream, &subscriber),
        state.subscribers.get_local(app, &stream, &subscriber),
    );
    let (known, age) = read_one(state, of_now, of_here).await;
    let details = async {
        let Some(known) = known? else { return Ok(None) };
        let addresses = addresses(state).await;
        let connection_events = events(state, app, &stream, &subscriber, &addresses).await?;
        let ended = known.history.as_ref().map_or(0, |history| history.ended);
        let Figures { duration_ms, bytes, video_bytes, audio_bytes } = known.figures;
        Ok(Some(SubscriberDetails {
            subscriber: view(&stream, &known, &addresses),
            total_connections: ended.saturating_add(known.connections.into()),
            total_duration_ms: duration_ms,
            total_bytes: bytes,
            total_video_bytes: video_bytes,
            total_audio_bytes: audio_bytes,
            connection_events,
        }))
    };
    match details.await {
        Ok(Some(details)) => with_age(ok(&details), age),
        Ok(None) => with_age(not_found(), age),
        Err(error) => unavailable(&error),
    }
}

/// `DELETE /{id}/subscribers/{sid}`.
pub(crate) async fn delete(state: &ApiState, app: &AppName, id: &str, subscriber: &str) -> HttpResponse {
    let (Ok(stream), Ok(subscriber)) = (StreamId::new(id), SubscriberId::new(subscriber)) else {
        return ok(&Outcome::failure(""));
    };
    match state.subscribers.delete(app, &stream, &subscriber).await {
        Ok(true) => ok(&Outcome::success("")),
        Ok(false) => ok(&Outcome::failure("")),
        Err(error) => unavailable(&error),
    }
}

/// `DELETE /{id}/subscribers`: all of them and their events; none is a failure, as for tokens.
pub(crate) async fn delete_all(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let Ok(stream) = StreamId::new(id) else { return ok(&Outcome::failure("")) };
    let deleted = async {
        let any = !state.subscribers.list(app, &stream, 0, 1).await?.is_empty();
        // Events of those who were deleted before go as well.
        state.subscribers.delete_all(app, &stream).await?;
        Ok(any)
    };
    match deleted.await {
        Ok(true) => ok(&Outcome::success("")),
        Ok(false) => ok(&Outcome::failure("")),
        Err(error) => unavailable(&error),
    }
}

/// `GET /{id}/subscribers/{sid}/totp`: the code of now, by the subscriber's own secret or by the application's. What `type`
/// is not `play` is `publish`.
pub(crate) async fn code(
    state: &ApiState,
    app: &AppName,
    id: &str,
    subscriber: &str,
    query: &str,
) -> HttpResponse {
    if id.trim().is_empty() || subscriber.trim().is_empty() {
        return ok(&Outcome::failure(BLANK));
    }
    let (Ok(stream), Ok(subscriber)) = (StreamId::new(id), SubscriberId::new(subscriber)) else {
        return ok(&Outcome::failure(NO_SECRET));
    };
    let direction = match Parameters::read(query).get("type") {
        Some("play") => Direction::Play,
        _ => Direction::Publish,
    };
    let known = match state.subscribers.get(app, &stream, &subscriber).await {
        Ok(known) => known,
        Err(error) => return unavailable(&error),
    };
    let terms = known.as_ref().map(|known| &known.subscriber.terms);
    let period = terms.and_then(|terms| terms.totp_period_s).or_else(|| period_of_application(state, app));
    let own = terms.and_then(|terms| totp::key_of_base32(terms.b32_secret.as_ref()?.expose()));
    match own.or_else(|| key_of_application(state, app, &stream, &subscriber, direction)) {
        Some(key) => {
            let code = totp::code(&key, period.unwrap_or(DEFAULT_PERIOD_S), state.clock.wall());
            ok(&Outcome::success("").with_data(code))
        }
        None => ok(&Outcome::failure(NO_SECRET)),
    }
}

/// AMS's `timeTokenPeriod`, where an application has none.
const DEFAULT_PERIOD_S: u32 = 60;

fn key_of_application(
    state: &ApiState,
    app: &AppName,
    stream: &StreamId,
    subscriber: &SubscriberId,
    direction: Direction,
) -> Option<totp::Key> {
    let settings = state.settings.snapshot(app)?;
    let (name, direction) = match direction {
        Direction::Play => ("timeTokenSecretForPlay", security::Direction::Play),
        Direction::Publish => ("timeTokenSecretForPublish", security::Direction::Publish),
    };
    let secret = settings.get(name)?.as_str()?;
    totp::derived_key(secret, subscriber.as_str(), stream.as_str(), direction)
}

/// `PUT /{id}/subscribers/{sid}/block/{seconds}/{type}`: registered or not; what runs is ended by whoever watches blocks. 0
/// seconds, and fewer, unblock. Any type is stored, and one that is none blocks nothing (AMS).
pub(crate) async fn block(
    state: &ApiState,
    app: &AppName,
    id: &str,
    subscriber: &str,
    seconds: &str,
    kind: &str,
) -> HttpResponse {
    // What is no `int` is no path of AMS's.
    let Ok(seconds) = seconds.parse::<i32>() else { return not_found() };
    if [id, subscriber, kind].iter().any(|text| text.trim().is_empty()) {
        return ok(&Outcome::failure(BLANK));
    }
    let (stream, subscriber) = match (StreamId::new(id), SubscriberId::new(subscriber)) {
        (Ok(stream), Ok(subscriber)) => (stream, subscriber),
        (Err(_), _) => return ok(&Outcome::failure("Stream id is not valid.")),
        (_, Err(why)) => return ok(&Outcome::failure(format!("subscriberId: {why}"))),
    };
    let seconds = u64::try_from(seconds).unwrap_or(0);
    match state.subscribers.block(app, &stream, &subscriber, kind, seconds).await {
        Ok(()) => ok(&Outcome::success("")),
        Err(error) => unavailable(&error),
    }
}
