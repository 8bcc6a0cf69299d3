//! The link of a running node.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Randomness, limits};
use cluster_core::{Class, NodeId};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::authority::Credentials;
use crate::doors::Doors;
use crate::figures::{Counters, Loss};
use crate::inbound;
use crate::peers::Peers;
use crate::shared::{Identity, Shared};
use crate::wire::is_address;
use crate::{ClusterId, Dialer, Introduction, LinkFigures, Order, PeerName, PeerState, Report, Secrets};

/// Threads that look up names: as many as there may be other members, so that those whose names are not answered for hold up
/// nobody else.
const RESOLVERS_MAX: usize = limits::RAFT_MEMBERS_MAX;

/// What a link is made of.
pub struct LinkOptions {
    /// This node.
    pub node: NodeId,
    /// Its cluster, if it is of one.
    pub cluster: Option<ClusterId>,
    /// What nodes know each other by.
    pub secrets: Secrets,
    /// Where others connect to: one port, on one address or on several.
    pub listeners: Vec<TcpListener>,
    /// How others reach it: `host:port`.
    pub advertised: String,
    /// Where other nodes are: `host:port`. This node may be among them.
    pub peers: BTreeMap<NodeId, String>,
    /// Tells how long messages wait.
    pub clock: Arc<dyn Clock>,
    /// Makes the certificate's key.
    pub randomness: Arc<dyn Randomness>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The certificate could not be made.
    #[error("no certificate could be made for the cluster: {0}")]
    Certificate(String),
    /// The system gives it no thread or no socket.
    #[error("cannot start the cluster's link: {0}")]
    System(#[from] std::io::Error),
    /// An address is none.
    #[error("`{0}` is no address of a node: it is host:port")]
    Address(String),
}

/// What this node answers. Called on the link's thread, so nothing here may block.
#[async_trait]
pub trait Local: Send + Sync {
    /// Takes what another node sent; `false`: there is no room, and it is lost.
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool;
    /// Introduces this node to another one, or to the command line.
    async fn introduce(&self, theirs: Introduction) -> Introduction;
    /// Does what an operator wants, or says in plain words why not.
    async fn operate(&self, order: Order) -> Result<Report, String>;
}

/// The link to all other nodes: it listens, keeps connections, and sends. It runs on a thread of its own.
pub struct Links {
    shared: Arc<Shared>,
    secrets: Secrets,
    address: SocketAddr,
    close: watch::Sender<bool>,
    /// `None` once closed.
    running: Mutex<Option<Running>>,
}

struct Running {
    runtime: Runtime,
    /// For each address.
    accepting: Vec<JoinHandle<()>>,
}

impl Links {
    /// Begins to listen and to connect. Whoever comes before [`Links::serve`] is told to try again.
    ///
    /// # Errors
    /// An address is none, or the system gives no thread.
    pub fn start(options: LinkOptions) -> Result<Arc<Self>, LinkError> {
        let LinkOptions { node, cluster, secrets, listeners, advertised, peers, clock, randomness } = options;
        if let Some(wrong) = std::iter::once(&advertised).chain(peers.values()).find(|text| !is_address(text))
        {
            return Err(LinkError::Address(wrong.clone()));
        }
        let nowhere =
            || std::io::Error::new(std::io::ErrorKind::InvalidInput, "there is nothing to listen on");
        let address = listeners.first().ok_or_else(nowhere)?.local_addr()?;
        listeners.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        let name = PeerName::Node { node, cluster };
        let credentials = Credentials::new(&secrets, name, &*randomness)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(RESOLVERS_MAX)
            .thread_name("cluster-link")
            .enable_all()
            .build()?;
        let listening = {
            let _inside = runtime.enter();
            listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<std::io::Result<Vec<_>>>()
        };
        let listeners = match listening {
            Ok(listeners) => listeners,
            Err(error) => {
                // Dropped as it is it would block, which it may not on a caller's async thread.
                runtime.shutdown_background();
                return Err(error.into());
            }
        };
        let counters = Arc::new(Counters::new(Arc::clone(&clock)));
        let shared = Arc::new(Shared {
            node,
            life: randomness.next_u64(),
            advertised,
            identity: watch::Sender::new(Identity { cluster, credentials }),
            peers: Peers::new(Arc::clone(&counters), Arc::clone(&clock)),
            doors: Arc::new(Doors::default()),
            counters,
            calls: Semaphore::new(limits::CLUSTER_CALLS_MAX),
            local: RwLock::new(None),
            clock,
            randomness,
            runtime: runtime.handle().clone(),
        });
        let close = watch::Sender::new(false);
        let accept =
            |listener| runtime.spawn(inbound::accept(Arc::clone(&shared), listener, close.subscribe()));
        let accepting = listeners.into_iter().map(accept).collect();
        peers.into_iter().for_each(|(node, address)| shared.configure(node, address));
        let running = Mutex::new(Some(Running { runtime, accepting }));
        Ok(Arc::new(Self { shared, secrets, address, close, running }))
    }

