//! What a core is set up with.

use std::time::Duration;

use base::limits;

use crate::NodeId;

/// Who this node is and how it behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// What its election timeouts are drawn from.
    pub seed: u64,
    /// The highest level of commands this program knows.
    pub level: u32,
    /// Figures.
    pub tuning: Tuning,
    /// A fault put in on purpose.
    #[cfg(feature = "broken")]
    pub broken: Option<crate::Broken>,
}

impl Config {
    /// The usual configuration of `node`.
    pub fn new(node: NodeId, seed: u64) -> Self {
        Self {
            node,
            seed,
            level: 1,
            tuning: Tuning::default(),
            #[cfg(feature = "broken")]
            broken: None,
        }
    }
}

/// Figures that tests make small. The defaults are the named limits.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Entries of the log that are kept behind the applied one for members that lag.
    pub log_entries_kept: u64,
    /// Entries kept at most, for one that lags further: it gets a snapshot.
    pub log_entries_max: u64,
    /// Bytes of the log that are kept behind the applied entry, unless a live member needs more.
    pub log_bytes_kept: u64,
    /// Bytes kept at most, for one that lags further.
    pub log_bytes_max: u64,
    /// Entries between two comparisons of the state's hash.
    pub check_hash_every: u64,
    /// Bytes of one chunk of a snapshot.
    pub chunk_bytes: usize,
    /// Age beyond which a node no longer decides by itself.
    pub authority_lease: Duration,
    /// Changes kept for watchers.
    pub watch_lag_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            log_entries_kept: limits::RAFT_LOG_ENTRIES_KEPT,
            log_entries_max: limits::RAFT_LOG_ENTRIES_MAX,
            log_bytes_kept: limits::RAFT_LOG_BYTES_KEPT,
            log_bytes_max: limits::RAFT_LOG_BYTES_MAX,
            check_hash_every: limits::RAFT_CHECK_HASH_ENTRIES,
            chunk_bytes: limits::RAFT_SNAPSHOT_CHUNK_BYTES,
            authority_lease: limits::AUTHORITY_LEASE,
            watch_lag_max: limits::META_WATCH_LAG_MAX,
        }
    }
}
