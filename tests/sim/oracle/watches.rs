//! A watcher sees every change once, in order, or is told to list again.

use std::collections::BTreeMap;

use cluster_core::{AppliedEntry, NodeId};
use cluster_model::Revision;

use super::applied::Applied;
use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Watches {
    seen: BTreeMap<NodeId, Revision>,
}

impl Watches {
    /// The watcher on `node` begins behind `revision`.
    pub(super) fn begins(&mut self, node: NodeId, revision: Revision) {
        self.seen.insert(node, revision);
    }

    pub(super) fn told(&mut self, node: NodeId, entry: &AppliedEntry, applied: &Applied) -> Verdict {
        if entry.repeated {
            return Ok(());
        }
        let promise = "a watcher sees every change once, in order";
        let seen = self.seen.get(&node).copied().unwrap_or_default();
        let revision = entry.revision;
        if revision <= seen {
            return broken(promise, format!("node {node} is told {revision} after {seen}"));
        }
        if let Some(missed) = applied.first_change(seen, Revision(revision.0.saturating_sub(1))) {
            return broken(promise, format!("node {node} is told {revision} after {seen}, without {missed}"));
        }
        if applied.changes(revision) != Some(&*entry.changes) {
            return broken(promise, format!("node {node} is told something else of {revision}"));
        }
        self.seen.insert(node, revision);
        Ok(())
    }
}
