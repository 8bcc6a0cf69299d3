//! Live sessions and the gate's explanations. Ours: AMS has neither.

use actix_web::HttpResponse;
use base::{AppName, PeerAddr, Secret, SessionId, StreamId, limits};
use security::{Access, Direction, LiveSession, PermitState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::answer::Outcome;
use crate::lists::page;
use crate::{ApiState, answer};

/// A session that is in, on the node that was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveSession)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionShown {
    session: String,
    /// `publish` or `play`.
    direction: &'static str,
    /// As in connection events.
    protocol: &'static str,
    subscriber_id: Option<String>,
    peer: String,
    /// Milliseconds since 1970.
    since: u64,
    /// The mechanisms that let it in; null: anybody may.
    proof: Option<String>,
    /// `live`, `suspended`, or why it is ending.
    state: &'static str,
}

impl From<LiveSession> for SessionShown {
    fn from(session: LiveSession) -> Self {
        Self {
            session: session.session.to_string(),
            direction: session.direction.label(),
            protocol: session.protocol,
            subscriber_id: session.subscriber,
            peer: session.peer.ip().to_string(),
            since: session.since.as_millis(),
            proof: session.proof,
            state: match session.state {
                PermitState::Live => "live",
                PermitState::Suspended => "suspended",
                PermitState::Dead(reason) => reason.label(),
            },
        }
    }
}

/// `GET /broadcasts/{id}/sessions/{offset}/{size}`: those of this node, oldest first.
pub(crate) fn list(state: &ApiState, app: &AppName, id: &str, offset: &str, size: &str) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return answer::not_found() };
    let Ok(stream) = StreamId::new(id) else { return answer::ok(&Vec::<SessionShown>::new()) };
    let sessions = state.gate.sessions(app, &stream).into_iter();
    let shown: Vec<SessionShown> =
        sessions.skip(offset).take(size.min(limits::SESSIONS_PER_LIST_MAX)).map(Into::into).collect();
    answer::ok(&shown)
}

/// `DELETE /broadcasts/{id}/sessions/{session}`: ends it as kicked, whichever node it is on.
pub(crate) async fn kick(state: &ApiState, app: &AppName, id: &str, session: &str) -> HttpResponse {
    let (Ok(stream), Ok(session)) = (StreamId::new(id), SessionId::try_from(session.to_owned())) else {
        return answer::ok(&Outcome::failure("There is no such session"));
    };
    match state.gate.kick(app, &stream, Some(session)).await {
        Ok(()) => answer::ok(&Outcome::success("The session is told to end, whichever node it is on")),
        Err(error) => answer::unavailable(&error),
    }
}

/// What is to be explained.
#[derive(Deserialize, ToSchema)]
#[schema(as = ExplainRequest)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    stream_id: String,
    /// `publish` or `play`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    subscriber_id: Option<String>,
    #[serde(default)]
    subscriber_code: Option<String>,
    #[serde(default)]
    room: Option<String>,
    /// The address it would come from; the asker's own when absent.
    #[serde(default)]
    address: Option<String>,
}

/// What the gate would say, clause by clause.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct Explained {
    allowed: bool,
    clauses: Vec<Clause>,
}

/// One clause of the gate.
#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedClause)]
pub(crate) struct Clause {
    name: &'static str,
    /// `passed`, `refused`, `off`, `not reached`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /applications/{app}/explain`: says what the gate would, and spends nothing.
pub(crate) async fn explain(
    state: &ApiState,
    app: &str,
    body: Option<Value>,
    asker: Option<PeerAddr>,
) -> HttpResponse {
    let Some(app) = state.application(app) else { return answer::not_found() };
    // What stands in the wrong place may be a token, and is not repeated.
    let Ok(asked) = serde_json::from_value::<Asked>(body.unwrap_or_default()) else {
        return bad_request("A JSON object of texts is needed, with streamId and type");
    };
    let direction = match asked.kind.as_str() {
        "publish" => Direction::Publish,
        "play" => Direction::Play,
        _ => return bad_request("type is publish or play"),
    };
    let peer = match asked.address.filter(|address| !address.trim().is_empty()) {
        None => asker.unwrap_or_else(|| PeerAddr::unknown_behind(([0, 0, 0, 0], 0).into())),
        Some(text) => match text.trim().parse::<std::net::IpAddr>() {
            Ok(address) => PeerAddr::new((address, 0).into()),
            Err(_) => return bad_request("address is no IP address"),
        },
    };
    let access = Access {
        token: asked.token.map(Secret::new),
        subscriber_id: asked.subscriber_id,
        subscriber_code: asked.subscriber_code.map(Secret::new),
        main_track: asked.room,
        ..Access::new(app, asked.stream_id, direction, "explain", peer, SessionId::from_u128(0))
    };
    let explained = state.gate.explain(access).await;
    let clauses = explained.clauses.into_iter();
    answer::ok(&Explained {
        allowed: explained.allowed,
        clauses: clauses
            .map(|clause| Clause { name: clause.name, outcome: clause.outcome, reason: clause.reason })
            .collect(),
    })
}

fn bad_request(why: &str) -> HttpResponse {
    answer::refusal(actix_web::http::StatusCode::BAD_REQUEST, why)
}
