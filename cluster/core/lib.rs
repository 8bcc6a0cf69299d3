//! The consensus of the metadata plane as a state machine: it is told the time and what came, and says what
//! is to be done.
//!
//! Reading order: [`Replica`] is a member with a log, a vote (or not yet) and a [`cluster_model::State`];
//! [`Client`] is any other node, which asks members. Both are fed by calls and drained with
//! `poll`, which gives [`Output`]s. What a replica wants on disk is a [`Persist`]; what it starts from is a
//! [`Saved`].
//!
//! Not here: files, sockets, threads, clocks, randomness.
//!
//! Invariants
//! - A write is answered as applied when it is durable on a quorum, committed and applied here or on the
//!   member that answers.
//! - Nothing that promises durability leaves before the [`Persist`] it rests on is [`Replica::persisted`].
//! - A linearizable read is answered from a state that has applied all that was committed when it was asked.
//! - The same seed and the same inputs give the same outputs: election timeouts are a function of seed,
//!   node and term.
//! - Every queue and map has its limit in [`base::limits`].

#[macro_use]
mod broken;

mod halt;
mod hash;
mod time;

mod entry;
mod wire;

mod backup;
mod config;
mod members;
mod output;
mod saved;

mod clocks;
mod freshness;
mod log;
mod proposals;
mod reads;
mod snapshots;
mod watchers;

mod client;
mod mirror;
mod replica;

#[cfg(test)]
mod golden;

pub use backup::{Backup, BackupError};
#[cfg(feature = "broken")]
pub use broken::Broken;
pub use client::Client;
pub use config::{Config, Tuning};
pub use halt::Halt;
pub use hash::Fnv;
pub use members::{Members, MembershipChange, MembershipError};
pub use output::{AppliedEntry, Class, Installed, LogEntry, Output, Persist, ReadId, Rows, Vote};
pub use replica::{MemberProgress, Replica, Status};
pub use saved::{Saved, SavedError};
pub use time::{Moment, Now};
pub use wire::{Envelope, WireError};

/// What a node may decide by itself.
pub use cluster_model::Authority;
/// A node of the cluster. Ids are never given twice.
pub use cluster_model::NodeId;
