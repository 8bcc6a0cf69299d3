//! The other nodes: where they are, and whether they are reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use base::{Clock, limits};
use cluster_core::{Class, NodeId};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

use crate::figures::{CLASSES, Counters};
use crate::queue::Queue;

/// Whether another node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// It took our hello on a connection that stands.
    pub up: bool,
    /// Since when that is so, or not so.
    pub since: Instant,
    /// What went wrong last, in words for an operator.
    pub last_error: Option<String>,
}

/// Another node.
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    lanes: [Lane; 3],
    addresses: Mutex<Addresses>,
    /// One permit, for looking its name up.
    pub(crate) lookup: Arc<Semaphore>,
    /// Connections that stand.
    standing: Mutex<usize>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// One class of one node.
pub(crate) struct Lane {
    pub(crate) queue: Arc<Queue>,
    /// Something has changed that makes it worth to try again now.
    pub(crate) nudge: Notify,
}

#[derive(Default)]
struct Addresses {
    /// By our configuration.
    configured: Option<String>,
    /// By its own word, which is newer.
    learned: Option<String>,
    /// The life that word is of.
    life: Option<u64>,
}

impl Peer {
    pub(crate) const fn lane(&self, class: Class) -> &Lane {
        &self.lanes[class as usize]
    }

    /// Whether somebody named it, rather than that it came by itself.
    pub(crate) fn is_configured(&self) -> bool {
        self.addresses.lock().configured.is_some()
    }

    /// Where the `n`th try goes: where the node says it is; if that fails, where it is configured to be.
    pub(crate) fn address(&self, n: usize) -> Option<String> {
        let addresses = self.addresses.lock();
        let known: Vec<_> = [&addresses.learned, &addresses.configured].into_iter().flatten().collect();
        known.get(n.checked_rem(known.len())?).map(|address| (*address).clone())
    }

    /// Nobody tries to reach it any more.
    fn forget(&self) {
        self.tasks.lock().iter().for_each(AbortHandle::abort);
    }

    fn nudge(&self) {
        self.lanes.iter().for_each(|lane| lane.nudge.notify_waiters());
    }
}

/// All other nodes that are known.
pub(crate) struct Peers {
    known: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    states: watch::Sender<BTreeMap<NodeId, PeerState>>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

/// There is no room for one more.
pub(crate) struct TooManyPeers;

impl Peers {
    pub(crate) fn new(counters: Arc<Counters>, clock: Arc<dyn Clock>) -> Self {
        let states = watch::Sender::new(BTreeMap::new());
        Self { known: Mutex::default(), states, counters, clock }
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.known.lock().get(&node).cloned()
    }

    pub(crate) fn states(&self) -> watch::Receiver<BTreeMap<NodeId, PeerState>> {
        self.states.subscribe()
    }

    /// An operator, or the plane, says where `node` is. `start` is called when it is a new one.
    pub(crate) fn configure(
        &self,
        node: NodeId,
        address: String,
        start: impl FnOnce(&Arc<Peer>) -> Vec<AbortHandle>,
    ) -> Result<(), TooManyPeers> {
        let peer = self.known_or_new(node, start)?;
        let addresses = Addresses { configured: Some(address), learned: None, life: None };
        *peer.addresses.lock() = addresses;
        peer.nudge();
        Ok(())
    }

    /// `node` says in its `life` where it is.
    pub(crate) fn learn(
        &self,
        node: NodeId,
        address: String,
        life: u64,
        start: impl FnOnce(&Arc<Peer>) -> Vec<AbortHandle>,
    ) -> Result<(), TooManyPeers> {
        let peer = self.known_or_new(node, start)?;
        {
            let mut addresses = peer.addresses.lock();
            if addresses.life == Some(life) && addresses.learned.as_ref() == Some(&address) {
                return Ok(());
            }
            if addresses.learned.as_ref().or(addresses.configured.as_ref()) != Some(&address) {
                tracing::info!(%node, address, "a node says where it is reached now");
            }
            (addresses.learned, addresses.life) = (Some(address), Some(life));
        }
        // It lives: whoever rests before the next try need not.
        peer.nudge();
        Ok(())
    }

