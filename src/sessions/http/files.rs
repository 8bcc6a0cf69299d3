//! `/{App}/streams/...`, where AMS keeps the files of streams: HLS, DASH, recordings. None are made yet; who asks for one
//! passes the gate all the same and is refused as AMS refuses, so that what comes here later stands behind it.
//!
//! | | |
//! |---|---|
//! | `GET`, `HEAD` | 403, 401 or 503 by the gate; 404 for who passed it |
//! | `OPTIONS` | 204 |
//! | others | 403 `Invalid Request Type` |

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use security::{Access, Denial, Viewer};

use super::asked::{Verb, access};
use super::context::HttpMediaContext;
use super::refusal::{Refusal, harden, of_denial};
use super::stream_id::stream_id_of_path;
use crate::Body;

/// Where the files are.
pub(super) const PATH: &str = "/{app}/streams/{file:.*}";
/// As what its sessions are told of: AMS's word for most of them.
const PROTOCOL: &str = "hls";
/// How AMS's segments are counted unless a setting says otherwise.
const SUFFIX_FORMAT: &str = "hlsSegmentFileSuffixFormat";

/// Mounts the files; an [`HttpMediaContext`] has to be there as `web::Data`.
pub fn files(config: &mut ServiceConfig) {
    config.service(web::resource(PATH).to(serve));
}

async fn serve(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    context: web::Data<HttpMediaContext>,
) -> HttpResponse {
    let _unread = Body::new(&request, payload);
    answer(&request, &path.0, &path.1, &context).await.unwrap_or_else(|refusal| refusal.respond())
}

async fn answer(
    request: &HttpRequest,
    app: &str,
    file: &str,
    context: &HttpMediaContext,
) -> Result<HttpResponse, Refusal> {
    let verb = Verb::of(request)?;
    let app = context.application(app)?;
    if verb == Verb::Options {
        let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        harden(&mut response);
        return Ok(response);
    }
    let settings = context.settings.snapshot(&app).ok_or_else(|| of_denial(&Denial::NotInitialised, ""))?;
    let format = settings.get(SUFFIX_FORMAT).and_then(serde_json::Value::as_str).unwrap_or_default();
    match stream_id_of_path(&format!("streams/{file}"), format) {
        Some(stream) => {
            let wish = access(request, app, stream, PROTOCOL, &*context.randomness)?;
            let access = Access { viewer: viewer_of(file), ..wish };
            // There is nothing that the permit would be needed for: it only says that there is nothing.
            let _permit = context.gate.admit(access).await.map_err(|denial| of_denial(&denial, stream))?;
            Err(Refusal::not_found())
        }
        None if settings.is_guarded(false) => Err(Refusal::no_stream_id()),
        None => Err(Refusal::not_found()),
    }
}

/// Under which limit a file is asked for, as AMS's statistics filters count: by what its name ends with.
fn viewer_of(file: &str) -> Viewer {
    match file.rsplit_once('.').map(|(_, kind)| kind) {
        Some("m3u8" | "ts") => Viewer::Playlist,
        Some("mpd" | "m4s") => Viewer::Manifest,
        _ => Viewer::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_as_what_it_is() {
        for (file, viewer) in [
            ("s1.m3u8", Viewer::Playlist),
            ("s1_adaptive.m3u8", Viewer::Playlist),
            ("s1000000001.ts", Viewer::Playlist),
            ("s1/s1.mpd", Viewer::Manifest),
            ("s1/s1_0.m4s", Viewer::Manifest),
            ("s1.mp4", Viewer::File),
            ("s1.webm", Viewer::File),
            ("s1", Viewer::File),
        ] {
            assert_eq!(viewer_of(file), viewer, "{file}");
        }
    }
}
