//! WHEP: a player offers with one HTTP request, plays, and ends with another (draft-ietf-wish-whep; status codes as WHIP
//! has them, RFC 9725). AMS has no such endpoint; this one stands beside its WHIP path.
//!
//! | | |
//! |---|---|
//! | `POST /{App}/whep/{streamId}`, an offer | 201, the answer, and where the play is from now on |
//! | the same, no body | 201, an offer of ours: its answer comes by `PATCH` |
//! | `PATCH` there, `application/sdp` | 204, the answer was taken |
//! | `PATCH` there, `application/trickle-ice-sdpfrag` | 204, candidates are not needed; 422 when it restarts ICE |
//! | `DELETE` there | 200, the play is over |
//!
//! The player is one as any other: it passes the same gate and lives in the same shards. What it is not is told: when its
//! stream changes so that it had to agree anew, it ends as `codec changed`, and asks again.

mod answers;
mod requests;
mod resources;

use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::{AppName, ExitReason, PeerAddr, SessionId, StreamId};
use observe::metric;
use rtc::{AnswerError, Fragment, RemoteOffer};
use security::{Access, Direction};
use streams::Ending;
use tokio::sync::oneshot;

use super::context::SignallingContext;
use super::join::{Coming, join};
use super::refusal::Refusal;
use super::shards::TakeAnswerError;
use super::statistics::PlayProtocol;
use crate::Body;
use crate::connections::OpenConnection;
use answers::{opened, refused};
use requests::{Credentials, FRAGMENT, SDP, is_of, read_text};
use resources::{Kept, Resource};

pub use resources::WhepResources;

const ENDPOINT: &str = "/{app}/whep/{stream}";
const RESOURCE: &str = "/{app}/whep/{stream}/{resource}";
const OF_ENDPOINT: &str = "POST, OPTIONS";
const OF_RESOURCE: &str = "PATCH, DELETE, OPTIONS";

/// Mounts WHEP; a [`SignallingContext`] has to be there as `web::Data`.
pub fn whep(config: &mut ServiceConfig) {
    let endpoint = web::resource(ENDPOINT).route(web::post().to(create)).default_service(web::to(
        |request: HttpRequest, payload: web::Payload| other_verbs(request, payload, OF_ENDPOINT),
    ));
    let resource =
        web::resource(RESOURCE).route(web::patch().to(change)).route(web::delete().to(end)).default_service(
            web::to(|request: HttpRequest, payload: web::Payload| other_verbs(request, payload, OF_RESOURCE)),
        );
    config.service(endpoint).service(resource);
}

async fn create(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let body = Body::new(&request, payload);
    let (app, stream) = path.into_inner();
    opened(play(&request, &app, &stream, body, context.into_inner()).await, OF_ENDPOINT)
}

async fn play(
    request: &HttpRequest,
    app: &str,
    stream: &str,
    mut body: Body,
    context: Arc<SignallingContext>,
) -> Result<HttpResponse, HttpResponse> {
    let (app, stream, peer) =
        who_and_what(request, app, stream, &context).map_err(|(status, words)| refused(status, words))?;
    let offer = read_offer(request, &mut body).await?;
    let (open, joining) = room(&context, peer).map_err(|refusal| answers::of_refusal(&refusal, false))?;
    let Credentials { token, subscriber_id, subscriber_code } = Credentials::of(request);
    let has_token = token.is_some();
    let session = SessionId::random(&*context.randomness);
    let access = Access {
        token,
        subscriber_id,
        subscriber_code,
        ..Access::new(app.clone(), stream.as_str(), Direction::Play, peer, session)
    };
    let ufrags = offer.as_ref().map(RemoteOffer::ufrags).unwrap_or_default();
    let ending = Ending::new();
    let mut asking = Asking(Some(ending.clone()));
    let (started, starts) = oneshot::channel();
    let coming = Coming { protocol: PlayProtocol::Whep, info: String::new() };
    let joined = join(Arc::clone(&context), access, coming, offer, ending.clone(), started).await;
    let joined = joined.map_err(|refusal| {
        ending.end(ExitReason::Denied);
        answers::of_refusal(&refusal, has_token)
    })?;
    let resource = Resource::new(app, stream, ending, joined.control, ufrags, &*context.randomness);
    let created = answers::created(&resource, joined.description.sdp, &context);
    let kept = Kept { follow: joined.follow, starts, open, joining };
    resources::keep(&context, resource, kept);
    asking.0 = None;
    Ok(created)
}

