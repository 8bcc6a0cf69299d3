//! What nodes say to each other: over TLS 1.3 both ways, on connections that this crate makes, keeps and counts.
//!
//! [`Secrets`] are what nodes know each other by; certificates are made from them in memory (`authority`).
//! [`Links`] is the link of a running node: it carries the messages of the metadata plane as a
//! [`cluster_node::Link`], and asks [`Local`] for what this node answers. [`Dialer`] asks one question: for the command
//! line, and before there is a cluster. The messages are `schemas/cluster/link.proto`, as gRPC.
//!
//! Not here: what the messages mean (they are bytes), who becomes a member, what an order does.
//!
//! Invariants
//! - Nobody is read a request of who has not shown a certificate of the secret, and no message of who is not of the
//!   cluster; what a message says of its sender is the certificate's word.
//! - Sending never waits. What waits to be sent is bounded for each node and class, and the oldest gives way.
//! - Each class has a connection of its own to each node, so that a snapshot holds up no heartbeat.
//! - A node that is silently gone is noticed within two seconds.
//! - A secret is in no log line, no error and no `Debug`.

mod cluster_id;
mod name;
mod secret;

mod authority;
mod figures;
mod introduction;
mod order;
mod proto;
mod wire;

mod connect;
mod doors;
mod inbound;
mod lane;
mod peers;
mod queue;
mod service;
mod shared;

mod dialer;
mod formation;
pub mod fuzzing;
mod links;

pub use cluster_core::{Class, MemberProgress, NodeId};
pub use cluster_id::ClusterId;
pub use dialer::{CallError, Dialer};
pub use figures::{ClassFigures, LinkFigures, Refusal};
pub use formation::{Standing, Step, Waiting, next_step};
pub use introduction::{Introduction, Phase};
pub use links::{LinkError, LinkOptions, Links, Local};
pub use name::PeerName;
pub use order::{LinkReport, Order, Report, StatusReport};
pub use peers::PeerState;
pub use secret::{ClusterSecret, SecretError, Secrets};
