//! The thread: it feeds the core, and does what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use base::{Clock, limits};
use cluster_core::{
    AppliedEntry, Backup, MembershipChange, MembershipError, Moment, NodeId, Now, Output, Persist, ReadId,
    Status,
};
use cluster_model::{ChangeLog, Command, NotApplied, Proposal, Query, ReadFailed, Reading, RequestId, State};
use cluster_store::WriteError;
use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};

use crate::age::FreshAt;
use crate::core::Core;
use crate::link::Link;

/// Something wanted of the plane.
pub(crate) enum Job {
    /// A command is to be applied.
    Propose { request: RequestId, command: Command, deadline: Instant, answer: oneshot::Sender<Proposal> },
    /// A question whose answer sees all that was answered before.
    Read { query: Query, deadline: Instant, answer: oneshot::Sender<Result<Reading, ReadFailed>> },
    /// Another node said something.
    Receive { from: NodeId, bytes: Vec<u8> },
    /// Another member is to lead.
    Transfer { to: NodeId },
    /// The members are to be others.
    ChangeMembership { change: MembershipChange, answer: oneshot::Sender<Result<(), MembershipError>> },
    /// A copy of all that is applied is wanted.
    Copy { answer: oneshot::Sender<Option<Backup>> },
}

/// Whether the file can be written.
pub(crate) enum Disk {
    /// It can.
    Ready,
    /// There was no room.
    Full {
        /// When it may be tried again.
        again_at: Instant,
        /// What is to be written then. Nothing new is taken meanwhile, so it stays what it is.
        batch: Vec<Persist>,
    },
    /// It failed in another way.
    Failed,
}

/// Owns the core, and with it the disk of a member. Readers have a second state, `published`, whose rows are shared; `None`:
/// there is none yet.
pub(crate) struct Runtime {
    pub(crate) core: Core,
    pub(crate) disk: Disk,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) published: Arc<RwLock<Option<State>>>,
    pub(crate) fresh_at: Arc<FreshAt>,
    pub(crate) log: Arc<ChangeLog>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What moments are counted from.
    pub(crate) origin: Instant,
    /// When the core was told the time last.
    pub(crate) ticked: Instant,
    /// Callers' jobs in the queue.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) status: watch::Sender<Status>,
    /// Who waits for what. As many as the replica takes.
    pub(crate) proposers: BTreeMap<RequestId, Vec<oneshot::Sender<Proposal>>>,
    pub(crate) readers: BTreeMap<ReadId, oneshot::Sender<Result<Reading, ReadFailed>>>,
    pub(crate) reads: u64,
    pub(crate) failed: watch::Sender<bool>,
    /// The operator was told that the disk is full, and nothing was written since.
    pub(crate) told: bool,
}

