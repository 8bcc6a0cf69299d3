//! One-time tokens and room tokens.

use std::fmt;

use base::{SessionId, StreamId, WallTime, limits};
use serde::{Deserialize, Serialize};

use crate::{Direction, Revision};

/// What a token is for. With its id and stream it is AMS's `Token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenTerms {
    /// AMS's `type`.
    pub direction: Direction,
    /// AMS's `expireDate`: Unix **seconds**. From then on it opens nothing.
    pub expire_s: i64,
    /// AMS's `roomId`: shown in that room, for whichever stream of it, the token is not spent and lives until it expires. Shown
    /// without the room it is as any other of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<StreamId>,
}

/// A token as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is for.
    pub terms: TokenTerms,
    /// The revision it was made at: a later revocation of all of its stream's tokens voids it.
    pub made_at: Revision,
    /// The generation it was made in: after a restore nobody knows whether it was spent in the meantime.
    pub generation: u64,
    /// By whom it was spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

/// By whom a token was spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The session it opened. Only this one may show it again.
    pub session: SessionId,
    /// What the gate knows the presenter by. Kept for the record; the session alone decides.
    pub fingerprint: Fingerprint,
    /// When.
    pub at_ms: u64,
}

/// What a credential or its presenter is known by where the thing itself must not be kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub u128);

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        format!("{fingerprint:?}")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Why a token opens nothing. The peer is told the same for all of them; log and ADMIN are told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum TokenFault {
    /// The stream has no such token, or no longer.
    #[error("the stream has no such token")]
    Unknown,
    /// It is for the other direction.
    #[error("the token is of the other type")]
    WrongType,
    /// Another session has spent it.
    #[error("the token was spent by another session")]
    Spent,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was revoked with all of its stream.
    #[error("the tokens of the stream were revoked")]
    Revoked,
    /// It was made before the cluster was restored and may have been spent since.
    #[error("the token was made before the cluster was restored")]
    Void,
}

impl Token {
    /// Whether its time is over at `now`.
    pub fn is_expired_at(&self, now: WallTime) -> bool {
        now >= expiry(self.terms.expire_s)
    }

    /// When nothing is lost by forgetting it. One that is spent is kept as long whenever it expires: who came in by it may be
    /// there still, and is reached by its revocation.
    pub fn swept_from(&self) -> WallTime {
        let spent = self.spent.as_ref().map(|spent| WallTime(spent.at_ms).plus(limits::TOKEN_SPENT_KEPT));
        spent.unwrap_or_else(|| expiry(self.terms.expire_s))
    }
}

/// Seconds as AMS's `long` to the plane's time; what is before 1970 has always been over.
fn expiry(seconds: i64) -> WallTime {
    WallTime(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}
