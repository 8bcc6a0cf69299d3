//! The node's own REST, and the facts its pages need.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{ApiState, answer, door};

/// AMS's `{"applications":[...]}`.
pub(crate) fn applications(state: &ApiState) -> HttpResponse {
    answer::ok(&json!({ "applications": *state.applications.all() }))
}

/// AMS's `Version`. There is no build number: two builds of one source are the same.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    version_name: &'static str,
    version_type: &'static str,
    build_number: Option<String>,
}

/// What an application says of the server.
pub(crate) fn application_version() -> HttpResponse {
    answer::ok(&Version {
        version_name: env!("CARGO_PKG_VERSION"),
        version_type: "Penstock",
        build_number: None,
    })
}

/// The same from the node, without the keys that would be null (AMS drops them here).
pub(crate) fn version() -> HttpResponse {
    answer::ok(&json!({ "versionName": env!("CARGO_PKG_VERSION"), "versionType": "Penstock" }))
}

/// AMS's answer to who asks whether the node lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Liveness {
    host: String,
    status: &'static str,
}

/// `GET /liveness`: the host's name, as in AMS.
pub(crate) fn liveness(state: &ApiState) -> HttpResponse {
    answer::ok(&Liveness { host: state.host.clone(), status: "ok" })
}

/// `GET /openapi.json`: a client's code can be generated from it.
pub(crate) fn open_api() -> HttpResponse {
    match crate::openapi_json() {
        Ok(text) => answer::json_text(text),
        Err(error) => {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, "The description cannot be written")
        }
    }
}

/// `/node.json`, for everybody: what a page must know to tell people how to publish, and whether REST
/// would answer it. It holds nothing that the pages' addresses do not show anyway.
pub(crate) fn node(request: &HttpRequest, state: &ApiState) -> HttpResponse {
    answer::ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "applications": *state.applications.all(),
        "rtmpPort": state.rtmp_port,
        "httpsPort": state.https_port,
        "httpsWarns": state.self_made_certificate,
        "restAnswersYou": door::is_the_machine(request, &state.server_name).is_ok(),
    }))
}
