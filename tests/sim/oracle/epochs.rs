//! The epochs of a stream's claims only rise, over restores too.

use std::collections::BTreeMap;

use base::{AppName, StreamId};
use cluster_core::AppliedEntry;
use cluster_model::{Change, Epoch, Owner};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Epochs {
    newest: BTreeMap<(AppName, StreamId), (Epoch, Owner)>,
}

impl Epochs {
    /// To be told of each entry once.
    pub(super) fn applied(&mut self, entry: &AppliedEntry) -> Verdict {
        for change in &*entry.changes {
            let Change::Claim { app, stream, now: Some(claim) } = change else { continue };
            let now = (claim.epoch, claim.owner);
            let before = self.newest.insert((app.clone(), stream.clone()), now);
            if before.is_some_and(|before| before.0 > now.0 || (before.0 == now.0 && before.1 != now.1)) {
                return broken(
                    "a later claim has a greater epoch",
                    format!("{stream}: {now:?} after {before:?}"),
                );
            }
        }
        Ok(())
    }
}