impl Runtime {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, queue: &Receiver<Job>) {
        self.drain();
        loop {
            let first = match queue.recv_timeout(limits::RAFT_TICK) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.try_full_disk_again();
            // Group commit: what came in during the last sync shares the next one.
            let waiting = queue.try_iter().take(limits::META_COMMANDS_PER_COMMIT_MAX - 1);
            // All of them first: who was answered and asks again comes after what is tried before.
            let jobs: Vec<_> = first.into_iter().chain(waiting).collect();
            jobs.into_iter().for_each(|job| self.take(job));
            self.tick();
            self.drain();
            self.fresh_at.tell(self.core.fresh_at());
            let status = self.core.status();
            self.status.send_if_modified(|said| {
                *said != status && {
                    *said = status;
                    true
                }
            });
        }
    }

    fn now(&self) -> Now {
        Now { monotonic: self.moment(self.clock.now()), wall: self.clock.wall() }
    }

    fn moment(&self, at: Instant) -> Moment {
        at.saturating_duration_since(self.origin)
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if now.saturating_duration_since(self.ticked) >= limits::RAFT_TICK {
            self.ticked = now;
            self.core.tick(self.now());
        }
    }

    fn take(&mut self, job: Job) {
        let now = self.now();
        if !matches!(job, Job::Receive { .. }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        match job {
            Job::Propose { request, command, deadline, answer } => {
                let refusal = match self.disk {
                    Disk::Ready => None,
                    Disk::Full { .. } => Some(NotApplied::DiskFull),
                    Disk::Failed => Some(NotApplied::Failed),
                };
                if let Some(why) = refusal {
                    reply(answer, Proposal::NotApplied(why));
                    return;
                }
                self.proposers.entry(request).or_default().push(answer);
                self.core.propose(request, &command, self.moment(deadline), now);
            }
            Job::Read { query, deadline, answer } => {
                self.reads += 1;
                let id = ReadId(self.reads);
                self.readers.insert(id, answer);
                self.core.read(id, query, self.moment(deadline), now);
            }
            Job::Receive { from, bytes } => {
                if self.core.receive(from, &bytes, now).is_err() {
                    tracing::warn!(%from, "a message of another node cannot be read");
                }
            }
            Job::Transfer { to } => self.core.transfer(to, now),
            Job::ChangeMembership { change, answer } => {
                reply(answer, self.core.change_membership(change, now));
            }
            Job::Copy { answer } => reply(answer, self.core.backup()),
        }
    }

    /// Does what the replica says, until it says no more.
    fn drain(&mut self) {
        loop {
            let mut batch = Vec::new();
            while let Some(output) = self.core.poll() {
                self.carry_out(output, &mut batch);
            }
            if batch.is_empty() {
                return;
            }
            match &mut self.disk {
                Disk::Ready => {}
                Disk::Full { batch: waiting, .. } => return waiting.extend(batch),
                Disk::Failed => return,
            }
            match self.core.write(&batch) {
                Ok(()) => self.written(&batch),
                Err(error) => return self.stop_writing(&error, batch),
            }
        }
    }

    fn written(&mut self, batch: &[Persist]) {
        if let Some(last) = batch.last() {
            self.core.persisted(last.n, self.now());
        }
    }

    fn carry_out(&mut self, output: Output, batch: &mut Vec<Persist>) {
        match output {
            Output::Persist(persist) => batch.push(*persist),
            Output::Applied(entry) => self.publish(entry),
            Output::Answer { request, proposal } => {
                for answer in self.proposers.remove(&request).unwrap_or_default() {
                    reply(answer, proposal);
                }
            }
            Output::Read { id, result } => {
                if let Some(answer) = self.readers.remove(&id) {
                    reply(answer, result);
                }
            }
            Output::Relist { revision } => {
                *self.published.write() = self.core.state().map(State::replica);
                self.log.begin_anew(revision);
            }
            Output::Leader { leader, term } => tracing::debug!(?leader, term, "the metadata plane's leader"),
            Output::Halted(why) => self.fail(&why),
            Output::Send { to, class, bytes } => self.link.send(to, class, bytes),
        }
    }

    fn publish(&self, entry: AppliedEntry) {
        if entry.repeated {
            return;
        }
        if let Some(state) = &mut *self.published.write() {
            state.absorb(entry.revision, entry.now, &entry.changes);
        }
        self.log.push(entry.revision, entry.changes.to_vec(), self.clock.now());
    }

    /// After a failed write: what may be tried again is, later; else it was the last one.
    fn stop_writing(&mut self, error: &WriteError, batch: Vec<Persist>) {
        if !error.is_full() {
            self.fail(error);
            return;
        }
        if !std::mem::replace(&mut self.told, true) {
            tracing::error!(%error, "the disk of the metadata store is full: broadcasts and settings cannot be changed and nobody can begin to publish; free space on its file system, the node goes on by itself then");
        }
        self.disk = Disk::Full { again_at: self.clock.now() + limits::META_FULL_REST, batch };
        self.give_up_waiting();
    }

    fn try_full_disk_again(&mut self) {
        let Disk::Full { again_at, batch } = &mut self.disk else { return };
        if self.clock.now() < *again_at {
            return;
        }
        let batch = std::mem::take(batch);
        match self.core.write_again(&batch) {
            Ok(()) => {
                self.disk = Disk::Ready;
                self.told = false;
                tracing::info!("the disk of the metadata store has room again: changes are stored");
                self.written(&batch);
                self.drain();
            }
            Err(error) => self.stop_writing(&error, batch),
        }
    }

    fn fail(&mut self, error: &dyn std::error::Error) {
        self.disk = Disk::Failed;
        self.failed.send_replace(true);
        self.give_up_waiting();
        tracing::error!(%error, "the metadata store failed, nothing more is written until a restart");
    }

    /// What was proposed is in the log in memory, and may be on disk or not: who waits asks again.
    fn give_up_waiting(&mut self) {
        for answer in std::mem::take(&mut self.proposers).into_values().flatten() {
            reply(answer, Proposal::Unknown);
        }
    }
}

/// Who no longer waits for an answer asks again with the same request id.
fn reply<T>(answer: oneshot::Sender<T>, what: T) {
    let _ = answer.send(what);
}
