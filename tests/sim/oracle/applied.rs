//! Every member applies the same entry at the same index, with the same result.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_core::{AppliedEntry, NodeId};
use cluster_model::{Change, Outcome, RequestId, Revision, State};

use super::{Violation, broken};

/// The one history: what was applied first, by whoever was first.
#[derive(Default)]
pub(super) struct Applied {
    by_index: BTreeMap<u64, AppliedEntry>,
    by_revision: BTreeMap<Revision, Arc<[Change]>>,
    by_request: BTreeMap<RequestId, (Revision, Outcome)>,
    /// What the changes so far come to.
    state: State,
    /// States of before, so that a read can be compared with its own revision.
    recent: BTreeMap<Revision, State>,
}

/// States of so many revisions are kept for reads that are answered late.
const RECENT_MAX: usize = 256;

impl Applied {
    /// Gives whether it is new.
    pub(super) fn applies(&mut self, node: NodeId, entry: &AppliedEntry) -> Result<bool, Violation> {
        let promise = "members apply the same";
        if let Some(known) = self.by_index.get(&entry.index) {
            return if known == entry {
                Ok(false)
            } else {
                broken(promise, format!("node {node} applies {entry:?}, others {known:?}"))
            };
        }
        self.by_index.insert(entry.index, entry.clone());
        if entry.repeated {
            return Ok(true);
        }
        let expected = self.state.revision().next();
        if entry.revision != expected {
            return broken(
                promise,
                format!("node {node} gives entry {} revision {}, {expected} is next", entry.index, entry.revision),
            );
        }
        self.by_revision.insert(entry.revision, Arc::clone(&entry.changes));
        if let (Some(request), Some(outcome)) = (entry.request, entry.outcome) {
            self.by_request.insert(request, (entry.revision, outcome));
        }
        self.recent.insert(self.state.revision(), self.state.replica());
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
        self.state.absorb(entry.revision, entry.now, &entry.changes);
        Ok(true)
    }

    pub(super) fn of_request(&self, request: RequestId) -> Option<(Revision, Outcome)> {
        self.by_request.get(&request).copied()
    }

    pub(super) fn changes(&self, revision: Revision) -> Option<&[Change]> {
        self.by_revision.get(&revision).map(|changes| &**changes)
    }

    /// The first revision after `after`, and up to `upto`, that changed something.
    pub(super) fn first_change(&self, after: Revision, upto: Revision) -> Option<Revision> {
        if upto <= after {
            return None;
        }
        let mut between = self.by_revision.range(after.next()..=upto);
        between.find(|(_, changes)| !changes.is_empty()).map(|(revision, _)| *revision)
    }

    /// The state at `revision`, if it is not too long ago.
    pub(super) fn state_at(&self, revision: Revision) -> Option<&State> {
        if revision == self.state.revision() { Some(&self.state) } else { self.recent.get(&revision) }
    }

    pub(super) fn restored(&mut self, state: &State) {
        let revision = state.revision();
        self.by_index.clear();
        self.by_revision.retain(|kept, _| *kept <= revision);
        self.by_request.retain(|_, (kept, _)| *kept <= revision);
        self.state = state.replica();
        self.recent.clear();
    }
}
