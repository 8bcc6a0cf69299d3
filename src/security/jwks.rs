//! JWTs by a secret, or by keys that somebody publishes (JWKS, RFC 7517): fetched when they are needed, and kept. The gate checks
//! JWTs of streams by it, and the door of REST its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base::{Clock, limits};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use crate::credential::jwt::{self, Claims, JwtFault};

/// Where the keys of an address stand (AMS).
const WELL_KNOWN: &str = "/.well-known/jwks.json";
/// RSA keys below that many bytes of modulus (2,048 bits, RFC 7518 3.3) sign nothing. As base64url of it.
const MODULUS_CHARS_MIN: usize = 341;

/// Why a set of keys was not taken; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksFault {
    /// It is larger than [`limits::JWKS_BYTES_MAX`].
    #[error("the set of keys is larger than {} bytes", limits::JWKS_BYTES_MAX)]
    TooLarge,
    /// It is no set of keys.
    #[error("this is no JWKS")]
    Malformed,
    /// It did not come.
    #[error("{0}")]
    NotFetched(String),
}

/// Fetches a document, off the thread that serves requests, within [`limits::JWKS_FETCH_MAX`] and
/// [`limits::JWKS_BYTES_MAX`].
#[async_trait]
pub trait JwksSource: Send + Sync {
    /// The document at `url`.
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, JwksFault>;
}

/// RSA keys by their `kid`.
#[derive(Clone, Default)]
struct KeySet(HashMap<String, DecodingKey>);

impl KeySet {
    /// Keys for RS256 that have a name; others are left out. Of one name the first is meant.
    fn read(bytes: &[u8]) -> Result<Self, JwksFault> {
        if bytes.len() > limits::JWKS_BYTES_MAX {
            return Err(JwksFault::TooLarge);
        }
        let document: Value = serde_json::from_slice(bytes).map_err(|_| JwksFault::Malformed)?;
        let keys = document["keys"].as_array().ok_or(JwksFault::Malformed)?;
        let mut set = HashMap::new();
        for key in keys.iter().take(limits::JWKS_KEYS_MAX) {
            let text = |name: &str| key[name].as_str();
            let fits = text("kty") == Some("RSA")
                && text("alg").is_none_or(|algorithm| algorithm == "RS256")
                && text("use").is_none_or(|usage| usage == "sig");
            let (true, Some(kid), Some(n), Some(e)) = (fits, text("kid"), text("n"), text("e")) else {
                continue;
            };
            if n.len() < MODULUS_CHARS_MIN {
                continue;
            }
            if let Ok(key) = DecodingKey::from_rsa_components(n, e) {
                set.entry(kid.to_owned()).or_insert(key);
            }
        }
        Ok(Self(set))
    }
}

#[derive(Default)]
struct Kept {
    /// The last set that came, and when.
    keys: Option<(KeySet, Instant)>,
    /// When it was last looked for.
    looked: Option<Instant>,
}

impl Kept {
    /// That a key of this name came, and not longer ago than is still believed.
    fn has(&self, kid: &str, now: Instant) -> bool {
        self.key(kid, now).is_ok()
    }

    /// Whether it is time to look, for a key of this name.
    fn is_due(&self, kid: &str, now: Instant) -> bool {
        let age = |since: Instant| now.saturating_duration_since(since);
        let fresh =
            |(set, came): &(KeySet, Instant)| set.0.contains_key(kid) && age(*came) < limits::JWKS_AGE_MAX;
        !self.keys.as_ref().is_some_and(fresh)
            && self.looked.is_none_or(|looked| age(looked) >= limits::JWKS_REFRESH_MIN)
    }

    /// The key of a name. Whose is not among those kept is nobody's, if the last look for them came to something.
    fn key(&self, kid: &str, now: Instant) -> Result<DecodingKey, JwtFault> {
        let kept = |came: &Instant| now.saturating_duration_since(*came) < limits::JWKS_KEPT_MAX;
        let (set, came) = self.keys.as_ref().filter(|(_, came)| kept(came)).ok_or(JwtFault::NoKeys)?;
        let failed = self.looked.is_some_and(|looked| looked > *came);
        let unknown = if failed { JwtFault::NoKeys } else { JwtFault::Unsigned };
        set.0.get(kid).cloned().ok_or(unknown)
    }
}

