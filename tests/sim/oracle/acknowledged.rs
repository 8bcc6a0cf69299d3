//! What was answered as applied was applied, as it was answered, and stays.

use cluster_model::{Proposal, RequestId, Revision};

use super::applied::Applied;
use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Acknowledged {
    newest: Revision,
}

impl Acknowledged {
    pub(super) fn answered(&mut self, request: RequestId, proposal: &Proposal, applied: &Applied) -> Verdict {
        let Proposal::Applied { revision, outcome } = *proposal else { return Ok(()) };
        self.newest = self.newest.max(revision);
        let found = applied.of_request(request);
        if found == Some((revision, outcome)) {
            Ok(())
        } else {
            broken(
                "an answered write was applied as it was answered",
                format!("{request} was answered {outcome:?} at {revision}, the log has {found:?}"),
            )
        }
    }

    pub(super) const fn newest(&self) -> Revision {
        self.newest
    }

    /// Somebody was shown the state at `revision`: nobody may be shown an older one from now on.
    pub(super) fn seen(&mut self, revision: Revision) {
        self.newest = self.newest.max(revision);
    }

    pub(super) const fn restored(&mut self, revision: Revision) {
        self.newest = revision;
    }
}
