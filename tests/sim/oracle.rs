//! What must hold, whatever happened. One invariant per file.

mod acknowledged;
mod ages;
mod applied;
mod authority;
mod elections;
mod epochs;
mod forward;
mod generations;
mod histories;
mod leases;
mod lives;
mod log_matching;
mod mirrors;
mod once;
mod one_command;
mod reads;
mod refusals;
mod spends;
mod states;
mod times;
mod watches;

use std::fmt;

use cluster_core::{AppliedEntry, LogEntry, NodeId, ReadId};
use cluster_model::{Authority, Operation, Proposal, Query, Reading, RequestId, Revision, State};

pub use histories::{Asked, Histories, Key, Told};

/// What was promised and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub promise: &'static str,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

/// A violation, or none.
pub type Verdict = Result<(), Violation>;

pub(crate) fn broken<T>(promise: &'static str, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { promise, what: what.into() })
}

/// Sees everything and believes nobody.
#[derive(Default)]
pub struct Oracle {
    applied: applied::Applied,
    acknowledged: acknowledged::Acknowledged,
    ages: ages::Ages,
    authorities: authority::Authorities,
    elections: elections::Elections,
    epochs: epochs::Epochs,
    forward: forward::Forward,
    generations: generations::Generations,
    leases: leases::Leases,
    lives: lives::Lives,
    log: log_matching::LogMatching,
    mirrors: mirrors::Mirrors,
    once: once::Once,
    one_command: one_command::OneCommand,
    refusals: refusals::Refusals,
    spends: spends::Spends,
    states: states::States,
    watches: watches::Watches,
    /// What clients saw, by object.
    pub histories: Histories,
}

impl Oracle {
    /// `node` believes to lead `term`.
    pub fn leads(&mut self, node: NodeId, term: u64) -> Verdict {
        self.elections.leads(node, term)
    }

    /// `node` writes `entries`.
    pub fn writes(&mut self, node: NodeId, entries: &[LogEntry]) -> Verdict {
        self.log.writes(node, entries)
    }

    /// `node` begins a life with `revision` behind it.
    pub fn begins(&mut self, node: NodeId, revision: Revision) {
        self.watches.begins(node, revision);
    }

    /// A member applied `entry` at the world's time `at`; `real_ms` is what the clocks of most voters show, if they agree.
    /// Gives whether it is the first to apply it.
    pub fn applies(
        &mut self,
        node: NodeId,
        entry: &AppliedEntry,
        (at, real_ms): (u64, Option<u64>),
    ) -> Result<bool, Violation> {
        let is_new = self.applied.applies(node, entry)?;
        if is_new {
            real_ms.map_or(Ok(()), |real_ms| times::check(real_ms, entry))?;
        }
        if is_new && !entry.repeated {
            self.epochs.applied(entry)?;
            self.generations.applied(entry)?;
            self.leases.applied(entry, at)?;
            self.lives.applied(entry)?;
        }
        self.once.applies(entry)?;
        self.watches.told(node, entry, &self.applied)?;
        Ok(is_new)
    }

    /// A client has `state`, in a life of its.
    pub fn mirrors(&mut self, node: (NodeId, u64), state: &State) -> Verdict {
        self.forward.has(node, state)?;
        self.mirrors.has(node.0, state, &self.applied)
    }

    /// A session asks a node of this authority for `operation`.
    pub fn carried_out(&mut self, operation: Operation, authority: Authority) {
        self.authorities.carried_out(operation, authority);
    }

    /// `node`, which has `state`, is asked what it would decide alone: see [`authority::Authorities::evaluated`].
    pub fn decides(
        &mut self,
        node: (NodeId, Option<&State>),
        authority: Authority,
        at: (u64, [u64; 2]),
    ) -> Verdict {
        self.authorities.evaluated(node, authority, at, &self.ages)
    }

    /// How often each cell of the table of authority was visited, see [`authority::Authorities::cells`].
    pub fn cells(&self, is_carried_out: impl Fn(Operation) -> bool) -> impl Iterator<Item = (String, u64)> {
        self.authorities.cells(is_carried_out)
    }

    /// A client was told that something changed.
    pub fn told(&mut self, node: NodeId, entry: &AppliedEntry) -> Verdict {
        self.watches.told(node, entry, &self.applied)
    }

    /// A watcher on `node` lists again and goes on from `revision`.
    pub fn relists(&mut self, node: NodeId, revision: Revision) {
        self.watches.begins(node, revision);
    }

    /// A proposal was made.
    pub fn proposed(&mut self, at: u64, request: RequestId, command: u64) -> Verdict {
        self.leases.proposed(request, at);
        self.one_command.proposed(request, command)
    }

    /// A proposal was answered.
    pub fn answered(&mut self, at: u64, request: RequestId, proposal: &Proposal) -> Verdict {
        self.refusals.answered(request, proposal);
        self.acknowledged.answered(request, proposal, &self.applied)?;
        self.ages.told(at, self.acknowledged.newest());
        Ok(())
    }

    /// `node`, which is at `revision`, says that it has all that was told before `since`.
    pub fn is_fresh(&self, node: NodeId, since: u64, revision: Revision) -> Verdict {
        self.ages.says(node, since, revision)
    }

    /// The newest revision that anybody was told of.
    pub fn newest_told(&self) -> Revision {
        self.acknowledged.newest()
    }

    /// A linearizable read begins.
    pub fn asks(&mut self, id: ReadId, query: &Query) {
        self.applied.asks(id, query);
    }

    /// It is answered. It began when `told` was the newest revision anybody was told of.
    pub fn reads(&mut self, id: ReadId, told: Revision, reading: &Reading) -> Verdict {
        self.acknowledged.seen(reading.revision);
        reads::check(id, told, reading, &mut self.applied)
    }

    /// `node` has `state`.
    pub fn has(&mut self, node: NodeId, state: &State) -> Verdict {
        self.states.has(node, state)
    }

    /// A session was told what became of what it asked.
    pub fn ends(&mut self, key: &Key, asked: Asked, place: Option<usize>, told: Told, now: u64) -> Verdict {
        if let Some(place) = place {
            self.histories.ends(key, place, told, now);
        }
        self.spends.told(key, asked, told)
    }

    /// The cluster was restored with `state`: what came later than that never happened.
    pub fn restored(&mut self, state: &State) -> Verdict {
        self.histories.close()?;
        let revision = state.revision();
        self.applied.restored(state);
        self.acknowledged.restored(revision);
        self.ages = ages::Ages::default();
        self.elections = elections::Elections::default();
        self.log = log_matching::LogMatching::default();
        self.once.restored(revision);
        self.refusals.restored();
        self.leases.restored();
        self.states = states::States::default();
        self.forward = forward::Forward::default();
        self.mirrors = mirrors::Mirrors::default();
        Ok(())
    }

    /// What can only be said at the end.
    pub fn at_the_end(&mut self) -> Verdict {
        self.refusals.at_the_end(&self.applied)?;
        self.histories.close()
    }
}
