//! The web pages: files of the `webapps` folder, for everybody.
//!
//! `/x` is `webapps/root/x`; `/{App}/x` is `webapps/{App}/x` or, when the application has no such file,
//! `webapps/root/app/x`: all applications share one set of pages, and each may put its own in front.
//! Where there is no such file, Ant Media Server's names for pages lead to ours ([`ALIASES`]).
//! Only files whose kind stands in [`KINDS`] are pages, and no part of a path may begin with a dot or be
//! `WEB-INF`, `META-INF` or, below an application, `streams` (media has its own door).
//! `/panel/` is not read from there: its files are part of the program ([`crate::panel`]).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base::limits::PAGE_BYTES_MAX;

use crate::path::Parts;
use crate::{ApiState, answer, panel};

/// Which files are pages, and as what they are sent.
const KINDS: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("map", "application/json"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
];

/// What Ant Media Server calls pages of an application, and what they are called here. Theirs that are missing do what
/// no page of ours does.
const ALIASES: &[(&str, &str)] = &[
    ("player.html", "play.html"),
    ("audio_player.html", "play.html"),
    ("samples/publish_webrtc.html", "publish.html"),
];

/// Pages take nothing from elsewhere and run no inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'";

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Page {
    /// The first of these that is a file.
    Files(Vec<PathBuf>),
    /// The same path with a slash at its end, so that relative links work.
    AddSlash,
    /// No page can be meant.
    Nothing,
}

/// Answers `GET` and `HEAD` for a page.
pub(crate) async fn serve(request: &HttpRequest, state: &ApiState, path: &Parts) -> HttpResponse {
    if let Some(answer) = panel::serve(request, state, path) {
        return answer;
    }
    let page = find(state, path);
    if page == Page::Nothing {
        return answer::not_found();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::wrong_verb("GET, HEAD");
    }
    let candidates = match page {
        Page::Files(candidates) => candidates,
        // It is one known application name.
        Page::AddSlash => return lead_to(request, &format!("{}/", request.path())),
        Page::Nothing => return answer::not_found(),
    };
    let embeddable = path.as_slice().first().is_some_and(|first| state.has_application(first));
    match web::block(move || read_first(candidates)).await {
        Ok(Ok(Some(file))) => send(request, &file, StatusCode::OK, embeddable),
        Ok(Ok(None)) => match alias(path).filter(|_| embeddable) {
            Some(page) => lead_to(request, &page),
            None => answer::not_found(),
        },
        Ok(Err(error)) => {
            tracing::error!(%error, "a page cannot be read");
            answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be read")
        }
        Err(_) => answer::refusal(StatusCode::SERVICE_UNAVAILABLE, "Server is shutting down"),
    }
}

fn find(state: &ApiState, path: &Parts) -> Page {
    let mut parts = path.as_slice();
    let mut folders = vec![state.webapps.join("root")];
    if let Some((first, rest)) = parts.split_first()
        && state.has_application(first)
    {
        if rest.is_empty() && !path.trailing_slash() {
            return Page::AddSlash;
        }
        if rest.first().is_some_and(|part| part.eq_ignore_ascii_case("streams")) {
            return Page::Nothing;
        }
        folders = vec![state.webapps.join(first), state.webapps.join("root").join("app")];
        parts = rest;
    }
    if !parts.iter().all(|part| may_be_asked_for(part)) {
        return Page::Nothing;
    }
    let mut relative: PathBuf = parts.iter().collect();
    if path.trailing_slash() {
        relative.push("index.html");
    }
    if kind_of(&relative).is_none() {
        return Page::Nothing;
    }
    Page::Files(folders.into_iter().map(|folder| folder.join(&relative)).collect())
}

/// Whether a part of a path can name something below the folder it stands in.
fn may_be_asked_for(part: &str) -> bool {
    !part.starts_with('.')
        && !part.contains(['/', '\\', ':', '\0'])
        && !["WEB-INF", "META-INF"].iter().any(|hidden| part.eq_ignore_ascii_case(hidden))
}

