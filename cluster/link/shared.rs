//! What all tasks of the link share.

use std::sync::Arc;

use base::{Clock, Randomness, limits};
use cluster_core::NodeId;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use crate::authority::Credentials;
use crate::doors::Doors;
use crate::figures::{CLASSES, Counters};
use crate::peers::{Peer, Peers};
use crate::{ClusterId, Local, lane};

/// The version of what is said. Another one is not listened to.
pub(crate) const PROTOCOL: u32 = 1;

/// Who we are at the moment.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) credentials: Credentials,
}

pub(crate) struct Shared {
    pub(crate) node: NodeId,
    /// Drawn at the start.
    pub(crate) life: u64,
    /// Where we are reached.
    pub(crate) advertised: String,
    pub(crate) identity: watch::Sender<Identity>,
    pub(crate) peers: Peers,
    pub(crate) doors: Arc<Doors>,
    pub(crate) counters: Arc<Counters>,
    /// Introductions and orders that may still be begun.
    pub(crate) calls: Semaphore,
    /// `None` until it serves, and once it is closed.
    pub(crate) local: RwLock<Option<Arc<dyn Local>>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) runtime: Handle,
}

impl Shared {
    pub(crate) fn local(&self) -> Option<Arc<dyn Local>> {
        self.local.read().clone()
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.identity.borrow().cluster
    }

    /// `node` is at `address`, by an operator's or the plane's word.
    pub(crate) fn configure(self: &Arc<Self>, node: NodeId, address: String) {
        if node != self.node && self.peers.configure(node, address, |peer| self.start(peer)).is_err() {
            let max = limits::CLUSTER_PEERS_MAX;
            tracing::warn!(%node, max, "there are too many nodes, and this one is not sent anything");
        }
    }

    /// `node` says that it is at `address`; gives whether there is room for it.
    pub(crate) fn learn(self: &Arc<Self>, node: NodeId, address: String, life: u64) -> bool {
        self.peers.learn(node, address, life, |peer| self.start(peer)).is_ok()
    }

    fn start(self: &Arc<Self>, peer: &Arc<Peer>) -> Vec<AbortHandle> {
        let start =
            |class| self.runtime.spawn(lane::run(Arc::clone(self), Arc::clone(peer), class)).abort_handle();
        CLASSES.map(start).into()
    }
}
