//! The port of the metadata plane.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base::{AppName, StreamId};
use serde::{Deserialize, Serialize};

use crate::{Broadcast, Change, Command, Filter, Outcome, RequestId, SettingsRecord, Watch, Which};

/// How many commands were applied. Grows by one per applied command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first command.
    pub const ZERO: Self = Self(0);

    /// The next one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One durable state that everybody agrees on. Implemented by the local store and by the cluster's
/// node; whatever implements it passes `meta_conformance!`.
///
/// Callers outside `cluster` use the façades [`crate::Broadcasts`] and [`crate::Settings`].
#[async_trait]
pub trait Meta: Send + Sync {
    /// Wants `command` applied. Answers by `deadline`, honestly: [`Proposal::Applied`] only once it is
    /// durable, [`Proposal::NotApplied`] only if this call will never have an effect, [`Proposal::Unknown`]
    /// else. Who is told `Unknown` proposes the same `request` again to learn more; it is applied once.
    /// `NotApplied` says nothing of an earlier call with the same request.
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal;

    /// Reads by `deadline`.
    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed>;

    /// Tells of every change after `from` that `filter` wants. If those are no longer at hand, the first
    /// event says so.
    fn watch(&self, filter: Filter, from: Revision) -> Watch;
}

/// What became of a proposed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Applied and durable.
    Applied {
        /// At which revision.
        revision: Revision,
        /// With which outcome.
        outcome: Outcome,
    },
    /// This call had no effect, and it never will.
    NotApplied(NotApplied),
    /// Applied or not, now or later.
    Unknown,
}

/// Why a command was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// Too many commands wait already.
    #[error("too many commands wait for the metadata store")]
    Busy,
    /// The deadline passed before it was its turn.
    #[error("the deadline passed before the command was taken up")]
    TooLate,
    /// The store was closed.
    #[error("the metadata store is closed")]
    Closed,
    /// There is no room on the disk. The store goes on by itself once there is.
    #[error("the disk of the metadata store is full: nothing can be stored until space is freed on it")]
    DiskFull,
    /// The disk failed; the node must be restarted.
    #[error("the metadata store failed and takes no more commands")]
    Failed,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One broadcast: [`Answer::Broadcast`].
    Broadcast {
        /// The application.
        app: AppName,
        /// The id.
        stream: StreamId,
    },
    /// A page of broadcasts in byte order of their ids: [`Answer::Broadcasts`].
    Broadcasts {
        /// The application.
        app: AppName,
        /// Which ones.
        which: Which,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// The number of broadcasts: [`Answer::Count`].
    BroadcastCount {
        /// The application.
        app: AppName,
        /// Which ones.
        which: Which,
    },
    /// Settings: [`Answer::Settings`].
    Settings {
        /// The application.
        app: AppName,
    },
    /// Everything a watcher of this filter needs to begin again: [`Answer::Listed`].
    List(Filter),
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every command that was answered before the question was asked. For decisions, and for
    /// every answer that refuses somebody.
    Linearizable,
    /// What this node has; may lag.
    Local,
}

/// An answer and the revision it is true at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The revision.
    pub revision: Revision,
    /// The answer.
    pub answer: Answer,
}

/// The answers to [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// One broadcast or none.
    Broadcast(Option<Arc<Broadcast>>),
    /// A page of broadcasts.
    Broadcasts(Vec<Arc<Broadcast>>),
    /// A number.
    Count(u64),
    /// Settings or none.
    Settings(Option<Arc<SettingsRecord>>),
    /// Everything of a filter, in the form of changes.
    Listed(Vec<Change>),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The deadline passed.
    #[error("the metadata store did not answer in time")]
    TooLate,
    /// The store is closed or failed.
    #[error("the metadata store is closed")]
    Closed,
}

impl crate::State {
    /// Answers `query` from this state.
    pub fn answer(&self, query: &Query) -> Reading {
        let answer = match query {
            Query::Broadcast { app, stream } => Answer::Broadcast(self.broadcast(app, stream).cloned()),
            Query::Broadcasts { app, which, offset, size } => Answer::Broadcasts(
                self.broadcasts(app)
                    .filter(|broadcast| which.takes(broadcast))
                    .skip(*offset)
                    .take(*size)
                    .cloned()
                    .collect(),
            ),
            Query::BroadcastCount { app, which } => {
                let count = match which {
                    Which::All => self.broadcasts_len(app),
                    which => self.broadcasts(app).filter(|broadcast| which.takes(broadcast)).count(),
                };
                Answer::Count(count as u64)
            }
            Query::Settings { app } => Answer::Settings(self.settings(app).cloned()),
            Query::List(filter) => Answer::Listed(self.list(filter)),
        };
        Reading { revision: self.revision(), answer }
    }
}