/// The keys of one address.
#[derive(Default)]
struct Slot {
    kept: Mutex<Kept>,
    /// Held by who looks for them.
    looking: Arc<tokio::sync::Mutex<()>>,
}

/// The sets of keys that a node has fetched, and what JWTs are checked by. One per node.
pub struct KeySets {
    source: Arc<dyn JwksSource>,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<String, (Arc<Slot>, Instant)>>,
}

impl KeySets {
    /// Nothing is fetched yet.
    pub fn new(source: Arc<dyn JwksSource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, slots: Mutex::default() }
    }

    /// What a token says that is good now: signed as [`Self::signed`] wants it, and in its time.
    ///
    /// # Errors
    /// It is not good, or its key is not to be had now.
    pub async fn check(&self, token: &str, secret: &str, jwks_url: &str) -> Result<Claims, JwtFault> {
        let claims = self.signed(token, secret, jwks_url).await?;
        claims.check_time(self.clock.wall())?;
        Ok(claims)
    }

    /// What a token says, whatever its dates, that is signed by the keys of `jwks_url` with RS256 where that is given, else
    /// by `secret` with HS256. Within [`limits::JWKS_FETCH_MAX`].
    ///
    /// # Errors
    /// Nobody there signed it, or its key is not to be had now.
    pub async fn signed(&self, token: &str, secret: &str, jwks_url: &str) -> Result<Claims, JwtFault> {
        match jwks_url.trim() {
            "" => jwt::verify(token, secret),
            jwks_url => self.verify(token, jwks_url).await,
        }
    }

    async fn verify(&self, token: &str, jwks_url: &str) -> Result<Claims, JwtFault> {
        if token.len() > limits::JWT_BYTES_MAX {
            return Err(JwtFault::Unsigned);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtFault::Unsigned)?;
        let kid = header.kid.ok_or(JwtFault::Unsigned)?;
        let key = self.key(jwks_url, &kid).await?;
        jwt::verify_by(token, &key, Algorithm::RS256)
    }

    async fn key(&self, jwks_url: &str, kid: &str) -> Result<DecodingKey, JwtFault> {
        let slot = self.slot(jwks_url);
        let looking = Arc::clone(&slot.looking);
        // Who comes while it is fetched waits for it instead of fetching it too, unless the key is there.
        let looking = match looking.try_lock_owned() {
            Ok(looking) => looking,
            Err(_) if slot.kept.lock().has(kid, self.clock.now()) => return self.kept(&slot, kid),
            Err(_) => Arc::clone(&slot.looking).lock_owned().await,
        };
        let now = self.clock.now();
        if slot.kept.lock().is_due(kid, now) {
            slot.kept.lock().looked = Some(now);
            let url = format!("{}{WELL_KNOWN}", jwks_url.trim_end_matches('/'));
            // Who asked may go meanwhile, and others want the keys as well: it is fetched to the end.
            let source = (Arc::clone(&self.source), Arc::clone(&self.clock));
            let look = look(source, url, (Arc::clone(&slot), looking));
            tokio::spawn(look).await.map_err(|_| JwtFault::NoKeys)?;
        }
        self.kept(&slot, kid)
    }

    fn kept(&self, slot: &Slot, kid: &str) -> Result<DecodingKey, JwtFault> {
        slot.kept.lock().key(kid, self.clock.now())
    }

    fn slot(&self, jwks_url: &str) -> Arc<Slot> {
        let now = self.clock.now();
        let mut slots = self.slots.lock();
        if !slots.contains_key(jwks_url) && slots.len() >= limits::JWKS_ADDRESSES_MAX {
            let oldest = slots.iter().min_by_key(|(_, (_, used))| *used).map(|(url, _)| url.clone());
            oldest.map(|url| slots.remove(&url));
        }
        let (slot, used) = slots.entry(jwks_url.to_owned()).or_insert_with(|| (Arc::default(), now));
        *used = now;
        Arc::clone(slot)
    }
}

