//! The plane as the rest of the node sees it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::{Clock, Randomness, limits};
use cluster_core::{
    Authority, Backup, Client, Config, MembershipChange, MembershipError, NodeId, Now, Replica, Saved,
    SavedError, Status, Tuning,
};
use cluster_model::{
    ChangeLog, Command, Consistency, Filter, Meta, NotApplied, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, State, Watch,
};
use cluster_store::{MemberStore, StoreError};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;

use crate::age::FreshAt;
use crate::core::Core;
use crate::link::{Link, Nobody};
use crate::runtime::{Disk, Job, Runtime};

/// A node of the metadata plane: a member with its disk, or one that asks members.
pub struct Node {
    /// `None` once closed.
    queue: Mutex<Option<SyncSender<Job>>>,
    /// Callers' jobs in the queue.
    waiting: Arc<AtomicUsize>,
    status: watch::Receiver<Status>,
    /// `None`: nothing was copied yet.
    published: Arc<RwLock<Option<State>>>,
    fresh_at: Arc<FreshAt>,
    clock: Arc<dyn Clock>,
    /// What moments are counted from.
    origin: Instant,
    authority_lease: Duration,
    /// Lives as long as the thread does.
    log: Weak<ChangeLog>,
    /// Whether a write failed for good. Ends with the thread.
    failed: watch::Receiver<bool>,
    /// Of the one voter of a standalone node: whether it has led and answered a linearizable read in this life.
    certain: Option<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why a node cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in it.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The system gives it no thread.
    #[error("cannot start the thread of the metadata store: {0}")]
    Thread(std::io::Error),
}

/// Why there is no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Only members have all of it.
    #[error("this node is no member of the metadata store's cluster: ask one that is")]
    NoMember,
    /// Too much waits.
    #[error("too many commands wait for the metadata store")]
    Busy,
    /// The store is closed or failed.
    #[error("the metadata store is closed")]
    Closed,
}

/// A member that is to take part.
pub struct Member {
    /// Its number, never given twice.
    pub id: NodeId,
    /// What its election timeouts are drawn from.
    pub seed: u64,
    /// Its disk.
    pub store: MemberStore,
    /// What is on it.
    pub saved: Saved,
    /// How it behaves.
    pub tuning: Tuning,
}

/// The one voter of a standalone node.
const ALONE: NodeId = NodeId(1);

/// One voter waits for nobody, so nothing has to be drawn; nobody lags, so no entry is kept, and nobody watches
/// from elsewhere.
fn alone() -> Config {
    let tuning = Tuning { log_entries_kept: 0, watch_lag_max: 0, ..Tuning::default() };
    Config { tuning, ..Config::new(ALONE, 0) }
}

/// A life's first moment.
fn beginning(clock: &dyn Clock) -> Now {
    Now { monotonic: Duration::ZERO, wall: clock.wall() }
}

impl Node {
    /// A cluster of one voter in the file `path`, which is made if it is not there; one of a version before is
    /// taken over. `clock` stamps the commands and is what deadlines are measured by. Blocks: to be called
    /// before the runtime starts.
    pub fn alone(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let stored = MemberStore::open(path, |state| Saved::first([ALONE], state))?;
        Self::sole(stored, clock)
    }

    fn sole(stored: (MemberStore, Saved), clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let mut node = Self::start(alone(), stored, clock, Arc::new(Nobody))?;
        node.certain = Some(AtomicBool::new(false));
        Ok(node)
    }

    /// A member of a cluster: `id` with what is in its store, reached by and reaching others by `link`. `seed` is what
    /// its election timeouts are drawn from.
    pub fn member(member: Member, clock: Arc<dyn Clock>, link: Arc<dyn Link>) -> Result<Self, StartError> {
        let Member { id, seed, store, saved, tuning } = member;
        Self::start(Config { tuning, ..Config::new(id, seed) }, (store, saved), clock, link)
    }

    /// A node that is no member: `id`, which asks `members` (those that are known to begin with; it learns of others).
    /// What it has been told by them is all it has: local reads fail until it has a whole copy of the state.
    pub fn client(
        id: NodeId,
        members: Vec<NodeId>,
        tuning: Tuning,
        randomness: &dyn Randomness,
        clock: Arc<dyn Clock>,
        link: Arc<dyn Link>,
    ) -> Result<Self, StartError> {
        let config = Config { tuning, ..Config::new(id, randomness.next_u64()) };
        let (lease, now) = (config.tuning.authority_lease, beginning(&*clock));
        let client = Client::start(config, members, randomness.next_u64(), now);
        Self::run(Core::Client(Box::new(client)), lease, clock, link)
    }

