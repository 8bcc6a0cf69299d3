//! What was answered "not applied", on every call, never was.

use std::collections::BTreeSet;

use cluster_model::{Proposal, RequestId};

use super::applied::Applied;
use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Refusals {
    /// Every call with it was answered "not applied".
    refused: BTreeSet<RequestId>,
    /// Some call with it has no answer, so nothing can be said of it any more.
    unknown: BTreeSet<RequestId>,
}

impl Refusals {
    pub(super) fn answered(&mut self, request: RequestId, proposal: &Proposal) {
        match proposal {
            Proposal::NotApplied(_) if !self.unknown.contains(&request) => {
                self.refused.insert(request);
            }
            Proposal::NotApplied(_) => {}
            Proposal::Applied { .. } | Proposal::Unknown => {
                self.refused.remove(&request);
                self.unknown.insert(request);
            }
        }
    }

    pub(super) fn restored(&mut self) {
        self.refused.clear();
    }

    pub(super) fn at_the_end(&self, applied: &Applied) -> Verdict {
        match self.refused.iter().find(|request| applied.of_request(**request).is_some()) {
            None => Ok(()),
            Some(request) => broken("what was refused was not applied", format!("{request} was")),
        }
    }
}
