//! Commits on three voters.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster_model::Meta;
use serde::Serialize;

use crate::drive::{self, Run};
use crate::rows;
use crate::trio::{Trio, Way};

/// How much is wanted of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// So many proposers, each of which proposes again when it is answered.
    Outstanding(usize),
    /// So many proposals a second, whatever becomes of those before.
    PerSecond(u64),
}

/// Row by row. How many wait, and how long, hang together: of 1,024 that wait at 10,000 a second each takes 100 ms. What
/// a proposal takes at a rate is told by the last ones.
const LOADS: [Load; 6] = [
    Load::Outstanding(1),
    Load::Outstanding(64),
    Load::Outstanding(256),
    Load::Outstanding(1_024),
    Load::PerSecond(5_000),
    Load::PerSecond(10_000),
];
/// The row that is repeated with proposers at all three voters.
const SPREAD: Load = Load::Outstanding(1_024);

/// Commits under a load.
#[derive(Debug, Serialize)]
pub struct Row {
    /// How the voters reach each other.
    pub way: Way,
    /// What is wanted.
    pub load: Load,
    /// Whether of all three voters, two of which hand on; else of the leader.
    pub spread: bool,
    /// What came of it.
    #[serde(flatten)]
    pub run: Run,
}

/// One row for each load and each way, each on a cluster of its own.
///
/// # Errors
/// There is no cluster, or a command was not applied.
pub async fn commits(folder: &Path, length: Duration) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for way in [Way::Links, Way::Memory] {
        for load in LOADS {
            all.push(row(folder, length, way, load, false).await?);
        }
        all.push(row(folder, length, way, SPREAD, true).await?);
    }
    Ok(all)
}

async fn row(folder: &Path, length: Duration, way: Way, load: Load, spread: bool) -> anyhow::Result<Row> {
    let trio = Trio::start(way, folder).await?;
    let metas = if spread { trio.all() } else { vec![trio.leader()] };
    let make = |n| rows::create_token(n, rows::LATE_S);
    let run = match load {
        Load::Outstanding(count) => {
            let call =
                move |meta: Arc<dyn Meta>, n| async move { drive::propose(&*meta, make(n)).await.map(drop) };
            drive::closed(&metas, count, length, call).await
        }
        Load::PerSecond(rate) => drive::open(&metas, rate, length, make).await,
    };
    drop(metas);
    trio.close().await;
    let run = run?;
    eprintln!("{way:?} {load:?} spread={spread}: {run:?}");
    Ok(Row { way, load, spread, run })
}
