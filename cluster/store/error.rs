//! Why the store cannot be opened, or written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cluster_model::FormatError;

/// Why the metadata store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or made.
    #[error("cannot open the metadata store {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no room for it on its disk.
    #[error("no space is left for the metadata store {path}; free some on its file system and start again")]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it.
    #[error(
        "the metadata store {path} is in use by another process; does a second node run on this data folder?"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version of this program.
    #[error(
        "the metadata store {path} has format {found}, this program reads format {known}; \
         run the version that wrote it, or restore a backup made before the upgrade"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// A row cannot be read.
    #[error("the metadata store {path} holds a {row} that cannot be read: {source}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Kind of row.
        row: &'static str,
        /// Why.
        source: FormatError,
    },
    /// The file is not a store, or is damaged.
    #[error("the metadata store {path} cannot be used: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// A bit flipped in it, or a part is missing.
    #[error(
        "the metadata store {path} is damaged: {what}; restore a backup, or let this member join anew with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What shows it.
        what: String,
    },
    /// A backup is not restored over a store that is there.
    #[error("the metadata store {path} exists: a backup is restored into an empty data folder only")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The backup cannot be the beginning of a cluster.
    #[error("the backup cannot be restored to {path}: {source}")]
    Backup {
        /// The file.
        path: PathBuf,
        /// Why.
        source: cluster_core::SavedError,
    },
    /// It holds less than was promised to be in it.
    #[error("the metadata store {path} has lost changes that were on disk")]
    Lost {
        /// The file.
        path: PathBuf,
    },
}

/// A write that did not come through.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A row cannot be written as what it is stored as. Nothing is on disk.
    #[error("before the commit: {0}")]
    Row(#[from] FormatError),
    /// Nothing of it is on disk.
    #[error("before the commit: {0}")]
    Before(redb::Error),
    /// Perhaps it is on disk.
    #[error("in the commit: {0}")]
    During(redb::Error),
    /// The file could not be opened anew.
    #[error(transparent)]
    Open(StoreError),
    /// A write before it failed.
    #[error("the file is closed since a write failed")]
    Closed,
}

impl WriteError {
    /// Whether there was no room for it: it may be tried again when there is.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Before(error) | Self::During(error) => is_full(error),
            Self::Open(error) => matches!(error, StoreError::NoSpace { .. }),
            Self::Row(_) | Self::Closed => false,
        }
    }
}

impl StoreError {
    /// What a failure to read or make the file `path` is.
    pub(crate) fn unusable(path: &Path, source: redb::Error) -> Self {
        if is_full(&source) {
            Self::NoSpace { path: path.to_owned() }
        } else {
            Self::Unusable { path: path.to_owned(), source: Box::new(source) }
        }
    }

    /// The same for what the system itself says.
    pub(crate) fn open(path: &Path, source: std::io::Error) -> Self {
        if is_full_kind(source.kind()) {
            Self::NoSpace { path: path.to_owned() }
        } else {
            Self::Open { path: path.to_owned(), source }
        }
    }
}

/// Whether there was no room for a write: the one failure after which the disk still has what it had.
pub(crate) fn is_full(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(error) if is_full_kind(error.kind()))
}

fn is_full_kind(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_what_helps() {
        let path = Path::new("/data/metadata.redb");
        let error = StoreError::open(path, ErrorKind::StorageFull.into());
        assert!(error.to_string().contains("/data/metadata.redb; free some on its file system"), "{error}");
    }
}