    /// From now on others are answered by `local`.
    pub fn serve(&self, local: Arc<dyn Local>) {
        *self.shared.local.write() = Some(local);
    }

    /// This node is of `cluster` from now on, if it is not yet. Connections made before are made anew.
    ///
    /// # Errors
    /// The certificate could not be made.
    pub fn enter(&self, cluster: ClusterId) -> Result<(), LinkError> {
        if self.shared.cluster() == Some(cluster) {
            return Ok(());
        }
        let name = PeerName::Node { node: self.shared.node, cluster: Some(cluster) };
        let credentials = Credentials::new(&self.secrets, name, &*self.shared.randomness)?;
        self.shared.identity.send_replace(Identity { cluster: Some(cluster), credentials });
        Ok(())
    }

    /// `node` is reached at `address`, unless it says something else later.
    ///
    /// # Errors
    /// The address is none.
    #[cfg(test)]
    fn set_peer(&self, node: NodeId, address: String) -> Result<(), LinkError> {
        if !is_address(&address) {
            return Err(LinkError::Address(address));
        }
        self.shared.configure(node, address);
        Ok(())
    }

    /// Which nodes are reached, now and whenever that changes.
    pub fn states(&self) -> watch::Receiver<BTreeMap<NodeId, PeerState>> {
        self.shared.peers.states()
    }

    /// What was counted so far.
    pub fn figures(&self) -> LinkFigures {
        self.shared.counters.figures(self.shared.doors.open_now())
    }

    /// Where it listens: of several addresses the first.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks other nodes as the one this is at the moment.
    pub fn dialer(&self) -> Dialer {
        Dialer::of(&self.shared.identity.borrow().credentials)
    }

    /// Ends all connections and listens no more. Messages that wait are lost.
    pub async fn close(&self) {
        self.close.send_replace(true);
        let running = self.running.lock().take();
        let Some(Running { runtime, accepting }) = running else { return };
        self.shared.peers.clear();
        for task in accepting {
            // It ends by itself; a panic in it is reported by the runtime.
            let _ = task.await;
        }
        *self.shared.local.write() = None;
        runtime.shutdown_background();
    }
}

impl cluster_node::Link for Links {
    /// Puts the message into the queue of that node and class, where the oldest gives way if there is no room.
    fn send(&self, to: NodeId, class: Class, bytes: Vec<u8>) {
        match self.shared.peers.get(to) {
            Some(peer) => peer.lane(class).queue.push(bytes.into()),
            None => self.shared.counters.lost(class, Loss::Nowhere, 1),
        }
    }
}

impl Drop for Links {
    /// As [`Links::close`], without waiting for it.
    fn drop(&mut self) {
        self.close.send_replace(true);
        self.shared.peers.clear();
        if let Some(Running { runtime, .. }) = self.running.lock().take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
