//! REST v2: the door, the table, then the handler.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base::AppName;

use crate::path::Parts;
use crate::routes::{Found, Operation, Scope, find};
use crate::{ApiState, answer, broadcasts, door, management};

/// If `path` lies below a REST prefix: whose REST it is, and the path below the prefix.
pub(crate) fn below_prefix<'a>(state: &ApiState, path: &'a Parts) -> Option<(Owner, &'a [String])> {
    let parts = path.as_slice();
    match parts {
        [rest, below @ ..] if rest == "rest" => Some((Owner::Node, below)),
        [app, rest, below @ ..] if rest == "rest" => {
            Some((Owner::Application(state.application(app)?), below))
        }
        _ => None,
    }
}

/// Whose REST is asked.
pub(crate) enum Owner {
    Node,
    Application(AppName),
}

/// Answers a REST request; `below` is the path below `/rest`.
pub(crate) async fn serve(
    request: &HttpRequest,
    payload: Payload,
    state: &ApiState,
    owner: Owner,
    below: &[String],
) -> HttpResponse {
    if let Err(refusal) = door::admit(request, &state.server_name) {
        tracing::debug!(?refusal, verb = %request.method(), "REST request refused");
        return answer::not_allowed();
    }
    let [version, below @ ..] = below else { return answer::not_found() };
    if version != "v2" {
        return answer::not_found();
    }
    let scope = match owner {
        Owner::Node => Scope::Node,
        Owner::Application(_) => Scope::Application,
    };
    let (operation, values) = match find(request.method(), scope, below) {
        Found::Operation(operation, values) => (operation, values),
        Found::WrongVerb(allow) => return answer::wrong_verb(&allow),
        Found::Nothing => return answer::not_found(),
    };
    let query = request.query_string();
    match (operation, owner, values.as_slice()) {
        (Operation::CreateBroadcast, Owner::Application(app), []) => {
            match read_json(request, payload).await {
                Ok(body) => broadcasts::create(state, &app, &body, query).await,
                Err(refusal) => refusal,
            }
        }
        (Operation::CountLiveBroadcasts, Owner::Application(app), []) => {
            broadcasts::count_live(state, &app).await
        }
        (Operation::ListBroadcasts, Owner::Application(app), [offset, size]) => {
            broadcasts::list(state, &app, offset, size, query).await
        }
        (Operation::GetBroadcast, Owner::Application(app), [id]) => broadcasts::get(state, &app, id).await,
        (Operation::DeleteBroadcast, Owner::Application(app), [id]) => {
            broadcasts::delete(state, &app, id).await
        }
        (Operation::ListApplications, Owner::Node, []) => management::applications(state),
        (Operation::GetVersion, Owner::Node, []) => management::version(),
        (operation, ..) => {
            tracing::error!(?operation, "the route table gives a path to an operation that cannot take it");
            answer::not_found()
        }
    }
}

/// The body of a request that takes JSON; empty when there is none. AMS wants the content type only when
/// there is a body.
async fn read_json(request: &HttpRequest, payload: Payload) -> Result<Bytes, HttpResponse> {
    let body = match payload.to_bytes_limited(base::limits::REST_BODY_BYTES_MAX).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(answer::refusal(StatusCode::BAD_REQUEST, "The body broke off")),
        Err(_) => return Err(answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large")),
    };
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !body.is_empty() && !is_json {
        return Err(answer::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type"));
    }
    Ok(body)
}
