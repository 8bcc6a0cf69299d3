//! What a new cluster is restored from: snapshots of the state in chunks, and segments of what changed since.
//!
//! A snapshot has a random id, and segments belong to it: each says after which revision it begins and with which it
//! ends, so that they make one chain. A leader that follows another goes on with its chain, if that is the newest snapshot's;
//! of two that write the same piece of it, the longer one stands. What is restored is the chain that reaches furthest.
//!
//! A snapshot's row is written first and completed last. Before anything of a snapshot goes, its row says that it is not
//! complete: a reader finds a whole one, or sees why not and begins anew.

mod restore;
mod segment;
mod writer;

use cluster_model::Revision;

pub(crate) use restore::found;
pub use restore::{ArchiveError, RestoredState, SnapshotFound, Which, list, read, restore};
use segment::{Segment, SegmentError};
pub(crate) use writer::{SnapshotWrites, prune, segment_writes, snapshot_writes};

/// The one partition of `archive_snapshots`.
const NAME: &str = "penstock";

/// The chain that segments are added to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Id of the snapshot it begins with.
    pub snapshot: String,
    /// Revision of that.
    pub from: Revision,
    /// Segments so far.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}
