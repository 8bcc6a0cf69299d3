//! The JSON shapes AMS wraps its answers in (`Result`, `SimpleStat`), and the refusals made of them.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use cluster_model::{MetaError, NotApplied, Unreadable};
use observe::Seldom;
use serde::Serialize;
use utoipa::ToSchema;

/// AMS's `Result`. All four keys are always there; absent texts are `""`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, ToSchema)]
#[schema(as = Result)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    message: String,
    data_id: String,
    error_id: i32,
}

impl Outcome {
    pub(crate) fn success(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into(), data_id: String::new(), error_id: 0 }
    }

    /// The same with AMS's `dataId`.
    pub(crate) fn with_data(self, data_id: impl Into<String>) -> Self {
        Self { data_id: data_id.into(), ..self }
    }

    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self { success: false, ..Self::success(message) }
    }

    pub(crate) fn with_error(self, error_id: i32) -> Self {
        Self { error_id, ..self }
    }
}

/// AMS's `SimpleStat`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct SimpleStat {
    /// -1: it cannot be said.
    pub(crate) number: i64,
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).insert_header(NO_SNIFF).json(body)
}

/// 200 with what is JSON already.
pub(crate) fn json_text(text: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(NO_STORE)
        .insert_header(NO_SNIFF)
        .content_type(header::ContentType::json())
        .body(text)
}

/// 400 for a body that cannot be read: as in AMS a plain text that says why.
pub(crate) fn unreadable(why: &Unreadable) -> HttpResponse {
    HttpResponse::BadRequest()
        .insert_header(NO_STORE)
        .insert_header(NO_SNIFF)
        .content_type(header::ContentType::plaintext())
        .body(why.to_string())
}

/// 400 for a rule of the stored data; 503, to be tried again, when nothing is promised.
pub(crate) fn unavailable(error: &MetaError) -> HttpResponse {
    // Neither goes by waiting.
    if let MetaError::Refused(_) | MetaError::NotApplied(NotApplied::TooLarge) = error {
        return refusal(StatusCode::BAD_REQUEST, &error.to_string());
    }
    static SAID: Seldom = Seldom::new(Duration::from_secs(10));
    if let Some(unsaid) = SAID.now() {
        tracing::warn!(%error, unsaid, "a REST request could not be carried out; of more such in 10 s their number is told");
    }
    again_later(&error.to_string())
}

/// 503, as long as the node is not ready, in AMS's words.
pub(crate) fn not_yet() -> HttpResponse {
    again_later("Server is getting initialized.")
}

/// 503, to be tried again: what this node knows is too old to be shown.
pub(crate) fn too_old() -> HttpResponse {
    again_later("the metadata plane is away, and what this node knows is too old to be shown")
}

/// 503, to be tried again.
fn again_later(why: &str) -> HttpResponse {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// Any other status; the body is a `Result` whose message is `message`.
pub(crate) fn refusal(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(NO_STORE)
        .insert_header(NO_SNIFF)
        .json(Outcome::failure(message))
}

/// 204.
pub(crate) fn no_content() -> HttpResponse {
    HttpResponse::NoContent().insert_header(NO_STORE).finish()
}

/// 404.
pub(crate) fn not_found() -> HttpResponse {
    refusal(StatusCode::NOT_FOUND, "Not Found")
}

/// 405, with the verbs that would do.
pub(crate) fn wrong_verb(allow: &str) -> HttpResponse {
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    if let Ok(allow) = header::HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// 200 to `OPTIONS`, with the verbs that would do.
pub(crate) fn verbs(allow: &str) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).insert_header((header::ALLOW, allow)).finish()
}

/// 403 as AMS's IP filter words it.
pub(crate) fn not_allowed() -> HttpResponse {
    refusal(StatusCode::FORBIDDEN, "Not allowed IP")
}

const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
const NO_SNIFF: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