    fn known_or_new(
        &self,
        node: NodeId,
        start: impl FnOnce(&Arc<Peer>) -> Vec<AbortHandle>,
    ) -> Result<Arc<Peer>, TooManyPeers> {
        let mut known = self.known.lock();
        if let Some(peer) = known.get(&node) {
            return Ok(Arc::clone(peer));
        }
        if known.len() >= limits::CLUSTER_PEERS_MAX {
            let gone = self.longest_gone(&known).ok_or(TooManyPeers)?;
            known.remove(&gone).inspect(|peer| peer.forget());
            self.states.send_modify(|states| drop(states.remove(&gone)));
        }
        let queue = |class| Arc::new(Queue::new(class, Arc::clone(&self.counters), Arc::clone(&self.clock)));
        let peer = Arc::new(Peer {
            node,
            lanes: CLASSES.map(|class| Lane { queue: queue(class), nudge: Notify::new() }),
            addresses: Mutex::default(),
            lookup: Arc::new(Semaphore::new(1)),
            standing: Mutex::new(0),
            tasks: Mutex::default(),
        });
        known.insert(node, Arc::clone(&peer));
        let state = PeerState { up: false, since: self.clock.now(), last_error: None };
        self.states.send_modify(|states| drop(states.insert(node, state)));
        *peer.tasks.lock() = start(&peer);
        Ok(peer)
    }

    /// Of the nodes that came by themselves the one that was out of reach the longest.
    fn longest_gone(&self, known: &BTreeMap<NodeId, Arc<Peer>>) -> Option<NodeId> {
        let states = self.states.borrow();
        let gone = states.iter().filter(|(_, state)| !state.up);
        let own = gone.filter(|(node, _)| known.get(node).is_none_or(|peer| !peer.is_configured()));
        own.min_by_key(|(_, state)| state.since).map(|(node, _)| *node)
    }

    /// A connection to `peer` stands.
    pub(crate) fn stands(&self, peer: &Peer) {
        let mut standing = peer.standing.lock();
        *standing += 1;
        if *standing == 1 {
            tracing::info!(node = %peer.node, "another node is reached");
        }
        self.say(peer.node, true, None);
    }

    /// A connection to `peer` that stood ended, without fault if it has no `error`.
    pub(crate) fn fell(&self, peer: &Peer, error: Option<&str>) {
        let mut standing = peer.standing.lock();
        *standing = standing.saturating_sub(1);
        self.say(peer.node, *standing > 0, error);
        if *standing == 0
            && let Some(error) = error
        {
            tracing::warn!(node = %peer.node, error, "another node is out of reach");
        }
    }

    /// A connection to `peer` did not come about.
    pub(crate) fn failed(&self, peer: &Peer, address: &str, error: &str) {
        let standing = *peer.standing.lock() > 0;
        if self.say(peer.node, standing, Some(error)) {
            tracing::warn!(node = %peer.node, address, error, "another node cannot be reached");
        }
    }

    /// Gives whether the error is another one than the last.
    fn say(&self, node: NodeId, up: bool, error: Option<&str>) -> bool {
        let now = self.clock.now();
        let mut news = false;
        self.states.send_if_modified(|states| {
            let Some(state) = states.get_mut(&node) else { return false };
            if state.up != up {
                (state.up, state.since) = (up, now);
                news = true;
            }
            if let Some(error) = error.filter(|error| state.last_error.as_deref() != Some(*error)) {
                state.last_error = Some(error.to_owned());
                news = true;
            }
            news
        });
        news
    }

    /// All nodes are forgotten, and nobody tries to reach them any more.
    pub(crate) fn clear(&self) {
        let gone = std::mem::take(&mut *self.known.lock());
        gone.values().for_each(|peer| peer.forget());
    }
}
