//! What a command came to.

use serde::{Deserialize, Serialize};

use crate::{Epoch, Incarnation, NodeId, TokenFault};

/// What applying a command came to. Small on purpose: it is remembered for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Done,
    /// There is no such thing; nothing was changed.
    Absent,
    /// The id is taken, or there is one already; nothing was changed.
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
    /// The token opens the session. The same for the first time and for any repetition by its session.
    Spent,
    /// The token opens nothing; nothing was changed.
    TokenRefused(TokenFault),
    /// The stream is the claimant's, under this epoch.
    Claimed {
        /// The epoch.
        epoch: Epoch,
    },
    /// Somebody else has the stream; nothing was changed.
    Held {
        /// Which node.
        by: NodeId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// The claims were renewed but for some that are no longer current.
    Renewed {
        /// So many.
        superseded: u32,
    },
    /// The subscriber has as many connections as it may; nothing was changed.
    SlotsTaken {
        /// So many.
        limit: u32,
    },
    /// The node lives, and this is its life.
    Joined {
        /// Greater than all before.
        incarnation: Incarnation,
    },
    /// The batch does not follow on the last one; nothing was changed.
    OutOfOrder {
        /// The last one that was taken; 0 for none.
        last: u64,
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
    /// The application holds as many tokens as it may.
    #[error("the application has too many tokens")]
    TooManyTokens,
    /// The application holds as many subscribers as it may.
    #[error("the application has too many subscribers")]
    TooManySubscribers,
    /// The application holds as many connection slots as it may.
    #[error("the application has too many connections of subscribers")]
    TooManySlots,
    /// The application holds as many claims as it may.
    #[error("the application has too many live streams")]
    TooManyClaims,
    /// There are as many nodes, or lives of nodes, as there may be.
    #[error("there are too many nodes")]
    TooManyNodes,
    /// There are as many users as there may be.
    #[error("there are too many users")]
    TooManyUsers,
    /// The application holds as many VoD records as it may.
    #[error("the application has too many VoD records")]
    TooManyVods,
    /// More than one command may carry.
    #[error("the command carries too much")]
    TooMany,
    /// The claim is no longer the current one: somebody else has the stream, or nobody.
    #[error("the claim was superseded")]
    Superseded,
    /// The node is not one that lives, or lives again meanwhile.
    #[error("the node has not joined, or its life is over")]
    NotJoined,
    /// The node lives.
    #[error("the node is alive")]
    Alive,
}
