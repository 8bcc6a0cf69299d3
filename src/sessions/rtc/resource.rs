//! Sessions that HTTP requests begin and end: what WHIP (publishers, RFC 9725) and WHEP (players,
//! draft-ietf-wish-whep) have in common.

pub(super) mod answers;
mod kept;
pub(super) mod requests;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use base::{AppName, PeerAddr, StreamId};

use super::context::SignallingContext;

pub use kept::Resources;
pub(super) use kept::{Held, Resource};

/// A refusal that is no answer yet.
pub(super) type Said = (StatusCode, &'static str);

/// Whom a request is from, and of which stream it speaks.
pub(super) fn who_and_what(
    request: &HttpRequest,
    app: &str,
    stream: &str,
    context: &SignallingContext,
) -> Result<(AppName, StreamId, PeerAddr), Said> {
    let app = AppName::new(app).ok().filter(|app| context.applications.contains(app));
    let app = app.ok_or((StatusCode::NOT_FOUND, "there is no such application on this server"))?;
    let stream = StreamId::new(stream).map_err(|_| {
        (
            StatusCode::BAD_REQUEST,
            "a stream's name has letters, digits, '-', '_' and '.', at most 256 of them",
        )
    })?;
    if *context.draining.borrow() {
        let words = "the server is stopping: try again in some seconds";
        return Err((StatusCode::SERVICE_UNAVAILABLE, words));
    }
    let peer = request.peer_addr().map(PeerAddr::new);
    let peer = peer.ok_or((StatusCode::FORBIDDEN, "the peer's address is unknown"))?;
    Ok((app, stream, peer))
}

/// Takes candidates, which an ICE-lite agent has no use for. Who does not say which session it means (`If-Match`) does no
/// harm by that, and some clients do not.
pub(super) fn take_fragment<C>(
    request: &HttpRequest,
    resource: &Resource<C>,
    text: &str,
) -> actix_web::HttpResponse {
    if !requests::matches(request, &resource.etag) {
        let words = "the session is another one (If-Match): use the ETag of the answer to POST";
        return answers::refused(StatusCode::PRECONDITION_FAILED, words);
    }
    match rtc::Fragment::read(text) {
        Err(error) => answers::refused(StatusCode::BAD_REQUEST, &error.to_string()),
        // RFC 9725 4.3.3.
        Ok(fragment) if resource.is_restarted_by(&fragment) => {
            let words = "ICE cannot be restarted here: delete the session and POST again";
            answers::refused(StatusCode::UNPROCESSABLE_ENTITY, words)
        }
        Ok(_) => actix_web::HttpResponse::NoContent().finish(),
    }
}

/// Ends a session whose asker is gone before it has its answer: nobody could end it.
pub(super) struct Asking(pub(super) Option<streams::Ending>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.end(base::ExitReason::PeerClosed);
        }
    }
}
