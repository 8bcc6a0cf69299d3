//! A request is applied once, on every member at the same revision.

use std::collections::BTreeMap;

use cluster_core::AppliedEntry;
use cluster_model::{RequestId, Revision};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Once {
    applied: BTreeMap<RequestId, Revision>,
}

impl Once {
    pub(super) fn applies(&mut self, entry: &AppliedEntry) -> Verdict {
        let Some(request) = entry.request else { return Ok(()) };
        let known = *self.applied.entry(request).or_insert(entry.revision);
        if known == entry.revision {
            Ok(())
        } else {
            broken("a request is applied once", format!("{request} at {known} and at {}", entry.revision))
        }
    }

    pub(super) fn restored(&mut self, revision: Revision) {
        self.applied.retain(|_, kept| *kept <= revision);
    }
}
