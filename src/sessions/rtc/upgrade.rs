//! `/{App}/websocket`: from an HTTP request to a signalling socket.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use base::{AppName, limits};
use observe::metric;

use super::context::SignallingContext;
use super::signalling::Signalling;
use crate::parameters::came;
pub(super) use crate::result::result;
use crate::{Watch, hold};

/// Where the signalling socket is, below an application.
pub const SIGNALLING_PATH: &str = "/{app}/websocket";

/// Serves [`SIGNALLING_PATH`]. What is no handshake, or has a body, is 400; unknown applications are 404; beyond
/// the limits on sockets 429 or 503, before the upgrade.
pub async fn signalling(
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Payload,
    context: web::Data<SignallingContext>,
) -> Result<HttpResponse, actix_web::Error> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) {
        // The socket's messages would be read out of the body, and HTTP would go on behind it.
        hold(body);
        return Ok(refused(StatusCode::BAD_REQUEST, "a handshake has no body"));
    }
    let context = context.into_inner();
    let app = AppName::new(&path).ok().filter(|app| context.applications.contains(app));
    let Some(app) = app else {
        return Ok(refused(StatusCode::NOT_FOUND, "there is no such application on this server"));
    };
    if *context.draining.borrow() {
        return Ok(refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is stopping: try again in some seconds",
        ));
    }
    let Some(peer) = crate::peer_of(&request) else {
        return Ok(refused(StatusCode::FORBIDDEN, "the peer's address is unknown"));
    };
    // Before it counts as a socket: what is refused here stays a request of HTTP.
    ws::handshake(&request)?;
    let open = match context.sockets.open(peer) {
        Ok(open) => open,
        Err(too_many) => {
            metric::signalling_refused(too_many.label()).increment(1);
            let status = match too_many {
                crate::TooMany::OnNode => StatusCode::SERVICE_UNAVAILABLE,
                crate::TooMany::FromAddress => StatusCode::TOO_MANY_REQUESTS,
            };
            return Ok(refused(status, "too many signalling sockets: close some and try again"));
        }
    };
    let upgraded = request.conn_data().map(Watch::upgraded);
    let actor = Signalling::new(context, app, peer, user_agent(&request), came(&request), open, upgraded);
    let upgrade = ws::WsResponseBuilder::new(actor, &request, body);
    upgrade.frame_size(limits::SIGNALLING_MESSAGE_BYTES_MAX).start()
}

/// What the client calls itself, cut to a sane length; empty: it does not say.
pub(super) fn user_agent(request: &HttpRequest) -> String {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.unwrap_or_default().chars().take(limits::USER_AGENT_CHARS_MAX).collect()
}

fn refused(status: StatusCode, message: &str) -> HttpResponse {
    result(status, false, message)
}
