//! What a member of the cluster has on disk: its log, its vote and the [`cluster_model::State`] that came of the
//! log, in one crash-safe file.
//!
//! A store does what [`cluster_core::Persist`]s say, as many in one transaction as there are, and gives them
//! back as a [`cluster_core::Saved`] when it is opened. It decides nothing and has no thread.
//!
//! Invariants
//! - Log, vote, applied entry and rows of one transaction are on disk together or not at all.
//! - What was written with `sync` is there after any crash, and with it all that was written before.
//! - What a file holds is what was written: a bit that flipped, or a part that is missing, is an error that names the
//!   file.
//! - After a failed write nothing more is written before the file was opened anew, and found to hold all that
//!   was on disk.

mod error;
mod file;
mod member;
mod sums;
mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::{StoreError, WriteError};
pub use member::MemberStore;
