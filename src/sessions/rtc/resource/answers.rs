//! What WHIP and WHEP answer: REST's `Result` for refusals.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use observe::metric;

use super::super::context::SignallingContext;
use super::super::refusal::Refusal;
use super::super::upgrade::result;
use super::Resource;
use super::requests::SDP;

/// Seconds after which who found no room may ask again.
const RETRY_AFTER_S: &str = "5";
/// The answer, whichever it is. What pages of other origins may read of it the application's CORS filter says.
pub(in super::super) fn either(answer: Result<HttpResponse, HttpResponse>) -> HttpResponse {
    answer.unwrap_or_else(|refusal| refusal)
}

/// Sets a header.
pub(in super::super) fn say(response: &mut HttpResponse, name: &'static str, value: &'static str) {
    response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}

/// A refusal, in words; what is full or not ready may be asked again.
pub(in super::super) fn refused(status: StatusCode, message: &str) -> HttpResponse {
    let mut response = result(status, false, message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        say(&mut response, "retry-after", RETRY_AFTER_S);
    }
    response
}

/// 200, in words.
pub(in super::super) fn done(message: &str) -> HttpResponse {
    result(StatusCode::OK, true, message)
}

/// 404 for what is gone, or never was.
pub(in super::super) fn no_such_resource() -> HttpResponse {
    refused(StatusCode::NOT_FOUND, "there is no such session: it has ended, or never was")
}

/// What the gate, the stream or the shard said, in AMS's word and one that says what to do.
pub(in super::super) fn of_refusal(refusal: &Refusal, has_token: bool) -> HttpResponse {
    metric::signalling_refused(refusal.definition).increment(1);
    let information = refusal.information.as_deref().unwrap_or_default();
    let (status, words) = match refusal.definition {
        "invalidStreamName" => (StatusCode::BAD_REQUEST, "the gate does not take the stream's name".into()),
        "no_stream_exist" if refusal.wait => {
            let is_elsewhere = *refusal != Refusal::not_live();
            let nowhere = "nobody publishes this stream: try again when it is live";
            (StatusCode::NOT_FOUND, Cow::from(if is_elsewhere { information } else { nowhere }))
        }
        "broadcast_too_large" => (StatusCode::BAD_REQUEST, Cow::from(information)),
        "no_codec_enabled_in_the_server" => (StatusCode::NOT_ACCEPTABLE, Cow::from(information)),
        "unauthorized_access" if refusal.wants_token && !has_token => {
            let words =
                "the application's security settings want a token: bring one as Authorization: Bearer";
            (StatusCode::UNAUTHORIZED, words.into())
        }
        "unauthorized_access" => {
            (StatusCode::FORBIDDEN, "the application's security settings do not let you in".into())
        }
        "encoderNotOpened" => (StatusCode::SERVICE_UNAVAILABLE, Cow::from(information)),
        "highResourceUsage" | "viewerLimitReached" => {
            (StatusCode::SERVICE_UNAVAILABLE, "there is no room for another one: try again later".into())
        }
        "data_store_not_available" | "not_initialized_yet" => {
            (StatusCode::SERVICE_UNAVAILABLE, "the server is not ready: try again in some seconds".into())
        }
        "server_error_check_logs" => {
            (StatusCode::INTERNAL_SERVER_ERROR, "something broke: the server's log says what".into())
        }
        _ => (StatusCode::FORBIDDEN, Cow::from(information)),
    };
    let message = match &*words {
        "" => refusal.definition.to_owned(),
        words => format!("{}: {words}", refusal.definition),
    };
    let mut response = refused(status, &message);
    if status == StatusCode::UNAUTHORIZED {
        say(&mut response, "www-authenticate", "Bearer");
    }
    response
}

