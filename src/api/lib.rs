//! HTTP for people and programs: REST v2, health, metrics and the web pages.
//!
//! Not here: sockets, TLS, the server itself, signalling and media (`sessions`); who may publish and play
//! (`security`).
//!
//! [`configure`] mounts everything; it needs an [`ApiState`] as `web::Data` in the app. A request goes
//! through one path decoding (`path`), then to REST (`rest`: the door, the route table, the handler), to what
//! the node says of itself (`health`, `management`) or to the pages (`pages`).
//!
//! Specifications: Ant Media Server's REST v2 (shapes, status codes, messages); where it sends an HTML
//! error page, we send its `Result` as JSON.
//!
//! Invariants
//! - A path that is not in [`ROUTES`] does not exist, and is as closed as any other.
//! - Who may ask a route its row says, and nobody else may: an application's by its settings, the node's by its users. What
//!   is not in the table is as closed as what is closed most.
//! - Of no answer pages of other origins may read more than the application's `web.xml` says ([`cors()`]).
//! - What is shown of a live stream is what it is doing in this second, not what was stored of it.
//! - Pages never leave the `webapps` folder, never show `WEB-INF`, and take nothing from elsewhere.

mod state;

mod path;
mod routes;

mod admission;
mod age;
mod answer;
mod cors;
mod door;

mod applications;
mod body;
mod broadcasts;
mod clients;
mod cluster;
mod history;
mod lists;
mod management;
mod messages;
mod openapi;
mod publishers;
mod rest;
mod settings;
mod statistics;
mod subscribers;
mod tokens;
mod users;
mod vods;

mod health;
mod pages;
mod panel;
mod said;

#[cfg(test)]
mod tests;

use actix_web::guard;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base::AppNames;
use observe::Readiness;

pub use applications::{ApplicationFault, ApplicationKeeper, StoredData};
pub use cluster::{Cluster, Place, Reach};
pub use cors::{CorsFilters, cors};
pub use door::{Doorkeeper, ManagementJwt};
pub use history::{EventsPage, History};
pub use openapi::openapi_json;
pub use routes::{Operation, ROUTES, Role, Route, Scope, routes_json};
pub use said::said_along;
pub use settings::SettingsFiles;
pub use state::{ApiState, Live, Spoken, StreamControl};

/// Mounts the handlers, as the default service: whatever else the server mounts comes first, in any order.
/// The app needs `web::Data<ApiState>`.
pub fn configure(server: &mut ServiceConfig) {
    server.default_service(web::to(dispatch));
}

/// Mounts what a node answers that is not ready, and whose state nobody can tell yet: that it lives, and to all the rest that it
/// is to be asked again. The app needs `web::Data<Readiness>`.
pub fn configure_waiting(server: &mut ServiceConfig) {
    server.default_service(web::to(waiting));
}

async fn waiting(request: HttpRequest, readiness: Data<Readiness>) -> HttpResponse {
    match request.path() {
        "/livez" => health::livez(),
        "/readyz" => health::readiness(&request, &readiness, ""),
        _ => answer::not_yet(),
    }
}

/// Mounts REST of the node and of `applications` where it is found by its name, which is compared: what else the server mounts
/// is found by patterns, each of which is searched for in the path of every request that comes so far. To be called first;
/// nobody else has a path below these, and the handlers are those of [`configure`].
pub fn configure_rest(server: &mut ServiceConfig, applications: &AppNames) {
    let applications = applications.clone();
    // Whose path it is says the guard: names come and go while the server runs, and what is mounted does not.
    let is_rest = guard::fn_guard(move |context| is_rest(context.head().uri.path(), &applications));
    server.service(web::scope("").guard(is_rest).default_service(web::to(dispatch)));
}

/// Whether a path, as it was sent, is `/rest` or `/{App}/rest` or lies below. One that is written in another way (`/%72est`) is
/// found later, by the same handler.
fn is_rest(path: &str, applications: &AppNames) -> bool {
    let mut parts = path.split('/').skip(1);
    match parts.next() {
        Some("rest") => true,
        Some(app) => parts.next() == Some("rest") && applications.contains(app),
        None => false,
    }
}

async fn dispatch(request: HttpRequest, payload: Payload, state: Data<ApiState>) -> HttpResponse {
    let body = sessions::Body::new(&request, payload);
    let Some(path) = path::Parts::new(request.path()) else {
        return answer::refusal(StatusCode::BAD_REQUEST, "The path cannot be read");
    };
    if let Some((owner, below)) = rest::below_prefix(&state, &path) {
        return rest::serve(&request, body, &state, owner, below).await;
    }
    if let Some(tell) = of_the_node(&path) {
        return match *request.method() {
            Method::GET | Method::HEAD => tell(&request, &state),
            _ => answer::wrong_verb("GET, HEAD"),
        };
    }
    pages::serve(&request, &state, &path).await
}

/// What the node says of itself beside REST.
fn of_the_node(path: &path::Parts) -> Option<fn(&HttpRequest, &ApiState) -> HttpResponse> {
    let [name] = path.as_slice() else { return None };
    match name.as_str() {
        "livez" => Some(|_, _| health::livez()),
        "readyz" => Some(health::readyz),
        "metrics" => Some(health::metrics),
        "node.json" => Some(management::node),
        _ => None,
    }
}
