//! What a request brings and what it takes: JSON, media types.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use base::limits;
use cluster_model::Unreadable;
use serde_json::Value;
use sessions::{Body, BodyError};

use crate::answer;

/// The body of a request that takes JSON; `None` when there is none or it is null, which is the same in
/// AMS. The content type matters only when there is a body.
pub(crate) async fn read_json(request: &HttpRequest, body: Body) -> Result<Option<Value>, HttpResponse> {
    let body = read_text(request, body).await?;
    if body.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(answer::unreadable(&Unreadable::from(error))),
    }
}

/// The body of a request as it stands, which is to be called JSON unless it is empty.
pub(crate) async fn read_text(request: &HttpRequest, mut body: Body) -> Result<Vec<u8>, HttpResponse> {
    let body = body.read(limits::REST_BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::BrokeOff => answer::refusal(StatusCode::BAD_REQUEST, "The body broke off"),
        BodyError::TooLarge => answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large"),
        BodyError::TooSlow => answer::refusal(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
    })?;
    if body.is_empty() {
        return Ok(body);
    }
    let kind = text_of(request.headers(), &header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(answer::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type"));
    }
    Ok(body)
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
