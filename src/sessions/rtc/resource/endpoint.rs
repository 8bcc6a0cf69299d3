//! The requests of one protocol: `POST` begins a session, `PATCH` there changes it, `DELETE` there ends it.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::{AppName, ExitReason, PeerAddr, StreamId};

use super::super::context::SignallingContext;
use super::answers::{self, either, refused};
use super::requests::{self, FRAGMENT, is_of, read_text};
use super::{Resource, Resources};
use crate::Body;

const OF_ENDPOINT: &str = "POST, OPTIONS";
const OF_RESOURCE: &str = "PATCH, DELETE, OPTIONS";

/// A protocol whose sessions HTTP requests begin and end.
pub(in super::super) trait Endpoint: 'static {
    /// What a session is asked by.
    type Control: 'static;
    /// Its part of the path: `/{App}/{PART}/{streamId}`.
    const PART: &'static str;
    /// What who ends a session is told.
    const ENDED: &'static str;

    /// Its sessions that go on.
    fn sessions(context: &SignallingContext) -> &Resources<Self::Control>;

    /// Begins a session: 201 and where it is from now on, or why there is none.
    async fn begin(
        request: &HttpRequest,
        asked: Asked,
        body: Body,
        context: Arc<SignallingContext>,
    ) -> Result<HttpResponse, HttpResponse>;

    /// Begins a new ICE session within a session: the fragment to answer with. `None`: that cannot be done.
    fn restart(_resource: &Resource<Self::Control>, _context: &SignallingContext) -> Option<String> {
        None
    }

    /// Takes a change that is no fragment.
    async fn change(
        request: &HttpRequest,
        resource: &Resource<Self::Control>,
        text: String,
    ) -> Result<HttpResponse, HttpResponse>;
}

/// Whom a request is from, and of which stream it speaks.
pub(in super::super) struct Asked {
    pub(in super::super) app: AppName,
    pub(in super::super) stream: StreamId,
    pub(in super::super) peer: PeerAddr,
}

/// Mounts a protocol; a [`SignallingContext`] has to be there as `web::Data`.
pub(in super::super) fn mount<E: Endpoint>(config: &mut ServiceConfig) {
    let path = format!("/{{app}}/{}/{{stream}}", E::PART);
    let resource = web::resource(format!("{path}/{{resource}}"))
        .route(web::patch().to(change::<E>))
        .route(web::delete().to(end::<E>))
        .default_service(web::to(|request, payload| answers::other_verbs(request, payload, OF_RESOURCE)));
    let endpoint = web::resource(path)
        .route(web::post().to(create::<E>))
        .default_service(web::to(|request, payload| answers::other_verbs(request, payload, OF_ENDPOINT)));
    config.service(endpoint).service(resource);
}

async fn create<E: Endpoint>(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let body = Body::new(&request, payload);
    let begun = async {
        let asked =
            Asked::read(&request, &path, &context).map_err(|(status, words)| refused(status, words))?;
        E::begin(&request, asked, body, context.into_inner()).await
    };
    either(begun.await)
}

impl Asked {
    fn read(
        request: &HttpRequest,
        (app, stream): &(String, String),
        context: &SignallingContext,
    ) -> Result<Self, (StatusCode, &'static str)> {
        let app = AppName::new(app).ok().filter(|app| context.applications.contains(app));
        let app = app.ok_or((StatusCode::NOT_FOUND, "there is no such application on this server"))?;
        let stream = StreamId::new(stream).map_err(|_| {
            let words = "a stream's name has letters, digits, '-', '_' and '.', at most 256 of them";
            (StatusCode::BAD_REQUEST, words)
        })?;
        if *context.draining.borrow() {
            let words = "the server is stopping: try again in some seconds";
            return Err((StatusCode::SERVICE_UNAVAILABLE, words));
        }
        let peer = crate::peer_of(request);
        let peer = peer.ok_or((StatusCode::FORBIDDEN, "the peer's address is unknown"))?;
        Ok(Self { app, stream, peer })
    }
}

async fn change<E: Endpoint>(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let mut body = Body::new(&request, payload);
    let changed = async {
        let resource = E::sessions(&context).find(&path).ok_or_else(answers::no_such_resource)?;
        let text = read_text(&mut body).await?;
        if is_of(&request, FRAGMENT) {
            return Ok(take_fragment::<E>(&request, &resource, &text, &context));
        }
        E::change(&request, &resource, text).await
    };
    either(changed.await)
}

/// Takes candidates, of which none is needed: the peer is found by its checks. Who does not say which session it means
/// (`If-Match`) does no harm by that, and some clients do not.
fn take_fragment<E: Endpoint>(
    request: &HttpRequest,
    resource: &Resource<E::Control>,
    text: &str,
    context: &SignallingContext,
) -> HttpResponse {
    if !requests::matches(request, &resource.etag()) {
        let words = "the session is another one (If-Match): use the ETag of the answer to POST";
        return refused(StatusCode::PRECONDITION_FAILED, words);
    }
    match rtc::Fragment::read(text) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        // RFC 9725 4.3.3.
        Ok(fragment) if resource.is_restarted_by(&fragment) => match E::restart(resource, context) {
            Some(answer) => {
                let etag = resource.restarted(fragment);
                HttpResponse::Ok().content_type(FRAGMENT).insert_header((header::ETAG, etag)).body(answer)
            }
            None => {
                let words = "ICE cannot be restarted here: delete the session and POST again";
                refused(StatusCode::UNPROCESSABLE_ENTITY, words)
            }
        },
        Ok(_) => HttpResponse::NoContent().finish(),
    }
}

async fn end<E: Endpoint>(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    payload: web::Payload,
    context: web::Data<SignallingContext>,
) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    let ended = match E::sessions(&context).take(&path) {
        Some(resource) => {
            resource.ending.end(ExitReason::Finished);
            Ok(answers::done(E::ENDED))
        }
        None => Err(answers::no_such_resource()),
    };
    either(ended)
}
