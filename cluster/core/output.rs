//! What a core wants done.

use std::sync::Arc;

use base::WallTime;
use cluster_model::{Change, Outcome, Proposal, ReadFailed, Reading, RequestId, Revision, State};

use crate::{Halt, Members, NodeId};

/// Which connection a message goes by. They never share one, so that a snapshot holds up no heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Consensus.
    Raft,
    /// Chunks of snapshots.
    Snapshot,
    /// Proposals, reads, watches.
    Meta,
}

/// One question, to know its answer by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// One thing to be done, in the order they are given out.
#[derive(Clone, Debug)]
pub enum Output {
    /// To be sent; it may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// By which connection.
        class: Class,
        /// An encoded [`crate::Envelope`].
        bytes: Vec<u8>,
    },
    /// To be written, in this order; then [`crate::Replica::persisted`] is called.
    Persist(Box<Persist>),
    /// What became of a proposal made here.
    Answer {
        /// Which.
        request: RequestId,
        /// What.
        proposal: Proposal,
    },
    /// The answer to a read made here.
    Read {
        /// Which.
        id: ReadId,
        /// What.
        result: Result<Reading, ReadFailed>,
    },
    /// A command was applied: for watchers on this node.
    Applied(AppliedEntry),
    /// Everything may have changed: watchers list again at this revision.
    Relist {
        /// The revision.
        revision: Revision,
    },
    /// Another leader, or none that is known.
    Leader {
        /// Who.
        leader: Option<NodeId>,
        /// In which term.
        term: u64,
    },
    /// The replica takes no further part.
    Halted(Halt),
}

/// A command that was applied, and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedEntry {
    /// Its place in the log; 0 when a client is told by a member.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// The revision; for a retry, the one of the first time.
    pub revision: Revision,
    /// Who wanted it; none when a client is told by a member.
    pub request: Option<RequestId>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// What it changed; nothing for a retry.
    pub changes: Arc<[Change]>,
    /// Whether it was a retry of something already applied.
    pub repeated: bool,
    /// The state's time after it.
    pub now: WallTime,
}

/// What raft must remember besides its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// The newest term seen.
    pub term: u64,
    /// Whom this node voted for in it; 0 nobody.
    pub voted_for: u64,
    /// Committed up to here.
    pub commit: u64,
}

/// An entry of the log as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The whole entry, encoded.
    pub bytes: Vec<u8>,
}

/// What the log changed in the state.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Applied up to here.
    pub index: u64,
    /// The state's time.
    pub now: WallTime,
    /// Level of commands that may come.
    pub level: u32,
    /// The members, if they changed.
    pub members: Option<Members>,
    /// The commands, without retries.
    pub commands: Vec<AppliedEntry>,
}

/// A state that came from another member as a whole.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Applied up to here. Belongs to the state: without it the log would be applied to it again.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// The members at that entry.
    pub members: Members,
    /// Level of commands at that entry.
    pub level: u32,
    /// The state.
    pub state: State,
}

/// One transaction of the store: all of it or nothing, and after all that were given out before it.
#[derive(Clone, Debug, Default)]
pub struct Persist {
    /// Counts the transactions.
    pub n: u64,
    /// Whether it must be on disk before it is called persisted. Else its place in the order is enough.
    pub sync: bool,
    /// The number of this life.
    pub boot: Option<u64>,
    /// Replaces everything before: log, state, members.
    pub snapshot: Option<Box<Installed>>,
    /// Replaces the log from the first one's index on.
    pub entries: Vec<LogEntry>,
    /// The vote.
    pub vote: Option<Vote>,
    /// What was applied.
    pub rows: Option<Rows>,
    /// The log up to this entry (index, term) may go.
    pub compacted: Option<(u64, u64)>,
}
