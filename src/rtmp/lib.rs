//! The RTMP session machine, sans-I/O: bytes and the time in, [`Output`]s out.
//!
//! A [`Session`] follows one connection of an encoder from the handshake to its end; [`Ingest`]
//! turns what it publishes into units and codec configurations. `rml_rtmp` lends the handshake, the
//! types of outgoing messages and the chunk serializer; everything that reads a peer's bytes is our
//! own, for its readers can be crashed by a peer.
//!
//! Not here: sockets and tasks (`sessions`), who may publish (`security`), and playing: a player
//! is told that playback is disabled.
//!
//! Specifications: Adobe's RTMP 1.0, AMF0 and FLV 10.1; Enhanced RTMP v2 as far as `container`
//! reads it; the URL forms, refusals and texts of Ant Media Server.
//!
//! Invariants:
//! * no input panics, and none makes the session hold more than its named limits;
//! * the same bytes give the same outputs however they are cut;
//! * every end has one typed [`CloseReason`], and [`Output::Close`] comes last, once everything
//!   to send was handed out;
//! * tokens and codes are [`base::Secret`]s from the moment the URL is read.

mod aggregate;
pub mod amf0;
mod capabilities;
pub mod chunk;
mod close;
mod command;
mod ingest;
mod metadata;
mod outgoing;
mod publish;
mod refusal;
mod session;
#[cfg(test)]
mod testing;

pub use close::CloseReason;
pub use ingest::{Ingest, IngestEvent};
pub use metadata::Metadata;
pub use publish::{PublishRequest, UrlError};
pub use refusal::Refusal;
pub use session::{Output, Session};
