//! The states of a broadcast.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A live broadcast whose publisher has not reported for this long is shown as
/// `terminated_unexpectedly` (AMS: twice its period of 10 s).
pub const STREAM_TIMEOUT: Duration = Duration::from_secs(20);

/// `status` of a broadcast. AMS stores any text that a client puts there, and so do we.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    /// Registered, nobody published yet.
    #[default]
    Created,
    /// A publisher is being set up.
    Preparing,
    /// Live.
    Broadcasting,
    /// Was live, came to a clean end.
    Finished,
    /// Was live and stopped reporting. Derived on reading, see [`crate::Broadcast::status_at`].
    TerminatedUnexpectedly,
    /// A pull source could not be opened.
    Error,
    /// The publisher failed.
    Failed,
    /// What a client wrote.
    Other(String),
}

impl Status {
    /// The text of the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Preparing => "preparing",
            Self::Broadcasting => "broadcasting",
            Self::Finished => "finished",
            Self::TerminatedUnexpectedly => "terminated_unexpectedly",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Other(text) => text,
        }
    }

    /// Whether a publisher is there or being set up (AMS: `isStreaming`).
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Preparing | Self::Broadcasting)
    }
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        match text.as_str() {
            "created" => Self::Created,
            "preparing" => Self::Preparing,
            "broadcasting" => Self::Broadcasting,
            "finished" => Self::Finished,
            "terminated_unexpectedly" => Self::TerminatedUnexpectedly,
            "error" => Self::Error,
            "failed" => Self::Failed,
            _ => Self::Other(text),
        }
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        match status {
            Status::Other(text) => text,
            known => known.as_str().to_owned(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
