//! Why the store cannot be opened.

use std::path::PathBuf;

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
    /// The writer thread cannot be started.
    #[error("cannot start the thread of the metadata store: {0}")]
    Thread(std::io::Error),
}
