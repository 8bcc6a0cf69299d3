//! The management page, `/panel/`: built by Vite from `webapps/root/panel` and part of the program, so that a node has the
//! one that fits its REST. Where it was not built the address says so, and how to.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::path::Parts;
use crate::{ApiState, answer, pages};

/// Its name in the first part of a path. An application of this name is shown its own pages there instead.
const NAME: &str = "panel";

/// Its files by their path below `/panel/`; none when it was not built.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/panel.rs"));

const NOT_BUILT: &str = r#"<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>No management page – Penstock</title>
  <link rel="icon" href="/app/icon.svg">
  <link rel="stylesheet" href="/app/style.css">
</head>
<body>
  <main class="page">
    <h1>The management page was not built</h1>
    <p>This node was built where Node.js 20.19 or newer, npm or the npm registry was missing. Everything else works, and all
    that the page does REST does as well.</p>
    <p>To have it, install them (on Debian: <code>apt-get install nodejs npm</code>), build again with
    <code>make run</code>, and start the new program.</p>
    <p><a href="/">The first page</a></p>
  </main>
</body>
</html>
"#;

/// Answers for everything below `/panel`; nothing for other paths.
pub(crate) fn serve(request: &HttpRequest, state: &ApiState, path: &Parts) -> Option<HttpResponse> {
    let (first, rest) = path.as_slice().split_first()?;
    if first != NAME || state.has_application(NAME) {
        return None;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some(answer::wrong_verb("GET, HEAD"));
    }
    if rest.is_empty() && !path.trailing_slash() {
        return Some(pages::lead_to(request, "/panel/"));
    }
    let mut name = rest.join("/");
    if path.trailing_slash() {
        name.push_str("index.html");
    }
    Some(answer_with(FILES, request, &name))
}

fn answer_with(files: &'static [(&str, &[u8])], request: &HttpRequest, name: &str) -> HttpResponse {
    if files.is_empty() {
        let page = web::Bytes::from_static(NOT_BUILT.as_bytes());
        return pages::send(request, &pages::File::html(page), StatusCode::SERVICE_UNAVAILABLE, false);
    }
    match files.iter().find(|(known, _)| *known == name) {
        Some(&(known, bytes)) => match pages::File::named(known, web::Bytes::from_static(bytes)) {
            Some(file) => pages::send(request, &file, StatusCode::OK, false),
            None => answer::not_found(),
        },
        None => answer::not_found(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    use super::*;

    static BUILT: &[(&str, &[u8])] =
        &[("index.html", b"<h1>panel"), ("assets/index-1.js", b"export {};"), ("x.exe", b"")];

    fn ask(files: &'static [(&str, &[u8])], name: &str) -> HttpResponse {
        answer_with(files, &TestRequest::default().to_http_request(), name)
    }

    #[actix_web::test]
    async fn a_built_page_is_sent_with_a_policy_that_runs_nothing_from_elsewhere() {
        let page = ask(BUILT, "index.html");
        assert_eq!(page.status(), StatusCode::OK);
        let policy = page.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(
            policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let script = ask(BUILT, "assets/index-1.js");
        assert_eq!(script.headers().get(header::CONTENT_TYPE).unwrap(), "text/javascript; charset=utf-8");
        for name in ["", "assets", "assets/", "x.exe", "package.json", "../index.html"] {
            assert_eq!(ask(BUILT, name).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[actix_web::test]
    async fn a_page_that_was_not_built_says_so_and_how_to() {
        let page = ask(&[], "index.html");
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(page.headers().get(header::CONTENT_TYPE).unwrap(), "text/html; charset=utf-8");
        let text = to_bytes(page.into_body()).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains("was not built") && text.contains("make run"), "{text}");
    }
}
