//! `/livez`, `/readyz` and `/metrics`, for those who watch over the node.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base::Secret;
use observe::{Missing, Readiness};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::{ApiState, answer, door};

/// 200 while the web server answers.
pub(crate) fn livez() -> HttpResponse {
    answer::ok(&json!({ "status": "ok" }))
}

/// 200 when the node takes work, else 503 and which parts are missing.
pub(crate) fn readyz(request: &HttpRequest, state: &ApiState) -> HttpResponse {
    readiness(request, &state.readiness, &state.server_name)
}

/// The same. The reasons are for the machine itself; others are told the names.
pub(crate) fn readiness(request: &HttpRequest, readiness: &Readiness, server_name: &str) -> HttpResponse {
    let missing = readiness.missing();
    if missing.is_empty() {
        return answer::ok(&json!({ "status": "ready", "missing": [] }));
    }
    let with_reasons = door::is_the_machine(request, server_name).is_ok();
    let missing: Vec<_> = missing
        .into_iter()
        .map(|Missing { component, reason }| {
            if with_reasons {
                json!({ "component": component, "reason": reason })
            } else {
                json!({ "component": component })
            }
        })
        .collect();
    HttpResponse::ServiceUnavailable()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "status": "not ready", "missing": missing }))
}

/// The metrics in Prometheus text form: for the machine itself, or, when a token is configured, for
/// whoever brings it as `Authorization: Bearer`.
pub(crate) fn metrics(request: &HttpRequest, state: &ApiState) -> HttpResponse {
    match &state.metrics_token {
        Some(token) if !bears(request, token) => HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Bearer"))
            .json(answer::Outcome::failure("Metrics need the configured token")),
        None if door::is_the_machine(request, &state.server_name).is_err() => answer::not_allowed(),
        _ => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .body(state.metrics.render()),
    }
}

fn bears(request: &HttpRequest, token: &Secret) -> bool {
    let Some((scheme, given)) = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    // An empty token would open the page to `Bearer `.
    let expected = token.expose().as_bytes();
    scheme.eq_ignore_ascii_case("bearer") && !expected.is_empty() && given.as_bytes().ct_eq(expected).into()
}
