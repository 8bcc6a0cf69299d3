//! Members that applied as much have the same state, request ids and time included.

use std::collections::BTreeMap;

use cluster_core::NodeId;
use cluster_model::{Revision, State, StateHash};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct States {
    hashes: BTreeMap<Revision, (NodeId, StateHash)>,
    /// What each node was last seen with.
    last: BTreeMap<NodeId, Revision>,
}

/// The whole state is hashed at every so manieth revision only: what changes is compared at every one.
const EVERY: u64 = 100;

impl States {
    pub(super) fn has(&mut self, node: NodeId, state: &State) -> Verdict {
        let revision = state.revision();
        if !revision.0.is_multiple_of(EVERY) {
            return Ok(());
        }
        if self.last.insert(node, revision) == Some(revision) {
            return Ok(());
        }
        let hash = state.hash();
        let (first, known) = *self.hashes.entry(revision).or_insert((node, hash));
        if known == hash {
            Ok(())
        } else {
            broken(
                "equal revisions have equal states",
                format!("nodes {first} and {node} differ at {revision}"),
            )
        }
    }
}
