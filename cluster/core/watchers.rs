//! The newest changes, kept for nodes that watch through this member.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{WallTime, limits};
use cluster_model::{Change, Revision};

use crate::{Envelope, NodeId};

/// Changes by revision, and who waits for more of them.
pub(crate) struct Watchers {
    kept: VecDeque<(Revision, WallTime, Arc<[Change]>)>,
    /// Changes after this revision are here.
    floor: Revision,
    newest: Revision,
    max: usize,
    /// By node: the revision it has seen.
    waiting: BTreeMap<NodeId, Revision>,
}

impl Watchers {
    pub(crate) const fn new(revision: Revision, max: usize) -> Self {
        Self { kept: VecDeque::new(), floor: revision, newest: revision, max, waiting: BTreeMap::new() }
    }

    /// Begins anew at `revision`: what led there is not known.
    pub(crate) fn reset(&mut self, revision: Revision) {
        self.kept.clear();
        (self.floor, self.newest) = (revision, revision);
    }

    /// Adds what the command at `revision` changed.
    pub(crate) fn push(&mut self, revision: Revision, now: WallTime, changes: Arc<[Change]>) {
        if self.kept.len() >= self.max
            && let Some((dropped, ..)) = self.kept.pop_front()
        {
            self.floor = dropped;
        }
        self.kept.push_back((revision, now, changes));
        self.newest = revision;
    }

    /// `node` has seen all up to `from` and waits for more.
    pub(crate) fn wait(&mut self, node: NodeId, from: Revision) {
        if self.waiting.len() < limits::META_WATCHING_NODES_MAX || self.waiting.contains_key(&node) {
            self.waiting.insert(node, from);
        }
    }

    /// What is to be told to those who wait, now that there is something; the state is of `generation`.
    pub(crate) fn serve(&mut self, generation: u64) -> Vec<(NodeId, Envelope)> {
        let newest = self.newest;
        let ready: Vec<_> = self.waiting.extract_if(.., |_, from| *from < newest).collect();
        ready.into_iter().map(|(node, from)| (node, self.after(from, generation))).collect()
    }

    fn after(&self, from: Revision, generation: u64) -> Envelope {
        if from < self.floor {
            return Envelope::Behind { from };
        }
        let start = self.kept.partition_point(|(revision, ..)| *revision <= from);
        let (mut upto, mut time) = (from, WallTime(0));
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for (revision, now, changed) in self.kept.range(start..).take(limits::META_WATCH_BATCH_MAX) {
            if !changed.is_empty() {
                let json = serde_json::to_vec(&**changed).unwrap_or_default();
                bytes += json.len();
                if bytes > limits::META_WATCH_BATCH_BYTES_MAX {
                    if upto == from {
                        // One command that no message holds: a list comes in pages.
                        return Envelope::Behind { from };
                    }
                    break;
                }
                changes.push((*revision, *now, json));
            }
            (upto, time) = (*revision, *now);
        }
        Envelope::Changes { after: from, upto, generation, now: time, changes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_is_told_what_follows_or_that_it_is_behind() {
        let mut watchers = Watchers::new(Revision(4), 2);
        watchers.wait(NodeId(1), Revision(4));
        assert_eq!(watchers.serve(3), []);
        watchers.push(Revision(5), WallTime(6), Arc::new([]));
        let (after, upto, now) = (Revision(4), Revision(5), WallTime(6));
        let changes = Envelope::Changes { after, upto, generation: 3, now, changes: vec![] };
        assert_eq!(watchers.serve(3), [(NodeId(1), changes)]);
        for revision in 6..=7 {
            watchers.push(Revision(revision), WallTime(revision), Arc::new([]));
        }
        watchers.wait(NodeId(1), Revision(4));
        watchers.wait(NodeId(2), Revision(5));
        let served = watchers.serve(3);
        assert_eq!(served[0].1, Envelope::Behind { from: Revision(4) });
        assert!(matches!(served[1].1, Envelope::Changes { upto: Revision(7), .. }));
        // A member that is itself behind the watcher waits.
        watchers.wait(NodeId(3), Revision(9));
        assert_eq!(watchers.serve(3), []);
    }
}