    pub(crate) fn start(
        config: Config,
        (store, saved): (MemberStore, Saved),
        clock: Arc<dyn Clock>,
        link: Arc<dyn Link>,
    ) -> Result<Self, StartError> {
        let lease = config.tuning.authority_lease;
        let replica = Box::new(Replica::start(config, saved, beginning(&*clock))?);
        Self::run(Core::Member { replica, store }, lease, clock, link)
    }

    fn run(
        core: Core,
        authority_lease: Duration,
        clock: Arc<dyn Clock>,
        link: Arc<dyn Link>,
    ) -> Result<Self, StartError> {
        let state = core.state().map(State::replica);
        let log = ChangeLog::new(state.as_ref().map(State::revision).unwrap_or_default());
        let published = Arc::new(RwLock::new(state));
        let fresh_at = Arc::new(FreshAt::default());
        let origin = clock.now();
        let (queue, jobs) = mpsc::sync_channel(limits::META_COMMANDS_MAX + limits::META_INBOX_MAX);
        let (alive, failed) = watch::channel(false);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (says, status) = watch::channel(core.status());
        let runtime = Runtime {
            core,
            disk: Disk::Ready,
            link,
            published: Arc::clone(&published),
            fresh_at: Arc::clone(&fresh_at),
            log: Arc::clone(&log),
            clock: Arc::clone(&clock),
            origin,
            ticked: origin,
            waiting: Arc::clone(&waiting),
            status: says,
            proposers: BTreeMap::new(),
            readers: BTreeMap::new(),
            reads: 0,
            failed: alive.clone(),
            told: false,
        };
        let thread = std::thread::Builder::new()
            .name("metadata".to_owned())
            .spawn(move || {
                runtime.run(&jobs);
                // The file is closed by now, also after a panic, when this drop is all that runs.
                drop(alive);
            })
            .map_err(StartError::Thread)?;
        let (queue, log, thread) = (Mutex::new(Some(queue)), Arc::downgrade(&log), Some(thread));
        Ok(Self {
            queue,
            waiting,
            status,
            published,
            fresh_at,
            clock,
            origin,
            authority_lease,
            log,
            failed,
            certain: None,
            thread,
        })
    }

