//! Which node publishes a stream.

use std::time::Duration;

use base::{AppName, StreamId, WallTime, limits};
use serde::{Deserialize, Serialize};

use crate::{Epoch, Owner};

/// A stream that a node has claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Which claim this is.
    pub epoch: Epoch,
    /// Whose it is.
    pub owner: Owner,
    /// Until when it holds, by the stamps of the leader.
    pub lease_until_ms: u64,
}

impl Claim {
    /// When it is swept, with its broadcast.
    pub(crate) fn swept_from(&self) -> WallTime {
        WallTime(self.lease_until_ms).plus(limits::CLAIM_LAPSED_KEPT)
    }
}

/// Why a contender may have a stream that somebody else has: what the leader knows of the owner. Only good
/// against the claim it was observed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contention {
    /// The claim the leader looked at.
    pub epoch: Epoch,
    /// What it saw.
    pub observed: Observed,
}

/// What the leader saw of a stream's owner. Durations are by the leader's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Observed {
    /// Its link is down.
    LinkDown {
        /// For so long.
        for_ms: u64,
    },
    /// Its publisher is silent, says the owner.
    PublisherSilent {
        /// For so long.
        for_ms: u64,
    },
}

impl Observed {
    /// Whether that is long enough to lose a stream to a contender.
    pub(crate) fn suffices(self) -> bool {
        match self {
            Self::LinkDown { for_ms } => Duration::from_millis(for_ms) >= limits::CLAIM_LINK_DOWN_MIN,
            Self::PublisherSilent { for_ms } => Duration::from_millis(for_ms) >= limits::CLAIM_SILENCE_MIN,
        }
    }
}

/// A claim as its owner names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldClaim {
    /// The application.
    pub app: AppName,
    /// The stream.
    pub stream: StreamId,
    /// The epoch it was claimed under.
    pub epoch: Epoch,
}
