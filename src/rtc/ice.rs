//! The ICE-lite responder: answers connectivity checks, sends none (RFC 8445 2.5 and 7.3).

use std::net::SocketAddr;

use base::{Randomness, Secret};
use rtc_crypto::providers::RingProvider;
use rtc_crypto::{RTCCrypto, RTCCryptoProvider};
use rtc_stun::attributes::{ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message};
use rtc_stun::xoraddr::XorMappedAddress;

const UFRAG_LENGTH: usize = 8;
const PASSWORD_LENGTH: usize = 32;
const INTEGRITY_BYTES: usize = 20;

/// A name and password of one ICE session (RFC 8445 5.3).
#[derive(Clone, Debug)]
pub struct IceCredentials {
    /// The user name fragment, which finds the session.
    pub ufrag: String,
    /// The password, which proves that a check comes from who read the offer.
    pub password: Secret,
}

impl IceCredentials {
    /// New, unguessable credentials of letters and digits, whose name begins with `prefix`.
    pub fn random(prefix: &str, randomness: &dyn Randomness) -> Self {
        Self {
            ufrag: format!("{prefix}{}", randomness.alphanumeric(UFRAG_LENGTH)),
            password: Secret::new(randomness.alphanumeric(PASSWORD_LENGTH)),
        }
    }
}

/// A check that passed.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// The answer, to be sent to where the check came from.
    pub reply: Vec<u8>,
    /// The peer chose this address for the media (USE-CANDIDATE).
    pub nominated: bool,
}

/// Why a check was dropped. Nothing is answered, so that nobody learns from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Not a well-formed Binding request with FINGERPRINT last.
    #[error("not a well-formed binding request")]
    Malformed,
    /// USERNAME is missing or names another session.
    #[error("the user name is not that of this session")]
    WrongName,
    /// MESSAGE-INTEGRITY is missing or was not made with our password.
    #[error("the integrity check failed")]
    WrongIntegrity,
}

/// Verifies the check in `datagram` from `from`, and makes the answer.
///
/// `remote_ufrag` is that of the peer's answer, once it is known. Attributes behind
/// MESSAGE-INTEGRITY are not covered by it and count for nothing (RFC 8489 14.5).
pub fn answer_check(
    datagram: &[u8],
    from: SocketAddr,
    local: &IceCredentials,
    remote_ufrag: Option<&str>,
    crypto: &dyn RTCCrypto,
) -> Result<Check, CheckError> {
    let mut request = Message::new();
    request.unmarshal_binary(datagram).map_err(|_| CheckError::Malformed)?;
    if request.typ != BINDING_REQUEST
        || request.attributes.0.last().map(|last| last.typ) != Some(ATTR_FINGERPRINT)
        || FINGERPRINT.check(&request).is_err()
    {
        return Err(CheckError::Malformed);
    }
    let covered = request
        .attributes
        .0
        .iter()
        .position(|attribute| attribute.typ == ATTR_MESSAGE_INTEGRITY)
        .ok_or(CheckError::WrongIntegrity)?;
    if request.attributes.0.get(covered).map(|integrity| integrity.value.len()) != Some(INTEGRITY_BYTES) {
        return Err(CheckError::WrongIntegrity);
    }

    let mut named = false;
    let mut nominated = false;
    for attribute in request.attributes.0.iter().take(covered) {
        if attribute.typ == ATTR_USERNAME {
            let text = std::str::from_utf8(&attribute.value).map_err(|_| CheckError::Malformed)?;
            let (ours, theirs) = text.split_once(':').ok_or(CheckError::WrongName)?;
            named = ours == local.ufrag && remote_ufrag.is_none_or(|remote| remote == theirs);
        }
        nominated |= attribute.typ == ATTR_USE_CANDIDATE;
    }
    if !named {
        return Err(CheckError::WrongName);
    }
    let password = local.password.expose();
    MessageIntegrity::check(&mut request, password.as_bytes(), crypto)
        .map_err(|_| CheckError::WrongIntegrity)?;

    let mapped = XorMappedAddress { ip: from.ip().to_canonical(), port: from.port() };
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password.clone(), crypto);
    let mut reply = Message::new();
    reply
        .build(&[
            Box::new(request),
            Box::new(BINDING_SUCCESS),
            Box::new(mapped),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])
        .map_err(|_| CheckError::Malformed)?;
    Ok(Check { reply: reply.raw, nominated })
}

/// Answers the checks of ICE sessions that have no player here.
#[derive(Default)]
pub struct Checks(RingProvider);

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Checks {
    /// The answer to a check that somebody made who knows the session's password; `None`: it is forged, or no check.
    pub fn answer(&self, datagram: &[u8], from: SocketAddr, session: &IceCredentials) -> Option<Check> {
        answer_check(datagram, from, session, None, self.0.crypto()).ok()
    }
}

#[cfg(test)]
mod tests;
