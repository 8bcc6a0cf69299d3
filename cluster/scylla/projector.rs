//! The task that keeps the database up with the metadata plane.

mod intake;
mod listing;
mod progress;
mod task;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Randomness, limits};
use cluster_model::Meta;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::outbox::Outbox;
use crate::{ProjectionFigures, ScyllaOptions};
use task::Task;

/// What a projector is made of.
pub struct ProjectorParts {
    /// The metadata plane of this node.
    pub meta: Arc<dyn Meta>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names for snapshots.
    pub randomness: Arc<dyn Randomness>,
    /// The generation of the node's state while this node leads; `None`: it does not. Only the leader projects. Two that do
    /// for a moment do no harm.
    pub leading: watch::Receiver<Option<u64>>,
    /// The cluster, for ever: a database of another one is left alone.
    pub cluster_id: String,
    /// The database.
    pub options: ScyllaOptions,
    /// How much may wait, and how often a snapshot is made.
    pub tuning: ProjectorTuning,
}

/// How much may wait, and how often the archive gets a snapshot.
#[derive(Clone, Debug)]
pub struct ProjectorTuning {
    /// Rows that wait.
    pub outbox_changes_max: usize,
    /// Bytes of them.
    pub outbox_bytes_max: usize,
    /// Segments behind a snapshot.
    pub segments_max: u64,
    /// Age of a snapshot.
    pub snapshot_age_max: Duration,
    /// How often it is asked whether the cluster was restored elsewhere.
    pub generation_check: Duration,
}

impl Default for ProjectorTuning {
    fn default() -> Self {
        Self {
            outbox_changes_max: limits::OUTBOX_CHANGES_MAX,
            outbox_bytes_max: limits::OUTBOX_BYTES_MAX,
            segments_max: limits::ARCHIVE_SEGMENTS_MAX,
            snapshot_age_max: limits::ARCHIVE_SNAPSHOT_AGE_MAX,
            generation_check: limits::PROJECTION_GENERATION_CHECK,
        }
    }
}

/// The task that keeps the database up with the metadata plane, while this node leads. Nobody waits for it. It ends when
/// this is dropped: what was not written then is written by the next one, from where this one noted that it was.
pub struct Projector {
    figures: watch::Receiver<ProjectionFigures>,
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

impl Projector {
    /// Starts it on the current tokio runtime.
    pub fn start(parts: ProjectorParts) -> Self {
        let tuning = &parts.tuning;
        let outbox = Arc::new(Outbox::new(tuning.outbox_changes_max, tuning.outbox_bytes_max));
        let (says, figures) = watch::channel(ProjectionFigures::default());
        let task = tokio::spawn(Task { parts, outbox: Arc::clone(&outbox), figures: says }.run());
        Self { figures, outbox, task }
    }

    /// What it says of itself now.
    pub fn figures(&self) -> ProjectionFigures {
        let waiting = self.outbox.waiting();
        let told = self.figures.borrow().clone();
        ProjectionFigures {
            lag_entries: waiting.newest.0.saturating_sub(told.projected.0),
            outbox_changes: waiting.changes,
            outbox_bytes: waiting.bytes,
            fell_behind: waiting.fell_behind,
            facts_lost: waiting.lost,
            ..told
        }
    }

    /// Tells when what it says changes. What waits is in [`Projector::figures`] alone.
    pub fn changes(&self) -> watch::Receiver<ProjectionFigures> {
        self.figures.clone()
    }

    /// Ends it and waits until it has.
    pub async fn stop(mut self) {
        self.task.abort();
        // Cancelled: that is what was wanted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.task.abort();
    }
}
