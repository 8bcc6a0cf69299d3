//! A node that starts with a large store.

use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use base::{Clock, SystemClock};
use cluster_model::{Answer, Consistency, Direction, Meta, Query, Revision};
use cluster_node::{MemberStore, Node, NodeId, Saved};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;

use crate::{machine, million, rows};

/// What a restart took.
#[derive(Debug, Serialize)]
pub struct Restart {
    /// Subscribers, and as many tokens.
    pub rows: u64,
    /// The store on disk, MiB.
    pub store_mib: u64,
    /// From the start of the process to the answer of its first linearizable read, milliseconds.
    pub first_read_ms: u64,
    /// Of it, until the store was read and the thread ran.
    pub open_ms: u64,
    /// What the process held then.
    pub resident_mib: u64,
    /// And at most on the way.
    pub peak_mib: u64,
}

/// What the process that starts says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    open_ms: u64,
    resident_mib: u64,
    peak_mib: u64,
}

/// Makes a store of `rows` subscribers and tokens, and starts a process with it.
///
/// # Errors
/// The store cannot be made, or the process did not read from it.
pub fn restart(folder: &Path, rows: u64) -> anyhow::Result<Restart> {
    let folder = TempDir::new_in(folder).context("no folder for the store")?;
    let path = folder.path().join("metadata.redb");
    let voters = [NodeId(1)];
    drop(MemberStore::open(&path, |_| Saved::first(voters, million::state(rows, 0)))?);
    let store_mib = std::fs::metadata(&path)?.len() / (1024 * 1024);
    let began = SystemClock.now();
    let program = std::env::current_exe().context("this program is not found")?;
    let output = Program::new(program)
        .args(["--rows", &rows.to_string(), "start", "--store"])
        .arg(&path)
        .stderr(Stdio::inherit())
        .output()
        .context("this program cannot be started")?;
    ensure!(output.status.success(), "the node did not start: {}", output.status);
    // It ends without cleaning up, so that its end costs next to nothing.
    let first_read_ms = millis_since(began);
    let Said { open_ms, resident_mib, peak_mib } = serde_json::from_slice(&output.stdout)?;
    Ok(Restart { rows, store_mib, first_read_ms, open_ms, resident_mib, peak_mib })
}

/// The process that starts: reads once, says what it took, and ends.
///
/// # Errors
/// It has not what was stored.
pub async fn start(path: &Path, rows: u64) -> anyhow::Result<Value> {
    let began = SystemClock.now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let node = Node::alone(path, clock)?;
    let open_ms = millis_since(began);
    let (app, stream, token) = rows::token_of(rows - 1);
    let query = Query::TokenFault { app, stream, token, direction: Direction::Play };
    let deadline = SystemClock.now() + Duration::from_secs(60);
    let reading = node.read(query, Consistency::Linearizable, deadline).await?;
    ensure!(matches!(reading.answer, Answer::TokenFault(None)), "the last token is not there: {reading:?}");
    ensure!(reading.revision >= Revision(2 * rows), "rows are missing: {:?}", reading.revision);
    let memory = machine::memory()?;
    let (resident_mib, peak_mib) = (memory.resident_mib, memory.peak_mib);
    let said = serde_json::to_value(Said { open_ms, resident_mib, peak_mib })?;
    std::mem::forget(node);
    Ok(said)
}

fn millis_since(began: std::time::Instant) -> u64 {
    u64::try_from(SystemClock.now().saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
}
