//! `POST /{id}/data`: says something to everybody of a live stream, with AMS's messages.

use actix_web::HttpResponse;
use base::{AppName, StreamId};

use crate::answer::{Outcome, ok};
use crate::{ApiState, Spoken};

const NOT_ENABLED: &str = "Data channels are not enabled";
const NOT_LIVE: &str = "Requested WebRTC stream does not exist";
const NOT_COMPLETED: &str = "Operation not completed";

/// The body goes to the stream's players and its publisher as text, whatever is in it. A `Result`.
pub(crate) async fn send(state: &ApiState, app: &AppName, id: &str, body: Vec<u8>) -> HttpResponse {
    let Some(settings) = state.settings.snapshot(app) else {
        return ok(&Outcome::failure(NOT_COMPLETED));
    };
    if !settings.data_channel_enabled() {
        return ok(&Outcome::failure(NOT_ENABLED));
    }
    let Ok(id) = StreamId::new(id) else { return ok(&Outcome::failure(NOT_LIVE)) };
    // As Java reads text.
    let text = String::from_utf8(body).unwrap_or_else(|body| String::from_utf8_lossy(body.as_bytes()).into());
    ok(&match state.streams.send_message(app, &id, text).await {
        Spoken::Sent => Outcome::success(""),
        Spoken::NotLive => Outcome::failure(NOT_LIVE),
        Spoken::Elsewhere(node) => Outcome::failure(format!("{NOT_LIVE} on this node: {node} has it")),
        Spoken::Refused => Outcome::failure(NOT_COMPLETED),
    })
}
