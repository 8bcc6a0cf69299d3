//! HTTP-FLV: `GET /{App}/live/{streamId}.flv`, a live stream as one body that ends with it. AMS has no such address;
//! its credentials stand in the query as for all of AMS's media (`token`, `subscriberId`, `subscriberCode`, `room`).
//!
//! | | |
//! |---|---|
//! | `GET` | 200 and the stream from its newest key frame on, or a refusal |
//! | `HEAD` | 405: it could not tell without spending a one-time token |
//! | `OPTIONS` | 204 |
//!
//! A player that reads too slowly skips to the newest key frame, and one that takes nothing for
//! [`limits::HTTP_PLAYER_STALL_MAX`](base::limits::HTTP_PLAYER_STALL_MAX) is ended. Whatever ends the player ends the body, and the connection with it.

mod body;
mod reader;

use std::rc::Rc;

use actix_web::body::BodyStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::ExitReason;
use media::{Catalogue, Way, flv_way};
use observe::metric;
use streams::Ending;

use self::body::{FlvBody, Pull};
use self::reader::FlvReader;
use super::asked::{Verb, access};
use super::context::HttpMediaContext;
use super::refusal::{Refusal, harden, of_denial, of_play_error};
use crate::connections::OpenConnection;
use crate::{Body, Upgraded, Watch};

/// Where a stream is.
pub(super) const PATH: &str = "/{app}/live/{stream}.flv";
/// As what its sessions are told of.
const PROTOCOL: &str = "flv";
const ALLOWED: &str = "GET, OPTIONS";

/// Mounts HTTP-FLV; an [`HttpMediaContext`] has to be there as `web::Data`.
pub fn flv(config: &mut ServiceConfig) {
    config.service(web::resource(PATH).to(play));
}

async fn play(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    context: web::Data<HttpMediaContext>,
) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    answer(&request, path.into_inner(), &context).await.unwrap_or_else(|refusal| refusal.respond())
}

async fn answer(
    request: &HttpRequest,
    (app, stream): (String, String),
    context: &HttpMediaContext,
) -> Result<HttpResponse, Refusal> {
    match Verb::of(request)? {
        Verb::Get => {}
        Verb::Head => return Ok(allowed(StatusCode::METHOD_NOT_ALLOWED)),
        Verb::Options => return Ok(allowed(StatusCode::NO_CONTENT)),
    }
    let app = context.application(&app)?;
    if *context.draining.borrow() {
        return Err(Refusal::draining());
    }
    let access = access(request, app.clone(), &stream, PROTOCOL, &*context.randomness)?;
    // Before the gate: what lets in once must not be spent on a node that has no room.
    let open = context.players.open(access.peer).map_err(Refusal::no_room)?;
    let peer = access.peer;
    let permit = context.gate.admit(access).await.map_err(|denial| of_denial(&denial, &stream))?;
    let stream = permit.stream().clone();
    let ending = Ending::new();
    // Until the body has it: whoever goes away meanwhile has ended.
    let asking = Asking(Some(ending.clone()));
    let grant = match context.applications.play(permit, ending.clone(), context.arbiter.clone()).await {
        Ok(grant) => grant,
        Err(error) => match of_play_error(error) {
            Some(refusal) => return Err(refusal),
            None => {
                let elsewhere = context.applications.elsewhere(&app, &stream).await;
                return Err(Refusal::not_live(elsewhere.as_deref()));
            }
        },
    };
    let catalogue = grant.media.catalogue();
    if let Err(refusal) = sendable(&catalogue) {
        ending.end(ExitReason::Denied);
        return Err(refusal);
    }
    let reader = FlvReader::new(grant.media, &catalogue);
    let pull = Rc::new(Pull::default());
    let clock = std::sync::Arc::clone(&context.clock);
    let body = FlvBody::new(reader, ending.clone(), Rc::clone(&pull), clock);
    let watch = request.conn_data::<Watch>().cloned();
    let session = Session { ending, pull, open, upgraded: watch.as_ref().map(Watch::upgraded), watch };
    actix_rt::spawn(session.run());
    asking.done();
    tracing::debug!(%app, %stream, %peer, "an FLV player is served");
    let mut response = HttpResponse::Ok()
        .content_type("video/x-flv")
        .force_close()
        .body(BodyStream::new(body.into_stream()));
    harden(&mut response);
    Ok(response)
}

/// What may be asked.
fn allowed(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(status);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
    harden(&mut response);
    response
}

/// Whether all of a stream can be put into FLV; what cannot is named.
fn sendable(catalogue: &Catalogue) -> Result<(), Refusal> {
    let mut sources = reader::sources(catalogue).peekable();
    if sources.peek().is_none() {
        return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "the stream has neither picture nor sound"));
    }
    for info in sources {
        let why = match flv_way(info) {
            Way::Refuse(why) => why,
            _ if info.track.is_of_packets() && !media::can_depacketize(info.config.codec()) => {
                let codec = info.config.codec().label().to_uppercase();
                format!(
                    "{codec} of a WebRTC publisher, which is not put into FLV; play it by WebRTC, or publish H.264"
                )
            }
            _ => continue,
        };
        let kind = info.kind().label();
        return Err(Refusal::explained(StatusCode::NOT_ACCEPTABLE, format!("the stream's {kind} is {why}")));
    }
    Ok(())
}

/// Ends the player of a request that was dropped while it was answered.
struct Asking(Option<Ending>);

impl Asking {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.end(ExitReason::PeerClosed);
        }
    }
}

/// What a player's connection holds beside its body, which may stand still: its place, its end, and the way to cut it.
struct Session {
    ending: Ending,
    pull: Rc<Pull>,
    open: OpenConnection,
    watch: Option<Watch>,
    upgraded: Option<Upgraded>,
}

impl Session {
    async fn run(self) {
        let Self { ending, pull, open: _open, watch, upgraded } = self;
        metric::players(PROTOCOL).increment(1.0);
        let reason = tokio::select! {
            reason = ending.ended() => reason,
            () = pull.stalls() => {
                watch.iter().for_each(Watch::is_too_slow);
                ExitReason::TooSlow
            }
        };
        ending.end(reason);
        metric::players(PROTOCOL).decrement(1.0);
        let is_clean =
            matches!(reason, ExitReason::Finished | ExitReason::StreamEnded | ExitReason::Draining);
        match upgraded {
            // The end of the body goes out first, if that does not take long.
            Some(upgraded) if is_clean => drop(upgraded),
            Some(upgraded) => upgraded.cut(),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
