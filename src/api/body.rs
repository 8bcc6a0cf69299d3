//! What a request brings and what it takes: bodies, queries, media types.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::timeout;
use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use base::limits::{REST_BODY_BYTES_MAX, REST_BODY_WAIT_MAX};
use cluster_model::Unreadable;
use futures_util::StreamExt;
use serde_json::Value;
use sessions::{Watch, hold};

use crate::answer;

/// A request's body, until somebody reads it. Who does not read all of it closes the connection.
pub(crate) struct Body {
    /// `None` once it was read to its end.
    payload: Option<Payload>,
    /// It comes in chunks.
    chunked: bool,
    /// Of the connection it comes by.
    watch: Option<Watch>,
}

impl Body {
    pub(crate) fn new(request: &HttpRequest, payload: Payload) -> Self {
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        Self { payload: Some(payload), chunked, watch: request.conn_data().cloned() }
    }

    /// All of it.
    async fn read(&mut self) -> Result<Vec<u8>, HttpResponse> {
        let mut whole = Vec::new();
        let Some(payload) = &mut self.payload else { return Ok(whole) };
        let reading = async {
            while let Some(piece) = payload.next().await {
                let piece =
                    piece.map_err(|_| answer::refusal(StatusCode::BAD_REQUEST, "The body broke off"))?;
                if piece.len() > REST_BODY_BYTES_MAX.saturating_sub(whole.len()) {
                    return Err(too_large());
                }
                whole.extend_from_slice(&piece);
            }
            Ok(())
        };
        match timeout(REST_BODY_WAIT_MAX, reading).await {
            Ok(read) => read?,
            Err(_) => {
                self.watch.iter().for_each(Watch::is_slow);
                return Err(answer::refusal(StatusCode::REQUEST_TIMEOUT, "Request Timeout"));
            }
        }
        self.payload = None;
        Ok(whole)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take().filter(|_| self.chunked) {
            hold(payload);
        }
    }
}

fn too_large() -> HttpResponse {
    answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large")
}

/// The body of a request that takes JSON; `None` when there is none or it is null, which is the same in
/// AMS. The content type matters only when there is a body.
pub(crate) async fn read_json(request: &HttpRequest, mut body: Body) -> Result<Option<Value>, HttpResponse> {
    // Who announces too much is refused before any of it is read.
    let announced = text_of(request.headers(), &header::CONTENT_LENGTH);
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > REST_BODY_BYTES_MAX as u64)
    {
        return Err(too_large());
    }
    let body = body.read().await?;
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

/// A query. Keys nobody asks for are ignored, and of several values of one key the first counts, as in servlets.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn read(query: &str) -> Self {
        Self(Query::from_query(query).map_or_else(|_| Vec::new(), Query::into_inner))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
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
