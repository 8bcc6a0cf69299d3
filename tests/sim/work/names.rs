//! Names of the simulator's own making.

#![expect(clippy::expect_used, reason = "names that are made here are names")]

use base::{AppName, SessionId, StreamId};
use cluster_model::{SubscriberId, TokenId, UserName, VodId};

pub(super) fn app(text: &str) -> AppName {
    AppName::new(text).expect("a name")
}

pub(super) fn stream(text: &str) -> StreamId {
    StreamId::new(text).expect("a name")
}

pub(super) fn token(text: &str) -> TokenId {
    TokenId::new(text).expect("a name")
}

pub(super) fn subscriber(text: &str) -> SubscriberId {
    SubscriberId::new(text).expect("a name")
}

pub(super) fn user(text: &str) -> UserName {
    UserName::new(text).expect("a name")
}

pub(super) fn vod(text: &str) -> VodId {
    VodId::new(text).expect("a name")
}

pub(super) const fn session_id(number: u64) -> SessionId {
    SessionId::from_u128(number as u128)
}
