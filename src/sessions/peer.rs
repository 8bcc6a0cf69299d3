//! Who asks over HTTP.

use actix_web::{HttpRequest, web};
use base::PeerAddr;
use security::{Forwarding, TrustedProxies};

/// Headers by which proxies say for whom they speak, beside `X-Forwarded-For`.
const OTHERS: &[&str] = &["forwarded", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Marks a connection that is encrypted, as connection data.
pub(crate) struct Encrypted;

/// Whether the request came by TLS, to this node itself.
pub fn is_encrypted(request: &HttpRequest) -> bool {
    request.conn_data::<Encrypted>().is_some()
}

/// What a request says of those it came through.
pub fn forwarding_of(request: &HttpRequest) -> Forwarding<'_> {
    let headers = request.headers();
    let hops = headers.get_all("x-forwarded-for").map(|hops| hops.to_str().unwrap_or("not a text"));
    Forwarding { hops: hops.collect(), others: OTHERS.iter().any(|name| headers.contains_key(*name)) }
}

/// Who asks: the address of the connection, or the one that a trusted proxy names (`web::Data<TrustedProxies>` of the app;
/// without it nobody is trusted). `None`: the connection has no address any more.
pub fn peer_of(request: &HttpRequest) -> Option<PeerAddr> {
    let socket = request.peer_addr()?;
    let forwarding = forwarding_of(request);
    let peer = match request.app_data::<web::Data<TrustedProxies>>() {
        Some(trusted) => trusted.peer(socket, &forwarding),
        None => TrustedProxies::default().peer(socket, &forwarding),
    };
    Some(peer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use security::AddressRanges;

    use super::*;

    fn known(trusted: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let trusted = web::Data::new(TrustedProxies::new(AddressRanges::read(trusted)));
        let mut request = TestRequest::get().peer_addr("127.0.0.1:9".parse().unwrap()).app_data(trusted);
        for header in headers {
            request = request.append_header(*header);
        }
        peer_of(&request.to_http_request())?.known_ip().map(|address| address.to_string())
    }

    #[test]
    fn a_header_counts_from_a_trusted_proxy_and_from_nobody_else() {
        for name in OTHERS.iter().chain(&["x-forwarded-for"]) {
            assert_eq!(known("", &[(name, "10.0.0.1")]), None, "{name}");
        }
        assert_eq!(known("", &[]).as_deref(), Some("127.0.0.1"));
        let hops = [("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "9.9.9.9"), ("via", "1.1 proxy")];
        assert_eq!(known("127.0.0.1", &hops).as_deref(), Some("9.9.9.9"));
        assert_eq!(known("127.0.0.1", &[("x-real-ip", "8.8.8.8")]), None);
    }
}
