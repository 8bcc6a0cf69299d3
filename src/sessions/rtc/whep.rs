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

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::{ExitReason, PeerAddr, SessionId};
use observe::metric;
use rtc::{AnswerError, RemoteOffer};
use security::{Access, Direction};
use streams::Ending;
use tokio::sync::oneshot;

use super::context::SignallingContext;
use super::follow::Follow;
use super::join::{Coming, join};
use super::refusal::Refusal;
use super::resource::answers::{self, opened, other_verbs, refused};
use super::resource::requests::{Credentials, FRAGMENT, SDP, is_of, read_text};
use super::resource::{Asking, Held, Resource, Resources, take_fragment, who_and_what};
use super::shards::{PlayerControl, TakeAnswerError};
use super::statistics::PlayProtocol;
use crate::Body;
use crate::connections::OpenConnection;

/// The plays that WHEP began.
pub type WhepResources = Resources<PlayerControl>;

const PART: &str = "whep";
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
    let created = answers::created(&resource, PART, joined.description.sdp, &context);
    let kept = Kept { follow: joined.follow, starts, open, joining };
    actix_rt::spawn(until_ended(Held::new(&context.whep, resource), kept));
    asking.0 = None;
    Ok(created)
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

/// What a play holds as long as it goes on.
struct Kept {
    follow: Follow,
    /// Told when media flows.
    starts: oneshot::Receiver<()>,
    open: OpenConnection,
    /// Held until media flows.
    joining: OpenConnection,
}

async fn until_ended(held: Held<PlayerControl>, kept: Kept) {
    let Kept { mut follow, starts, open: _open, joining } = kept;
    let resource = &held.resource;
    let starting = async {
        let _ = starts.await;
        drop(joining);
        std::future::pending::<()>().await;
    };
    let changing = async {
        // There is no way to offer again.
        let why = follow.changed().await.err().unwrap_or_default();
        tracing::info!(app = %resource.app, stream = %resource.stream, %why, "a WHEP player cannot follow its stream's change");
        resource.ending.end(ExitReason::CodecChanged);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = resource.ending.ended() => {}
        () = starting => {}
        () = changing => {}
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
async fn take_answer(resource: &Resource<PlayerControl>, text: String) -> Result<HttpResponse, HttpResponse> {
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
