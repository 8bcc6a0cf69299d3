//! From the outbox into the database, at the database's pace.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Instant;

use base::limits;
use cluster_model::Revision;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::sleep;

use super::progress::Progress;
use super::task::{Task, longer};
use crate::archive::{Chain, segment_writes};
use crate::planned::{Cell, Deed, Write};
use crate::projection::{Item, day_of};
use crate::{Database, DatabaseError, Stamp, Stopped, Table};

pub(super) struct Writer<'a> {
    pub task: &'a Task,
    pub database: &'a Database,
    pub generation: u64,
    pub progress: Progress,
    /// The chain of a snapshot that is of a revision we have not come to.
    pub next_chain: Option<Chain>,
    /// When the last snapshot was tried.
    pub archived: Option<Instant>,
    checked: Instant,
}

impl<'a> Writer<'a> {
    pub fn new(task: &'a Task, database: &'a Database, generation: u64, progress: Progress) -> Self {
        let checked = task.parts.clock.now();
        // A chain that is gone on with: nobody knows how old its snapshot is; it gets its time anew.
        let archived = progress.chain.as_ref().map(|_| checked);
        Self { task, database, generation, progress, next_chain: None, archived, checked }
    }

    /// Writes what there is, until the cluster is another's.
    pub async fn run(&mut self) -> Result<Infallible, Stopped> {
        loop {
            self.check_sometimes().await?;
            if self.task.outbox.waiting().behind {
                self.list().await?;
            }
            // Before what follows is written: without a chain only a snapshot has it.
            if self.snapshot_is_due() {
                self.snapshot().await?;
            }
            self.follow_next_chain();
            let up_to = self.next_chain.as_ref().map_or(Revision(u64::MAX), |next| next.from);
            let batch = self.task.outbox.take(up_to);
            if !batch.is_empty() {
                self.write_batch(batch).await?;
            }
            if self.snapshot_is_due() {
                continue;
            }
            tokio::select! {
                () = self.task.outbox.filled() => {}
                () = sleep(self.task.parts.tuning.generation_check) => {}
            }
        }
    }

    async fn check_sometimes(&mut self) -> Result<(), Stopped> {
        let now = self.task.parts.clock.now();
        if now.saturating_duration_since(self.checked) >= self.task.parts.tuning.generation_check {
            self.task.check(self.database, self.generation).await?;
            self.checked = self.task.parts.clock.now();
        }
        Ok(())
    }

    /// Goes over to the chain of a new snapshot once everything before it is on the old one.
    fn follow_next_chain(&mut self) {
        let next = self.task.outbox.next_revision();
        let is_there = |chain: &mut Chain| {
            self.progress.stamp.revision >= chain.from || next.is_some_and(|next| next > chain.from)
        };
        if let Some(chain) = self.next_chain.take_if(is_there) {
            self.progress.chain = Some(chain);
        }
    }

    /// The archive and the rows first, then how far that is.
    async fn write_batch(&mut self, batch: Vec<Item>) -> Result<(), Stopped> {
        let Some(last) = batch.last().map(|item| item.stamp) else { return Ok(()) };
        self.add_to_chain(&batch).await?;
        self.write_all(newest(batch)).await?;
        self.note(last).await?;
        self.task.outbox.done();
        Ok(())
    }

    async fn add_to_chain(&mut self, batch: &[Item]) -> Result<(), Stopped> {
        let Some(mut chain) = self.progress.chain.take() else { return Ok(()) };
        let after = self.progress.stamp.revision.max(chain.from);
        let (writes, bytes) = match segment_writes(&chain.snapshot, after, batch) {
            Ok(made) => made,
            Err(error) => {
                tracing::error!("a segment of the archive cannot be made: {error}");
                return Ok(());
            }
        };
        if self.write_all(writes).await? == 0 {
            chain.segments += 1;
            chain.bytes += bytes;
            self.progress.chain = Some(chain);
        }
        Ok(())
    }

