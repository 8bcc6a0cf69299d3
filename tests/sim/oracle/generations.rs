//! Each restore of the cluster's data has a greater generation than all before it.

use cluster_core::AppliedEntry;
use cluster_model::Change;

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Generations {
    newest: u64,
}

impl Generations {
    /// To be told of each entry once.
    pub(super) fn applied(&mut self, entry: &AppliedEntry) -> Verdict {
        for change in &*entry.changes {
            let Change::Generation(generation) = change else { continue };
            if *generation <= self.newest {
                return broken("a restore has a greater generation", format!("{generation}"));
            }
            self.newest = *generation;
        }
        Ok(())
    }
}
