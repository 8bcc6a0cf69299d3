//! A request is applied once, names one command, and was never applied when that was said.

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::AppliedEntry;
use cluster_model::{Proposal, RequestId, Revision};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Requests {
    commands: BTreeMap<RequestId, u64>,
    applied: BTreeMap<RequestId, Revision>,
    /// Every call with it was answered "not applied".
    refused: BTreeSet<RequestId>,
    /// Some call with it has no answer, so nothing can be said of it any more.
    unknown: BTreeSet<RequestId>,
}

impl Requests {
    pub(super) fn proposed(&mut self, request: RequestId, command: u64) -> Verdict {
        let known = *self.commands.entry(request).or_insert(command);
        if known == command {
            Ok(())
        } else {
            broken("a request names one command", format!("{request} names two"))
        }
    }

    pub(super) fn applies(&mut self, entry: &AppliedEntry) -> Verdict {
        let Some(request) = entry.request else { return Ok(()) };
        let promise = "a request is applied once";
        let known = *self.applied.entry(request).or_insert(entry.revision);
        if known != entry.revision {
            return broken(promise, format!("{request} at {known} and at {}", entry.revision));
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, request: RequestId, proposal: &Proposal) -> Verdict {
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
        Ok(())
    }

    pub(super) fn restored(&mut self, revision: Revision) {
        self.applied.retain(|_, kept| *kept <= revision);
        self.refused.clear();
    }

    pub(super) fn at_the_end(&self) -> Verdict {
        match self.refused.iter().find(|request| self.applied.contains_key(request)) {
            None => Ok(()),
            Some(request) => broken("what was refused was not applied", format!("{request} was")),
        }
    }
}