/// A refusal that is no answer yet.
type Said = (StatusCode, &'static str);

fn who_and_what(
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

/// The player's place among those of its address, and among those of them that are not connected yet.
fn room(context: &SignallingContext, peer: PeerAddr) -> Result<(OpenConnection, OpenConnection), Refusal> {
    if context.whep.is_full() {
        return Err(Refusal::no_room("whep resources"));
    }
    let open = context.plays.open(peer).map_err(|_| Refusal::no_room("players of the address"))?;
    let joining = context.joins.open(peer).map_err(|_| Refusal::no_room("joins of the address"))?;
    Ok((open, joining))
}

/// Ends a play whose asker is gone before it has its answer: nobody could end it.
struct Asking(Option<Ending>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.end(ExitReason::PeerClosed);
        }
    }
}

/// The player's offer; `None`: it wants one of ours.
async fn read_offer(request: &HttpRequest, body: &mut Body) -> Result<Option<RemoteOffer>, HttpResponse> {
    let text = read_text(body).await?;
    if text.is_empty() {
        return Ok(None);
    }
    if !is_of(request, SDP) {
        let mut response =
            refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an offer has the type application/sdp");
        answers::say(&mut response, "accept-post", SDP);
        return Err(response);
    }
    match RemoteOffer::read(&text) {
        Ok(offer) => Ok(Some(offer)),
        Err(error) => {
            metric::signalling_refused("bad offer").increment(1);
            Err(refused(StatusCode::BAD_REQUEST, &error.to_string()))
        }
    }
}

async fn change(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let mut body = Body::new(&request, payload);
    let changed = async {
        let resource = context.whep.find(&path).ok_or_else(answers::no_such_resource)?;
        let text = read_text(&mut body).await?;
        if is_of(&request, SDP) {
            take_answer(&resource, text).await
        } else if is_of(&request, FRAGMENT) {
            Ok(take_fragment(&request, &resource, &text))
        } else {
            let words =
                "a change is an answer (application/sdp) or a fragment (application/trickle-ice-sdpfrag)";
            let mut response = refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
            answers::say(&mut response, "accept-patch", "application/sdp, application/trickle-ice-sdpfrag");
            Err(response)
        }
    };
    opened(changed.await, OF_RESOURCE)
}

/// Takes the answer to an offer of ours.
async fn take_answer(resource: &Resource, text: String) -> Result<HttpResponse, HttpResponse> {
    let ufrag = text.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:")).map(str::to_owned);
    match resource.control.answer(text).await {
        Ok(()) => {
            resource.answered(ufrag);
            Ok(HttpResponse::NoContent().finish())
        }
        Err(TakeAnswerError::Overloaded) => {
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, "the server is busy: send the answer again"))
        }
        Err(TakeAnswerError::Answer(error)) => {
            let status = match error {
                AnswerError::NoSuchPlayer => return Err(answers::no_such_resource()),
                AnswerError::AlreadyAnswered => StatusCode::CONFLICT,
                AnswerError::NothingAccepted | AnswerError::NoCommonCodec(_) => StatusCode::NOT_ACCEPTABLE,
                AnswerError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            Err(refused(status, &error.to_string()))
        }
    }
}

/// Takes candidates, which an ICE-lite agent has no use for. Who does not say which session it means (`If-Match`) does no
/// harm by that, and some players do not.
fn take_fragment(request: &HttpRequest, resource: &Resource, text: &str) -> HttpResponse {
    if !requests::matches(request, &resource.etag) {
        let words = "the session is another one (If-Match): use the ETag of the answer to POST";
        return refused(StatusCode::PRECONDITION_FAILED, words);
    }
    match Fragment::read(text) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        // RFC 9725 4.3.3.
        Ok(fragment) if resource.is_restarted_by(&fragment) => {
            let words = "ICE cannot be restarted here: delete the session and POST again";
            refused(StatusCode::UNPROCESSABLE_ENTITY, words)
        }
        Ok(_) => HttpResponse::NoContent().finish(),
    }
}

async fn end(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    let ended = match context.whep.take(&path) {
        Some(resource) => {
            resource.ending.end(ExitReason::Finished);
            Ok(answers::done("the play is over"))
        }
        None => Err(answers::no_such_resource()),
    };
    opened(ended, OF_RESOURCE)
}

/// What may be asked, and a refusal of everything else.
async fn other_verbs(request: HttpRequest, payload: web::Payload, allowed: &'static str) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    let mut response = if request.method() == Method::OPTIONS {
        answers::options(&request)
    } else {
        refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    };
    answers::say(&mut response, "allow", allowed);
    opened(Ok(response), allowed)
}