fn kind_of(file: &Path) -> Option<&'static str> {
    let extension = file.extension()?.to_str()?;
    KINDS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|&(_, kind)| kind)
}

/// A page in memory.
pub(crate) struct File {
    kind: &'static str,
    bytes: web::Bytes,
    modified: Option<SystemTime>,
}

impl File {
    /// HTML that lies in no file.
    pub(crate) fn html(bytes: web::Bytes) -> Self {
        Self { kind: "text/html; charset=utf-8", bytes, modified: None }
    }

    /// A file of the program; nothing when its kind is none of a page.
    pub(crate) fn named(name: &str, bytes: web::Bytes) -> Option<Self> {
        Some(Self { kind: kind_of(Path::new(name))?, bytes, modified: None })
    }
}

fn read_first(candidates: Vec<PathBuf>) -> io::Result<Option<File>> {
    for candidate in candidates {
        let file = match std::fs::File::open(&candidate) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        file.take(PAGE_BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > PAGE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{} is too large for a page", candidate.display()),
            ));
        }
        let kind = kind_of(&candidate).unwrap_or("application/octet-stream");
        return Ok(Some(File { kind, bytes: bytes.into(), modified: metadata.modified().ok() }));
    }
    Ok(None)
}

/// Sends a page, or says that the client's own copy of it still stands. `status`: that of a page which is sent.
pub(crate) fn send(request: &HttpRequest, file: &File, status: StatusCode, embeddable: bool) -> HttpResponse {
    // By content, not by date: images are built with one date for all files.
    let mut hasher = DefaultHasher::new();
    file.bytes.hash(&mut hasher);
    let tag = header::EntityTag::new_strong(format!("{:x}-{:016x}", file.bytes.len(), hasher.finish()));
    let modified = file.modified.map(header::HttpDate::from);

    let unchanged = match request.get_header::<header::IfNoneMatch>() {
        Some(header::IfNoneMatch::Any) => true,
        Some(header::IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(&tag)),
        // RFC 9110 13.2.2: the date counts only where no tag was sent. Headers have whole seconds.
        None => match (request.get_header::<header::IfModifiedSince>(), modified) {
            (Some(since), Some(modified)) => seconds(modified.into()) <= seconds(since.0.into()),
            _ => false,
        },
    };
    let unchanged = unchanged && status == StatusCode::OK;
    let mut response = HttpResponse::build(if unchanged { StatusCode::NOT_MODIFIED } else { status });
    response.insert_header(header::ETag(tag));
    if let Some(modified) = modified {
        response.insert_header(header::LastModified(modified));
    }
    harden(&mut response, embeddable);
    if unchanged { response.finish() } else { response.content_type(file.kind).body(file.bytes.clone()) }
}

/// Pages may carry tokens in their address (no referrer) and are asked for again each time (an upgrade
/// shows at once). Players are embedded in other people's pages, the rest is not.
fn harden(response: &mut HttpResponseBuilder, embeddable: bool) {
    response
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"));
    if embeddable {
        response.insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    } else {
        response
            .insert_header((header::CONTENT_SECURITY_POLICY, format!("{POLICY}; frame-ancestors 'none'")))
            .insert_header((header::X_FRAME_OPTIONS, "DENY"));
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Our path of a page that was asked for by a name of Ant Media Server's.
fn alias(path: &Parts) -> Option<String> {
    let (application, page) = path.as_slice().split_first()?;
    let page = page.join("/");
    let (_, ours) = ALIASES.iter().find(|(theirs, _)| !path.trailing_slash() && *theirs == page)?;
    Some(format!("/{application}/{ours}"))
}

/// Sends the browser to another page, which begins with a name that is known: nothing in it can turn this into
/// another host's address.
pub(crate) fn lead_to(request: &HttpRequest, page: &str) -> HttpResponse {
    let location = match request.query_string() {
        "" => page.to_owned(),
        query => format!("{page}?{query}"),
    };
    let mut response = HttpResponse::Found();
    response.insert_header((header::LOCATION, location));
    harden(&mut response, true);
    response.finish()
}