/// 201: the description, and where the session is from now on: below that part of its application.
pub(in super::super) fn created<C>(
    resource: &Resource<C>,
    part: &str,
    sdp: String,
    context: &SignallingContext,
) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response
        .content_type(SDP)
        .insert_header((header::LOCATION, resource.path(part)))
        .insert_header((header::ETAG, resource.etag()));
    let settings = context.settings.snapshot(&resource.app);
    let link = settings.and_then(|settings| {
        let credential = settings.turn_server_credential();
        ice_server(settings.stun_server_uri(), settings.turn_server_username(), credential.expose())
    });
    if let Some(link) = link {
        response.insert_header((header::LINK, link));
    }
    response.body(sdp)
}

/// The application's STUN or TURN server as RFC 9725 4.4 writes it; none without one, or when it cannot be written.
fn ice_server(uri: &str, user: &str, credential: &str) -> Option<HeaderValue> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\".contains(&byte));
    if uri.is_empty() || !plain(uri) || !plain(user) || !plain(credential) {
        return None;
    }
    let mut link = format!("<{uri}>; rel=\"ice-server\"");
    if uri.starts_with("turn") && !user.is_empty() {
        link += &format!("; username=\"{user}\"; credential=\"{credential}\"; credential-type=\"password\"");
    }
    HeaderValue::from_str(&link).ok()
}

/// 204 to `OPTIONS`: what a `POST` takes (RFC 9725 4.2).
fn options(request: &HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    if request.match_info().get("resource").is_none() {
        say(&mut response, "accept-post", SDP);
    }
    response
}

/// What may be asked, and a refusal of everything else.
pub(in super::super) async fn other_verbs(
    request: HttpRequest,
    payload: actix_web::web::Payload,
    allowed: &'static str,
) -> HttpResponse {
    let _unread = crate::Body::new(&request, payload);
    let mut response = if request.method() == actix_web::http::Method::OPTIONS {
        options(&request)
    } else {
        refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    };
    say(&mut response, "allow", allowed);
    response
}

#[cfg(test)]
mod tests {
    use security::Denial;

    use super::super::super::refusal::of_denial;
    use super::*;

    #[test]
    fn a_server_for_ice_is_named_when_there_is_one() {
        let link = |uri, user| ice_server(uri, user, "secret").map(|link| link.to_str().unwrap().to_owned());
        assert_eq!(link("", "u"), None);
        assert_eq!(link("stun:a:1\r\nX: y", ""), None);
        assert_eq!(link("stun:a:1", "u").unwrap(), "<stun:a:1>; rel=\"ice-server\"");
        assert_eq!(
            link("turn:a:1", "u").unwrap(),
            "<turn:a:1>; rel=\"ice-server\"; username=\"u\"; credential=\"secret\"; credential-type=\"password\""
        );
        assert_eq!(link("turn:a:1", "u\"; x=\""), None);
    }

    #[test]
    fn refusals_say_whether_to_come_again() {
        let status =
            |definition, has_token| of_refusal(&Refusal::new(definition), has_token).status().as_u16();
        assert_eq!(of_refusal(&Refusal::not_live(), false).status(), StatusCode::NOT_FOUND);
        assert_eq!(of_refusal(&Refusal::not_enabled(), false).status(), StatusCode::FORBIDDEN);
        assert_eq!(of_refusal(&Refusal::codec("x".to_owned()), false).status(), StatusCode::NOT_ACCEPTABLE);
        let denied = |denial: Denial, has_token| of_refusal(&of_denial(&denial), has_token).status().as_u16();
        let no_token = |has_token| [denied(Denial::TokenMissing, has_token), denied(Denial::Hash, has_token)];
        assert_eq!((no_token(false), no_token(true)), ([401, 401], [403, 403]));
        assert_eq!((denied(Denial::Address, false), denied(Denial::Webhook, true)), (403, 403));
        assert_eq!(
            (status("invalidStreamName", false), status("server_error_check_logs", false)),
            (400, 500)
        );
        for busy in ["highResourceUsage", "viewerLimitReached", "data_store_not_available"] {
            let response = of_refusal(&Refusal::new(busy), true);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }
}
