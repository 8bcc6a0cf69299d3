//! Why the gate says no.

use base::IdError;
use cluster_model::TokenFault;

use crate::credential::jwt::JwtFault;

/// Why a subscriber's code does not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpFault {
    /// `subscriberId` or `subscriberCode` is missing.
    #[error("subscriberId and subscriberCode are asked for")]
    Missing,
    /// The id is none.
    #[error("subscriberId is longer than it may be, or empty")]
    InvalidId,
    /// Only registered subscribers are let in, and this one is not.
    #[error("the subscriber is not registered")]
    Unregistered,
    /// The subscriber may play only.
    #[error("the subscriber may play, and not publish")]
    WrongType,
    /// Neither the subscriber nor the application has a secret.
    #[error("neither the subscriber nor the application has a secret for codes")]
    NoSecret,
    /// The code is not that of now, nor the one before.
    #[error("the code is wrong or too old")]
    WrongCode,
    /// Too many wrong codes came before.
    #[error("too many wrong codes were shown, the subscriber has to wait")]
    Locked,
}

/// The clause that refused somebody. A session maps it to its protocol's refusal; its text is for the
/// log and for administrators, its label for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no such application.
    #[error("there is no such application")]
    UnknownApplication,
    /// The application's settings are not loaded yet, or nothing of the metadata is known here yet.
    #[error("the application is not initialised yet")]
    NotInitialised,
    /// The stream's name is empty, too long or holds a character it may not.
    #[error("not a stream id: {0}")]
    InvalidStreamId(#[from] IdError),
    /// Only registered streams may be published, and this one is not (AMS's `acceptOnlyStreamsInDataStore`).
    #[error("the stream is not registered")]
    Unregistered,
    /// Only registered rooms may be joined, and this one is not (AMS's `acceptOnlyRoomsInDataStore`).
    #[error("the room is not registered")]
    RoomUnregistered,
    /// Outside the planned dates of the room.
    #[error("outside the time in which the room may be joined")]
    RoomOutsideWindow,
    /// Somebody publishes this stream already.
    #[error("the stream is live already")]
    AlreadyLive,
    /// Outside the planned dates of the broadcast, or after its expiry.
    #[error("outside the time in which the stream may be published")]
    OutsideWindow,
    /// The subscriber is blocked.
    #[error("the subscriber is blocked")]
    Blocked,
    /// The publisher's address is in none of the ranges of `allowedPublisherCIDR`.
    #[error("the publisher's address is not among those allowed")]
    Address,
    /// An authorisation webhook did not answer with 200.
    #[error("the authorisation webhook did not allow it")]
    Webhook,
    /// A one-time token is asked for, and there is none.
    #[error("a one-time token is asked for, and none came")]
    TokenMissing,
    /// The one-time token opens nothing.
    #[error("one-time token: {0}")]
    Token(TokenFault),
    /// The token lives with a session that it let in.
    #[error("one-time token: its session is still there")]
    TokenInUse,
    /// The hash is missing or not the right one, or was revoked.
    #[error("the hash is missing or not that of stream, type and secret, or was revoked")]
    Hash,
    /// A JWT is asked for, and there is none.
    #[error("a JWT is asked for, and none came")]
    JwtMissing,
    /// The JWT does not let in.
    #[error("JWT: {0}")]
    Jwt(#[from] JwtFault),
    /// The subscriber's code does not let in.
    #[error("subscriber's code: {0}")]
    Totp(#[from] TotpFault),
    /// The subscriber has as many connections as it may.
    #[error("the subscriber has its {limit} connections already")]
    Connections {
        /// So many.
        limit: u32,
    },
    /// As many streams are published as `ingestingStreamLimit` allows.
    #[error("the application has as many publishers as it may")]
    IngestLimit,
    /// As many players as the application's or the stream's limit allows.
    #[error("the application or the stream has as many players as it may")]
    ViewerLimit,
    /// The metadata plane did not answer in time, or is away and has to be asked.
    #[error("the metadata store did not answer")]
    DataStoreNotAvailable,
    /// The metadata plane is away for so long that what this node knows decides nothing any more.
    #[error("the metadata store is away for too long to decide this")]
    AuthorityLost,
}

impl Denial {
    /// The stable label for metrics and log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownApplication => "unknown application",
            Self::NotInitialised => "not initialised",
            Self::InvalidStreamId(_) => "invalid stream id",
            Self::Unregistered => "unregistered",
            Self::RoomUnregistered => "room unregistered",
            Self::RoomOutsideWindow => "room outside window",
            Self::AlreadyLive => "already live",
            Self::OutsideWindow => "outside window",
            Self::Blocked => "blocked",
            Self::Address => "address",
            Self::Webhook => "webhook",
            Self::TokenMissing | Self::Token(_) | Self::TokenInUse => "one-time token",
            Self::Hash => "hash",
            Self::Jwt(JwtFault::NoKeys) => "JWT keys",
            Self::JwtMissing | Self::Jwt(_) => "JWT",
            Self::Totp(_) => "subscriber code",
            Self::Connections { .. } => "connections",
            Self::IngestLimit => "ingest limit",
            Self::ViewerLimit => "viewer limit",
            Self::DataStoreNotAvailable => "data store not available",
            Self::AuthorityLost => "authority lost",
        }
    }
}
