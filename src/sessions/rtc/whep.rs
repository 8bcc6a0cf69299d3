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
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};
use base::{ExitReason, PeerAddr, SessionId};
use observe::metric;
use rtc::{AnswerError, RemoteOffer};
use security::{Access, Direction};
use streams::Ending;
use tokio::sync::oneshot;

use super::PROTOCOL;
use super::context::SignallingContext;
use super::follow::Follow;
use super::join::{Coming, join};
use super::refusal::Refusal;
use super::resource::answers::{self, refused};
use super::resource::requests::{SDP, is_of, no_change, no_offer, read_text, with_credentials};
use super::resource::{Asked, Asking, Endpoint, Held, Resource, Resources, mount};
use super::shards::{PlayerControl, TakeAnswerError};
use super::statistics::PlayProtocol;
use crate::connections::OpenConnection;
use crate::{Body, Parameters};

/// The plays that WHEP began.
pub type WhepResources = Resources<PlayerControl>;

/// Mounts WHEP; a [`SignallingContext`] has to be there as `web::Data`.
pub fn whep(config: &mut ServiceConfig) {
    mount::<Whep>(config);
}

struct Whep;

impl Endpoint for Whep {
    type Control = PlayerControl;
    const PART: &'static str = "whep";
    const ENDED: &'static str = "the play is over";

    fn sessions(context: &SignallingContext) -> &WhepResources {
        &context.whep
    }

    async fn begin(
        request: &HttpRequest,
        asked: Asked,
        mut body: Body,
        context: Arc<SignallingContext>,
    ) -> Result<HttpResponse, HttpResponse> {
        let offer = read_offer(request, &mut body).await?;
        let Asked { app, stream, peer } = asked;
        let (open, joining) = room(&context, peer).map_err(|refusal| answers::of_refusal(&refusal, false))?;
        let session = SessionId::random(&*context.randomness);
        let wish = Access::new(app.clone(), stream.as_str(), Direction::Play, PROTOCOL, peer, session);
        let room = Parameters::read(request.query_string()).get("room").map(str::to_owned);
        let access = Access { can_pause: true, main_track: room, ..with_credentials(request, wish) };
        let has_token = access.token.is_some();
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
        let created = answers::created(&resource, Self::PART, joined.description.sdp, &context);
        let kept = Kept { follow: joined.follow, starts, open, joining };
        actix_rt::spawn(until_ended(Held::new(&context.whep, resource), kept));
        asking.0 = None;
        Ok(created)
    }

    async fn change(
        request: &HttpRequest,
        resource: &Resource<PlayerControl>,
        text: String,
    ) -> Result<HttpResponse, HttpResponse> {
        if is_of(request, SDP) {
            return take_answer(resource, text).await;
        }
        let words = "a change is an answer (application/sdp) or a fragment (application/trickle-ice-sdpfrag)";
        Err(no_change(words, "application/sdp, application/trickle-ice-sdpfrag"))
    }
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
        return Err(no_offer());
    }
    match RemoteOffer::read(&text) {
        Ok(offer) => Ok(Some(offer)),
        Err(error) => {
            metric::signalling_refused("bad offer").increment(1);
            Err(refused(StatusCode::BAD_REQUEST, &error.to_string()))
        }
    }
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
