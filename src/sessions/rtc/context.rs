//! What signalling works with, over sockets and by WHEP.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_rt::ArbiterHandle;
use base::{Clock, PeerAddr, Randomness};
use cluster_model::{Broadcasts, Settings};
use config::AppSettings;
use security::Gate;
use streams::Applications;
use tokio::sync::watch;

use super::addresses::OfferedAddresses;
use super::publish::Receptions;
use super::shards::Shards;
use super::whep::WhepResources;
use super::whip::WhipResources;
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
    /// The port of media over TCP.
    pub tcp_port: u16,
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
    /// The publishers of all sockets and of WHIP.
    pub publishing: Connections,
    /// Where publishers live.
    pub publishers: ArbiterHandle,
    /// What comes from them.
    pub receptions: Receptions,
    /// The plays that began by WHEP.
    pub whep: Arc<WhepResources>,
    /// The publishers that began by WHIP.
    pub whip: Arc<WhipResources>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The node's randomness.
    pub randomness: Arc<dyn Randomness>,
}

impl SignallingContext {
    /// Where a peer is taken by TCP, if its application wants that.
    pub(super) fn tcp_addresses(&self, peer: PeerAddr, settings: &AppSettings) -> Vec<SocketAddr> {
        if !settings.webrtc_tcp_candidates_enabled() {
            return Vec::new();
        }
        let all = self.addresses.all(peer, settings.disable_ipv6_candidates());
        all.map(|ip| SocketAddr::new(ip, self.tcp_port)).collect()
    }
}
