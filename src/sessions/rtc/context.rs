//! What signalling works with, over sockets and by WHEP.

use std::sync::Arc;

use base::{Clock, Randomness};
use cluster_model::{Broadcasts, Settings};
use security::Gate;
use streams::Applications;
use tokio::sync::watch;

use super::addresses::OfferedAddresses;
use super::shards::Shards;
use super::whep::WhepResources;
use crate::connections::Connections;

/// Shared by all signalling of the node.
pub struct SignallingContext {
    /// Who may play.
    pub gate: Arc<Gate>,
    /// The streams.
    pub applications: Applications,
    /// Where players live.
    pub shards: Shards,
    /// Turns true when the node stops: sockets are told and closed, new ones refused.
    pub draining: watch::Receiver<bool>,
    /// What addresses players are offered.
    pub addresses: OfferedAddresses,
    /// The records of broadcasts.
    pub broadcasts: Broadcasts,
    /// The applications' settings.
    pub settings: Settings,
    /// The open sockets.
    pub sockets: Connections,
    /// The players of all sockets and of WHEP.
    pub plays: Connections,
    /// Those of them that are not connected yet.
    pub joins: Connections,
    /// The plays that began by WHEP.
    pub whep: WhepResources,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The node's randomness.
    pub randomness: Arc<dyn Randomness>,
}
