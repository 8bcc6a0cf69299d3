//! What a request brings and what it takes: bodies, queries, media types.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use base::limits::REST_BODY_BYTES_MAX;
use cluster_model::Unreadable;
use serde::Deserialize;
use serde_json::Value;

use crate::answer;

/// The body of a request that takes JSON; `None` when there is none or it is null, which is the same in
/// AMS. The content type matters only when there is a body.
pub(crate) async fn read_json(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Option<Value>, HttpResponse> {
    let too_large = || answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large");
    // Who announces too much is refused before any of it is read.
    let announced = text_of(request.headers(), &header::CONTENT_LENGTH);
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > REST_BODY_BYTES_MAX as u64)
    {
        return Err(too_large());
    }
    let body = match payload.to_bytes_limited(REST_BODY_BYTES_MAX).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(answer::refusal(StatusCode::BAD_REQUEST, "The body broke off")),
        Err(_) => return Err(too_large()),
    };
    if body.is_empty() {
        return Ok(None);
    }
    let kind = text_of(request.headers(), &header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(answer::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type"));
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(answer::unreadable(&Unreadable::from(error))),
    }
}

/// Keys that cannot be read are as good as absent: AMS ignores what it does not know in a query.
pub(crate) fn read_query<Q: Default + for<'de> Deserialize<'de>>(query: &str) -> Q {
    Query::<Q>::from_query(query).map_or_else(|_| Q::default(), Query::into_inner)
}

/// A switch of a query as Java reads one: only `true` is true.
pub(crate) fn is_true(switch: Option<&str>, absent: bool) -> bool {
    switch.map_or(absent, |switch| switch.eq_ignore_ascii_case("true"))
}

/// Whether the asker takes JSON; who says nothing takes everything.
pub(crate) fn takes_json(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).peekable();
    accepted.peek().is_none()
        || accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|range| {
            let kind = range.split(';').next().unwrap_or_default().trim();
            ["*/*", "*", "application/*", "application/json"].iter().any(|ok| kind.eq_ignore_ascii_case(ok))
        })
}

fn text_of<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
