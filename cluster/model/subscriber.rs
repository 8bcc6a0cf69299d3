//! Subscribers of a stream, what blocks them, and what they have open.

use std::fmt;
use std::sync::Arc;

use base::{Secret, WallTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Direction, Figures, History, NodeId, Owner, SubscriberId};

/// A text that is stored and sent, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(Secret);

impl Hidden {
    /// Hides `text`.
    pub const fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// The text itself. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// What a client says of a subscriber (AMS's `Subscriber` without what the server derives).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriberTerms {
    /// AMS's `subscriberName`.
    pub name: Option<String>,
    /// AMS's `b32Secret`, from which its codes are made.
    pub b32_secret: Option<Hidden>,
    /// AMS's `type`; who may publish may also play.
    pub direction: Option<Direction>,
    /// AMS's `concurrentConnectionsLimit`.
    pub concurrent_connections_limit: u32,
    /// AMS's `totpExpiryPeriodSeconds`; `None`: that of the application.
    pub totp_period_s: Option<u32>,
}

impl Default for SubscriberTerms {
    fn default() -> Self {
        Self {
            name: None,
            b32_secret: None,
            direction: None,
            concurrent_connections_limit: 1,
            totp_period_s: None,
        }
    }
}

/// A subscriber as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// What a client says of it.
    pub terms: SubscriberTerms,
    /// When it was first put; 0: never, it was only blocked. Of one stored before that was told apart: when either was done first.
    pub registered_ms: u64,
    /// What it may not do, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
}

/// What a subscriber may not do for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// AMS's `blockedType`: `play`, `publish`, `publish_play`; any other text blocks nothing, as in AMS.
    pub kind: String,
    /// AMS's `blockedUntilUnitTimeStampMs`.
    pub until_ms: u64,
}

impl Subscriber {
    /// Whether somebody registered it: who was only blocked may no more than before.
    pub const fn is_registered(&self) -> bool {
        self.registered_ms > 0
    }

    /// Whether it may not go in `direction` at `now` (AMS's `isBlocked`: the last millisecond belongs to it).
    pub fn is_blocked_at(&self, direction: Direction, now: WallTime) -> bool {
        self.block.as_ref().is_some_and(|block| {
            let kind = block.kind.as_str();
            now.as_millis() <= block.until_ms && (kind == "publish_play" || kind == direction.as_str())
        })
    }
}

/// One connection that a subscriber has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The node that serves it: the slot is free when that life of it ends.
    pub owner: Owner,
    /// Since when.
    pub since_ms: u64,
}

/// A subscriber with everything a list of AMS's shows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberShown {
    /// Its id.
    pub id: SubscriberId,
    /// What is stored.
    pub subscriber: Arc<Subscriber>,
    /// Sessions it has on nodes that live: AMS's `currentConcurrentConnections`.
    pub connections: u32,
    /// Connection slots it holds.
    pub slots: u32,
    /// What its sessions came to so far, running ones included.
    pub figures: Figures,
    /// The sums of those that are over.
    pub history: Option<Arc<History>>,
    /// The node that serves the newest session of those it has now.
    #[serde(default)]
    pub node: Option<NodeId>,
}
