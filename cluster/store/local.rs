//! The store as the rest of the node sees it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use async_trait::async_trait;
use base::{Clock, limits};
use cluster_model::{
    ChangeLog, Command, Consistency, Filter, Meta, NotApplied, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, State, Watch,
};
use parking_lot::{Mutex, RwLock};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;

use crate::writer::{Disk, Job, Opener, Writer};
use crate::{StoreError, tables};

/// What redb may keep in memory: little, since readers are served from the state and never from the file.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A durable [`Meta`] in one file.
pub struct LocalStore {
    /// `None` once closed.
    queue: Mutex<Option<SyncSender<Job>>>,
    published: Arc<RwLock<State>>,
    /// Lives as long as the writer does.
    log: Weak<ChangeLog>,
    /// Whether a write failed for good. Ends with the writer.
    failed: watch::Receiver<bool>,
    thread: Option<JoinHandle<()>>,
}

impl LocalStore {
    /// Opens the store in the file `path`, or makes it (readable by this user only). `clock` stamps the
    /// commands and is what deadlines are measured by. Blocks: to be called before the runtime starts.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let of_writer = path.clone();
        Self::start(Box::new(move || open_database(&of_writer)), &path, clock)
    }

    fn start(open: Opener, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let database = open()?;
        let state = tables::load(&database, path)?;
        let log = ChangeLog::new(state.revision());
        let published = Arc::new(RwLock::new(state.replica()));
        let (queue, jobs) = mpsc::sync_channel(limits::META_COMMANDS_MAX);
        let (alive, failed) = watch::channel(false);
        let writer = Writer {
            path: path.to_owned(),
            open,
            disk: Disk::Ready(database),
            state,
            published: Arc::clone(&published),
            log: Arc::clone(&log),
            clock,
            failed: alive.clone(),
            told: false,
        };
        let thread = std::thread::Builder::new()
            .name("metadata".to_owned())
            .spawn(move || {
                writer.run(&jobs);
                // The file is closed by now, also after a panic, when this drop is all that runs.
                drop(alive);
            })
            .map_err(StoreError::Thread)?;
        let (queue, log, thread) = (Mutex::new(Some(queue)), Arc::downgrade(&log), Some(thread));
        Ok(Self { queue, published, log, failed, thread })
    }

    /// Waits until a write fails for another reason than a full disk: from then on every command is refused,
    /// and the node must be restarted. A store that was closed does not fail.
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
}

#[async_trait]
impl Meta for LocalStore {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        let (answer, answered) = oneshot::channel();
        let job = Job { request, command, deadline, answer };
        let sent = match &*self.queue.lock() {
            Some(queue) => queue.try_send(job),
            None => return Proposal::NotApplied(NotApplied::Closed),
        };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Proposal::NotApplied(NotApplied::Busy),
            Err(TrySendError::Disconnected(_)) => return Proposal::NotApplied(NotApplied::Failed),
        }
        match timeout_at(deadline.into(), answered).await {
            Ok(Ok(proposal)) => proposal,
            // The writer died with the command in its hands, or is not done with it.
            Ok(Err(_)) | Err(_) => Proposal::Unknown,
        }
    }

    async fn read(&self, query: Query, _: Consistency, _: Instant) -> Result<Reading, ReadFailed> {
        Ok(self.published.read().answer(&query))
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        // Without a writer there is a watch that ends at once.
        self.log.upgrade().unwrap_or_else(|| ChangeLog::new(Revision::ZERO)).watch(filter, from)
    }
}

impl Drop for LocalStore {
    /// Waits for the writer as [`LocalStore::close`] does, but blocks.
    fn drop(&mut self) {
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the metadata store panicked");
        }
    }
}

/// Opens the file, or makes it: under another name until all of a new store is in it, so that a start
/// that was cut short, or found the disk full, leaves no half a store behind.
fn open_database(path: &Path) -> Result<Database, StoreError> {
    let failed = |source| StoreError::open(path, source);
    if path.try_exists().map_err(failed)? {
        return database_in(open_file(path).map_err(failed)?, path);
    }
    make_database(path)
}

fn make_database(path: &Path) -> Result<Database, StoreError> {
    let failed = |source| StoreError::open(path, source);
    let new = new_file(path);
    let file = open_file(&new).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Another start may have made the store since it was looked for, and this file for nothing.
    if path.try_exists().map_err(failed)? {
        let _ = std::fs::remove_file(&new);
        drop(file);
        return database_in(open_file(path).map_err(failed)?, path);
    }
    file.set_len(0).map_err(failed)?;
    let database = database_in(file, path)?;
    tables::prepare(&database).map_err(|error| StoreError::unusable(path, error))?;
    std::fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(failed)?;
    Ok(database)
}

fn new_file(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn open_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn database_in(file: File, path: &Path) -> Result<Database, StoreError> {
    let backend = FileBackend::new(file).map_err(|error| refused(path, error))?;
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| refused(path, error))
}

/// A new file is durable once its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        other => StoreError::unusable(path, other.into()),
    }
}

#[cfg(test)]
mod tests;