async fn look(
    (source, clock): (Arc<dyn JwksSource>, Arc<dyn Clock>),
    url: String,
    (slot, looking): (Arc<Slot>, OwnedMutexGuard<()>),
) {
    match source.fetch(&url).await.and_then(|bytes| KeySet::read(&bytes)) {
        Ok(set) => slot.kept.lock().keys = Some((set, clock.now())),
        Err(error) => tracing::warn!(%error, "a set of keys for JWTs (JWKS) cannot be had"),
    }
    drop(looking);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{ManualClock, WallTime};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    const PEM: &str = include_str!("testdata/rsa.pem");
    const MODULUS: &str = include_str!("testdata/rsa.n");

    /// Publishes what it is told to, and counts who asks.
    #[derive(Default)]
    struct Published {
        kids: Mutex<Option<Vec<&'static str>>>,
        asked: Mutex<Vec<String>>,
    }

    fn document(kids: &[&str]) -> Vec<u8> {
        let keys: Vec<_> = kids
            .iter()
            .map(|kid| json!({ "kty": "RSA", "kid": kid, "n": MODULUS.trim(), "e": "AQAB", "use": "sig" }))
            .collect();
        json!({ "keys": keys }).to_string().into_bytes()
    }

    #[async_trait]
    impl JwksSource for Published {
        async fn fetch(&self, url: &str) -> Result<Vec<u8>, JwksFault> {
            self.asked.lock().push(url.to_owned());
            match &*self.kids.lock() {
                Some(kids) => Ok(document(kids)),
                None => Err(JwksFault::NotFetched("it is away".into())),
            }
        }
    }

    fn token(kid: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(PEM.as_bytes()).unwrap()).unwrap()
    }

    fn keys() -> (KeySets, Arc<Published>, Arc<ManualClock>) {
        let (published, clock) =
            (Arc::new(Published::default()), Arc::new(ManualClock::new(WallTime(1_000_000))));
        *published.kids.lock() = Some(vec!["one"]);
        (KeySets::new(Arc::clone(&published) as _, Arc::clone(&clock) as _), published, clock)
    }

    #[tokio::test]
    async fn a_token_is_good_whose_key_is_published() {
        let (keys, published, _) = keys();
        let good = token("one", &json!({ "sub": "x" }));
        assert_eq!(keys.check(&good, "", "http://keys/").await.unwrap().text("sub"), Some("x"));
        assert_eq!(*published.asked.lock(), ["http://keys/.well-known/jwks.json"]);
        keys.check(&good, "", "http://keys/").await.unwrap();
        assert_eq!(published.asked.lock().len(), 1, "it is kept");
        let old = token("one", &json!({ "exp": 999 }));
        assert_eq!(keys.check(&old, "", "http://keys/").await.unwrap_err(), JwtFault::Expired);
        for bad in ["", "a.b.c", &good[..good.len() - 4], &"x".repeat(10_000)] {
            assert_eq!(keys.check(bad, "", "http://keys/").await.unwrap_err(), JwtFault::Unsigned, "{bad}");
        }
    }

    /// A public key is no secret: who signs with it as one is nobody.
    #[tokio::test]
    async fn the_tokens_own_algorithm_is_not_what_it_is_checked_by() {
        let (keys, _, _) = keys();
        for secret in [MODULUS.trim(), PEM] {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some("one".into());
            let key = EncodingKey::from_secret(secret.as_bytes());
            let forged = jsonwebtoken::encode(&header, &json!({}), &key).unwrap();
            assert_eq!(keys.check(&forged, secret, "http://keys").await.unwrap_err(), JwtFault::Unsigned);
        }
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_once_in_a_while() {
        let (keys, published, clock) = keys();
        let new = token("two", &json!({}));
        for _ in 0..5 {
            keys.check(&new, "", "http://keys").await.unwrap_err();
        }
        assert_eq!(published.asked.lock().len(), 1);
        *published.kids.lock() = Some(vec!["one", "two"]);
        clock.advance(limits::JWKS_REFRESH_MIN);
        keys.check(&new, "", "http://keys").await.unwrap();
        assert_eq!(published.asked.lock().len(), 2);
    }

    #[tokio::test]
    async fn keys_outlive_an_outage_for_an_hour() {
        let (keys, published, clock) = keys();
        let good = token("one", &json!({}));
        keys.check(&good, "", "http://keys").await.unwrap();
        *published.kids.lock() = None;
        clock.advance(Duration::from_secs(3_000));
        keys.check(&good, "", "http://keys").await.unwrap();
        // Nobody can say whether the other one is somebody's.
        let other = token("two", &json!({}));
        assert_eq!(keys.check(&other, "", "http://keys").await.unwrap_err(), JwtFault::NoKeys);
        clock.advance(Duration::from_secs(700));
        assert_eq!(keys.check(&good, "", "http://keys").await.unwrap_err(), JwtFault::NoKeys);
        // And one that was withdrawn goes with the next look.
        *published.kids.lock() = Some(vec!["three"]);
        clock.advance(limits::JWKS_REFRESH_MIN);
        assert_eq!(keys.check(&good, "", "http://keys").await.unwrap_err(), JwtFault::Unsigned);
    }

    /// Publishes a key, and takes a second for it.
    struct Slow;

    #[async_trait]
    impl JwksSource for Slow {
        async fn fetch(&self, _: &str) -> Result<Vec<u8>, JwksFault> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(document(&["one"]))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_does_not_take_the_keys_along() {
        let keys = KeySets::new(Arc::new(Slow), Arc::new(ManualClock::new(WallTime(1_000_000))));
        let good = token("one", &json!({}));
        let asked = tokio::time::timeout(Duration::from_millis(10), keys.check(&good, "", "http://keys"));
        assert!(asked.await.is_err());
        keys.check(&good, "", "http://keys").await.unwrap();
    }

    /// When the keys are old, one waits for what is published now; whose key is kept does not wait beside it, whose is not
    /// does.
    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_kept_serves_while_others_are_fetched() {
        let clock = Arc::new(ManualClock::new(WallTime(1_000_000)));
        let keys = Arc::new(KeySets::new(Arc::new(Slow), Arc::clone(&clock) as _));
        let check = |kid: &str| {
            let (keys, token) = (Arc::clone(&keys), token(kid, &json!({})));
            tokio::spawn(async move { keys.check(&token, "", "http://keys").await.map(drop) })
        };
        check("one").await.unwrap().unwrap();
        clock.advance(limits::JWKS_AGE_MAX);
        let first = check("one");
        tokio::task::yield_now().await;
        let (second, unknown) = (check("one"), check("two"));
        second.await.unwrap().unwrap();
        assert!(!first.is_finished() && !unknown.is_finished(), "they wait for what is published now");
        first.await.unwrap().unwrap();
        assert_eq!(unknown.await.unwrap(), Err(JwtFault::Unsigned));
    }

    #[test]
    fn what_is_no_set_of_keys_is_refused_and_weak_keys_are_left_out() {
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(KeySet::read(bad.as_bytes()).map(|_| ()), Err(JwksFault::Malformed), "{bad}");
        }
        let weak = json!({ "keys": [
            { "kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB" },
            { "kty": "RSA", "kid": "other", "n": MODULUS.trim(), "e": "AQAB", "alg": "RS512" },
            { "kty": "oct", "kid": "oct", "k": "AAAA" },
            { "kty": "RSA", "n": MODULUS.trim(), "e": "AQAB" },
            7,
        ] });
        assert!(KeySet::read(weak.to_string().as_bytes()).unwrap().0.is_empty());
        let large = vec![b' '; limits::JWKS_BYTES_MAX + 1];
        assert_eq!(KeySet::read(&large).map(|_| ()), Err(JwksFault::TooLarge));
    }
}
