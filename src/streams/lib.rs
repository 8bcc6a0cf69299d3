//! The actors of a node: applications, streams, publishers, subscribers.
//!
//! An [`Application`] supervises its `Stream`s, a stream supervises its one `Publisher` and its
//! `Subscriber`s. They are control only: media flows through `media`'s rings, which the stream owns
//! and lends. No protocol's name stands here; a new protocol is new folders elsewhere.
//!
//! Invariants:
//! * nobody publishes or plays without a [`security::Permit`]; it is given back when its actor is gone;
//! * an end is a fact, never a queued message: downwards it is an [`Ending`] (first reason wins),
//!   upwards an [`Obituary`] written by a guard's `Drop`, panic included;
//! * a stream outlives its publisher by the grace, and passes to the next one that the gate lets in;
//! * mailboxes are bounded; a full one refuses, it never grows;
//! * `actix` does not restart an actor that panicked: the parent sees the obituary and re-creates.

mod application;
mod applications;
mod ending;
mod fault;
mod grants;
mod obituary;
mod plane;
mod publisher;
mod reader;
mod statistics;
mod stream;
mod subscriber;
mod tally;

pub use application::Application;
pub use applications::{Applications, PublishPolicy, Services};
pub use ending::Ending;
pub use fault::ActorKind;
#[cfg(feature = "faults")]
pub use fault::strike;
pub use grants::{LiveStream, PlayError, PlayGrant, PublishError, PublishGrant, PublisherFacts};
pub use obituary::{Obituaries, Obituary};
pub use plane::{BeginError, Claims, FactLog, Life};
pub use reader::{ReaderFactory, Serving};
pub use statistics::{Figures, LiveStatistics};
pub use subscriber::{Attach, Subscriber};
pub use tally::Tally;

#[cfg(test)]
mod tests;
