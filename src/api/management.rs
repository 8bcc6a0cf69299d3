//! The node's own REST, and the facts its pages need.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::{ApiState, answer, door};

/// AMS's `{"applications":[...]}`.
pub(crate) fn applications(state: &ApiState) -> HttpResponse {
    answer::ok(&json!({ "applications": state.applications }))
}

/// AMS's `Version`, without the keys that would be null (AMS drops them here).
pub(crate) fn version() -> HttpResponse {
    answer::ok(&json!({ "versionName": env!("CARGO_PKG_VERSION"), "versionType": "Penstock" }))
}

/// `/node.json`, for everybody: what a page must know to tell people how to publish, and whether REST
/// would answer it. It holds nothing that the pages' addresses do not show anyway.
pub(crate) fn node(request: &HttpRequest, state: &ApiState) -> HttpResponse {
    answer::ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "applications": state.applications,
        "rtmpPort": state.rtmp_port,
        "restAnswersYou": door::admit(request, &state.server_name).is_ok(),
    }))
}
