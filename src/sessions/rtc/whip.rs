//! WHIP: a publisher offers with one HTTP request, publishes, and ends with another (RFC 9725; AMS's `/{App}/whip`).
//!
//! | | |
//! |---|---|
//! | `POST /{App}/whip/{streamId}`, an offer | 201, the answer, and where the session is from now on |
//! | `PATCH` there, `application/trickle-ice-sdpfrag` | 204, candidates are not needed; 422 when it restarts ICE |
//! | `DELETE` there | 200, the stream has ended |
//!
//! The publisher is one as any other: it passes the same gate and is served by the same session as those of the
//! signalling socket. It is not told of anything; its connection closes when it is ended.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::{ExitReason, SessionId};
use observe::metric;
use rtc::OfferError;
use security::{Access, Direction};

use super::context::SignallingContext;
use super::publish::{self, NoAnswer, Publisher, PublisherControl};
use super::refusal::Refusal;
use super::resource::answers::{self, opened, other_verbs, refused};
use super::resource::requests::{Credentials, FRAGMENT, SDP, is_of, read_text};
use super::resource::{Asking, Held, Resource, Resources, take_fragment, who_and_what};
use super::upgrade::user_agent;
use crate::{Body, Parameters};

/// The publishers that WHIP began.
pub type WhipResources = Resources<PublisherControl>;

const PART: &str = "whip";
const ENDPOINT: &str = "/{app}/whip/{stream}";
const RESOURCE: &str = "/{app}/whip/{stream}/{resource}";
const OF_ENDPOINT: &str = "POST, OPTIONS";
const OF_RESOURCE: &str = "PATCH, DELETE, OPTIONS";

/// Mounts WHIP; a [`SignallingContext`] has to be there as `web::Data`.
pub fn whip(config: &mut ServiceConfig) {
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
    opened(publish(&request, &app, &stream, body, context.into_inner()).await, OF_ENDPOINT)
}

async fn publish(
    request: &HttpRequest,
    app: &str,
    stream: &str,
    mut body: Body,
    context: Arc<SignallingContext>,
) -> Result<HttpResponse, HttpResponse> {
    let (app, stream, peer) =
        who_and_what(request, app, stream, &context).map_err(|(status, words)| refused(status, words))?;
    let offer = read_offer(request, &mut body).await?;
    if context.whip.is_full() {
        return Err(answers::of_refusal(&Refusal::new("highResourceUsage"), false));
    }
    let Credentials { token, subscriber_id, subscriber_code } = Credentials::of(request);
    let has_token = token.is_some();
    let session = SessionId::random(&*context.randomness);
    let access = Access {
        token,
        subscriber_id,
        subscriber_code,
        main_track: Parameters::read(request.query_string()).get("mainTrack").map(str::to_owned),
        ..Access::new(app.clone(), stream.as_str(), Direction::Publish, peer, session)
    };
    let begun = publish::begin(&context, access, user_agent(request)).await;
    let Publisher { ending, control, .. } =
        begun.map_err(|refusal| answers::of_refusal(&refusal, has_token))?;
    let mut asking = Asking(Some(ending.clone()));
    let answer = control.offer(offer).await.map_err(|why| {
        ending.end(ExitReason::Denied);
        not_answered(&why)
    })?;
    let resource = Resource::new(app, stream, ending, control, answer.ufrags, &*context.randomness);
    let created = answers::created(&resource, PART, answer.sdp, &context);
    let held = Held::new(&context.whip, resource);
    actix_rt::spawn(async move {
        held.resource.ending.ended().await;
    });
    asking.0 = None;
    Ok(created)
}

/// The publisher's offer, which has to be there.
async fn read_offer(request: &HttpRequest, body: &mut Body) -> Result<String, HttpResponse> {
    let text = read_text(body).await?;
    if !is_of(request, SDP) {
        let mut response =
            refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an offer has the type application/sdp");
        answers::say(&mut response, "accept-post", SDP);
        return Err(response);
    }
    // Before anybody is let in for it.
    match rtc::RemoteOffer::read_publish(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(not_answered(&error.into())),
    }
}

/// Why there is no answer.
fn not_answered(why: &NoAnswer) -> HttpResponse {
    metric::signalling_refused("bad offer").increment(1);
    let status = match why {
        NoAnswer::Offer(OfferError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        NoAnswer::Offer(_) | NoAnswer::Connection(_) => StatusCode::BAD_REQUEST,
        NoAnswer::Codec(_) => StatusCode::NOT_ACCEPTABLE,
        NoAnswer::AlreadyAnswered => StatusCode::CONFLICT,
        NoAnswer::Gone => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, &why.to_string())
}

async fn change(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let mut body = Body::new(&request, payload);
    let changed = async {
        let resource = context.whip.find(&path).ok_or_else(answers::no_such_resource)?;
        let text = read_text(&mut body).await?;
        if is_of(&request, FRAGMENT) {
            return Ok(take_fragment(&request, &resource, &text));
        }
        let mut response = refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a change is a fragment (application/trickle-ice-sdpfrag)",
        );
        answers::say(&mut response, "accept-patch", FRAGMENT);
        Err(response)
    };
    opened(changed.await, OF_RESOURCE)
}

async fn end(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    let ended = match context.whip.take(&path) {
        Some(resource) => {
            resource.ending.end(ExitReason::Finished);
            Ok(answers::done("the stream has ended"))
        }
        None => Err(answers::no_such_resource()),
    };
    opened(ended, OF_RESOURCE)
}
