//! The state's time does not run ahead of the clocks of most voters: nothing ends before its time.

use cluster_core::AppliedEntry;

use super::{Verdict, broken};

/// How far it may be ahead: what a leader allows itself, and what clocks drift while they are not heard.
const AHEAD_MAX_MS: u64 = 2_000;

/// `real_ms` is what the clocks of most voters show.
pub(super) fn check(real_ms: u64, entry: &AppliedEntry) -> Verdict {
    let now = entry.now.as_millis();
    if now <= real_ms + AHEAD_MAX_MS {
        return Ok(());
    }
    broken(
        "one wrong clock does not drive the cluster's time",
        format!("entry {} is applied at {now} ms, most clocks show {real_ms} ms", entry.index),
    )
}
