//! Why the gate says no.

use base::IdError;

/// The clause that refused somebody. A session maps it to its protocol's refusal; its text is for the
/// log and for administrators, its label for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no such application.
    #[error("there is no such application")]
    UnknownApplication,
    /// The application's settings are not loaded yet.
    #[error("the application is not initialised yet")]
    NotInitialised,
    /// The stream's name is empty, too long or holds a character it may not.
    #[error("not a stream id: {0}")]
    InvalidStreamId(#[from] IdError),
    /// Only registered streams may be published, and this one is not (AMS's `acceptOnlyStreamsInDataStore`).
    #[error("the stream is not registered")]
    Unregistered,
    /// Somebody publishes this stream already.
    #[error("the stream is live already")]
    AlreadyLive,
    /// Outside the planned dates of the broadcast, or after its expiry.
    #[error("outside the time in which the stream may be published")]
    OutsideWindow,
    /// A security mechanism is switched on that this version cannot enforce.
    #[error("the security mechanism {key} is on and not available in this version")]
    MechanismNotAvailable {
        /// The setting that switches it on.
        key: &'static str,
    },
    /// As many streams are published as `ingestingStreamLimit` allows.
    #[error("the application has as many publishers as it may")]
    IngestLimit,
    /// As many players as the application's or the stream's limit allows.
    #[error("the application or the stream has as many players as it may")]
    ViewerLimit,
    /// The metadata plane did not answer in time.
    #[error("the metadata store did not answer")]
    DataStoreNotAvailable,
}

impl Denial {
    /// The stable label for metrics and log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownApplication => "unknown application",
            Self::NotInitialised => "not initialised",
            Self::InvalidStreamId(_) => "invalid stream id",
            Self::Unregistered => "unregistered",
            Self::AlreadyLive => "already live",
            Self::OutsideWindow => "outside window",
            Self::MechanismNotAvailable { .. } => "mechanism not available",
            Self::IngestLimit => "ingest limit",
            Self::ViewerLimit => "viewer limit",
            Self::DataStoreNotAvailable => "data store not available",
        }
    }
}
