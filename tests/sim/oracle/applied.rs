//! Every member applies the same entry at the same index, with the same result.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_core::{AppliedEntry, NodeId, ReadId};
use cluster_model::{Answer, Change, Outcome, Query, Reading, RequestId, Revision, State, StateHash};

use super::{Violation, broken};

/// The one history: what was applied first, by whoever was first.
#[derive(Default)]
pub(super) struct Applied {
    by_index: BTreeMap<u64, AppliedEntry>,
    by_revision: BTreeMap<Revision, Arc<[Change]>>,
    /// What the state is known by at each revision.
    hashes: BTreeMap<Revision, StateHash>,
    by_request: BTreeMap<RequestId, (Revision, Outcome)>,
    /// What the changes so far come to.
    state: State,
    /// Reads under way, and what was the right answer from which revision on.
    reads: BTreeMap<ReadId, (Query, Vec<(Revision, Answer)>)>,
}

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
                format!(
                    "node {node} gives entry {} revision {}, {expected} is next",
                    entry.index, entry.revision
                ),
            );
        }
        self.by_revision.insert(entry.revision, Arc::clone(&entry.changes));
        if let (Some(request), Some(outcome)) = (entry.request, entry.outcome) {
            self.by_request.insert(request, (entry.revision, outcome));
        }
        self.state.absorb(entry.revision, entry.now, &entry.changes);
        self.hashes.insert(entry.revision, self.state.hash());
        for (query, right) in self.reads.values_mut() {
            let Reading { revision, answer } = self.state.answer(query);
            if right.last().is_none_or(|(_, last)| *last != answer) {
                right.push((revision, answer));
            }
        }
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

    /// What the state at `revision` is known by.
    pub(super) fn hash(&self, revision: Revision) -> Option<StateHash> {
        let at_first = || (revision == Revision::ZERO).then(|| State::default().hash());
        self.hashes.get(&revision).copied().or_else(at_first)
    }

    /// A read begins.
    pub(super) fn asks(&mut self, id: ReadId, query: &Query) {
        let Reading { revision, answer } = self.state.answer(query);
        self.reads.entry(id).or_insert_with(|| (query.clone(), vec![(revision, answer)]));
    }

    /// It ends. Gives what was right at `revision`, unless that was before it began.
    pub(super) fn right(&mut self, id: ReadId, revision: Revision) -> Option<Answer> {
        let (_, right) = self.reads.remove(&id)?;
        right.into_iter().take_while(|(from, _)| *from <= revision).last().map(|(_, answer)| answer)
    }

    pub(super) fn restored(&mut self, state: &State) {
        let revision = state.revision();
        self.by_index.clear();
        self.by_revision.retain(|kept, _| *kept <= revision);
        self.by_request.retain(|_, (kept, _)| *kept <= revision);
        self.state = state.replica();
        self.hashes = [(revision, self.state.hash())].into();
        self.reads.clear();
    }
}
