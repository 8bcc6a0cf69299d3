//! What a command came to.

use serde::{Deserialize, Serialize};

/// What applying a command came to. Small on purpose: it is remembered for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Done,
    /// There is no such broadcast; nothing was changed.
    Absent,
    /// The id is taken; nothing was changed.
    Exists,
    /// The stream is live now; `created` when its broadcast was made on the way.
    Started {
        /// A broadcast with `zombi: true` was made.
        created: bool,
    },
    /// The stream is over.
    Ended {
        /// The broadcast went with it.
        removed: bool,
    },
    /// The settings were stored under this version.
    Stored {
        /// The new version.
        version: u64,
    },
    /// Somebody else put settings in between; nothing was changed.
    Conflict {
        /// The version they have now, 0 for none.
        version: u64,
    },
    /// A sweep did as much as one command may.
    Swept {
        /// The same command again finds more to do.
        more: bool,
    },
    /// Against a rule; nothing was changed.
    Refused(Refusal),
}

/// A rule of the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The application holds as many broadcasts as it may.
    #[error("the application has too many broadcasts")]
    TooManyBroadcasts,
    /// There are as many applications with settings as there may be.
    #[error("there are too many applications")]
    TooManyApplications,
    /// The row would be larger than it may be.
    #[error("the record is too large")]
    TooLarge,
    /// A patch does not fit the record's types.
    #[error("a value has the wrong type")]
    Malformed,
}
