//! The JSON shapes AMS wraps its answers in (`Result`, `SimpleStat`), and the refusals made of them.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

/// AMS's `Result`. All four keys are always there; absent texts are `""`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    success: bool,
    message: String,
    data_id: String,
    error_id: i32,
}

impl Outcome {
    pub(crate) fn success(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into(), data_id: String::new(), error_id: 0 }
    }

    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self { success: false, ..Self::success(message) }
    }
}

/// AMS's `SimpleStat`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SimpleStat {
    pub(crate) number: u64,
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header(NO_STORE).insert_header(NO_SNIFF).json(body)
}

/// Any other status; the body is a `Result` whose message is `message`.
pub(crate) fn refusal(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(NO_STORE)
        .insert_header(NO_SNIFF)
        .json(Outcome::failure(message))
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

/// 403 as AMS's IP filter words it.
pub(crate) fn not_allowed() -> HttpResponse {
    refusal(StatusCode::FORBIDDEN, "Not allowed IP")
}

const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
const NO_SNIFF: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
