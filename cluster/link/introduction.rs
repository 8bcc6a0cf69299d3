//! What nodes tell each other of themselves before there is a cluster.

use std::collections::BTreeSet;

use cluster_core::NodeId;

use crate::ClusterId;

/// How far a node is with taking part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is on its disk.
    Empty,
    /// It has agreed to a cluster that is not begun.
    Prepared,
    /// It is a member of a cluster.
    Begun,
    /// It is to join a cluster that exists.
    Joining,
}

/// What a node, or the command line, says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its number; `None`: the command line.
    pub node: Option<NodeId>,
    /// Its cluster, if it is of one.
    pub cluster: Option<ClusterId>,
    /// How far it is.
    pub phase: Phase,
    /// Who are to vote first, by its configuration.
    pub voters: BTreeSet<NodeId>,
    /// Its program's version.
    pub version: String,
}
