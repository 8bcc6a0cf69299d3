//! Commits on three voters.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::drive::{self, Run};
use crate::rows;
use crate::trio::{Trio, Way};

/// Proposers that wait at a time, row by row.
const OUTSTANDING: [usize; 3] = [1, 256, 1_024];

/// Commits under so many proposers.
#[derive(Debug, Serialize)]
pub struct Row {
    /// How the voters reach each other.
    pub way: Way,
    /// Proposers that wait at a time.
    pub outstanding: usize,
    /// Whether they are at all three voters, two of which hand on; else at the leader.
    pub spread: bool,
    /// What came of it.
    #[serde(flatten)]
    pub run: Run,
}

/// One row for each number of proposers and each way, each on a cluster of its own.
///
/// # Errors
/// There is no cluster, or a command was not applied.
pub async fn commits(folder: &Path, length: Duration) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for way in [Way::Links, Way::Memory] {
        for outstanding in OUTSTANDING {
            all.push(row(folder, length, way, outstanding, false).await?);
        }
        all.push(row(folder, length, way, OUTSTANDING[2], true).await?);
    }
    Ok(all)
}

async fn row(
    folder: &Path,
    length: Duration,
    way: Way,
    outstanding: usize,
    spread: bool,
) -> anyhow::Result<Row> {
    let trio = Trio::start(way, folder).await?;
    let metas = if spread { trio.all() } else { vec![trio.leader()] };
    let make = |n| rows::create_token(n, rows::LATE_S);
    let run = drive::closed(&metas, outstanding, length, make).await;
    drop(metas);
    trio.close().await;
    let run = run?;
    eprintln!("{way:?} {outstanding} spread={spread}: {run:?}");
    Ok(Row { way, outstanding, spread, run })
}
