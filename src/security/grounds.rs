//! What a permit rests on: settings, its subscriber, a one-time token, a time.

use std::collections::BTreeSet;

use base::{PeerAddr, StreamId, WallTime, limits};
use cluster_model::{Guarded, Revision, Subscriber, SubscriberTerms, Token, TokenId};
use config::AppSettings;

use crate::address::publisher_is_allowed;
use crate::credential::half_digest;

/// What a secret is known by where it must not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretPrint([u8; 16]);

impl SecretPrint {
    pub(crate) fn of(secret: &str) -> Self {
        Self(half_digest(secret))
    }
}

/// A setting or a subscriber that a permit rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// That a hash or JWT known by this was not revoked.
    Unrevoked(String),
    /// The secret of hash tokens.
    Hash(SecretPrint),
    /// The secret of JWTs, or the address of the keys they are signed by.
    Jwt(SecretPrint),
    /// The application's secret for codes.
    Code(SecretPrint),
    /// The subscriber's own secret for codes.
    OwnCode(SecretPrint),
    /// That the subscriber is registered.
    Registered,
    /// The ranges of publishers' addresses.
    Addresses,
}

/// The one-time token that somebody was let in by.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The stream it was made for.
    pub home: StreamId,
    /// Its text.
    pub token: TokenId,
    /// When it may go without having been revoked.
    pub gone_by: WallTime,
    /// When it was made.
    pub made_at: Revision,
    /// It is a room's that was shown in the room: it lets many in.
    pub is_for_many: bool,
}

impl Held {
    /// Of its row, before or after it was spent; it is spent by now, unless it is for many.
    pub(crate) fn new(home: StreamId, token: TokenId, row: &Token, is_for_many: bool, now: WallTime) -> Self {
        let gone_by = if is_for_many { row.swept_from() } else { now.plus(limits::TOKEN_SPENT_KEPT) };
        Self { home, token, gone_by, made_at: row.made_at, is_for_many }
    }
}

/// Why somebody was let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grounds {
    /// What must stay as it is.
    pub rests: Vec<Rest>,
    /// The one-time token, once it was spent.
    pub token: Option<Held>,
    /// When it is over, where the settings say that it is.
    pub expires: Option<WallTime>,
    /// The mechanisms passed, in words.
    pub proofs: Vec<&'static str>,
}

impl Grounds {
    /// Whether a mechanism stands before the stream.
    pub(crate) const fn guarded(&self) -> Guarded {
        if self.proofs.is_empty() { Guarded::No } else { Guarded::Yes }
    }

    /// The mechanisms in one text; `None`: anybody may.
    pub(crate) fn proof(&self) -> Option<String> {
        (!self.proofs.is_empty()).then(|| self.proofs.join(", "))
    }
}

/// What JWTs of streams are checked by, as it is known where it is not kept. Of keys that are published it is where: they come and
/// go by themselves, and one that is withdrawn keeps newcomers out.
pub(crate) fn jwt_print(settings: &AppSettings) -> SecretPrint {
    match settings.jwt_stream_jwks_url().trim() {
        "" => SecretPrint::of(settings.jwt_stream_secret().expose()),
        jwks_url => SecretPrint::of(jwks_url),
    }
}

/// Whether a setting still says what a session was let in by.
pub(crate) fn stands(
    rest: &Rest,
    (settings, revoked): (&AppSettings, &BTreeSet<&str>),
    publish: bool,
    peer: PeerAddr,
) -> bool {
    let is = |print: &SecretPrint, secret: &str| SecretPrint::of(secret) == *print;
    match rest {
        Rest::Unrevoked(print) => !revoked.contains(print.as_str()),
        Rest::Hash(print) => {
            is(print, settings.token_hash_secret().expose())
                || is(print, settings.token_hash_secret_previous().expose())
        }
        Rest::Jwt(print) => jwt_print(settings) == *print,
        Rest::Code(print) => is(print, settings.time_token_secret(publish).expose()),
        Rest::Addresses => publisher_is_allowed(settings.allowed_publisher_cidr(), peer),
        // Settings say nothing of it.
        Rest::OwnCode(_) | Rest::Registered => true,
    }
}

/// The secret that a subscriber has for itself.
pub(crate) fn own_secret(terms: &SubscriberTerms) -> Option<&str> {
    terms.b32_secret.as_ref().map(|secret| secret.expose()).filter(|secret| !secret.is_empty())
}

/// Whether what a session came by is its subscriber's to change: its own secret, or that it is registered.
pub(crate) const fn is_of_subscriber(rest: &Rest) -> bool {
    matches!(rest, Rest::OwnCode(_) | Rest::Registered)
}

/// Whether a subscriber, if there is one, is still what a session was let in by.
pub(crate) fn stands_by(rest: &Rest, known: Option<&Subscriber>) -> bool {
    match rest {
        Rest::OwnCode(print) => {
            known.and_then(|known| own_secret(&known.terms)).is_some_and(|own| SecretPrint::of(own) == *print)
        }
        Rest::Registered => known.is_some_and(Subscriber::is_registered),
        Rest::Unrevoked(_) | Rest::Hash(_) | Rest::Jwt(_) | Rest::Code(_) | Rest::Addresses => true,
    }
}
