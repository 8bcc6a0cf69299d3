//! A linearizable read sees all that was answered before it was asked, and nothing that never was.

use cluster_model::{Query, Reading, Revision};

use super::applied::Applied;
use super::{Verdict, broken};

pub(super) fn check(query: &Query, told: Revision, reading: &Reading, applied: &Applied) -> Verdict {
    let promise = "a linearizable read sees every answered write";
    if reading.revision < told {
        return broken(promise, format!("asked after {told} was told, answered at {}", reading.revision));
    }
    match applied.state_at(reading.revision) {
        Some(state) if state.answer(query).answer != reading.answer => {
            broken(promise, format!("{query:?} at {} answered {:?}", reading.revision, reading.answer))
        }
        _ => Ok(()),
    }
}
