//! The life of the task: it waits to lead, reaches the database, finds where it was, and goes on from there.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::limits;
use cluster_model::Revision;
use tokio::sync::watch;
use tokio::time::sleep;

use super::ProjectorParts;
use super::progress::Progress;
use super::writer::Writer;
use crate::{Database, DatabaseError, Horizon, Outbox, ProjectionFigures, Stopped};

/// What intake and writer share.
pub(super) struct Task {
    pub parts: ProjectorParts,
    pub outbox: Arc<Outbox>,
    pub figures: watch::Sender<ProjectionFigures>,
    /// What new writes carry. It grows if the generation is raised under way.
    generation: AtomicU64,
}

impl Task {
    pub fn new(
        parts: ProjectorParts,
        outbox: Arc<Outbox>,
        figures: watch::Sender<ProjectionFigures>,
    ) -> Self {
        let generation = AtomicU64::new(parts.generation);
        Self { parts, outbox, figures, generation }
    }

    /// Runs until it stops for good.
    pub async fn run(self) {
        let mut leading = self.parts.leading.clone();
        // Whoever says who leads may go: then nobody does.
        while leading.wait_for(|leads| *leads).await.is_ok() {
            self.figures.send_modify(|figures| figures.leading = true);
            let mut until = leading.clone();
            let ended = tokio::select! {
                Err(stopped) = self.lead() => Some(stopped),
                _ = until.wait_for(|leads| !*leads) => None,
            };
            self.figures.send_modify(|figures| figures.leading = false);
            if let Some(stopped) = ended {
                match &stopped {
                    Stopped::Closed => tracing::debug!("the projection ends: {stopped}"),
                    _ => tracing::error!("the projection stops: {stopped}"),
                }
                self.figures.send_modify(|figures| figures.stopped = Some(stopped));
                return;
            }
        }
    }

    async fn lead(&self) -> Result<Infallible, Stopped> {
        let database = self.patiently(|| Database::create(&self.parts.options)).await?;
        self.check(&database).await?;
        let progress = self.patiently(|| Progress::read(&database)).await?;
        let own = self.generation();
        let progress = progress.filter(|progress| progress.stamp.generation == own).unwrap_or_default();
        if progress.stamp.revision == Revision::ZERO {
            // Nothing is there, or another generation's: everything is written anew.
            self.outbox.reset();
        } else {
            self.outbox.begin(progress.stamp.revision);
            self.figures.send_modify(|figures| figures.projected = progress.stamp.revision);
        }
        let mut writer = Writer::new(self, &database, progress);
        tokio::select! {
            ended = self.take_in() => ended,
            ended = writer.run() => ended,
        }
    }

    /// Whose data the database holds: ours, or this ends.
    pub async fn check(&self, database: &Database) -> Result<(), Stopped> {
        let (own, own_id) = (self.generation(), self.parts.cluster_id.as_str());
        let row = self.patiently(|| database.take(own_id, own)).await?;
        let by = row.lineage.generation;
        if by > own {
            return Err(Stopped::Superseded { own, by });
        }
        if row.cluster_id != own_id {
            return Err(Stopped::Foreign { own: own_id.to_owned(), found: row.cluster_id });
        }
        if by < own {
            self.patiently(|| database.raise(&row, own)).await?;
        }
        Ok(())
    }

    /// Does what may fail for a time until it does not.
    pub async fn patiently<T, F>(&self, mut what: impl FnMut() -> F) -> Result<T, Stopped>
    where
        F: Future<Output = Result<T, DatabaseError>>,
    {
        let mut rest = limits::PROJECTION_REST_MIN;
        loop {
            match what().await {
                Ok(done) => {
                    self.reached(Ok(()));
                    return Ok(done);
                }
                Err(error) if error.is_passing() => {
                    self.reached(Err(&error));
                    sleep(rest).await;
                    rest = longer(rest);
                }
                Err(error) => return Err(Stopped::Database(error)),
            }
        }
    }

    /// Notes whether the database answered, and says so when that changes.
    pub fn reached(&self, how: Result<(), &DatabaseError>) {
        let changed = self.figures.send_if_modified(|figures| {
            std::mem::replace(&mut figures.reachable, how.is_ok()) != how.is_ok()
        });
        match how {
            Ok(()) if changed => tracing::info!("the database is reached"),
            Err(error) if changed => tracing::warn!("what is projected waits: {error}"),
            _ => {}
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub fn raise_generation(&self, to: u64) {
        let before = self.generation.fetch_max(to, Ordering::Relaxed);
        self.figures.send_modify(|figures| figures.generation = before.max(to));
    }

    pub fn horizon(&self) -> Horizon {
        Horizon { now: self.parts.clock.wall(), kept: self.parts.options.history_kept() }
    }
}

/// The rest after the next failure.
pub(super) fn longer(rest: Duration) -> Duration {
    rest.saturating_mul(2).min(limits::PROJECTION_REST_MAX)
}
