//! Test aids for whoever works with stores.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base::Randomness;
use cluster_core::Saved;
use cluster_model::State;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use crate::file::database_in;
use crate::{MemberStore, StoreError};

/// A disk in memory that is full, or gone, from a given moment on. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FailingDisk {
    memory: Arc<InMemoryBackend>,
    fault: Arc<Mutex<Option<ErrorKind>>>,
}

impl FailingDisk {
    /// One that is empty and well.
    #[expect(clippy::new_without_default, reason = "an empty disk is said, not assumed")]
    pub fn new() -> Self {
        Self { memory: Arc::new(InMemoryBackend::new()), fault: Arc::default() }
    }

    /// Writes fail from now on in this way; `None`: no more.
    pub fn breaks(&self, fault: impl Into<Option<ErrorKind>>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault.into();
    }

    /// The store on it.
    pub fn open(&self, first: impl FnOnce(State) -> Saved) -> Result<(MemberStore, Saved), StoreError> {
        let (disk, path) = (self.clone(), Path::new("metadata.redb"));
        MemberStore::open_by(Box::new(move || database_in(disk.clone(), path)), path, |state| {
            Some(first(state))
        })
    }

    fn check(&self) -> io::Result<()> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

/// What a disk writes at once: a write that is cut short ends at such a boundary.
const SECTOR_BYTES: usize = 512;

/// A disk in memory whose power goes. What was written since the last sync is then there or not, write by write, and cut
/// short. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct CrashingDisk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// As whoever has it open sees it.
    image: Vec<u8>,
    /// What was written since the last sync: where, what was there, and what is now.
    unsynced: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// After so many writes the power goes.
    fuse: Option<u64>,
    /// It is gone.
    dark: bool,
}

impl CrashingDisk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store on it.
    pub fn open(&self, first: impl FnOnce(State) -> Saved) -> Result<(MemberStore, Saved), StoreError> {
        let (disk, path) = (self.clone(), Path::new("metadata.redb"));
        MemberStore::open_by(Box::new(move || database_in(disk.clone(), path)), path, |state| {
            Some(first(state))
        })
    }

    /// The power goes after so many writes or syncs more.
    pub fn goes_dark_after(&self, writes: u64) {
        self.platter().fuse = Some(writes);
    }

    /// The power is gone: nothing more is written.
    pub fn goes_dark(&self) {
        self.platter().dark = true;
    }

    /// The power is back. What was not synced is there as chance has it.
    pub fn comes_back(&self, dice: &dyn Randomness) {
        let platter = &mut *self.platter();
        let unsynced = std::mem::take(&mut platter.unsynced);
        for (at, before, _) in unsynced.iter().rev() {
            platter.put(*at, before);
        }
        for (at, _, after) in &unsynced {
            match dice.next_u64() % 4 {
                0 => {}
                1 => {
                    let sectors = (after.len() / SECTOR_BYTES) as u64 + 1;
                    let kept = usize::try_from(dice.next_u64() % sectors).unwrap_or_default() * SECTOR_BYTES;
                    platter.put(*at, after.get(..kept).unwrap_or_default());
                }
                _ => platter.put(*at, after),
            }
        }
        (platter.fuse, platter.dark) = (None, false);
    }

    fn platter(&self) -> std::sync::MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn put(&mut self, at: usize, data: &[u8]) {
        if let Some(place) = self.image.get_mut(at..at + data.len()) {
            place.copy_from_slice(data);
        }
    }

    /// One step nearer to the dark.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => self.dark = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if self.dark { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }
}

impl StorageBackend for CrashingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter();
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let there = platter.image.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(there);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let platter = &mut *self.platter();
        platter.burn()?;
        platter.image.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let platter = &mut *self.platter();
        platter.burn()?;
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let platter = &mut *self.platter();
        platter.burn()?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let before = platter.image.get(at..at + data.len()).ok_or(ErrorKind::UnexpectedEof)?.to_vec();
        platter.put(at, data);
        platter.unsynced.push((at, before, data.to_vec()));
        Ok(())
    }
}
