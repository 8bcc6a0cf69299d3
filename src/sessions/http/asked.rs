//! What a request for media brings.

use actix_web::HttpRequest;
use base::{AppName, Randomness, SessionId};
use security::{Access, Direction};

use super::refusal::Refusal;
use crate::Parameters;
use crate::parameters::with_credentials;

/// The verbs a request for media may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It wants the media.
    Get,
    /// It wants to know whether it would get it.
    Head,
    /// It wants to know what may be asked; that needs no permit.
    Options,
}

impl Verb {
    /// All others are refused, as AMS's token filter does.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Refusal> {
        match request.method().as_str() {
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            "OPTIONS" => Ok(Self::Options),
            _ => Err(Refusal::invalid_request_type()),
        }
    }
}

/// The wish to play a stream, with the credentials of the query.
pub(super) fn access(
    request: &HttpRequest,
    app: AppName,
    stream: &str,
    protocol: &'static str,
    randomness: &dyn Randomness,
) -> Result<Access, Refusal> {
    let peer = crate::peer_of(request).ok_or_else(Refusal::no_address)?;
    let room = Parameters::read(request.query_string()).get("room").map(str::to_owned);
    let session = SessionId::random(randomness);
    let wish = Access::new(app, stream, Direction::Play, protocol, peer, session);
    Ok(Access { main_track: room, ..with_credentials(request, wish) })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use base::SystemRandomness;

    use super::*;

    #[test]
    fn credentials_stand_in_the_query() {
        let request = TestRequest::get()
            .uri("/LiveApp/live/s.flv?token=a%20b&subscriberId=sub&subscriberCode=123456&room=r&token=second&metaData=m%7D")
            .peer_addr("10.0.0.1:5".parse().unwrap())
            .to_http_request();
        let app = AppName::new("LiveApp").unwrap();
        let access = access(&request, app, "s", "flv", &SystemRandomness).unwrap();
        assert_eq!(access.token.unwrap().expose(), "a b");
        assert_eq!(access.subscriber_id.as_deref(), Some("sub"));
        assert_eq!(access.subscriber_code.unwrap().expose(), "123456");
        assert_eq!((access.main_track.as_deref(), access.stream.as_str()), (Some("r"), "s"));
        assert_eq!(access.meta_data.as_deref(), Some("m}"));
    }

    #[test]
    fn whom_a_trusted_proxy_speaks_for_is_who_asks() {
        let trusted = security::TrustedProxies::new(security::AddressRanges::read("10.0.0.0/8"));
        let request = TestRequest::get()
            .uri("/LiveApp/live/s.flv")
            .peer_addr("10.0.0.1:5".parse().unwrap())
            .app_data(actix_web::web::Data::new(trusted))
            .append_header(("X-Forwarded-For", "203.0.113.7"))
            .to_http_request();
        let app = AppName::new("LiveApp").unwrap();
        let access = access(&request, app, "s", "flv", &SystemRandomness).unwrap();
        assert_eq!(access.peer.known_ip(), Some("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn other_verbs_are_refused_as_ams_words_it() {
        let verb = |method: &str| {
            let method = actix_web::http::Method::from_bytes(method.as_bytes()).unwrap();
            Verb::of(&TestRequest::default().method(method).to_http_request())
        };
        assert_eq!((verb("GET"), verb("HEAD")), (Ok(Verb::Get), Ok(Verb::Head)));
        assert_eq!(verb("OPTIONS"), Ok(Verb::Options));
        for other in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"] {
            assert_eq!(verb(other), Err(Refusal::invalid_request_type()));
        }
    }
}
