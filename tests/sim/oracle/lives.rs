//! A life of a node has a greater number than all lives before it, over restores too.

use cluster_core::AppliedEntry;
use cluster_model::{Incarnation, Outcome};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Lives {
    newest: Incarnation,
}

impl Lives {
    /// To be told of each entry once.
    pub(super) fn applied(&mut self, entry: &AppliedEntry) -> Verdict {
        let Some(Outcome::Joined { incarnation }) = entry.outcome else { return Ok(()) };
        if incarnation <= self.newest {
            return broken("a life has a greater number than all before", format!("{incarnation:?}"));
        }
        self.newest = incarnation;
        Ok(())
    }
}
