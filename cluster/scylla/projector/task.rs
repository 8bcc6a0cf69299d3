//! The life of the task: it waits to lead, reaches the database, finds where it was, and goes on from there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base::limits;
use cluster_model::Revision;
use tokio::sync::watch;
use tokio::time::sleep;

use super::ProjectorParts;
use super::progress::Progress;
use super::writer::Writer;
use crate::archive;
use crate::outbox::Outbox;
use crate::projection::Horizon;
use crate::{Database, DatabaseError, Lineage, ProjectionFigures, Stopped};

/// What intake and writer share.
pub(super) struct Task {
    pub parts: ProjectorParts,
    pub outbox: Arc<Outbox>,
    pub figures: watch::Sender<ProjectionFigures>,
}

impl Task {
    /// Runs until it stops for good.
    pub async fn run(self) {
        let mut leading = self.parts.leading.clone();
        while let Some(generation) = leads(&mut leading).await {
            self.figures.send_modify(|figures| (figures.leading, figures.generation) = (true, generation));
            let mut until = leading.clone();
            let ended = tokio::select! {
                Err(stopped) = self.lead(generation) => Some(stopped),
                _ = until.wait_for(|now| *now != Some(generation)) => None,
            };
            // What waits is the next one's, and nobody here knows any longer how the database does.
            self.outbox.reset();
            self.figures.send_modify(|figures| (figures.leading, figures.reachable) = (false, false));
            if let Some(stopped) = ended {
                match &stopped {
                    Stopped::Closed => tracing::debug!("the projection ends: {stopped}"),
                    _ => tracing::error!("nothing more is written to the database: {stopped}"),
                }
                self.figures.send_modify(|figures| figures.stopped = Some(stopped));
                return;
            }
        }
    }

    async fn lead(&self, generation: u64) -> Result<Infallible, Stopped> {
        let database = self.patiently(|| Database::create(&self.parts.options)).await?;
        let lineage = self.check(&database, generation).await?;
        let progress = self.patiently(|| Progress::read(&database)).await?;
        let progress = progress.filter(|progress| progress.stamp.generation == generation);
        let mut progress = progress.unwrap_or_default();
        let snapshots = self.patiently(|| archive::found(&database, &lineage)).await?;
        // A snapshot whose chain was not noted any more: a restore would rather take that one. So there is a new one.
        let newest = snapshots.first().map(|snapshot| snapshot.id.as_str());
        progress.chain = progress.chain.take().filter(|chain| Some(chain.snapshot.as_str()) == newest);
        if progress.stamp.revision == Revision::ZERO {
            // Nothing is there, or another generation's: everything is written anew.
            self.outbox.reset();
        } else {
            self.outbox.begin(progress.stamp.revision);
        }
        self.figures.send_modify(|figures| figures.projected = progress.stamp.revision);
        let mut writer = Writer::new(self, &database, generation, progress);
        tokio::select! {
            ended = self.take_in(generation) => ended,
            ended = writer.run() => ended,
        }
    }

    /// Whose data the database holds: ours, or this ends. Answers what of it counts.
    pub async fn check(&self, database: &Database, own: u64) -> Result<Lineage, Stopped> {
        let own_id = self.parts.cluster_id.as_str();
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
        Ok(row.lineage)
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

    pub fn horizon(&self) -> Horizon {
        Horizon { now: self.parts.clock.wall(), kept: self.parts.options.history_kept() }
    }
}

/// Waits until this node leads; `None`: nobody says any more whether it does.
async fn leads(leading: &mut watch::Receiver<Option<u64>>) -> Option<u64> {
    let generation = *leading.wait_for(Option::is_some).await.ok()?;
    // Whoever says who leads may go: what was said last is no longer so.
    leading.has_changed().ok()?;
    generation
}

/// The rest after the next failure.
pub(super) fn longer(rest: Duration) -> Duration {
    rest.saturating_mul(2).min(limits::PROJECTION_REST_MAX)
}
