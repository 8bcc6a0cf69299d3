//! What requests of WHIP and WHEP bring.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use base::{Secret, limits};
use security::Access;

use super::answers::{refused, say};
use crate::{Body, BodyError, parameters};

/// The type of offers and answers.
pub(in super::super) const SDP: &str = "application/sdp";
/// The type of fragments (RFC 8840 9.2).
pub(in super::super) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// The wish with what its request brings for the gate. The token is `Authorization: Bearer` or the whole of that header, else
/// `?token=`; subscribers are named in the query. All as in AMS's WHIP.
pub(in super::super) fn with_credentials(request: &HttpRequest, wish: Access) -> Access {
    let asked = parameters::with_credentials(request, wish);
    let token = bearer(request).filter(|token| !token.is_empty()).map(|token| Secret::new(token.to_owned()));
    Access { token: token.or(asked.token), ..asked }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    match value.split_once(' ') {
        Some((scheme, token)) => scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()),
        // The name of the scheme is no token.
        None => (!value.eq_ignore_ascii_case("bearer")).then_some(value),
    }
}

/// Whether the body is of this type, whatever its parameters.
pub(in super::super) fn is_of(request: &HttpRequest, wanted: &str) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
}

/// 415 to a `POST` whose body is no offer.
pub(in super::super) fn no_offer() -> HttpResponse {
    unsupported("an offer has the type application/sdp", "accept-post", SDP)
}

/// 415 to a `PATCH`: in words, and the types it takes.
pub(in super::super) fn no_change(words: &str, types: &'static str) -> HttpResponse {
    unsupported(words, "accept-patch", types)
}

fn unsupported(words: &str, header: &'static str, types: &'static str) -> HttpResponse {
    let mut response = refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
    say(&mut response, header, types);
    response
}

/// Whether the request is meant for the session that `etag` (with its quotes) names: it says so, or says nothing.
pub(in super::super) fn matches(request: &HttpRequest, etag: &str) -> bool {
    let mut tags = request.headers().get_all(header::IF_MATCH).peekable();
    tags.peek().is_none()
        || tags.filter_map(|tag| tag.to_str().ok()).flat_map(|tags| tags.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag == etag
        })
}

/// The body as text.
pub(in super::super) async fn read_text(body: &mut Body) -> Result<String, HttpResponse> {
    let bytes = body.read(limits::SDP_BYTES_MAX).await.map_err(|error| {
        let status = match error {
            BodyError::BrokeOff => StatusCode::BAD_REQUEST,
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        };
        refused(status, &error.to_string())
    })?;
    String::from_utf8(bytes).map_err(|_| refused(StatusCode::BAD_REQUEST, "the body is no text"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use base::{AppName, PeerAddr, SessionId};
    use security::Direction;

    use super::*;

    fn token(uri: &str, authorization: Option<&str>) -> Option<String> {
        let mut request = TestRequest::post().uri(uri);
        if let Some(value) = authorization {
            request = request.insert_header((header::AUTHORIZATION, value));
        }
        let (app, peer) = (AppName::new("LiveApp").unwrap(), PeerAddr::new(([127, 0, 0, 1], 1).into()));
        let wish = Access::new(app, "s", Direction::Play, "whep", peer, SessionId::from_u128(0));
        with_credentials(&request.to_http_request(), wish).token.map(|token| token.expose().clone())
    }

    #[test]
    fn a_token_is_brought_in_either_place() {
        assert_eq!(token("/LiveApp/whep/s?token=a%20b", None).as_deref(), Some("a b"));
        assert_eq!(token("/LiveApp/whep/s", Some("bEARER abc")).as_deref(), Some("abc"));
        assert_eq!(token("/LiveApp/whep/s?token=b", Some("Bearer a")).as_deref(), Some("a"));
        assert_eq!(token("/LiveApp/whep/s?token=b", Some("Basic a")).as_deref(), Some("b"));
        assert_eq!(token("/LiveApp/whep/s", Some("abc")).as_deref(), Some("abc"));
        assert_eq!(token("/LiveApp/whep/s?token=", None), None);
        assert_eq!(token("/LiveApp/whep/s?token=b", Some("Bearer ")).as_deref(), Some("b"));
    }

    #[test]
    fn a_precondition_holds_for_its_own_session_only() {
        let holds = |tag: &str| {
            let request = TestRequest::patch().insert_header((header::IF_MATCH, tag)).to_http_request();
            matches(&request, "\"abc\"")
        };
        assert!(holds("\"abc\"") && holds("*") && holds("\"x\", \"abc\""));
        assert!(!holds("\"x\"") && !holds("abc"));
        assert!(matches(&TestRequest::patch().to_http_request(), "\"abc\""));
    }
}
