//! Admissions by the gate of one node, on one core: by what stands before the streams.

mod house;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{io, thread};

use anyhow::{Context, anyhow};
use security::Direction;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::drive::{self, Run};
use crate::machine;

use house::House;

/// What stands before an application's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Nothing.
    Open,
    /// A hash.
    Hash,
    /// A JWT.
    Jwt,
    /// A code by the application's secret, of subscribers whom nobody registered.
    Totp,
    /// A code by the subscriber's own secret, of registered subscribers alone.
    Subscriber,
    /// A one-time token.
    Token,
}

/// Whether each admission writes its line of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// As JSON to nowhere, as a node does unless told otherwise.
    Written,
    /// It is off.
    Off,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What stands before the streams.
    pub mechanism: Mechanism,
    /// Who comes: players, or publishers, for whom the plane is asked what the stream is.
    pub direction: Direction,
    /// Whether there is a log.
    pub log: Log,
    /// How many ask at a time.
    pub callers: usize,
    /// How many are let in.
    pub calls: u64,
}

impl Case {
    /// Players, of whom one asks at a time: nobody waits for the plane, so the gate is busy with one after the other.
    const fn alone(mechanism: Mechanism, log: Log) -> Self {
        Self { mechanism, direction: Direction::Play, log, callers: 1, calls: 300_000 }
    }

    /// Players who have to wait for a commit, which those that ask at a time share.
    const fn committed(mechanism: Mechanism, callers: usize, calls: u64) -> Self {
        Self { mechanism, direction: Direction::Play, log: Log::Off, callers, calls }
    }
}

const CASES: [Case; 15] = [
    Case::alone(Mechanism::Open, Log::Off),
    Case::alone(Mechanism::Hash, Log::Off),
    Case::alone(Mechanism::Jwt, Log::Off),
    Case::alone(Mechanism::Open, Log::Written),
    Case::alone(Mechanism::Hash, Log::Written),
    Case::alone(Mechanism::Jwt, Log::Written),
    Case { direction: Direction::Publish, calls: 20_000, ..Case::alone(Mechanism::Hash, Log::Off) },
    Case {
        direction: Direction::Publish,
        callers: 64,
        calls: 100_000,
        ..Case::alone(Mechanism::Hash, Log::Off)
    },
    Case::committed(Mechanism::Totp, 1, 5_000),
    Case::committed(Mechanism::Totp, 64, 50_000),
    Case::committed(Mechanism::Subscriber, 1, 5_000),
    Case::committed(Mechanism::Subscriber, 64, 50_000),
    Case::committed(Mechanism::Token, 1, 5_000),
    Case::committed(Mechanism::Token, 64, 50_000),
    Case::committed(Mechanism::Token, 256, 50_000),
];

/// Admissions of one kind.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What stood before the streams.
    pub mechanism: Mechanism,
    /// Publish or play.
    pub direction: &'static str,
    /// Whether each wrote its line of log.
    pub log: Log,
    /// How many asked at a time.
    pub callers: usize,
    /// What came of it. All of it is one core's: the gate, the plane behind it, and who asks.
    #[serde(flatten)]
    pub run: Run,
}

/// One row for each case, each with a node of its own.
///
/// # Errors
/// A node cannot be made, or somebody was not let in.
pub fn gate(folder: &Path) -> anyhow::Result<Vec<Row>> {
    // Gates count what they decide, as in a node.
    let _metrics = observe::Metrics::install();
    CASES.iter().map(|case| measure(folder.to_owned(), *case)).collect()
}

/// On a thread of its own, which stays on one core with all that it starts.
fn measure(folder: PathBuf, case: Case) -> anyhow::Result<Row> {
    let measuring = thread::spawn(move || {
        machine::pin()?;
        let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::sink).finish();
        // The lines are made and go nowhere: what becomes of them is a matter of who takes them.
        let _log = (case.log == Log::Written).then(|| tracing::subscriber::set_default(log));
        runtime.block_on(row(&folder, case))
    });
    measuring.join().map_err(|_| anyhow!("the gate's thread ended early"))?
}

async fn row(folder: &Path, case: Case) -> anyhow::Result<Row> {
    let house = Arc::new(House::open(folder, case).await?);
    let call = |house: Arc<House>, n| async move {
        // Sessions take turns in a node.
        tokio::task::yield_now().await;
        house.let_in(n).await
    };
    let run = drive::counted(&[Arc::clone(&house)], case.callers, (0, case.calls), call).await;
    house.close().await;
    let Case { mechanism, direction, log, callers, .. } = case;
    let row = Row { mechanism, direction: direction.label(), log, callers, run: run? };
    eprintln!("{row:?}");
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mechanism_lets_in_who_brings_what_it_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        for case in CASES {
            let case = Case { calls: 20, callers: case.callers.min(4), ..case };
            let row = measure(folder.path().to_owned(), case).unwrap();
            assert_eq!(row.run.answers, 18, "{row:?}");
        }
    }
}
