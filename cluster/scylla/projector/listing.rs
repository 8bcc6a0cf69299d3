//! The state as a whole: written anew when changes were missed, and put into the archive.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use base::{WallTime, limits};
use cluster_model::{Answer, Change, Consistency, Filter, Query, Revision, State};
use tokio::time::sleep;

use super::writer::Writer;
use crate::archive::{Chain, SnapshotWrites, prune, snapshot_writes};
use crate::planned::{Cell, Deed, Write};
use crate::projection::project;
use crate::schema::shapes;
use crate::{Stamp, Stopped, Table};

/// Letters of a snapshot's id.
const SNAPSHOT_ID_LETTERS: usize = 24;

impl Writer<'_> {
    /// Writes the whole state, removes what is not in it, and goes on from its revision.
    pub async fn list(&mut self) -> Result<(), Stopped> {
        // While the database is away there is no use in a list: it would be old when it can be written.
        self.task.check(self.database, self.generation).await?;
        let (revision, changes) = self.state().await?;
        let stamp = Stamp::new(self.generation, revision);
        self.task.outbox.begin(revision);
        tracing::info!("the whole state of revision {revision} is written to the database");
        let mut there = HashSet::new();
        for changes in changes.chunks(limits::PROJECTION_BATCH_COMMANDS_MAX) {
            match project(stamp, changes, self.task.horizon()) {
                Ok(item) => {
                    there.extend(item.writes.iter().map(mark));
                    self.write_all(item.writes).await?;
                }
                Err(error) => tracing::error!("a row of the state cannot be projected: {error}"),
            }
        }
        for table in Table::STATE {
            self.remove_others(table, &there, stamp).await?;
        }
        self.task.figures.send_modify(|figures| figures.listed += 1);
        (self.progress.chain, self.next_chain) = (None, None);
        self.progress.stamp = stamp;
        self.archive(revision, changes).await?;
        self.follow(stamp).await
    }

    /// Whether the archive wants a snapshot.
    pub fn snapshot_is_due(&self) -> bool {
        if self.next_chain.is_some() {
            return false;
        }
        let tuning = &self.task.parts.tuning;
        let Some(at) = self.archived else { return true };
        let age = self.task.parts.clock.now().saturating_duration_since(at);
        match &self.progress.chain {
            Some(chain) if chain.segments == 0 => false,
            Some(chain) => {
                chain.segments >= tuning.segments_max
                    || chain.bytes >= limits::ARCHIVE_SEGMENT_BYTES_MAX
                    || age >= tuning.snapshot_age_max
            }
            // The last try failed: not at once again.
            None => age >= tuning.snapshot_age_max,
        }
    }

    /// Puts the state as it is now into the archive.
    pub async fn snapshot(&mut self) -> Result<(), Stopped> {
        let (revision, changes) = self.state().await?;
        self.archive(revision, changes).await
    }

    async fn follow(&mut self, stamp: Stamp) -> Result<(), Stopped> {
        if let Some(chain) = self.next_chain.take_if(|chain| chain.from == stamp.revision) {
            self.progress.chain = Some(chain);
        }
        self.note(stamp).await
    }

    async fn archive(&mut self, revision: Revision, changes: Vec<Change>) -> Result<(), Stopped> {
        self.archived = Some(self.task.parts.clock.now());
        let now = self.task.parts.clock.wall();
        // A state may have millions of rows.
        let made = tokio::task::spawn_blocking(move || {
            let mut state = State::default();
            state.absorb(revision, now, &changes);
            state.snapshot()
        });
        let bytes = match made.await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!("no snapshot for the archive can be made: {error}");
                return Ok(());
            }
            Err(error) => {
                tracing::error!("no snapshot for the archive was made: {error}");
                return Ok(());
            }
        };
        let stamp = Stamp::new(self.generation, revision);
        let id = self.task.parts.randomness.alphanumeric(SNAPSHOT_ID_LETTERS);
        let SnapshotWrites { begun, chunks, complete } = snapshot_writes(stamp, &id, &bytes, now);
        let mut refused = self.write_all([begun]).await?;
        for writes in [chunks, vec![complete]] {
            // What is not whole is never said to be.
            refused += if refused == 0 { self.write_all(writes).await? } else { 0 };
        }
        if refused > 0 {
            tracing::error!("the archive has no snapshot of revision {revision}: the database refuses it");
            return Ok(());
        }
        self.task.figures.send_modify(|figures| figures.archived = Some(revision));
        self.next_chain = Some(Chain { snapshot: id, from: revision, segments: 0, bytes: 0 });
        let old = self.task.patiently(|| prune(self.database, stamp)).await?;
        for step in old {
            self.write_all(step).await?;
        }
        Ok(())
    }

    async fn state(&self) -> Result<(Revision, Vec<Change>), Stopped> {
        loop {
            let deadline = self.task.parts.clock.now() + limits::META_ANSWER_MAX;
            let reading = self.task.parts.meta.read(Query::List(Filter::All), Consistency::Local, deadline);
            match reading.await {
                Ok(reading) => {
                    if let Answer::Listed(changes) = reading.answer {
                        return Ok((reading.revision, changes));
                    }
                }
                Err(cluster_model::ReadFailed::Closed) => return Err(Stopped::Closed),
                Err(cluster_model::ReadFailed::TooLate | cluster_model::ReadFailed::NotListed) => {}
            }
            sleep(limits::PROJECTION_REST_MIN).await;
        }
    }

    /// Removes the rows of `table` that are not `there`, unless they were written after `stamp`.
    async fn remove_others(&self, table: Table, there: &HashSet<u64>, stamp: Stamp) -> Result<(), Stopped> {
        let Some(shape) = shapes().get(table.name()) else { return Ok(()) };
        // When a subscriber's sessions did something last: what else there is of it hangs on that.
        let touched = if table == Table::SubscriberSummaries { ", touched_ms" } else { "" };
        let text = format!("SELECT {}{touched} FROM {}", shape.key.join(", "), table.name());
        let mut next = Some(scylla::response::PagingState::start());
        while let Some(from) = next {
            let page = || self.database.page::<scylla::value::Row>(&text, (), from.clone());
            let (rows, after) = self.task.patiently(page).await?;
            let mut others = Vec::new();
            for row in rows {
                let mut cells: Vec<_> =
                    row.columns.into_iter().map(|value| value.and_then(crate::database::cell)).collect();
                let touched = cells.split_off(shape.key.len()).pop().flatten();
                let Some(key) = cells.into_iter().collect() else { continue };
                let write = Write { table, key, deed: Deed::Delete, stamp };
                if there.contains(&mark(&write)) {
                    continue;
                }
                if table == Table::SubscriberSummaries && !self.is_over(touched) {
                    others.extend(self.events_of(&write));
                }
                others.push(write);
            }
            self.write_all(others).await?;
            next = after;
        }
        Ok(())
    }

    /// Whether the state has forgotten a subscriber by itself, being idle for so long: its events stay as long as any.
    fn is_over(&self, touched_ms: Option<Cell>) -> bool {
        let Some(Cell::BigInt(touched_ms)) = touched_ms else { return false };
        let touched = WallTime(u64::try_from(touched_ms).unwrap_or_default());
        touched.plus(limits::HISTORY_KEPT) <= self.task.parts.clock.wall()
    }

    /// The deletions of what a subscriber that is gone has left in the history.
    fn events_of(&self, summary: &Write) -> Vec<Write> {
        let [app, stream, subscriber] = summary.key.as_slice() else { return Vec::new() };
        let of_day = |day| vec![app.clone(), stream.clone(), Cell::Int(day), subscriber.clone()];
        let days = self.task.horizon().days();
        days.map(|day| Write { table: Table::ConnectionEvents, key: of_day(day), ..summary.clone() })
            .collect()
    }
}

/// What a row is known by in a list of millions.
fn mark(write: &Write) -> u64 {
    let mut hasher = DefaultHasher::new();
    (write.table, &write.key).hash(&mut hasher);
    hasher.finish()
}
