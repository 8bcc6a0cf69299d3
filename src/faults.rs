//! The door by which tests let an actor of a real node die (feature `faults`): `POST /faults/{kind}`.

use actix_web::web::{Path, ServiceConfig, post};
use actix_web::{HttpRequest, HttpResponse};
use streams::ActorKind;

/// Adds the door. Only the machine itself finds it open.
pub(crate) fn configure(service: &mut ServiceConfig) {
    service.route("/faults/{kind}", post().to(strike));
}

async fn strike(request: HttpRequest, kind: Path<String>) -> HttpResponse {
    if !request.peer_addr().is_some_and(|peer| peer.ip().is_loopback()) {
        return HttpResponse::Forbidden().finish();
    }
    let kind = match kind.as_str() {
        "application" => ActorKind::Application,
        "stream" => ActorKind::Stream,
        "publisher" => ActorKind::Publisher,
        "subscriber" => ActorKind::Subscriber,
        other => return HttpResponse::NotFound().body(format!("there are no actors of kind {other}")),
    };
    if streams::strike(kind).await {
        HttpResponse::Ok().finish()
    } else {
        HttpResponse::NotFound().body("no such actor lives")
    }
}
