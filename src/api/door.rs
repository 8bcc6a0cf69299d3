//! Who may ask, by the role that the route table gives a route: everyone, or by AMS's default IP filter the
//! machine itself.
//!
//! The socket decides; a header can only take the trust away, never give it. That closes these ways by
//! which somebody else speaks through a loopback connection: a reverse proxy on this machine that names
//! whom it speaks for (one that does not looks like the machine itself: README.md warns), a foreign web page in a browser on this machine (its requests carry `Origin`), and
//! a foreign name pointed at 127.0.0.1 (the request carries that name as `Host`).

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;
use base::PeerAddr;

use crate::Role;

/// Why somebody may not ask; for the log, the peer is told AMS's one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotLoopback,
    Forwarded,
    ForeignOrigin,
    ForeignHost,
}

/// Headers by which proxies say for whom they speak.
const FORWARDING: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Lets those pass who have the role that is needed. `server_name` is the one name besides `localhost` and
/// addresses under which the node may be asked; empty for none.
pub(crate) fn admit(request: &HttpRequest, role: Role, server_name: &str) -> Result<(), Refusal> {
    match role {
        Role::Everyone => Ok(()),
        Role::Machine => is_the_machine(request, server_name),
    }
}

fn is_the_machine(request: &HttpRequest, server_name: &str) -> Result<(), Refusal> {
    match request.peer_addr() {
        Some(peer) if PeerAddr::new(peer).ip().is_loopback() => {}
        _ => return Err(Refusal::NotLoopback),
    }
    let headers = request.headers();
    if FORWARDING.iter().any(|name| headers.contains_key(*name)) {
        return Err(Refusal::Forwarded);
    }
    let host = headers.get(header::HOST).ok_or(Refusal::ForeignHost)?;
    let authority = host.to_str().map_err(|_| Refusal::ForeignHost)?;
    if !is_own_name(host_of(authority), server_name) {
        return Err(Refusal::ForeignHost);
    }
    match headers.get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) => match origin.to_str().ok().and_then(|o| o.split_once("://")) {
            Some((_, of)) if of.eq_ignore_ascii_case(authority) => Ok(()),
            _ => Err(Refusal::ForeignOrigin),
        },
    }
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_own_name(host: &str, server_name: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || (!server_name.is_empty() && host.eq_ignore_ascii_case(server_name))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn ask(peer: &str, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut request = TestRequest::get().uri("/rest/v2/version").peer_addr(peer.parse().unwrap());
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.insert_header(("host", "localhost:5080"));
        }
        for header in headers {
            request = request.insert_header(*header);
        }
        admit(&request.to_http_request(), Role::Machine, "media.example")
    }

    #[test]
    fn the_machine_itself_may_ask() {
        for peer in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(ask(peer, &[]), Ok(()), "{peer}");
        }
        for host in ["localhost", "127.0.0.1:5080", "[::1]:5080", "LOCALHOST:1", "media.example:5443"] {
            assert_eq!(ask("127.0.0.1:1", &[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn nobody_else_may_ask_whatever_the_headers_say() {
        for peer in ["10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
            for name in FORWARDING {
                assert_eq!(ask(peer, &[(name, "127.0.0.1")]), Err(Refusal::NotLoopback));
            }
        }
    }

    #[test]
    fn a_proxy_on_this_machine_is_not_the_machine() {
        for header in
            [("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1"), ("forwarded", "for=127.0.0.1")]
        {
            assert_eq!(ask("127.0.0.1:1", &[header]), Err(Refusal::Forwarded), "{header:?}");
        }
    }

    #[test]
    fn a_foreign_page_in_a_browser_on_this_machine_is_not_the_machine() {
        for origin in ["https://evil.example", "http://localhost:8080", "null"] {
            assert_eq!(ask("127.0.0.1:1", &[("origin", origin)]), Err(Refusal::ForeignOrigin), "{origin}");
        }
        assert_eq!(ask("127.0.0.1:1", &[("origin", "http://localhost:5080")]), Ok(()));
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_not_the_machine() {
        for host in ["evil.example", "evil.example:5080", "localhost.evil.example", ""] {
            assert_eq!(ask("127.0.0.1:1", &[("host", host)]), Err(Refusal::ForeignHost), "{host}");
        }
    }
}
