//! One-time tokens that are spent at a steady rate.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::drive::{self, Run, WARM_UP};
use crate::rows;
use crate::trio::{Trio, Way};

/// Spends per second.
const PER_SECOND: u64 = 5_000;
/// Proposers that make the tokens beforehand.
const MAKERS: u64 = 512;

/// Spends at a rate.
#[derive(Debug, Serialize)]
pub struct Row {
    /// How many are asked for a second.
    pub asked_per_second: u64,
    /// Whether they are at all three voters, two of which hand on; else at the leader.
    pub spread: bool,
    /// What came of it; from when each was due.
    #[serde(flatten)]
    pub run: Run,
}

/// Spends by the leader, and by all three voters.
///
/// # Errors
/// There is no cluster, or the tokens were not made. Spends that are refused are counted.
pub async fn spends(folder: &Path, length: Duration) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for spread in [false, true] {
        let trio = Trio::start(Way::Links, folder).await?;
        let leader = trio.leader();
        let count = PER_SECOND * (length + 2 * WARM_UP).as_secs();
        let made = drive::all(&leader, MAKERS, count, |n| rows::create_token(n, rows::LATE_S)).await;
        made.context("tokens were not made")?;
        let metas = if spread { trio.all() } else { vec![leader] };
        let run = drive::open(&metas, PER_SECOND, length, rows::spend_token).await;
        drop(metas);
        trio.close().await;
        let run = run?;
        eprintln!("spends spread={spread}: {run:?}");
        all.push(Row { asked_per_second: PER_SECOND, spread, run });
    }
    Ok(all)
}
