//! One-time tokens that are spent: as many at a time as callers wait, and at a steady rate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base::{SystemClock, SystemRandomness};
use cluster_model::{Direction, Fingerprint, Meta, Tokens};
use serde::Serialize;

use crate::commits::Load;
use crate::drive::{self, Run, WARM_UP};
use crate::rows;
use crate::trio::{Trio, Way};

/// Spends per second, where that is what is wanted.
const PER_SECOND: u64 = 5_000;
/// Those who wait at a time, and how many spend in all.
const CALLERS: [(usize, u64); 4] = [(1, 5_000), (16, 30_000), (32, 50_000), (64, 50_000)];
/// Proposers that make the tokens beforehand.
const MAKERS: u64 = 512;

/// Spends under a load.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What is wanted.
    pub load: Load,
    /// Whether they are at all three voters, two of which hand on; else at the leader.
    pub spread: bool,
    /// What came of it; at a rate, from when each was due.
    #[serde(flatten)]
    pub run: Run,
}

/// Spends by the leader, and by all three voters: by so many callers as nodes have them, and at a rate.
///
/// # Errors
/// There is no cluster, the tokens were not made, or a caller was refused. Those at a rate that are refused are counted.
pub async fn spends(folder: &Path, length: Duration) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for spread in [false, true] {
        let trio = Trio::start(Way::Links, folder).await?;
        let found = of_trio(&trio, spread, length).await;
        trio.close().await;
        all.extend(found?);
    }
    Ok(all)
}

async fn of_trio(trio: &Trio, spread: bool, length: Duration) -> anyhow::Result<Vec<Row>> {
    let leader = trio.leader();
    let metas = if spread { trio.all() } else { vec![Arc::clone(&leader)] };
    let mut all = Vec::new();
    let mut keep = |load, run: Run| {
        let row = Row { load, spread, run };
        eprintln!("spends {row:?}");
        all.push(row);
    };
    let facades: Vec<_> = metas
        .iter()
        .map(|meta| Tokens::new(Arc::clone(meta), Arc::new(SystemClock), Arc::new(SystemRandomness)))
        .collect();
    let mut first = 0;
    for (callers, calls) in CALLERS {
        make(&leader, first, calls).await?;
        let run = drive::counted(&facades, callers, (first, calls), spend).await?;
        first += calls;
        keep(Load::Outstanding(callers), run);
    }
    let calls = PER_SECOND * (length + 2 * WARM_UP).as_secs();
    make(&leader, first, calls).await?;
    let run = drive::open(&metas, PER_SECOND, length, |n| rows::spend_token(first + n)).await?;
    keep(Load::PerSecond(PER_SECOND), run);
    Ok(all)
}

async fn make(leader: &Arc<dyn Meta>, first: u64, count: u64) -> anyhow::Result<()> {
    let made = drive::all(leader, MAKERS, count, move |n| rows::create_token(first + n, rows::LATE_S)).await;
    made.context("tokens were not made")
}

/// As the gate does it.
async fn spend(tokens: Tokens, n: u64) -> anyhow::Result<()> {
    let (app, stream, token) = rows::token_of(n);
    let (session, print) = (rows::session(n), Fingerprint(u128::from(n) << 60 | 9));
    Ok(tokens.spend(&app, &stream, &token, Direction::Play, session, print).await?)
}
