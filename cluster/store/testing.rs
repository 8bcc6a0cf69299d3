//! Test aids for whoever works with stores.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

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
        MemberStore::open_by(Box::new(move || database_in(disk.clone(), path)), path, first)
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
