//! What an operator wants of a cluster, and what he is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster_core::{MemberProgress, NodeId};

use crate::ClusterId;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// How the node sees the cluster.
    Status,
    /// The members that its configuration lists are new, and begin a cluster.
    Bootstrap,
    /// A node becomes a member: a learner, and a voter once it has caught up.
    Add {
        /// Its number, never used before.
        node: NodeId,
        /// The member that goes in the same change.
        replaces: Option<NodeId>,
    },
    /// A member leaves.
    Remove {
        /// Who.
        node: NodeId,
    },
    /// Another member is to lead.
    Transfer {
        /// Who.
        to: NodeId,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It was done, or is under way: the status tells.
    Done,
    /// How the node sees the cluster.
    Status(Box<StatusReport>),
}

/// How one node sees the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// The node.
    pub node: NodeId,
    /// Its cluster, if it is of one.
    pub cluster: Option<ClusterId>,
    /// The newest term it knows.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who will, once it has caught up.
    pub learners: BTreeSet<NodeId>,
    /// Committed up to this entry.
    pub commit: u64,
    /// Applied up to this entry.
    pub applied: u64,
    /// The last entry of its log.
    pub last: u64,
    /// The log begins behind this entry.
    pub compacted: u64,
    /// The level of commands that may come.
    pub level: u32,
    /// If it leads: how far each other member is.
    pub progress: BTreeMap<NodeId, MemberProgress>,
    /// Its connections to other nodes.
    pub links: BTreeMap<NodeId, LinkReport>,
    /// How old what it knows is, at most; `None`: it never knew.
    pub age: Option<Duration>,
}

/// A node's connection to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// Messages get through to it.
    pub up: bool,
    /// For how long that is so, or not so.
    pub since: Duration,
    /// What went wrong last.
    pub error: Option<String>,
}
