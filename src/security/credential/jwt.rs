//! JSON Web Tokens (RFC 7519). The crate checks signatures; the algorithm is ours and never the token's, and what the token
//! says is judged here, by a clock that is told.

use std::sync::LazyLock;

use base::{WallTime, limits};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use crate::Direction;

/// What the crate is to look at of tokens that a secret signs: made once, for it is asked for at every admission.
static SIGNED_BY_SECRET: LazyLock<Validation> = LazyLock::new(|| signature_alone(Algorithm::HS256));

/// Why a token is worth nothing. The peer is told the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// There is no secret to check it by.
    #[error("no secret is set to check JWTs by")]
    NoSecret,
    /// The keys to check it by are published elsewhere, and cannot be had now.
    #[error("the published keys (JWKS) to check JWTs by cannot be had")]
    NoKeys,
    /// It is no token, is signed in another way than is asked for, or by somebody else.
    #[error("the JWT is malformed, or not signed by the secret with the algorithm asked for")]
    Unsigned,
    /// Its `exp` or `nbf` is no time.
    #[error("the JWT has a date that is none")]
    Malformed,
    /// Its time is over.
    #[error("the JWT has expired")]
    Expired,
    /// Its time has not come.
    #[error("the JWT is not valid yet")]
    NotYet,
    /// It is good, but was revoked.
    #[error("the JWT was revoked")]
    Revoked,
    /// It is for another stream.
    #[error("the JWT is for another stream")]
    WrongStream,
    /// It is for the other direction.
    #[error("the JWT is of the other type")]
    WrongType,
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// When it ends, in seconds, if it does.
    pub fn expires_s(&self) -> Option<f64> {
        self.0.get("exp").and_then(Value::as_f64)
    }

    /// That now is within its time. A token without dates is always good, as in AMS.
    pub fn check_time(&self, now: WallTime) -> Result<(), JwtFault> {
        let date = |name: &str| match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(JwtFault::Malformed),
        };
        let now = now.as_millis() as f64 / 1_000.0;
        if date("nbf")?.is_some_and(|begins| now < begins) {
            return Err(JwtFault::NotYet);
        }
        if date("exp")?.is_some_and(|ends| now >= ends) {
            return Err(JwtFault::Expired);
        }
        Ok(())
    }

    /// That it is for this stream and direction. A claim that is absent restricts nothing (AMS's guide: "the payload is not
    /// critical"); one that is present must fit. A token to publish in a room also plays what is in it.
    pub fn check_stream(
        &self,
        stream: &str,
        room: Option<&str>,
        direction: Direction,
    ) -> Result<(), JwtFault> {
        let of = match self.0.get("streamId") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_str().ok_or(JwtFault::WrongStream)?),
        };
        let is_rooms = of.is_some() && of == room;
        if of.is_some_and(|of| of != stream) && !is_rooms {
            return Err(JwtFault::WrongStream);
        }
        match self.0.get("type") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(kind)) if kind == direction.label() => Ok(()),
            Some(Value::String(kind)) if is_rooms && kind == Direction::Publish.label() => Ok(()),
            Some(_) => Err(JwtFault::WrongType),
        }
    }
}

/// A token to publish or play a stream, signed with HS256: AMS's `jwt-token`. `kind` is put in as it is. `None`: the secret is
/// shorter than [`limits::JWT_KEY_BYTES_MIN`].
pub fn stream_token(secret: &str, stream: &str, kind: &str, expires_s: i64) -> Option<String> {
    sign(secret, &json!({ "streamId": stream, "type": kind, "exp": expires_s }))
}

/// Any token, signed with HS256. `None`: the secret is shorter than
/// [`limits::JWT_KEY_BYTES_MIN`].
pub fn sign(secret: &str, claims: &Value) -> Option<String> {
    if secret.len() < limits::JWT_KEY_BYTES_MIN {
        return None;
    }
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .ok()
}

/// What a token says that the secret signed with HS256, whatever its dates. The secret's text is the key.
pub fn verify(token: &str, secret: &str) -> Result<Claims, JwtFault> {
    if secret.trim().is_empty() {
        return Err(JwtFault::NoSecret);
    }
    verify_by(token, &DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
}

/// Signature and algorithm; what the token says is ours to judge.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut wanted = Validation::new(algorithm);
    wanted.required_spec_claims.clear();
    (wanted.validate_exp, wanted.validate_nbf, wanted.validate_aud) = (false, false, false);
    wanted
}

/// What a token says that `key` signed with `algorithm`, whatever its dates and its header.
pub fn verify_by(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, JwtFault> {
    if token.len() > limits::JWT_BYTES_MAX {
        return Err(JwtFault::Unsigned);
    }
    let data = match algorithm {
        Algorithm::HS256 => jsonwebtoken::decode::<Map<String, Value>>(token, key, &SIGNED_BY_SECRET),
        other => jsonwebtoken::decode::<Map<String, Value>>(token, key, &signature_alone(other)),
    };
    // What a token says must be understood by whoever reads it, and none of that is here (RFC 7515, 4.1.11).
    let understood = data.ok().filter(|data| data.header.crit.is_none());
    understood.map(|data| Claims(data.claims)).ok_or(JwtFault::Unsigned)
}
