//! What this node answers other nodes, and the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::{Clock, limits};
use cluster_link::{
    ClusterId, Introduction, LinkReport, Links, Local, Order, Phase, Report, Standing, StatusReport,
};
use cluster_node::{MembershipChange, Node, NodeId};
use config::ClusterRole;
use parking_lot::{Mutex, RwLock};

use super::identity::Identity;

/// This node, as it stands.
pub(super) struct Here {
    id: NodeId,
    voters: BTreeSet<NodeId>,
    /// Weak: the link owns what it asks.
    links: Weak<Links>,
    clock: Arc<dyn Clock>,
    standing: RwLock<Standing>,
    /// Whether an operator has said that it is new, and not one that lost its data.
    new: AtomicBool,
    node: OnceLock<Arc<Node>>,
    /// When a message of a node came last. The link bounds how many nodes there are.
    heard: Mutex<BTreeMap<NodeId, Instant>>,
}

impl Here {
    pub(super) fn new(
        id: NodeId,
        voters: BTreeSet<NodeId>,
        new: bool,
        links: Arc<Links>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let standing = RwLock::new(Standing { phase: Phase::Empty, cluster: None, voters: voters.clone() });
        let links = Arc::downgrade(&links);
        let (new, node, heard) = (AtomicBool::new(new), OnceLock::new(), Mutex::default());
        Arc::new(Self { id, voters, links, clock, standing, new, node, heard })
    }

    pub(super) const fn id(&self) -> NodeId {
        self.id
    }

    /// It stands where its disk says.
    pub(super) fn stand(&self, identity: Option<&Identity>, role: ClusterRole) {
        let (phase, cluster) = match identity {
            Some(identity) => (identity.phase, identity.cluster),
            None if role == ClusterRole::Member => (Phase::Empty, None),
            None => (Phase::Joining, None),
        };
        *self.standing.write() = Standing { phase, cluster, voters: self.voters.clone() };
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.read().clone()
    }

    pub(super) fn is_new(&self) -> bool {
        self.new.load(Ordering::Acquire)
    }

    /// It takes part from now on.
    pub(super) fn take_part(&self, node: Arc<Node>) {
        // Said once.
        let _ = self.node.set(node);
    }

    pub(super) fn introduction(&self) -> Introduction {
        let Standing { phase, cluster, voters } = self.standing();
        Introduction {
            node: Some(self.id),
            cluster,
            phase,
            voters,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// For how long no message of `node` has come; `None`: none ever came.
    pub(super) fn silent_for(&self, node: NodeId) -> Option<Duration> {
        let heard = *self.heard.lock().get(&node)?;
        Some(self.clock.now().saturating_duration_since(heard))
    }

    /// It has found the cluster that it is a client of.
    pub(super) fn is_of(&self, cluster: ClusterId) {
        self.standing.write().cluster = Some(cluster);
    }

    pub(super) fn links(&self) -> Option<Arc<Links>> {
        self.links.upgrade()
    }

    fn cluster(&self) -> Option<ClusterId> {
        self.standing.read().cluster
    }

    /// How this node sees the cluster.
    fn status(&self, node: &Node) -> StatusReport {
        let status = node.status().borrow().clone();
        let now = self.clock.now();
        let links: BTreeMap<_, _> =
            self.links().map(|links| links.states().borrow().clone()).unwrap_or_default();
        let links = links.into_iter().map(|(peer, state)| {
            let since = now.saturating_duration_since(state.since);
            (peer, LinkReport { up: state.up, since, error: state.last_error })
        });
        StatusReport {
            node: self.id,
            cluster: self.cluster(),
            term: status.term,
            leader: status.leader,
            // One that is on its way out is needed for a majority until it is gone.
            voters: status.members.voters.union(&status.members.outgoing).copied().collect(),
            learners: status.members.learners,
            commit: status.commit,
            applied: status.applied,
            last: status.last,
            compacted: status.compacted,
            level: status.level,
            progress: status.progress,
            links: links.collect(),
            age: node.age(),
        }
    }

    async fn change(&self, node: &Node, change: MembershipChange) -> Result<Report, String> {
        node.change_membership(change).await.map(|()| Report::Done).map_err(|error| error.to_string())
    }

    /// A node that is let in must be there: a voter that is only promised makes a majority harder to come by.
    fn is_there(&self, wanted: NodeId) -> Result<(), String> {
        if self.silent_for(wanted).is_some_and(|silent| silent < limits::NODE_HEARD_MAX) {
            Ok(())
        } else {
            Err(format!(
                "node {wanted} is not connected: start it first, with cluster.role = \"join\" and the members of this cluster"
            ))
        }
    }
}

#[async_trait]
impl Local for Here {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        {
            let heard = &mut *self.heard.lock();
            // Nodes come and go, each under a number of its own.
            if heard.len() >= limits::META_WATCHING_NODES_MAX
                && !heard.contains_key(&from)
                && let Some(longest_ago) = heard.iter().min_by_key(|(_, at)| **at).map(|(node, _)| *node)
            {
                heard.remove(&longest_ago);
            }
            heard.insert(from, self.clock.now());
        }
        // Before it takes part it can answer nothing; who sent it says it again.
        self.node.get().is_some_and(|node| node.receive(from, bytes))
    }

    async fn introduce(&self, _theirs: Introduction) -> Introduction {
        self.introduction()
    }

    async fn operate(&self, order: Order) -> Result<Report, String> {
        let Some(node) = self.node.get() else {
            if order == Order::Bootstrap {
                self.new.store(true, Ordering::Release);
                return Ok(Report::Done);
            }
            return Err(format!("node {} is of no cluster yet: its log says what it waits for", self.id));
        };
        match order {
            Order::Bootstrap => Err(format!("node {} is of a cluster already", self.id)),
            Order::Status => Ok(Report::Status(Box::new(self.status(node)))),
            Order::Add { node: wanted, replaces } => {
                self.is_there(wanted)?;
                self.change(node, MembershipChange::Add { node: wanted, replaces }).await
            }
            Order::Remove { node: wanted } => {
                self.change(node, MembershipChange::Remove { node: wanted }).await
            }
            // It does.
            Order::Transfer { to } if to == self.id && node.status().borrow().leads => Ok(Report::Done),
            Order::Transfer { to } => {
                self.is_there(to)?;
                if node.transfer(to) {
                    Ok(Report::Done)
                } else {
                    Err("the node is busy: try again".to_owned())
                }
            }
        }
    }
}
