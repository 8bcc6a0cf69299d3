//! A member: it has the log, a state, and a vote unless it is still a learner.

mod apply;
#[cfg(feature = "broken")]
mod faults;
mod inputs;
mod turn;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::limits;
use cluster_model::{RequestId, Revision, State};
use raft::eraftpb::Message;
use raft::{RawNode, StateRole};

use crate::clocks::Clocks;
use crate::freshness::Freshness;
use crate::log::Log;
use crate::output::{Output, Persist};
use crate::proposals::Proposals;
use crate::reads::Reads;
use crate::saved::{Saved, SavedError};
use crate::snapshots::Snapshots;
use crate::watchers::Watchers;
use crate::{Authority, Class, Config, Envelope, Halt, Members, Moment, NodeId, Now};

/// A member of the cluster. Every call may leave outputs; they are taken with [`Replica::poll`], in order.
pub struct Replica {
    config: Config,
    raft: RawNode<Log>,
    state: State,
    members: Members,
    level: u32,
    applied: u64,
    /// Counts the lives of this node.
    boot: u64,
    /// The number of this life is on disk. Nothing is said before.
    started: bool,
    now: Now,
    ticked: Moment,
    outputs: VecDeque<Output>,
    persist_n: u64,
    /// Given out to be written and not yet written, in order.
    outstanding: VecDeque<Outstanding>,
    proposals: Proposals,
    /// What other nodes want proposed, until [`Replica::settle`].
    forwarded: Vec<(NodeId, RequestId, Vec<u8>)>,
    /// Something came in since outputs were last taken.
    unsettled: bool,
    /// While this node leads: proposed and not applied.
    in_log: BTreeSet<RequestId>,
    /// Who else is to be told of them.
    waiters: BTreeMap<RequestId, BTreeSet<NodeId>>,
    reads: Reads,
    freshness: Freshness,
    snapshots: Snapshots,
    watchers: Watchers,
    /// The level of commands that each member knows.
    levels: BTreeMap<NodeId, u32>,
    /// When this node gave its last sign of life.
    alive_told: Option<Moment>,
    clocks: Clocks,
    /// Since when this node leads, or does not.
    leads_since: Moment,
    /// The state's hash at the last entry where it is compared.
    hashed: Option<(u64, cluster_model::StateHash)>,
    /// The last one this node proposed to compare.
    checked: u64,
    /// The level it proposed.
    level_proposed: u32,
    told_leader: (Option<NodeId>, u64),
    /// The election timeout of a term.
    drawn: Option<(u64, usize)>,
    /// While it stands for election: since how many ticks.
    stands: usize,
    /// Nodes that wanted something proposed while nobody led, to be told who does.
    asked_in_vain: BTreeSet<NodeId>,
    halted: Option<Halt>,
}

struct Outstanding {
    n: u64,
    /// The newest of raft's readies it holds; 0 none.
    ready: u64,
    /// What may be sent once it is on disk.
    held: Vec<Message>,
    since: Moment,
}

/// What a replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The newest term it knows.
    pub term: u64,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// Whether it believes to lead.
    pub leads: bool,
    /// Committed up to here.
    pub commit: u64,
    /// Applied up to here.
    pub applied: u64,
    /// The last entry of the log.
    pub last: u64,
    /// The log begins behind this entry.
    pub compacted: u64,
    /// Who the members are.
    pub members: Members,
    /// The level of commands that may come.
    pub level: u32,
    /// The revision of its state.
    pub revision: Revision,
    /// While it leads: how far each other member is.
    pub progress: BTreeMap<NodeId, MemberProgress>,
}

/// How far a member is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberProgress {
    /// It has the log up to here.
    pub matched: u64,
    /// It was heard within an election timeout.
    pub active: bool,
    /// It is being sent a snapshot.
    pub snapshot: bool,
}

