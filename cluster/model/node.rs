//! Nodes and their lives.

use base::{WallTime, limits};
use serde::{Deserialize, Serialize};

use crate::Incarnation;

/// What a node says of itself when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeCard {
    /// Its name or address as REST shows it: AMS's `ip`, `instanceIP` and `originAdress`.
    pub address: String,
    /// Where other nodes fetch media from; empty: nowhere.
    #[serde(default)]
    pub relay: String,
    /// The program's version.
    #[serde(default)]
    pub version: String,
}

/// A node as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it says of itself.
    pub card: NodeCard,
    /// Its last life.
    pub incarnation: Incarnation,
    /// When that began.
    pub joined_ms: u64,
    /// When it ended; `None`: it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_ms: Option<u64>,
}

impl Node {
    pub(crate) fn swept_from(&self) -> Option<WallTime> {
        self.expired_ms.map(|at| WallTime(at).plus(limits::NODE_DEAD_KEPT))
    }
}

/// One life of a node: how far its facts have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// The number of its last batch that was applied; 0: none yet.
    pub sequence: u64,
    /// When it ended; `None`: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
}

impl Life {
    /// From when on no more facts of it are taken.
    pub(crate) fn swept_from(&self) -> Option<WallTime> {
        self.ended_ms.map(|at| WallTime(at).plus(limits::INCARNATION_KEPT))
    }
}
