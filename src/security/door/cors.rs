//! What pages of other origins may ask and read: AMS's CORS filter (Tomcat's, with its own ways), and Fetch's rules.

use config::CorsFilter;

/// Headers that any page may send, whatever the filter says: players ask for ranges of files, and WHIP and WHEP for the
/// session they mean. AMS forbids `Range`, which breaks players of other origins.
const HEADERS_ALWAYS: &[&str] = &["Range", "If-Match"];
/// What of answers any page may read that may read the answer.
const EXPOSED_ALWAYS: &str = "Location, ETag, Link";
/// Longest origin that is looked at. Longer: refused.
const ORIGIN_BYTES_MAX: usize = 1_024;

/// What a request says that the filter asks about.
#[derive(Clone, Copy, Debug, Default)]
pub struct CorsRequest<'a> {
    /// The verb.
    pub method: &'a str,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Access-Control-Request-Method`: with it an `OPTIONS` asks what may be asked.
    pub asks_method: Option<&'a [u8]>,
    /// `Access-Control-Request-Headers`.
    pub asks_headers: Option<&'a [u8]>,
    /// It carries `Authorization` or `ProxyAuthorization`.
    pub has_authorization: bool,
    /// A verb that this path has beside those of the filter.
    pub also_method: Option<&'a str>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsAnswer {
    /// Answered as without a filter.
    Untouched,
    /// Answered, with these headers.
    With(Vec<(&'static str, String)>),
    /// The question what may be asked is answered with these headers alone.
    Preflight(Vec<(&'static str, String)>),
    /// 403 with an empty text.
    Refused,
}

/// Decides by a filter; `None`: there is none.
pub fn decide(filter: Option<&CorsFilter>, request: &CorsRequest<'_>) -> CorsAnswer {
    let (Some(filter), Some(origin)) = (filter, request.origin) else { return CorsAnswer::Untouched };
    let Some(origin) = std::str::from_utf8(origin).ok().filter(|origin| is_origin(origin)) else {
        return CorsAnswer::Refused;
    };
    let of = origin.split_once("://").map(|(_, host)| host);
    if of.zip(request.host).is_some_and(|(of, host)| of.eq_ignore_ascii_case(host)) {
        return CorsAnswer::Untouched;
    }
    let any = filter.is_for_everybody();
    if !any && !filter.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
        return CorsAnswer::Refused;
    }
    let asks = (request.method == "OPTIONS").then_some(request.asks_method).flatten();
    let verb = match asks {
        None => request.method,
        Some(asks) => std::str::from_utf8(asks).unwrap_or_default().trim(),
    };
    let may =
        |verb: &str| filter.methods.iter().any(|method| method == verb) || request.also_method == Some(verb);
    if !may(verb) {
        return CorsAnswer::Refused;
    }
    let wanted = match asks.and(request.asks_headers).map(std::str::from_utf8) {
        None => "",
        Some(Ok(wanted)) => wanted,
        Some(Err(_)) => return CorsAnswer::Refused,
    };
    let mut wanted = wanted.split(',').map(str::trim).filter(|name| !name.is_empty());
    let known = |name: &str| {
        let listed = filter.headers.iter().map(String::as_str).chain(HEADERS_ALWAYS.iter().copied());
        listed.into_iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    let mut authorizes = request.has_authorization;
    if !wanted.all(|name| {
        authorizes |=
            ["authorization", "proxyauthorization"].iter().any(|own| own.eq_ignore_ascii_case(name));
        known(name)
    }) {
        return CorsAnswer::Refused;
    }
    let mut headers = Vec::new();
    // AMS's "internal origin": who brings a credential of its own is named, so that it may also send what the browser
    // knows. That is nothing here: no cookie counts from another origin.
    if any && !authorizes {
        headers.push(("access-control-allow-origin", "*".to_owned()));
    } else {
        headers.push(("access-control-allow-origin", origin.to_owned()));
        if filter.credentials || any {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
    }
    if asks.is_none() {
        let exposed = filter.exposed.iter().map(String::as_str);
        let exposed: Vec<_> = std::iter::once(EXPOSED_ALWAYS).chain(exposed).collect();
        headers.push(("access-control-expose-headers", exposed.join(", ")));
        return CorsAnswer::With(headers);
    }
    let methods = filter.methods.iter().map(String::as_str).chain(request.also_method);
    headers.push(("access-control-allow-methods", methods.collect::<Vec<_>>().join(",")));
    let allowed = filter.headers.iter().map(String::as_str).chain(HEADERS_ALWAYS.iter().copied());
    headers.push(("access-control-allow-headers", allowed.collect::<Vec<_>>().join(",")));
    if filter.max_age_s >= 0 {
        headers.push(("access-control-max-age", filter.max_age_s.to_string()));
    }
    CorsAnswer::Preflight(headers)
}

/// `null`, or a scheme and what may stand behind it (`file://` has nothing there).
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "null" };
    text.len() <= ORIGIN_BYTES_MAX
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@%\\\"'<>".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &[u8] = b"https://page.example";

    fn simple(filter: &CorsFilter, request: CorsRequest<'_>) -> Option<Vec<String>> {
        match decide(Some(filter), &request) {
            CorsAnswer::With(headers) | CorsAnswer::Preflight(headers) => {
                Some(headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect())
            }
            CorsAnswer::Untouched => Some(Vec::new()),
            CorsAnswer::Refused => None,
        }
    }

    fn get<'a>(origin: &'a [u8]) -> CorsRequest<'a> {
        CorsRequest {
            method: "GET",
            origin: Some(origin),
            host: Some("media.example:5080"),
            ..Default::default()
        }
    }

    fn preflight<'a>(method: &'a str, headers: &'a str) -> CorsRequest<'a> {
        CorsRequest {
            method: "OPTIONS",
            asks_method: Some(method.as_bytes()),
            asks_headers: Some(headers.as_bytes()),
            ..get(FOREIGN)
        }
    }

    fn one() -> CorsFilter {
        CorsFilter {
            origins: vec!["https://page.example".into()],
            credentials: true,
            ..CorsFilter::default()
        }
    }

    #[test]
    fn everybody_may_read_without_credentials() {
        let filter = CorsFilter::default();
        for origin in [FOREIGN, b"null", b"file://", b"chrome-extension://x"] {
            let headers = simple(&filter, get(origin)).unwrap();
            assert_eq!(
                headers,
                ["access-control-allow-origin: *", "access-control-expose-headers: Location, ETag, Link"]
            );
        }
        assert_eq!(simple(&filter, get(b"http://media.example:5080")), Some(vec![]), "its own page");
        assert_eq!(decide(Some(&filter), &CorsRequest { origin: None, ..get(b"") }), CorsAnswer::Untouched);
        assert_eq!(decide(None, &get(FOREIGN)), CorsAnswer::Untouched);
        for unreadable in
            [&b""[..], b"x", b"a b://c", b"http://a%2e", b"http://a\r\nx", b"\xff", b"://x", b"http://a/b"]
        {
            assert_eq!(simple(&filter, get(unreadable)), None, "{unreadable:?}");
        }
    }

    #[test]
    fn who_brings_a_credential_of_its_own_is_named() {
        let request = CorsRequest { has_authorization: true, ..get(FOREIGN) };
        let headers = simple(&CorsFilter::default(), request).unwrap();
        assert_eq!(
            headers[..2],
            ["access-control-allow-origin: https://page.example", "access-control-allow-credentials: true"]
        );
    }

    #[test]
    fn origins_that_are_not_named_are_refused_and_the_others_are_named() {
        let headers = simple(&one(), get(FOREIGN)).unwrap();
        assert_eq!(
            headers[..2],
            ["access-control-allow-origin: https://page.example", "access-control-allow-credentials: true"]
        );
        for other in
            [&b"https://other.example"[..], b"http://page.example", b"https://page.example:444", b"null"]
        {
            assert_eq!(simple(&one(), get(other)), None);
        }
    }

    #[test]
    fn a_question_is_answered_with_what_may_be_asked() {
        let headers = simple(&CorsFilter::default(), preflight("PUT", "content-type, range")).unwrap();
        assert_eq!(
            headers,
            [
                "access-control-allow-origin: *",
                "access-control-allow-methods: GET,POST,HEAD,OPTIONS,PUT,DELETE",
                "access-control-allow-headers: Accept,Origin,X-Requested-With,Access-Control-Request-Headers,Content-Type,\
                 Access-Control-Request-Method,Authorization,ProxyAuthorization,Range,If-Match",
                "access-control-max-age: 1800",
            ]
        );
        let credential = simple(&CorsFilter::default(), preflight("GET", "Authorization")).unwrap();
        assert!(credential.contains(&"access-control-allow-credentials: true".to_owned()));
        for (method, names) in [("PATCH", ""), ("get", ""), ("GET", "x-other"), ("", "")] {
            assert_eq!(simple(&CorsFilter::default(), preflight(method, names)), None, "{method} {names}");
        }
        let whip = CorsRequest { also_method: Some("PATCH"), ..preflight("PATCH", "if-match") };
        assert!(simple(&CorsFilter::default(), whip).is_some());
    }

    #[test]
    fn never_everybody_with_credentials() {
        for filter in [CorsFilter::default(), one()] {
            for authorization in [false, true] {
                let request = CorsRequest { has_authorization: authorization, ..get(FOREIGN) };
                let headers = simple(&filter, request).unwrap();
                let has = |text: &str| headers.iter().any(|header| header == text);
                assert!(
                    !(has("access-control-allow-origin: *") && has("access-control-allow-credentials: true"))
                );
            }
        }
    }
}
