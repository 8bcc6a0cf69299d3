//! The store of one member.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base::limits;
use cluster_core::{Backup, NodeId, Persist, Saved};
use cluster_model::State;
use redb::Database;

use crate::file::{Opener, make_database, of_file, of_file_there};
use crate::{StoreError, WriteError, tables};

/// A member's file. Blocks: whoever writes has a thread for it.
pub struct MemberStore {
    path: PathBuf,
    open: Opener,
    /// `None` after a failed write, until [`MemberStore::write_again`].
    database: Option<Database>,
    /// Transactions that were written, of all lives.
    count: u64,
    /// What needs no sync of its own and goes with the next one, in its transaction. Lost with the process, it comes again of
    /// the log.
    waiting: Vec<Persist>,
}

impl MemberStore {
    /// Opens the store in the file `path`, or makes it, and gives what is in it. `first` makes the beginning of
    /// a cluster around the state of a file that was no member's: a new one, or one of a version before.
    pub fn open(
        path: impl AsRef<Path>,
        first: impl FnOnce(State) -> Saved,
    ) -> Result<(Self, Saved), StoreError> {
        let path = path.as_ref();
        let (mut store, saved) = Self::open_by(of_file(path), path, |state| Some(first(state)))?;
        // After a failed write it is opened again, and not made again.
        store.open = of_file_there(path);
        Ok((store, saved))
    }

    /// Opens the store of a member that has begun, in the file `path`. If nothing of a member is in it, its data is lost:
    /// one that began anew under its number would vote again, without its vote and its log.
    pub fn open_begun(path: impl AsRef<Path>) -> Result<(Self, Saved), StoreError> {
        let path = path.as_ref();
        Self::open_by(of_file_there(path), path, |_| None)
    }

    /// Makes the store in the file `path`, which must not exist, of a copy: the beginning of a cluster of `voters`
    /// whose generation is `generation`, or one more than that of the copy. So every claim and every unspent one-time
    /// token of before is void. It is there as a whole or not at all.
    pub fn restore(
        path: impl AsRef<Path>,
        backup: Backup,
        voters: impl IntoIterator<Item = NodeId>,
        generation: Option<u64>,
    ) -> Result<(), StoreError> {
        let path = path.as_ref();
        let exists = || StoreError::Exists { path: path.to_owned() };
        if path.try_exists().map_err(|source| StoreError::open(path, source))? {
            return Err(exists());
        }
        let generation = generation.unwrap_or_else(|| backup.state.generation().saturating_add(1));
        let saved = Saved::restored(voters, backup.state, generation)
            .map_err(|source| StoreError::Backup { path: path.to_owned(), source })?;
        let saved = Saved { level: backup.level, ..saved };
        let made = make_database(path, |database| tables::load(database, path, |_| Some(saved)).map(drop))?;
        made.map(drop).ok_or_else(exists)
    }

    /// [`MemberStore::open`] by an opener of its own; `path` is what errors name. `None` of `first`: it must be a member's
    /// already.
    pub(crate) fn open_by(
        open: Opener,
        path: &Path,
        first: impl FnOnce(State) -> Option<Saved>,
    ) -> Result<(Self, Saved), StoreError> {
        let (database, saved, count) = guarded(path, UNREADABLE, std::convert::identity, || {
            let database = open()?;
            let (saved, count) = tables::load(&database, path, first)?;
            Ok((database, saved, count))
        })?;
        let (path, database) = (path.to_owned(), Some(database));
        let store = Self { path, open, database, count, waiting: Vec::new() };
        Ok((store, saved))
    }

    /// Writes all of `batch`, in order, in one transaction. Unless one of it must be durable now it may wait for one that
    /// must be, and for at most [`limits::META_UNSYNCED_WRITES_MAX`].
    ///
    /// # Errors
    /// The write failed; nothing more is taken before [`MemberStore::write_again`].
    pub fn write(&mut self, batch: &[Persist]) -> Result<(), WriteError> {
        let Some(database) = &self.database else { return Err(WriteError::Closed) };
        let may_wait = !batch.iter().any(|persist| persist.sync)
            && self.waiting.len() + batch.len() <= limits::META_UNSYNCED_WRITES_MAX;
        if may_wait {
            self.waiting.extend_from_slice(batch);
            return Ok(());
        }
        let (all, count) = (self.waiting.iter().chain(batch), self.count + 1);
        match guarded(&self.path, UNWRITABLE, WriteError::Open, || tables::write(database, all, count)) {
            Ok(()) => {
                self.count = count;
                self.waiting.clear();
                Ok(())
            }
            Err(error) => {
                // What redb has in memory now may not be what is on disk.
                self.close();
                Err(error)
            }
        }
    }

    /// After a failed write of `batch`: opens the file anew, makes sure that it has what was on disk, and writes
    /// what it may lack. To write twice is to write once.
    ///
    /// # Errors
    /// It failed again, or the file is not what it was.
    pub fn write_again(&mut self, batch: &[Persist]) -> Result<(), WriteError> {
        self.close();
        let (all, count) = (self.waiting.iter().chain(batch), self.count + 1);
        let written = guarded(&self.path, UNWRITABLE, WriteError::Open, || {
            // Here from now on, so that whatever fails it is closed as it must be.
            let database = self.database.insert((self.open)().map_err(WriteError::Open)?);
            let found = tables::count(database).map_err(WriteError::Before)?;
            if !(self.count..=count).contains(&found) {
                return Err(WriteError::Open(StoreError::Lost { path: self.path.clone() }));
            }
            tables::write(database, all, count)
        });
        if written.is_err() {
            self.close();
            return written;
        }
        self.count = count;
        self.waiting.clear();
        Ok(())
    }
}

impl MemberStore {
    /// Closing writes too.
    fn close(&mut self) {
        let database = self.database.take();
        // What is damaged is named when the file is opened next.
        let _ = guarded(&self.path, UNWRITABLE, std::convert::identity, || {
            drop(database);
            Ok(())
        });
    }
}

impl Drop for MemberStore {
    fn drop(&mut self) {
        if let (Some(database), false) = (&self.database, self.waiting.is_empty()) {
            let (all, count) = (self.waiting.iter(), self.count + 1);
            // What is not written comes of the log again.
            let _ = guarded(&self.path, UNWRITABLE, WriteError::Open, || tables::write(database, all, count));
        }
        self.close();
    }
}

/// What shows that a file is damaged, when it leads redb astray.
const UNREADABLE: &str = "it cannot be read to its end";
const UNWRITABLE: &str = "it cannot be written";

/// Does `work` with the file `path`. A damaged part of it that nobody read yet may lead redb astray at any time: then the
/// file is named, with `what` shows it.
fn guarded<T, E>(
    path: &Path,
    what: &str,
    damaged: impl FnOnce(StoreError) -> E,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(damaged(StoreError::Damaged { path: path.to_owned(), what: what.to_owned() }))
    })
}

#[cfg(test)]
mod tests;
