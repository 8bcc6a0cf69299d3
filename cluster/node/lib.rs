//! The metadata plane at work: one thread runs the consensus, writes what it wants on disk, and answers.
//!
//! [`Node`] is the face of it, a [`cluster_model::Meta`]. The thread (`runtime`) takes what waits in a bounded
//! queue, hands it to the [`cluster_core::Replica`], and does what that says: what is to be written in one
//! transaction with one sync, then what was applied is shown to readers and told to watchers, and who proposed
//! it is answered, in this order. Local reads read memory.
//!
//! A node that is no member ([`Node::client`]) runs the same thread without a disk: it has the members propose and read,
//! and keeps a copy of their state. A standalone node is a cluster of one voter. Other members are reached by a [`Link`]; what they say comes back
//! through the same queue.
//!
//! Invariants
//! - What was answered as applied is in the log on disk.
//! - Readers and watchers never see what is not.
//! - After a failed write nothing more is written before the file was read again: by itself once a full disk
//!   has room, by the next start of the process after any other failure.
//! - How old what a node knows is can be asked at any time, and never waits for the thread.
//! - Nothing here blocks an async thread, except dropping a node that was not closed.

mod age;
mod core;
mod link;
mod node;
mod runtime;

pub use cluster_core::{
    Backup, Class, Envelope, Members, MembershipChange, MembershipError, NodeId, Saved, Status, Tuning,
};
pub use cluster_store::{MemberStore, StoreError};
pub use link::Link;
pub use node::{CopyError, Member, Node, StartError};
