//! Why a player by HTTP is sent nothing, in AMS's status codes and words.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use observe::metric;
use security::Denial;
use streams::PlayError;

use crate::connections::TooMany;
use crate::result::result;

/// Seconds after which who found no room may ask again.
const RETRY_AFTER_S: &str = "5";

/// A refusal: its status, and the message of the `Result` that is its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message: Cow::Borrowed(message) }
    }

    pub(super) const fn explained(status: StatusCode, message: String) -> Self {
        Self { status, message: Cow::Owned(message) }
    }

    pub(super) const fn no_such_application() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such application on this server")
    }

    /// Neither GET nor HEAD, nor the OPTIONS of browsers.
    pub(super) const fn invalid_request_type() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Invalid Request Type")
    }

    /// No stream is named by the path.
    pub(super) const fn no_stream_id() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Cannot specified the stream id from the url")
    }

    pub(super) const fn no_address() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the peer's address is unknown")
    }

    pub(super) const fn draining() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping: try again in some seconds")
    }

    /// Who asks passed the gate, and there is nothing.
    pub(super) const fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// Who asks passed the gate, and nobody publishes the stream here: `elsewhere` is the node where somebody does.
    pub(super) fn not_live(elsewhere: Option<&str>) -> Self {
        match elsewhere {
            None => {
                Self::new(StatusCode::NOT_FOUND, "nobody publishes this stream: try again when it is live")
            }
            Some(node) => Self::explained(
                StatusCode::NOT_FOUND,
                format!("the stream is published on another node: {node}"),
            ),
        }
    }

    /// The node, or the address, has as many players as it may have.
    pub(super) fn no_room(too_many: TooMany) -> Self {
        metric::admissions_refused("play", too_many.label()).increment(1);
        let status = match too_many {
            TooMany::OnNode => StatusCode::SERVICE_UNAVAILABLE,
            TooMany::FromAddress => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, "too many players: close some and try again")
    }

    /// The answer.
    pub(super) fn respond(&self) -> HttpResponse {
        let mut response = result(self.status, false, &self.message);
        harden(&mut response);
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

/// Media of live streams and refusals of it are kept by nobody, and the address, which may hold a token, goes nowhere.
pub(super) fn harden(response: &mut HttpResponse) {
    const SAID: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "private, no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in SAID {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// What AMS's token filter answers where the gate said no. Which clause failed is for the log alone, but where AMS
/// tells it too.
pub(super) fn of_denial(denial: &Denial, stream: &str) -> Refusal {
    const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
    match denial {
        Denial::UnknownApplication => Refusal::no_such_application(),
        Denial::NotInitialised => Refusal::new(FORBIDDEN, "Server is getting initialized."),
        Denial::InvalidStreamId(_) => Refusal::no_stream_id(),
        Denial::ViewerLimit => Refusal::new(FORBIDDEN, "Viewer Limit Reached"),
        Denial::DataStoreNotAvailable => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is not ready: try again in some seconds",
        ),
        Denial::Totp(_) | Denial::Connections { .. } => {
            Refusal::new(FORBIDDEN, "Time Based subscriber id or code is invalid")
        }
        Denial::TokenMissing | Denial::Token(_) | Denial::TokenInUse => {
            Refusal::explained(FORBIDDEN, format!("Invalid Token for streamId:{stream}"))
        }
        Denial::Hash => Refusal::new(FORBIDDEN, "Invalid Hash"),
        Denial::JwtMissing | Denial::Jwt(_) => Refusal::new(FORBIDDEN, "Invalid JWT Token"),
        Denial::Blocked => Refusal::new(StatusCode::UNAUTHORIZED, "Subscriber is blocked"),
        // AMS has no words for these, and the rest does not concern players.
        Denial::Webhook
        | Denial::AuthorityLost
        | Denial::RoomUnregistered
        | Denial::RoomOutsideWindow
        | Denial::Unregistered
        | Denial::Address
        | Denial::AlreadyLive
        | Denial::OutsideWindow
        | Denial::IngestLimit => {
            Refusal::new(FORBIDDEN, "the application's security settings do not let you in")
        }
    }
}

/// What who passed the gate is told where the stream said no; `None`: there is no such stream here.
pub(super) fn of_play_error(error: PlayError) -> Option<Refusal> {
    match error {
        PlayError::NoSuchStream => None,
        PlayError::NoSuchApplication => Some(Refusal::no_such_application()),
        PlayError::TooManyPlayers => Some(Refusal::new(StatusCode::FORBIDDEN, "Viewer Limit Reached")),
        PlayError::Overloaded => {
            metric::admissions_refused("play", "requests to the actors").increment(1);
            Some(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is busy: try again in some seconds",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    async fn said(refusal: &Refusal) -> (u16, String) {
        let response = refusal.respond();
        assert_eq!(response.headers().get(header::REFERRER_POLICY).unwrap(), "no-referrer");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["success"], false);
        (status, body["message"].as_str().unwrap().to_owned())
    }

    #[actix_web::test]
    async fn denials_are_told_in_ams_words() {
        for (denial, status, message) in [
            (Denial::NotInitialised, 403, "Server is getting initialized."),
            (Denial::ViewerLimit, 403, "Viewer Limit Reached"),
            (
                Denial::InvalidStreamId(base::IdError::BadCharacter),
                403,
                "Cannot specified the stream id from the url",
            ),
            (Denial::UnknownApplication, 404, "there is no such application on this server"),
            (Denial::Webhook, 403, "the application's security settings do not let you in"),
            (Denial::TokenMissing, 403, "Invalid Token for streamId:s"),
            (Denial::Hash, 403, "Invalid Hash"),
            (Denial::JwtMissing, 403, "Invalid JWT Token"),
            (Denial::Blocked, 401, "Subscriber is blocked"),
            (Denial::Connections { limit: 1 }, 403, "Time Based subscriber id or code is invalid"),
        ] {
            assert_eq!(said(&of_denial(&denial, "s")).await, (status, message.to_owned()), "{denial}");
        }
        let busy = of_denial(&Denial::DataStoreNotAvailable, "s").respond();
        assert_eq!(busy.headers().get(header::RETRY_AFTER).unwrap(), "5");
    }
}
