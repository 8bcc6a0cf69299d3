//! The metadata plane at work: one thread runs the consensus, writes what it wants on disk, and answers.
//!
//! [`Node`] is the face of it, a [`cluster_model::Meta`]. The thread (`runtime`) takes what waits in a bounded
//! queue, hands it to the [`cluster_core::Replica`], and does what that says: what is to be written in one
//! transaction with one sync, then what was applied is shown to readers and told to watchers, and who proposed
//! it is answered, in this order. Local reads read memory.
//!
//! A standalone node is a cluster of one voter. Other members are reached by a [`Link`]; what they say comes back
//! through the same queue.
//!
//! Invariants
//! - What was answered as applied is in the log on disk.
//! - Readers and watchers never see what is not.
//! - After a failed write nothing more is written before the file was read again: by itself once a full disk
//!   has room, by the next start of the process after any other failure.
//! - Nothing here blocks an async thread, except dropping a node that was not closed.

mod link;
mod node;
mod runtime;

pub use cluster_core::{Class, NodeId, Saved, Status};
pub use cluster_store::{MemberStore, StoreError};
pub use link::Link;
pub use node::{Member, Node, StartError};
