//! Rows as applications make them.

use base::{AppName, SessionId, StreamId};
use cluster_model::{
    Command, Direction, Fingerprint, Hidden, SubscriberId, SubscriberTerms, TokenId, TokenTerms,
};

/// When tokens expire, Unix seconds: not while anything is measured.
pub const LATE_S: i64 = 4_000_000_000;
/// Streams that tokens and subscribers are of.
const STREAMS: u64 = 1_000;

/// The application everything is of.
pub fn app() -> AppName {
    name(AppName::new("LiveApp"))
}

/// The `n`th stream.
pub fn stream(n: u64) -> StreamId {
    name(StreamId::new(&format!("stream-{n:06}")))
}

/// A token's text is as long as AMS's own random ones.
fn token(n: u64) -> TokenId {
    name(TokenId::new(&format!("{:024}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
}

/// The `n`th subscriber.
pub fn subscriber(n: u64) -> SubscriberId {
    name(SubscriberId::new(&format!("viewer-{n:08}@example.org")))
}

/// The `n`th token, in full.
pub fn token_of(n: u64) -> (AppName, StreamId, TokenId) {
    (app(), stream(n % STREAMS), token(n))
}

/// The `n`th subscriber, in full.
pub fn subscriber_of(n: u64) -> (AppName, StreamId, SubscriberId) {
    (app(), stream(n % STREAMS), subscriber(n))
}

/// Who spends the `n`th token.
pub fn session(n: u64) -> SessionId {
    SessionId::from_u128(u128::from(n) << 64 | 7)
}

/// Makes the `n`th one-time token, which is over at `expire_s`.
pub fn create_token(n: u64, expire_s: i64) -> Command {
    let terms = TokenTerms { direction: Direction::Play, expire_s, room: None };
    Command::CreateToken { app: app(), stream: stream(n % STREAMS), token: token(n), terms }
}

/// Spends it.
pub fn spend_token(n: u64) -> Command {
    Command::SpendToken {
        app: app(),
        stream: stream(n % STREAMS),
        token: token(n),
        direction: Direction::Play,
        session: session(n),
        fingerprint: Fingerprint(u128::from(n) << 60 | 9),
        outside_room: false,
    }
}

/// Makes the `n`th subscriber. `b32_secret`: what its codes are made of, if it has one of its own.
pub fn put_subscriber(n: u64, b32_secret: Option<Hidden>) -> Command {
    let terms = SubscriberTerms {
        name: Some(format!("Viewer {n}")),
        b32_secret,
        direction: Some(Direction::Play),
        ..SubscriberTerms::default()
    };
    Command::PutSubscriber { app: app(), stream: stream(n % STREAMS), subscriber: subscriber(n), terms }
}

/// The names here are all valid ones.
#[expect(clippy::panic, reason = "a mistake in this file, and nothing an outsider can bring about")]
fn name<T, E: std::fmt::Display>(name: Result<T, E>) -> T {
    name.unwrap_or_else(|error| panic!("a name that is none: {error}"))
}