    /// Notes that everything up to `stamp` is written.
    pub async fn note(&mut self, stamp: Stamp) -> Result<(), Stopped> {
        self.progress.stamp = stamp;
        let write = self.progress.write().map_err(Stopped::Database)?;
        self.task.patiently(|| self.database.write(&write)).await?;
        self.task.figures.send_modify(|figures| figures.projected = stamp.revision);
        Ok(())
    }

    /// Writes them, some at a time. Answers how many were refused.
    pub async fn write_all(&self, writes: impl IntoIterator<Item = Write>) -> Result<u64, Stopped> {
        let written = stream::iter(writes).map(|write| self.put(write));
        written
            .buffer_unordered(limits::PROJECTION_WRITES_MAX)
            .try_fold(0, |refused, is_written| std::future::ready(Ok(refused + u64::from(!is_written))))
            .await
    }

    /// Writes one row; `false`: the database refuses it, and it is a dead letter.
    async fn put(&self, write: Write) -> Result<bool, Stopped> {
        let mut rest = limits::PROJECTION_REST_MIN;
        let mut doubts = 0;
        loop {
            let error = match self.database.write(&write).await {
                Ok(()) => {
                    self.task.reached(Ok(()));
                    return Ok(true);
                }
                Err(error) => error,
            };
            match &error {
                DatabaseError::Away(_) => self.task.reached(Err(&error)),
                DatabaseError::Doubtful(_) if doubts < limits::PROJECTION_DOUBTS_MAX => doubts += 1,
                DatabaseError::Doubtful(why) | DatabaseError::Rejected(why) => {
                    self.bury(write, why).await?;
                    return Ok(false);
                }
                _ => return Err(Stopped::Database(error)),
            }
            sleep(rest).await;
            rest = longer(rest);
        }
    }

    /// Notes what the database refuses.
    async fn bury(&self, write: Write, reason: &str) -> Result<(), Stopped> {
        let table = write.table.name();
        tracing::error!(
            "the database refuses a row of {table} of revision {}, which is noted in dead_letters: {reason}",
            write.stamp.revision
        );
        self.task.figures.send_modify(|figures| figures.dead_letters += 1);
        let letter = dead_letter(&write, reason, self.task.parts.clock.wall().as_millis());
        match self.task.patiently(|| self.database.write(&letter)).await {
            Err(Stopped::Database(DatabaseError::Rejected(why))) => {
                tracing::error!("nor does the database take the dead letter: {why}");
                Ok(())
            }
            other => other,
        }
    }
}

/// Of each row the last write. Events stay: what is told of one twice adds up.
fn newest(batch: Vec<Item>) -> Vec<Write> {
    let mut newest = BTreeMap::new();
    let mut rest = Vec::new();
    for write in batch.into_iter().flat_map(|item| item.writes) {
        if write.table == Table::ConnectionEvents {
            rest.push(write);
        } else {
            newest.insert((write.table, write.key.clone()), write);
        }
    }
    rest.extend(newest.into_values());
    rest
}

fn dead_letter(write: &Write, reason: &str, now_ms: u64) -> Write {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let key: Vec<_> = write.key.iter().map(text).collect();
    let mut columns = vec![
        ("reason", reason.chars().take(limits::DEAD_LETTER_REASON_CHARS_MAX).collect::<String>().into()),
        ("row_bytes", (write.bytes() as u64).into()),
    ];
    if let Deed::Put { columns: of, .. } = &write.deed
        && let Some((_, Cell::Text(document))) = of.iter().find(|(name, _)| *name == "document")
        && document.len() <= limits::DEAD_LETTER_BYTES_MAX
    {
        columns.push(("document", document.as_str().into()));
    }
    let ttl_s = i32::try_from(limits::DEAD_LETTERS_KEPT.as_secs()).unwrap_or(i32::MAX);
    let place = vec![
        Cell::Int(day_of(now_ms)),
        crate::projection::exact(write.stamp.generation),
        crate::projection::exact(write.stamp.revision.0),
        write.table.name().into(),
        key.join("/").into(),
    ];
    Write { table: Table::DeadLetters, key: place, deed: Deed::Put { columns, ttl_s }, stamp: write.stamp }
}
