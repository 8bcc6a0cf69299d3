//! WHIP: a publisher offers with one HTTP request, publishes, and ends with another (RFC 9725; AMS's `/{App}/whip`).
//!
//! | | |
//! |---|---|
//! | `POST /{App}/whip/{streamId}`, an offer | 201, the answer, and where the session is from now on |
//! | `PATCH` there, `application/trickle-ice-sdpfrag` | 204, candidates are not needed; 200 and a fragment when it restarts ICE |
//! | `DELETE` there | 200, the stream has ended |
//!
//! The publisher is one as any other: it passes the same gate and is served by the same session as those of the
//! signalling socket. It is not told of anything; its connection closes when it is ended.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};
use base::{ExitReason, SessionId};
use observe::metric;
use rtc::OfferError;
use security::{Access, Direction};
use streams::PublisherFacts;

use super::PROTOCOL;
use super::context::SignallingContext;
use super::guests::Restarts;
use super::publish::{self, NoAnswer, Publisher};
use super::refusal::Refusal;
use super::resource::answers::{self, refused};
use super::resource::requests::{FRAGMENT, SDP, is_of, no_change, no_offer, read_text, with_credentials};
use super::resource::{Asked, Asking, Endpoint, Held, Resource, Resources, mount};
use super::upgrade::user_agent;
use crate::{Body, Parameters};

/// The publishers that WHIP began.
pub type WhipResources = Resources<WhipControl>;

/// What WHIP asks a publisher by.
pub struct WhipControl {
    restarts: Restarts,
    /// Where it reaches this node: the m-line's mid, and each line.
    candidates: Vec<(String, String)>,
}

/// Mounts WHIP; a [`SignallingContext`] has to be there as `web::Data`.
pub fn whip(config: &mut ServiceConfig) {
    mount::<Whip>(config);
}

struct Whip;

impl Endpoint for Whip {
    type Control = WhipControl;
    const PART: &'static str = "whip";
    const ENDED: &'static str = "the stream has ended";

    fn sessions(context: &SignallingContext) -> &WhipResources {
        &context.whip
    }

    async fn begin(
        request: &HttpRequest,
        asked: Asked,
        mut body: Body,
        context: Arc<SignallingContext>,
    ) -> Result<HttpResponse, HttpResponse> {
        let offer = read_offer(request, &mut body).await?;
        if context.whip.is_full() {
            return Err(answers::of_refusal(&Refusal::new("highResourceUsage"), false));
        }
        let Asked { app, stream, peer } = asked;
        let session = SessionId::random(&*context.randomness);
        let wish = Access::new(app.clone(), stream.as_str(), Direction::Publish, PROTOCOL, peer, session);
        let query = Parameters::read(request.query_string());
        let find = |key| query.get(key).map(str::to_owned);
        let access = Access { main_track: find("mainTrack"), ..with_credentials(request, wish) };
        // These two and no more of the query: the rest may let somebody in.
        let facts = PublisherFacts {
            user_agent: user_agent(request),
            name: find("streamName").unwrap_or_default(),
            meta_data: find("metaData").unwrap_or_default(),
            ..PublisherFacts::default()
        };
        let has_token = access.token.is_some();
        let begun = publish::begin(&context, access, facts).await;
        let Publisher { ending, control, .. } =
            begun.map_err(|refusal| answers::of_refusal(&refusal, has_token))?;
        let mut asking = Asking(Some(ending.clone()));
        let answer = control.offer(offer).await.map_err(|why| {
            ending.end(ExitReason::Denied);
            not_answered(&why)
        })?;
        let candidates = answer.candidates.into_iter().map(|(_, mid, line)| (mid, line)).collect();
        let control = WhipControl { restarts: answer.restarts, candidates };
        let resource = Resource::new(app, stream, ending, control, answer.ufrags, &*context.randomness);
        let created = answers::created(&resource, Self::PART, answer.sdp, &context);
        let held = Held::new(&context.whip, resource);
        actix_rt::spawn(async move {
            held.resource.ending.ended().await;
        });
        asking.0 = None;
        Ok(created)
    }

    async fn change(
        _: &HttpRequest,
        _: &Resource<WhipControl>,
        _: String,
    ) -> Result<HttpResponse, HttpResponse> {
        Err(no_change("a change is a fragment (application/trickle-ice-sdpfrag)", FRAGMENT))
    }

    fn restart(resource: &Resource<WhipControl>, context: &SignallingContext) -> Option<String> {
        let WhipControl { restarts, candidates, .. } = &resource.control;
        let credentials = restarts.begin(&*context.randomness)?;
        Some(rtc::sdp::restarted(&credentials, candidates))
    }
}

/// The publisher's offer, which has to be there.
async fn read_offer(request: &HttpRequest, body: &mut Body) -> Result<String, HttpResponse> {
    let text = read_text(body).await?;
    if !is_of(request, SDP) {
        return Err(no_offer());
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
