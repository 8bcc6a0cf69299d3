//! One task per connection, and the listeners: where protocols meet sockets.
//!
//! A session reads its socket, drives its protocol's sans-I/O machine, asks the gate, and then
//! writes units to a stream or has a shard read them. It decides nothing about streams.
//!
//! Invariants:
//! * every connection is counted before a byte of it is read, and by address too ([`Connections`]);
//! * a header about where a peer is counts only from a proxy that the operator trusts ([`peer_of`]);
//! * an end has one reason, and the log and the metrics show that one;
//! * `rtmp`, `rtc` and `http` do not use each other.

mod body;
mod connections;
mod entering;
pub mod http;
mod parameters;
mod patience;
mod peer;
pub mod proxy;
mod result;
pub mod rtc;
pub mod rtmp;
mod tracks;
mod watched;

pub use body::{Body, BodyError, hold};
pub use connections::{Connections, OpenConnection, TooMany};
pub use parameters::Parameters;
pub use peer::{forwarding_of, is_encrypted, peer_of};
pub use watched::{Upgraded, Watch};
