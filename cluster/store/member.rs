//! The store of one member.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base::limits;
use cluster_core::{Backup, Config, NodeId, Persist, Saved};
use cluster_model::State;
use redb::Database;

use crate::file::{Opener, make_database, of_file};
use crate::{StoreError, WriteError, tables};

/// A member's file. Blocks: whoever writes has a thread for it.
pub struct MemberStore {
    path: PathBuf,
    open: Opener,
    /// `None` after a failed write, until [`MemberStore::write_again`].
    database: Option<Database>,
    /// Transactions that were written, of all lives.
    count: u64,
    /// Of them, those that are on disk whatever happens.
    synced: u64,
    /// What the others wrote: closed without a sync, the file may have lost it.
    unsynced: Vec<Persist>,
}

impl MemberStore {
    /// Opens the store in the file `path`, or makes it, and gives what is in it. `first` makes the beginning of
    /// a cluster around the state of a file that was no member's: a new one, or one of a version before.
    pub fn open(
        path: impl AsRef<Path>,
        first: impl FnOnce(State) -> Saved,
    ) -> Result<(Self, Saved), StoreError> {
        let path = path.as_ref();
        Self::open_by(of_file(path), path, first)
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
        let voters: Vec<_> = voters.into_iter().collect();
        let generation = generation.unwrap_or_else(|| backup.state.generation().saturating_add(1));
        let config = Config::new(voters.first().copied().unwrap_or_default(), 0);
        let saved = Saved::restored(&config, voters, backup.state, generation)
            .map_err(|source| StoreError::Backup { path: path.to_owned(), source })?;
        let saved = Saved { level: backup.level, ..saved };
        let made = make_database(path, |database| tables::load(database, path, |_| saved).map(drop))?;
        made.map(drop).ok_or_else(exists)
    }

    /// [`MemberStore::open`] by an opener of its own; `path` is what errors name.
    pub(crate) fn open_by(
        open: Opener,
        path: &Path,
        first: impl FnOnce(State) -> Saved,
    ) -> Result<(Self, Saved), StoreError> {
        // A damaged file may lead redb astray.
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let database = open()?;
            let (saved, count) = tables::load(&database, path, first)?;
            Ok((database, saved, count))
        }));
        let (database, saved, count) = loaded.unwrap_or_else(|_| {
            let what = "it cannot be read to its end".to_owned();
            Err(StoreError::Damaged { path: path.to_owned(), what })
        })?;
        let (path, database) = (path.to_owned(), Some(database));
        let store = Self { path, open, database, count, synced: count, unsynced: Vec::new() };
        Ok((store, saved))
    }

    /// Writes all of `batch`, in order, in one transaction; durably if one of it must be.
    ///
    /// # Errors
    /// The write failed; nothing more is taken before [`MemberStore::write_again`].
    pub fn write(&mut self, batch: &[Persist]) -> Result<(), WriteError> {
        let Some(database) = &self.database else { return Err(WriteError::Closed) };
        let sync = batch.iter().any(|persist| persist.sync)
            || self.unsynced.len() + batch.len() > limits::META_UNSYNCED_WRITES_MAX;
        let count = self.count + 1;
        match guarded(&self.path, || tables::write(database, batch, count, sync)) {
            Ok(()) => {
                self.count += 1;
                if sync {
                    self.synced = self.count;
                    self.unsynced.clear();
                } else {
                    self.unsynced.extend_from_slice(batch);
                }
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
        let database = (self.open)().map_err(WriteError::Open)?;
        let found = tables::count(&database).map_err(WriteError::Before)?;
        if !(self.synced..=self.count + 1).contains(&found) {
            return Err(WriteError::Open(StoreError::Lost { path: self.path.clone() }));
        }
        let all: Vec<_> = self.unsynced.iter().chain(batch).cloned().collect();
        guarded(&self.path, || tables::write(&database, &all, self.count + 1, true))?;
        self.database = Some(database);
        self.count += 1;
        self.synced = self.count;
        self.unsynced.clear();
        Ok(())
    }
}

impl MemberStore {
    /// Closing writes too.
    fn close(&mut self) {
        let database = self.database.take();
        // What is damaged is named when the file is opened next.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

impl Drop for MemberStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// A damaged part of the file that nobody read yet may lead redb astray when something is written.
fn guarded(path: &Path, write: impl FnOnce() -> Result<(), WriteError>) -> Result<(), WriteError> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
        let what = "it cannot be written".to_owned();
        Err(WriteError::Open(StoreError::Damaged { path: path.to_owned(), what }))
    })
}

#[cfg(test)]
mod tests;
