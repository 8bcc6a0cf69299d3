//! The thread that applies and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use base::{Clock, limits};
use cluster_model::{Applied, ChangeLog, Command, NotApplied, Proposal, RequestId, Stamped, State, apply};
use parking_lot::RwLock;
use redb::Database;
use tokio::sync::oneshot;

use crate::tables::{self, Entry, WriteError};

/// A proposal on its way.
pub(crate) struct Job {
    pub request: RequestId,
    pub command: Command,
    pub deadline: Instant,
    pub answer: oneshot::Sender<Proposal>,
}

/// Owns the file and the state that is written to it. Readers have a second copy, `published`, whose
/// rows are shared, so that they see nothing before it is durable.
pub(crate) struct Writer {
    pub database: Database,
    pub state: State,
    pub published: Arc<RwLock<State>>,
    pub log: Arc<ChangeLog>,
    pub clock: Arc<dyn Clock>,
    pub failed: Arc<AtomicBool>,
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
            self.commit(std::iter::once(first).chain(waiting));
        }
    }

    /// Applies `jobs`, writes them in one transaction and answers.
    fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut entries = Vec::new();
        let mut answers = Vec::new();
        for Job { request, command, deadline, answer } in jobs {
            if self.failed.load(Ordering::Acquire) {
                reply(answer, Proposal::NotApplied(NotApplied::Failed));
                continue;
            }
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
                self.failed.store(true, Ordering::Release);
                tracing::error!(%error, "the metadata store failed, nothing more is written until a restart");
                let proposal = match error {
                    WriteError::Before(_) => Proposal::NotApplied(NotApplied::Failed),
                    WriteError::During(_) => Proposal::Unknown,
                };
                for Answered { answer, .. } in answers {
                    reply(answer, proposal);
                }
            }
        }
    }

    fn write(&self, entries: &[Entry]) -> Result<(), WriteError> {
        if entries.is_empty() { Ok(()) } else { tables::write(&self.database, entries, self.state.now()) }
    }

    fn publish(&self, entries: Vec<Entry>) {
        let mut published = self.published.write();
        for entry in &entries {
            published.absorb(entry.applied.revision, self.state.now(), &entry.applied.changes);
        }
        drop(published);
        for entry in entries {
            self.log.push(entry.applied.revision, entry.applied.changes);
        }
    }
}

/// Who no longer waits for an answer asks again with the same request id.
fn reply(answer: oneshot::Sender<Proposal>, proposal: Proposal) {
    let _ = answer.send(proposal);
}
