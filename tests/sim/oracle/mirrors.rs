//! A node that is no member has at a revision what the members have there, to the last row.

use std::collections::BTreeMap;

use cluster_core::NodeId;
use cluster_model::{Revision, State, StateHash};

use super::applied::Applied;
use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Mirrors {
    /// What each node was last seen with.
    last: BTreeMap<NodeId, (Revision, StateHash)>,
}

impl Mirrors {
    pub(super) fn has(&mut self, node: NodeId, state: &State, applied: &Applied) -> Verdict {
        let seen = (state.revision(), state.hash());
        if self.last.insert(node, seen) == Some(seen) {
            return Ok(());
        }
        match applied.hash(seen.0) {
            Some(right) if right == seen.1 => Ok(()),
            right => broken(
                "a client has what the members have",
                format!("node {node} at {}, of which the members have {right:?}", seen.0),
            ),
        }
    }
}
