//! Epochs of a stream, lives of nodes and the generation only rise, over restores too.

use std::collections::BTreeMap;

use base::{AppName, StreamId};
use cluster_core::AppliedEntry;
use cluster_model::{Change, Epoch, Incarnation, Outcome, Owner};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Rising {
    epochs: BTreeMap<(AppName, StreamId), (Epoch, Owner)>,
    newest_life: Incarnation,
    generation: u64,
}

impl Rising {
    /// To be told of each entry once.
    pub(super) fn applied(&mut self, entry: &AppliedEntry) -> Verdict {
        if entry.repeated {
            return Ok(());
        }
        if let Some(Outcome::Joined { incarnation }) = entry.outcome {
            if incarnation <= self.newest_life {
                return broken("a life has a greater number than all before", format!("{incarnation:?}"));
            }
            self.newest_life = incarnation;
        }
        for change in &*entry.changes {
            match change {
                Change::Claim { app, stream, now: Some(claim) } => {
                    let now = (claim.epoch, claim.owner);
                    let before = self.epochs.insert((app.clone(), stream.clone()), now);
                    if before
                        .is_some_and(|before| before.0 > now.0 || (before.0 == now.0 && before.1 != now.1))
                    {
                        return broken(
                            "a later claim has a greater epoch",
                            format!("{stream}: {now:?} after {before:?}"),
                        );
                    }
                }
                Change::Generation(generation) => {
                    if *generation <= self.generation {
                        return broken("a restore has a greater generation", format!("{generation}"));
                    }
                    self.generation = *generation;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
