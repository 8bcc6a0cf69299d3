//! A linearizable read sees all that was answered before it was asked, and nothing that never was.

use cluster_core::ReadId;
use cluster_model::{Reading, Revision};

use super::applied::Applied;
use super::{Verdict, broken};

pub(super) fn check(id: ReadId, told: Revision, reading: &Reading, applied: &mut Applied) -> Verdict {
    let promise = "a linearizable read sees every answered write";
    if reading.revision < told {
        return broken(promise, format!("asked after {told} was told, answered at {}", reading.revision));
    }
    match applied.right(id, reading.revision) {
        Some(right) if right != reading.answer => broken(
            promise,
            format!("at {} {:?} was answered, {right:?} is right", reading.revision, reading.answer),
        ),
        _ => Ok(()),
    }
}
