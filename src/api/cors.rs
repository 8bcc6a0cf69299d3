//! What pages of other origins may ask and read of this node: by `web.xml` of the application whose path it is, else by that of
//! the node's own pages (`root`). One place for every answer: pages, REST, WHIP, WHEP, media and all refusals.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, Payload};
use actix_web::{Error, HttpResponse};
use arc_swap::ArcSwap;
use base::{AppName, AppNames, limits};
use config::CorsFilter;
use parking_lot::Mutex;
use security::door::{CorsAnswer, CorsRequest, decide_cors};
use sessions::Body;

use crate::path::Parts;

/// The folder of the node's own pages.
const ROOT: &str = "root";
/// Parts of an application in which `PATCH` is a verb.
const WITH_PATCH: &[&str] = &["whip", "whep"];

/// By what a change of a file is noticed.
type Mark = Option<(SystemTime, u64)>;

#[derive(Clone)]
struct Loaded {
    filter: Option<CorsFilter>,
    mark: Mark,
}

type Folders = HashMap<String, Loaded>;

/// The filters of a node, as their files say.
pub struct CorsFilters {
    webapps: PathBuf,
    applications: AppNames,
    /// Held by who looks: two that look would forget what the other saw.
    looking: Mutex<()>,
    loaded: ArcSwap<Folders>,
}

impl CorsFilters {
    /// Reads the files of `applications` and of the node's own pages. Of a file that is broken nobody else's page may read
    /// anything, and the log says why.
    pub fn load(webapps: PathBuf, applications: AppNames) -> Self {
        let filters = Self { webapps, applications, looking: Mutex::default(), loaded: ArcSwap::default() };
        filters.look();
        filters
    }

    /// Reads again what was changed, for ever.
    pub async fn follow(self: Arc<Self>) {
        loop {
            actix_web::rt::time::sleep(limits::WEB_XML_LOOK).await;
            let filters = Arc::clone(&self);
            // Fails when the node stops.
            if web::block(move || filters.look()).await.is_err() {
                return;
            }
        }
    }

    /// Reads what was changed, and the files of applications that came. To be called where the disk may be waited for.
    pub fn look(&self) {
        let _looking = self.looking.lock();
        let applications = self.applications.all();
        let before = self.loaded.load();
        let is_there = |name: &String| name == ROOT || applications.contains(name.as_str());
        let mut after: Option<Folders> = None;
        if !before.keys().all(is_there) {
            let kept = before.iter().filter(|(name, _)| is_there(name));
            after = Some(kept.map(|(name, loaded)| (name.clone(), loaded.clone())).collect());
        }
        for name in applications.iter().map(AppName::as_str).chain([ROOT]) {
            let folder = self.webapps.join(name);
            let mark = std::fs::metadata(folder.join("WEB-INF/web.xml"))
                .ok()
                .and_then(|data| Some((data.modified().ok()?, data.len())));
            let known = before.get(name);
            if known.is_some_and(|known| known.mark == mark) {
                continue;
            }
            let filter = match CorsFilter::load(&folder) {
                Ok(filter) => {
                    if known.is_some() {
                        tracing::info!(app = %name, "the CORS filter of web.xml is read again");
                    }
                    filter
                }
                Err(error) => {
                    tracing::error!(app = %name, %error, "web.xml cannot be used: what it said before goes on to hold");
                    known.and_then(|known| known.filter.clone())
                }
            };
            after.get_or_insert_with(|| (**before).clone()).insert(name.to_owned(), Loaded { filter, mark });
        }
        if let Some(after) = after {
            self.loaded.store(Arc::new(after));
        }
    }

    fn decide(&self, request: &ServiceRequest) -> CorsAnswer {
        // No page asks: there is nothing to decide, whosever path it is.
        if !request.headers().contains_key(header::ORIGIN) {
            return CorsAnswer::Untouched;
        }
        // Whose path it is cannot be said of one that nothing is found by: no page may try how far it gets.
        let Some(path) = Parts::new(request.path()) else { return CorsAnswer::Refused };
        let parts = path.as_slice();
        let loaded = self.loaded.load();
        let of_app =
            parts.first().filter(|first| first.as_str() != ROOT).and_then(|first| loaded.get(first.as_str()));
        let patches =
            of_app.is_some() && parts.get(1).is_some_and(|part| WITH_PATCH.contains(&part.as_str()));
        let filter = of_app.or_else(|| loaded.get(ROOT)).and_then(|loaded| loaded.filter.as_ref());
        let headers = request.headers();
        let bytes = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
        decide_cors(
            filter,
            &CorsRequest {
                method: request.method().as_str(),
                origin: bytes(header::ORIGIN),
                host: headers.get(header::HOST).and_then(|host| host.to_str().ok()),
                asks_method: bytes(header::ACCESS_CONTROL_REQUEST_METHOD),
                asks_headers: bytes(header::ACCESS_CONTROL_REQUEST_HEADERS),
                has_authorization: headers.contains_key(header::AUTHORIZATION)
                    || headers.contains_key("proxyauthorization"),
                also_method: patches.then_some("PATCH"),
            },
        )
    }
}

/// Applies the filters (`web::Data<CorsFilters>` of the app) to everything the app answers. To be wrapped around it.
///
/// # Errors
/// Those of the app itself.
pub async fn cors<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let answer = match request.app_data::<Data<CorsFilters>>() {
        Some(filters) => filters.decide(&request),
        None => CorsAnswer::Untouched,
    };
    let said = match answer {
        CorsAnswer::Untouched => Vec::new(),
        CorsAnswer::With(said) => said,
        own @ (CorsAnswer::Preflight(_) | CorsAnswer::Refused) => {
            let payload = request.extract::<Payload>().await?;
            drop(Body::new(request.request(), payload));
            let mut response = match own {
                CorsAnswer::Preflight(said) => {
                    let mut response = HttpResponse::Ok().finish();
                    say(response.headers_mut(), said);
                    vary(response.headers_mut(), "Access-Control-Request-Method");
                    vary(response.headers_mut(), "Access-Control-Request-Headers");
                    response
                }
                _ => HttpResponse::build(StatusCode::FORBIDDEN)
                    .insert_header(header::ContentType::plaintext())
                    .finish(),
            };
            vary(response.headers_mut(), "Origin");
            return Ok(request.into_response(response).map_into_right_body());
        }
    };
    let mut response = next.call(request).await?;
    // A socket's answer has no cache that could mix it up.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        vary(response.headers_mut(), "Origin");
    }
    say(response.headers_mut(), said);
    Ok(response.map_into_left_body())
}

fn say(headers: &mut HeaderMap, said: Vec<(&'static str, String)>) {
    for (name, value) in said {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn vary(headers: &mut HeaderMap, on: &'static str) {
    headers.append(header::VARY, HeaderValue::from_static(on));
}
