//! The thread that applies and writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use base::{Clock, limits};
use cluster_model::{Applied, ChangeLog, Command, NotApplied, Proposal, RequestId, Stamped, State, apply};
use parking_lot::RwLock;
use redb::Database;
use tokio::sync::{oneshot, watch};

use crate::StoreError;
use crate::tables::{self, Entry, WriteError};

/// A proposal on its way.
pub(crate) struct Job {
    pub request: RequestId,
    pub command: Command,
    pub deadline: Instant,
    pub answer: oneshot::Sender<Proposal>,
}

/// Opens the file.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// Whether the file can be written.
pub(crate) enum Disk {
    /// It can.
    Ready(Database),
    /// There was no room, and the file is closed.
    Full {
        /// When it may be opened again.
        again_at: Instant,
        /// What may have come through all the same.
        in_doubt: Vec<Entry>,
    },
    /// It failed in another way.
    Failed,
}

/// Owns the file and the state that is written to it. Readers have a second copy, `published`, whose
/// rows are shared, so that they see nothing before it is durable.
pub(crate) struct Writer {
    pub path: PathBuf,
    pub open: Opener,
    pub disk: Disk,
    pub state: State,
    pub published: Arc<RwLock<State>>,
    pub log: Arc<ChangeLog>,
    pub clock: Arc<dyn Clock>,
    pub failed: watch::Sender<bool>,
    /// The operator was told that the disk is full, and nothing was written since.
    pub told: bool,
}

/// A job that was applied, or was found to be a retry of one.
struct Answered {
    answer: oneshot::Sender<Proposal>,
    proposal: Proposal,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            // Group commit: what came in during the last fsync shares the next one.
            let waiting = queue.try_iter().take(limits::META_COMMANDS_PER_COMMIT_MAX - 1);
            self.commit(std::iter::once(first).chain(waiting).collect());
        }
    }

    /// Applies `jobs`, writes them in one transaction and answers.
    fn commit(&mut self, jobs: Vec<Job>) {
        if let Err(why) = self.be_ready() {
            jobs.into_iter().for_each(|job| reply(job.answer, Proposal::NotApplied(why)));
            return;
        }
        let mut entries = Vec::new();
        let mut answers = Vec::new();
        for Job { request, command, deadline, answer } in jobs {
            if self.clock.now() >= deadline {
                reply(answer, Proposal::NotApplied(NotApplied::TooLate));
                continue;
            }
            let applied = apply(&mut self.state, Stamped { request, at: self.clock.wall(), command });
            let Applied { revision, outcome, repeated, .. } = applied;
            answers.push(Answered { answer, proposal: Proposal::Applied { revision, outcome } });
            if !repeated {
                entries.push(Entry { request, applied });
            }
        }
        // A retry may be of a job in this very batch, so it waits for the commit as well.
        match self.write(&entries) {
            Ok(()) => {
                self.publish(entries);
                for Answered { answer, proposal } in answers {
                    reply(answer, proposal);
                }
            }
            Err(error) => {
                let proposal = match &error {
                    WriteError::During(_) => Proposal::Unknown,
                    full if full.is_full() => Proposal::NotApplied(NotApplied::DiskFull),
                    _ => Proposal::NotApplied(NotApplied::Failed),
                };
                self.stop_writing(&error, entries);
                for Answered { answer, .. } in answers {
                    reply(answer, proposal);
                }
            }
        }
    }

    /// Goes on with a file whose disk was full, if there is room now.
    fn be_ready(&mut self) -> Result<(), NotApplied> {
        let in_doubt = match &mut self.disk {
            Disk::Ready(_) => return Ok(()),
            Disk::Failed => return Err(NotApplied::Failed),
            Disk::Full { again_at, .. } if self.clock.now() < *again_at => return Err(NotApplied::DiskFull),
            Disk::Full { in_doubt, .. } => std::mem::take(in_doubt),
        };
        match self.read_again(&in_doubt) {
            Ok(database) => {
                self.disk = Disk::Ready(database);
                self.publish_if_written(in_doubt);
                Ok(())
            }
            Err(StoreError::NoSpace { .. }) => {
                self.disk = self.full(in_doubt);
                Err(NotApplied::DiskFull)
            }
            Err(error) => {
                self.fail(&error);
                Err(NotApplied::Failed)
            }
        }
    }

    /// Opens the file anew and takes the state from it: what is shown already, or that and `in_doubt`.
    fn read_again(&mut self, in_doubt: &[Entry]) -> Result<Database, StoreError> {
        let database = (self.open)()?;
        let state = tables::load(&database, &self.path)?;
        let shown = self.published.read().revision();
        let came_through = in_doubt.last().is_some_and(|entry| entry.applied.revision == state.revision());
        if state.revision() != shown && !came_through {
            return Err(StoreError::Lost { path: self.path.clone() });
        }
        self.state = state;
        Ok(database)
    }

    fn publish_if_written(&mut self, in_doubt: Vec<Entry>) {
        if self.state.revision() != self.published.read().revision() {
            self.publish(in_doubt);
        }
    }

    /// Closes the file after a failed write: what is in memory may not be what is on disk.
    fn stop_writing(&mut self, error: &WriteError, entries: Vec<Entry>) {
        if !error.is_full() {
            self.fail(error);
            return;
        }
        if !std::mem::replace(&mut self.told, true) {
            let file = self.path.display();
            tracing::error!(%file, %error, "the disk of the metadata store is full: broadcasts and settings cannot be changed and nobody can begin to publish; free space on its file system, the node goes on by itself then");
        }
        let in_doubt = if matches!(error, WriteError::During(_)) { entries } else { Vec::new() };
        self.disk = self.full(in_doubt);
    }

    fn full(&self, in_doubt: Vec<Entry>) -> Disk {
        Disk::Full { again_at: self.clock.now() + limits::META_FULL_REST, in_doubt }
    }

    fn fail(&mut self, error: &dyn std::error::Error) {
        self.disk = Disk::Failed;
        self.failed.send_replace(true);
        tracing::error!(%error, "the metadata store failed, nothing more is written until a restart");
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), WriteError> {
        if let (Disk::Ready(database), false) = (&self.disk, entries.is_empty()) {
            tables::write(database, entries, self.state.now())?;
            if std::mem::take(&mut self.told) {
                tracing::info!("the disk of the metadata store has room again: changes are stored");
            }
        }
        Ok(())
    }

    fn publish(&self, entries: Vec<Entry>) {
        let mut published = self.published.write();
        for entry in &entries {
            published.absorb(entry.applied.revision, self.state.now(), &entry.applied.changes);
        }
        drop(published);
        for entry in entries {
            self.log.push(entry.applied.revision, entry.applied.changes, self.clock.now());
        }
    }
}

/// Who no longer waits for an answer asks again with the same request id.
fn reply(answer: oneshot::Sender<Proposal>, proposal: Proposal) {
    let _ = answer.send(proposal);
}
