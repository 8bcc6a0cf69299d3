//! Entries with the same index and term are the same entry, and so are all before them.

use std::collections::BTreeMap;

use cluster_core::{Fnv, LogEntry, NodeId};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct LogMatching {
    /// By index and term: the entry's hash, and the term of the one before it if that was written with it.
    entries: BTreeMap<(u64, u64), (u64, Option<u64>)>,
}

impl LogMatching {
    pub(super) fn writes(&mut self, node: NodeId, entries: &[LogEntry]) -> Verdict {
        let mut before = None;
        for entry in entries {
            let seen = (Fnv::of(&entry.bytes), before);
            let known = self.entries.entry((entry.index, entry.term)).or_insert(seen);
            let before_differs = known.1.is_some() && before.is_some() && known.1 != before;
            if known.0 != seen.0 || before_differs {
                let (index, term) = (entry.index, entry.term);
                return broken(
                    "logs match",
                    format!("node {node} writes another entry {index} of term {term}"),
                );
            }
            known.1 = known.1.or(before);
            before = Some(entry.term);
        }
        Ok(())
    }
}
