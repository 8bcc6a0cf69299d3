//! The newest changes, kept for nodes that watch through this member.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{WallTime, limits};
use cluster_model::{Change, Revision};

use crate::{Envelope, NodeId};

/// Changes by revision, and who waits for more of them.
pub(crate) struct Watchers {
    kept: VecDeque<Kept>,
    /// Changes after this revision are here, which is of this generation.
    floor: (Revision, u64),
    max: usize,
    /// By node: the revision it has seen, and of which generation.
    waiting: BTreeMap<NodeId, (Revision, u64)>,
}

struct Kept {
    revision: Revision,
    /// Of the data at this revision.
    generation: u64,
    now: WallTime,
    changes: Arc<[Change]>,
}

impl Watchers {
    pub(crate) const fn new(at: (Revision, u64), max: usize) -> Self {
        Self { kept: VecDeque::new(), floor: at, max, waiting: BTreeMap::new() }
    }

    /// Begins anew at a revision of a generation: what led there is not known.
    pub(crate) fn reset(&mut self, at: (Revision, u64)) {
        self.kept.clear();
        self.floor = at;
    }

    /// Adds what the command at `revision` changed; the data is of `generation` since.
    pub(crate) fn push(
        &mut self,
        (revision, generation): (Revision, u64),
        now: WallTime,
        changes: Arc<[Change]>,
    ) {
        if self.max == 0 {
            self.floor = (revision, generation);
            return;
        }
        if self.kept.len() >= self.max
            && let Some(dropped) = self.kept.pop_front()
        {
            self.floor = (dropped.revision, dropped.generation);
        }
        self.kept.push_back(Kept { revision, generation, now, changes });
    }

    /// `node` has seen all up to a revision of a generation, and waits for more.
    pub(crate) fn wait(&mut self, node: NodeId, seen: (Revision, u64)) {
        if self.waiting.len() < limits::META_WATCHING_NODES_MAX || self.waiting.contains_key(&node) {
            self.waiting.insert(node, seen);
        }
    }

    /// What is to be told to those who wait, now that there is something.
    pub(crate) fn serve(&mut self) -> Vec<(NodeId, Envelope)> {
        let newest = self.kept.back().map_or(self.floor, |kept| (kept.revision, kept.generation));
        let ready: Vec<_> =
            self.waiting.extract_if(.., |_, seen| seen.0 < newest.0 || seen.1 < newest.1).collect();
        ready.into_iter().map(|(node, seen)| (node, self.after(seen))).collect()
    }

    /// The generation at `revision`, if that is here.
    fn generation_at(&self, revision: Revision) -> Option<u64> {
        if revision == self.floor.0 {
            return Some(self.floor.1);
        }
        let place = self.kept.binary_search_by_key(&revision, |kept| kept.revision).ok()?;
        self.kept.get(place).map(|kept| kept.generation)
    }

    fn after(&self, (from, generation): (Revision, u64)) -> Envelope {
        // Data of another generation has other changes at the same revisions.
        if self.generation_at(from) != Some(generation) {
            return Envelope::Behind { from };
        }
        let start = self.kept.partition_point(|kept| kept.revision <= from);
        let (mut upto, mut time) = (from, WallTime(0));
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for kept in self.kept.range(start..).take(limits::META_WATCH_BATCH_MAX) {
            if !kept.changes.is_empty() {
                let json = serde_json::to_vec(&*kept.changes).unwrap_or_default();
                bytes += json.len();
                if bytes > limits::META_WATCH_BATCH_BYTES_MAX {
                    if upto == from {
                        // One command that no message holds: a copy comes in pages.
                        return Envelope::Behind { from };
                    }
                    break;
                }
                changes.push((kept.revision, kept.now, json));
            }
            (upto, time) = (kept.revision, kept.now);
        }
        Envelope::Changes { after: from, upto, generation, now: time, changes }
    }
}

#[cfg(test)]
mod tests {
    use cluster_model::{User, UserName};

    use super::*;

    fn push(watchers: &mut Watchers, revision: u64, generation: u64) {
        watchers.push((Revision(revision), generation), WallTime(revision), Arc::new([]));
    }

    #[test]
    fn a_watcher_is_told_what_follows_or_that_it_is_behind() {
        let mut watchers = Watchers::new((Revision(4), 3), 2);
        watchers.wait(NodeId(1), (Revision(4), 3));
        assert_eq!(watchers.serve(), []);
        push(&mut watchers, 5, 3);
        let (after, upto, now) = (Revision(4), Revision(5), WallTime(5));
        let changes = Envelope::Changes { after, upto, generation: 3, now, changes: vec![] };
        assert_eq!(watchers.serve(), [(NodeId(1), changes)]);
        for revision in 6..=7 {
            push(&mut watchers, revision, 3);
        }
        watchers.wait(NodeId(1), (Revision(4), 3));
        watchers.wait(NodeId(2), (Revision(5), 3));
        let served = watchers.serve();
        assert_eq!(served[0].1, Envelope::Behind { from: Revision(4) });
        assert!(matches!(served[1].1, Envelope::Changes { upto: Revision(7), .. }));
        // A member that is itself behind the watcher waits.
        watchers.wait(NodeId(3), (Revision(9), 3));
        assert_eq!(watchers.serve(), []);
    }

    /// What a message of the link may have is far more.
    #[test]
    fn a_batch_is_bounded_in_bytes_and_one_command_that_is_larger_is_copied() {
        let command = |bytes: usize| {
            let user = User { picture: Some("x".repeat(bytes)), ..User::default() };
            let name = UserName::new("u").unwrap();
            Arc::new([Change::User { name, now: Some(Arc::new(user)) }])
        };
        let most = limits::META_WATCH_BATCH_BYTES_MAX;
        let mut watchers = Watchers::new((Revision(0), 0), 9);
        for (revision, bytes) in (1..).zip([most / 3, most / 3, most / 3, most]) {
            watchers.push((Revision(revision), 0), WallTime(revision), command(bytes));
        }
        let mut told = |seen| {
            watchers.wait(NodeId(1), (Revision(seen), 0));
            watchers.serve().pop().unwrap().1
        };
        let first = told(0);
        assert!(matches!(first, Envelope::Changes { upto: Revision(2), .. }));
        let encoded = first.encode().len();
        assert!(encoded > most / 2 && encoded < limits::CLUSTER_META_BYTES_MAX / 2, "{encoded}");
        assert!(matches!(told(2), Envelope::Changes { upto: Revision(3), .. }));
        assert_eq!(told(3), Envelope::Behind { from: Revision(3) });
    }

    #[test]
    fn who_saw_another_generation_copies_anew_unless_it_was_raised_here() {
        let mut watchers = Watchers::new((Revision(4), 3), 9);
        push(&mut watchers, 5, 3);
        push(&mut watchers, 6, 4);
        let mut told = |seen| {
            watchers.wait(NodeId(1), seen);
            matches!(watchers.serve()[..], [(_, Envelope::Changes { .. })])
        };
        assert!(told((Revision(4), 3)) && told((Revision(5), 3)));
        assert!(!told((Revision(6), 3)) && !told((Revision(5), 2)) && !told((Revision(9), 3)));
    }
}