impl Replica {
    /// Begins a life with what is on disk. The first output counts the life; until it is persisted, nothing
    /// else happens.
    pub fn start(config: Config, saved: Saved, now: Now) -> Result<Self, SavedError> {
        let log = Log::new(&saved)?;
        if saved.level > config.level {
            let (found, known) = (saved.level, config.level);
            return Err(SavedError(format!(
                "it holds commands of level {found}, this program knows {known}"
            )));
        }
        let raft_config = raft::Config {
            id: config.node.0,
            election_tick: limits::RAFT_ELECTION_TICKS_MIN,
            heartbeat_tick: limits::RAFT_HEARTBEAT_TICKS,
            applied: saved.applied,
            max_size_per_msg: limits::RAFT_MESSAGE_BYTES_MAX,
            max_inflight_msgs: limits::RAFT_INFLIGHT_MESSAGES_MAX,
            check_quorum: true,
            pre_vote: true,
            min_election_tick: limits::RAFT_ELECTION_TICKS_MIN,
            max_election_tick: limits::RAFT_ELECTION_TICKS_MAX,
            read_only_option: raft::ReadOnlyOption::Safe,
            max_uncommitted_size: limits::RAFT_UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: limits::RAFT_APPLY_BYTES_MAX,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = RawNode::new(&raft_config, log, &logger).map_err(|error| SavedError(error.to_string()))?;
        let boot = if broken!(config, IncarnationNotRaised) {
            saved.boot.max(1)
        } else {
            saved.boot.saturating_add(1)
        };
        let at = (saved.state.revision(), saved.state.generation());
        let watch_lag_max = config.tuning.watch_lag_max;
        let clocks = Clocks::new(now.monotonic, saved.state.now());
        let mut replica = Self {
            config,
            raft,
            state: saved.state,
            members: saved.members,
            level: saved.level,
            applied: saved.applied,
            boot,
            started: false,
            now,
            ticked: now.monotonic,
            outputs: VecDeque::new(),
            persist_n: 0,
            outstanding: VecDeque::new(),
            proposals: Proposals::default(),
            forwarded: Vec::new(),
            unsettled: false,
            in_log: BTreeSet::new(),
            waiters: BTreeMap::new(),
            reads: Reads::default(),
            freshness: Freshness::default(),
            snapshots: Snapshots::default(),
            watchers: Watchers::new(at, watch_lag_max),
            levels: BTreeMap::new(),
            alive_told: None,
            clocks,
            leads_since: now.monotonic,
            hashed: None,
            checked: 0,
            level_proposed: 0,
            told_leader: (None, 0),
            drawn: None,
            stands: 0,
            asked_in_vain: BTreeSet::new(),
            halted: None,
        };
        replica.set_election_timeout();
        let persist = Persist { boot: Some(boot), sync: true, ..Persist::default() };
        replica.persist(persist, 0, Vec::new());
        Ok(replica)
    }

    /// The next thing to be done. What was proposed and asked since the last call is only taken up here: whoever has more
    /// inputs at hand gives them all before, so that they share entries, messages, writes and questions.
    pub fn poll(&mut self) -> Option<Output> {
        self.settle();
        self.outputs.pop_front()
    }

    /// The state, for local reads. It may lag.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The revision of the state.
    pub const fn revision(&self) -> Revision {
        self.state.revision()
    }

    /// Which life of this node this is.
    pub const fn boot(&self) -> u64 {
        self.boot
    }

    /// A copy of all that is applied. As large as the state: its rows are shared, their order is not.
    pub fn backup(&self) -> crate::Backup {
        let (members, state) = (self.members.clone(), self.state.clone());
        crate::Backup { applied: self.applied, level: self.level, members, state }
    }

    /// The newest moment of this node's monotonic clock at which what it knows was known to be all there is.
    pub const fn fresh_at(&self) -> Option<Moment> {
        self.freshness.newest()
    }

    /// How old what this node knows is at most.
    pub fn age(&self, now: Now) -> Option<std::time::Duration> {
        self.freshness.age(now.monotonic)
    }

    /// What this node may decide by itself.
    pub fn authority(&self, now: Now) -> Authority {
        self.freshness.authority(now.monotonic, self.config.tuning.authority_lease)
    }

    /// What it says of itself.
    pub fn status(&self) -> Status {
        let raft = &self.raft.raft;
        Status {
            term: raft.term,
            leader: self.leader(),
            leads: self.leads(),
            commit: raft.raft_log.committed,
            applied: self.applied,
            last: raft.raft_log.last_index(),
            compacted: self.raft.store().compacted().0,
            members: self.members.clone(),
            level: self.level,
            revision: self.state.revision(),
            progress: if self.leads() { self.progress() } else { BTreeMap::new() },
        }
    }

    fn progress(&self) -> BTreeMap<NodeId, MemberProgress> {
        let others = self.raft.raft.prs().iter().filter(|(id, _)| **id != self.config.node.0);
        others
            .map(|(id, progress)| {
                let snapshot = progress.state == raft::ProgressState::Snapshot;
                let (matched, active) = (progress.matched, progress.recent_active);
                (NodeId(*id), MemberProgress { matched, active, snapshot })
            })
            .collect()
    }

    fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    fn leader(&self) -> Option<NodeId> {
        Some(NodeId(self.raft.raft.leader_id)).filter(|leader| leader.0 != 0)
    }

    fn tell_time(&mut self, now: Now) {
        let monotonic = self.now.monotonic.max(now.monotonic);
        self.now = Now { monotonic, wall: now.wall };
    }

    /// A timeout drawn from seed, node and term instead of the crate's own randomness.
    fn set_election_timeout(&mut self) {
        if let Some((term, drawn)) = self.drawn
            && term == self.raft.raft.term
        {
            // Raft draws anew whenever it begins to wait, not only in a new term.
            self.raft.raft.set_randomized_election_timeout(drawn);
            return;
        }
        let mut hash = crate::hash::Fnv::default();
        hash.add_u64(self.config.seed);
        hash.add_u64(self.config.node.0);
        hash.add_u64(self.raft.raft.term);
        let (min, max) = (limits::RAFT_ELECTION_TICKS_MIN, limits::RAFT_ELECTION_TICKS_MAX);
        let drawn = min + usize::try_from(hash.finish() % (max - min) as u64).unwrap_or_default();
        self.drawn = Some((self.raft.raft.term, drawn));
        self.raft.raft.set_randomized_election_timeout(drawn);
    }

    fn send(&mut self, to: NodeId, class: Class, envelope: &Envelope) {
        self.outputs.push_back(Output::Send { to, class, bytes: envelope.encode() });
    }

    fn halt(&mut self, why: Halt) {
        if self.halted.is_none() {
            self.halted = Some(why.clone());
            for (request, proposal) in self.proposals.closed() {
                self.outputs.push_back(Output::Answer { request, proposal });
            }
            for read in self.reads.closed() {
                self.refuse_read(&read, cluster_model::ReadFailed::Closed);
            }
            self.outputs.push_back(Output::Halted(why));
        }
    }
}

#[cfg(test)]
mod tests;