    /// Takes what another node sent; `false`: it is lost, because there is no room or the node is closed.
    pub fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.put(Job::Receive { from, bytes }).is_ok()
    }

    /// Has another member lead, if this one does.
    pub fn transfer(&self, to: NodeId) -> bool {
        self.hand(Job::Transfer { to }).is_ok()
    }

    /// Wants the membership changed. Answered when it is proposed; [`Node::status`] shows when it is done. Only the
    /// leader can.
    pub async fn change_membership(&self, change: MembershipChange) -> Result<(), MembershipError> {
        let (answer, answered) = oneshot::channel();
        self.hand(Job::ChangeMembership { change, answer }).map_err(|why| match why {
            NotApplied::Busy => MembershipError::Busy,
            _ => MembershipError::Closed,
        })?;
        answered.await.unwrap_or(Err(MembershipError::Closed))
    }

    /// A copy of all that this member has applied, consistent in itself, made while the node runs; `store` makes a new
    /// cluster of it ([`MemberStore::restore`]). On a member that lags it lags too. To take it holds the thread up for
    /// as long as maps of that size are copied; [`Backup::encode`], which takes longer, is for a thread of the caller's.
    pub async fn copy(&self) -> Result<Backup, CopyError> {
        let (answer, answered) = oneshot::channel();
        self.hand(Job::Copy { answer }).map_err(|why| match why {
            NotApplied::Busy => CopyError::Busy,
            _ => CopyError::Closed,
        })?;
        answered.await.map_err(|_| CopyError::Closed)?.ok_or(CopyError::NoMember)
    }

    /// How often the data was restored before, as this node knows it; `None`: it has no copy of the state yet.
    pub fn generation(&self) -> Option<u64> {
        self.published.read().as_ref().map(State::generation)
    }

    /// How old what this node knows is at most, by its own clock; `None`: nobody ever answered.
    pub fn age(&self) -> Option<Duration> {
        self.fresh_at.age(self.origin, self.clock.now())
    }

    /// What this node may decide by itself.
    pub fn authority(&self) -> Authority {
        Authority::of(self.age(), self.authority_lease)
    }

    /// What the node says of itself, now and whenever that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until a write fails for another reason than a full disk: from then on every command is refused,
    /// and the node must be restarted. A node that was closed does not fail.
    pub async fn failure(&self) {
        let panicked = self.failed.clone().wait_for(|failed| *failed).await.is_err();
        if panicked && self.queue.lock().is_none() {
            std::future::pending().await
        }
    }

    /// Takes no more commands, writes those that wait, closes the file and ends all watches.
    pub async fn close(&self) {
        drop(self.queue.lock().take());
        let mut failed = self.failed.clone();
        // Until it ends.
        while failed.changed().await.is_ok() {}
    }

    /// Waits until readers on this node see what was applied up to `revision`: who was answered reads what it wrote. They do
    /// at once where it was applied here first. On any other node than the leader the answer may be quicker; and if that is cut
    /// off, or copies the state anew, it is much quicker. So half of the time that is left is waited and no more: it is
    /// applied all the same, and whoever wants it must be told so by `deadline`.
    async fn show(&self, revision: Revision, deadline: Instant) {
        let Some(reached) = self.log.upgrade().map(|log| log.reached(revision)) else { return };
        let now = self.clock.now();
        let until = now + deadline.saturating_duration_since(now) / 2;
        // Late is as good as it gets.
        let _ = timeout_at(until.into(), reached).await;
    }

    /// Whether what is published here is all that anybody was ever answered for, so that a linearizable read need not wait for
    /// the thread (which costs two wake-ups): nobody else decides, what is applied is published before it is answered for, and
    /// what was in the log at the start is applied once a linearizable read was answered. Not when nothing is decided any more.
    fn is_certain(&self) -> bool {
        let has_read = self.certain.as_ref().is_some_and(|certain| certain.load(Ordering::Acquire));
        has_read && self.queue.lock().is_some() && self.failed.has_changed().is_ok()
    }

    /// Puts a caller's job into the queue. There are so many of them at most, so that what other nodes say finds room.
    fn hand(&self, job: Job) -> Result<(), NotApplied> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= limits::META_COMMANDS_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(NotApplied::Busy);
        }
        self.put(job).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn put(&self, job: Job) -> Result<(), NotApplied> {
        let sent = match &*self.queue.lock() {
            Some(queue) => queue.try_send(job),
            None => return Err(NotApplied::Closed),
        };
        sent.map_err(|error| match error {
            TrySendError::Full(_) => NotApplied::Busy,
            TrySendError::Disconnected(_) => NotApplied::Failed,
        })
    }
}

#[async_trait]
impl Meta for Node {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        let (answer, answered) = oneshot::channel();
        if let Err(why) = self.hand(Job::Propose { request, command, deadline, answer }) {
            return Proposal::NotApplied(why);
        }
        let Ok(Ok(proposal)) = timeout_at(deadline.into(), answered).await else {
            // The thread died with the command in its hands, or is not done with it.
            return Proposal::Unknown;
        };
        if let Proposal::Applied { revision, .. } = proposal {
            self.show(revision, deadline).await;
        }
        proposal
    }

    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed> {
        if consistency == Consistency::Local || self.is_certain() {
            let published = self.published.read();
            return published.as_ref().map(|state| state.answer(&query)).ok_or(ReadFailed::NotListed);
        }
        let (answer, answered) = oneshot::channel();
        self.hand(Job::Read { query, deadline, answer }).map_err(|why| match why {
            NotApplied::Closed | NotApplied::Failed => ReadFailed::Closed,
            _ => ReadFailed::TooLate,
        })?;
        match timeout_at(deadline.into(), answered).await {
            Ok(Ok(result)) => {
                if let (Some(certain), Ok(_)) = (&self.certain, &result) {
                    certain.store(true, Ordering::Release);
                }
                result
            }
            Ok(Err(_)) => Err(ReadFailed::Closed),
            Err(_) => Err(ReadFailed::TooLate),
        }
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        // Without a thread there is a watch that ends at once.
        self.log.upgrade().unwrap_or_else(|| ChangeLog::new(Revision::ZERO)).watch(filter, from)
    }
}

impl Drop for Node {
    /// Waits for the thread as [`Node::close`] does, but blocks.
    fn drop(&mut self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the metadata store panicked");
        }
    }
}

#[cfg(test)]
mod tests;
