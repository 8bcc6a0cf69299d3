//! What happened in the past, as AMS's REST shows it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use async_trait::async_trait;
use base::{AppName, StreamId, limits};
use cluster_model::{Connection, ConnectionEvent, MetaError, NodeId, SubscriberId};
use serde::Serialize;
use sessions::Parameters;
use utoipa::ToSchema;

use crate::age::of_the_past;
use crate::lists::page;
use crate::{ApiState, answer};

/// Says that an answer holds the newest part only: the database that has the rest is away.
const PARTIAL: HeaderName = HeaderName::from_static("penstock-partial");

/// Where the past is read.
#[async_trait]
pub trait History: Send + Sync {
    /// A page of a stream's connection events, or of one subscriber's; of each subscriber the oldest first.
    async fn events(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: Option<SubscriberId>,
        offset: usize,
        size: usize,
    ) -> Result<EventsPage, MetaError>;
}

/// A page of events with whose they are.
#[derive(Debug, Default)]
pub struct EventsPage {
    /// The events; `None`: a viewer without a name.
    pub rows: Vec<(Option<SubscriberId>, ConnectionEvent)>,
    /// There may be more, elsewhere.
    pub partial: bool,
}

/// AMS's `ConnectionEvent`; the keys behind `subscriberId` are ours.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionEvent)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionEventShown {
    timestamp: u64,
    event_type: &'static str,
    #[serde(rename = "instanceIP")]
    instance_ip: Option<String>,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    event_protocol: Option<String>,
    stream_id: String,
    subscriber_id: Option<String>,
    session: String,
    /// The peer's address; null: not recorded.
    peer: Option<String>,
    /// The mechanisms that let it in; null: anybody may, or not recorded.
    proof: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_reason: Option<String>,
}

/// `GET /broadcasts/{id}/connection-events/{offset}/{size}`: of a stream nobody knows there are none (AMS).
pub(crate) async fn events(
    state: &ApiState,
    app: &AppName,
    id: &str,
    offset: &str,
    size: &str,
    query: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return answer::not_found() };
    let none = || answer::ok(&Vec::<ConnectionEventShown>::new());
    let Ok(stream) = StreamId::new(id) else { return none() };
    let subscriber = match Parameters::read(query).get("subscriberId").filter(|id| !id.is_empty()) {
        Some(id) => match SubscriberId::new(id) {
            Ok(id) => Some(id),
            Err(_) => return none(),
        },
        None => None,
    };
    let size = size.min(limits::BROADCASTS_PER_LIST_MAX);
    let found = match state.history.events(app, &stream, subscriber, offset, size).await {
        Ok(found) => found,
        Err(error) => return answer::unavailable(&error),
    };
    let addresses = addresses(state).await;
    let rows: Vec<_> =
        found.rows.into_iter().map(|(who, event)| event_shown(&stream, who, event, &addresses)).collect();
    let mut response = answer::ok(&rows);
    if found.partial {
        response.headers_mut().insert(PARTIAL, HeaderValue::from_static("true"));
    }
    of_the_past(state, response)
}

/// Addresses of nodes.
pub(crate) type Addresses = BTreeMap<NodeId, String>;

/// By node; without an answer nobody's is known.
pub(crate) async fn addresses(state: &ApiState) -> Addresses {
    let nodes = state.nodes.list().await.unwrap_or_default();
    nodes.into_iter().map(|(id, node)| (id, node.card.address.clone())).collect()
}

pub(crate) fn event_shown(
    stream: &StreamId,
    subscriber: Option<SubscriberId>,
    event: ConnectionEvent,
    addresses: &Addresses,
) -> ConnectionEventShown {
    let (kind, event_protocol, peer, proof) = match event.connection {
        Some(Connection { direction, protocol, peer, proof }) => {
            (Some(direction.as_str()), Some(protocol), peer, proof)
        }
        None => (None, None, None, None),
    };
    ConnectionEventShown {
        timestamp: event.at_ms,
        event_type: if event.ended.is_none() { "connected" } else { "disconnected" },
        instance_ip: addresses.get(&event.node).cloned(),
        kind,
        event_protocol,
        stream_id: stream.as_str().to_owned(),
        subscriber_id: subscriber.map(|id| id.as_str().to_owned()),
        session: event.session.to_string(),
        peer,
        proof,
        exit_reason: event.ended,
    }
}
