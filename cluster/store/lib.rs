//! The durable home of the metadata plane on one node: a [`cluster_model::State`] in one crash-safe file.
//!
//! One writer thread takes what waits in a bounded queue, applies it and commits it with one fsync;
//! then it is shown to readers, told to watchers and answered, in this order. Readers read memory.
//!
//! Invariants
//! - What was answered as applied is on disk: rows, revision and request ids in one transaction.
//! - Readers and watchers never see what is not on disk.
//! - After a failed write nothing more is written before the file was read again: by itself once a full disk
//!   has room, by the next start of the process after any other failure.
//! - Nothing here blocks an async thread, except dropping a store that was not closed.

mod error;
mod local;
mod tables;
mod writer;

pub use error::StoreError;
pub use local::LocalStore;
