//! The door of an application's REST: AMS's JWT filter and its IP filter, both of which have to pass.

use config::AppSettings;

use super::Caller;
use crate::KeySets;

/// Why somebody may not ask an application's REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppRefusal {
    /// The application's settings are not loaded yet.
    NotReady,
    /// `jwtControlEnabled`, and there is no good token.
    InvalidJwt,
    /// `ipFilterEnabled`, and the address is in none of the ranges.
    NotAllowedIp,
}

impl AppRefusal {
    /// What AMS says.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotReady => "Application is getting initialized",
            Self::InvalidJwt => "Invalid App JWT Token",
            Self::NotAllowedIp => "Not allowed IP",
        }
    }
}

/// What one application's settings ask of whoever asks it.
pub struct AppDoor<'a> {
    /// The settings; `None`: they are not loaded yet.
    pub settings: Option<&'a AppSettings>,
    /// What JWTs are checked by.
    pub keys: &'a KeySets,
}

impl AppDoor<'_> {
    /// Lets a caller pass by its address and by what it shows as `Authorization`.
    pub async fn admit(
        &self,
        caller: &Caller<'_>,
        authorization: Option<&str>,
        server_name: &str,
    ) -> Result<(), AppRefusal> {
        let settings = self.settings.ok_or(AppRefusal::NotReady)?;
        if settings.jwt_control_enabled() {
            let token = authorization.map(bare).ok_or(AppRefusal::InvalidJwt)?;
            let secret = settings.jwt_secret_key();
            let checked = self.keys.check(token, secret.expose(), settings.jwks_url()).await;
            if let Err(why) = checked {
                tracing::debug!(%why, "a JWT for REST was refused");
                return Err(AppRefusal::InvalidJwt);
            }
        }
        if !settings.ip_filter_enabled() {
            return Ok(());
        }
        let ranges = crate::AddressRanges::read(settings.remote_allowed_cidr());
        let allowed = caller.address(server_name).is_some_and(|address| ranges.contains(address));
        if allowed { Ok(()) } else { Err(AppRefusal::NotAllowedIp) }
    }
}

/// A token without the word `Bearer` in front of it, which AMS takes or leaves.
pub fn bare(header: &str) -> &str {
    let header = header.trim();
    match header.split_at_checked(7) {
        Some((word, token)) if word.eq_ignore_ascii_case("Bearer ") => token.trim(),
        _ => header,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use base::{ManualClock, PeerAddr, WallTime};
    use serde_json::{Value, json};

    use super::super::Origin;
    use super::*;
    use crate::credential::jwt;
    use crate::{JwksFault, JwksSource};

    const SECRET: &str = "a secret of thirty-two characters";

    struct Nothing;

    #[async_trait]
    impl JwksSource for Nothing {
        async fn fetch(&self, _: &str) -> Result<Vec<u8>, JwksFault> {
            Err(JwksFault::Malformed)
        }
    }

    async fn ask(settings: Value, peer: PeerAddr, authorization: Option<&str>) -> Result<(), AppRefusal> {
        let settings: AppSettings = serde_json::from_value(settings).unwrap();
        let keys = KeySets::new(Arc::new(Nothing), Arc::new(ManualClock::new(WallTime(1_000_000))));
        let caller = Caller { peer, is_forwarded: false, host: Some("localhost"), origin: Origin::None };
        AppDoor { settings: Some(&settings), keys: &keys }.admit(&caller, authorization, "").await
    }

    fn at(text: &str) -> PeerAddr {
        PeerAddr::new(text.parse().unwrap())
    }

    #[tokio::test]
    async fn addresses_pass_that_are_listed() {
        let refused = Err(AppRefusal::NotAllowedIp);
        assert_eq!(ask(json!({}), at("127.0.0.1:1"), None).await, Ok(()));
        assert_eq!(ask(json!({}), at("[::1]:1"), None).await, Ok(()));
        assert_eq!(ask(json!({}), at("10.0.0.1:1"), None).await, refused);
        let wide = json!({ "remoteAllowedCIDR": "10.0.0.0/8,192.0.2.1" });
        for (peer, answer) in [
            ("10.0.0.1:1", Ok(())),
            ("192.0.2.1:1", Ok(())),
            ("192.0.2.2:1", refused),
            ("127.0.0.1:1", refused),
        ] {
            assert_eq!(ask(wide.clone(), at(peer), None).await, answer, "{peer}");
        }
        for nobody in ["", " ", "nonsense"] {
            let settings = json!({ "remoteAllowedCIDR": nobody });
            assert_eq!(ask(settings, at("127.0.0.1:1"), None).await, refused, "{nobody:?}");
        }
        let unknown = PeerAddr::unknown_behind("10.0.0.1:1".parse().unwrap());
        assert_eq!(ask(json!({ "remoteAllowedCIDR": "0.0.0.0/0" }), unknown, None).await, refused);
        assert_eq!(
            ask(json!({ "ipFilterEnabled": false, "remoteAllowedCIDR": "" }), unknown, None).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn a_token_passes_that_the_secret_signed_and_the_address_has_to_pass_too() {
        let settings = |secret: &str| json!({ "jwtControlEnabled": true, "jwtSecretKey": secret });
        let (here, refused) = (at("127.0.0.1:1"), Err(AppRefusal::InvalidJwt));
        let good = jwt::sign(SECRET, &json!({})).unwrap();
        for header in [good.clone(), format!("Bearer {good}"), format!("bearer  {good} ")] {
            assert_eq!(ask(settings(SECRET), here, Some(&header)).await, Ok(()), "{header}");
        }
        let expired = jwt::sign(SECRET, &json!({ "exp": 999 })).unwrap();
        let others = jwt::sign("another secret of thirty-two characters", &json!({})).unwrap();
        for header in
            [None, Some(""), Some("Bearer "), Some("Bearer x"), Some(expired.as_str()), Some(others.as_str())]
        {
            assert_eq!(ask(settings(SECRET), here, header).await, refused, "{header:?}");
        }
        for blank in ["", "   "] {
            assert_eq!(
                ask(settings(blank), here, Some(&good)).await,
                refused,
                "a blank secret lets nobody in"
            );
        }
        assert_eq!(ask(settings(SECRET), at("10.0.0.1:1"), Some(&good)).await, Err(AppRefusal::NotAllowedIp));
    }

    #[tokio::test]
    async fn nobody_passes_before_the_settings_are_there() {
        let keys = KeySets::new(Arc::new(Nothing), Arc::new(ManualClock::new(WallTime(1))));
        let caller = Caller {
            peer: at("127.0.0.1:1"),
            is_forwarded: false,
            host: Some("localhost"),
            origin: Origin::None,
        };
        let door = AppDoor { settings: None, keys: &keys };
        assert_eq!(door.admit(&caller, None, "").await, Err(AppRefusal::NotReady));
    }
}
