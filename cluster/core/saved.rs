//! What a replica starts from.

use cluster_model::{Command, Outcome, RequestId, Stamped, State};
use prost_011::Message as _;
use raft::eraftpb::{Entry, EntryType};

use crate::entry::Payload;
use crate::output::{Installed, LogEntry, Persist, Rows, Vote};
use crate::{Members, NodeId};

/// All that is on a member's disk. [`Saved::write`] is what a store does with each [`Persist`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// How often the node was started.
    pub boot: u64,
    /// The vote.
    pub vote: Vote,
    /// The last entry (index, term) that is no longer in the log.
    pub compacted: (u64, u64),
    /// The log behind it.
    pub entries: Vec<LogEntry>,
    /// Who the members are at the applied entry.
    pub members: Members,
    /// Level of commands that may come.
    pub level: u32,
    /// Applied up to here.
    pub applied: u64,
    /// What came of it.
    pub state: State,
}

/// Why a replica cannot start from what is on its disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata store cannot be used: {0}")]
pub struct SavedError(pub(crate) String);

impl Saved {
    /// A new cluster of `voters` around `state`; the same on each of them.
    pub fn first(voters: impl IntoIterator<Item = NodeId>, state: State) -> Self {
        // The log begins at 2, so that whoever joins with an empty one is sent a snapshot and with it the members.
        Self {
            vote: Vote { term: 1, voted_for: 0, commit: 1 },
            compacted: (1, 1),
            members: Members::first(voters),
            level: 1,
            applied: 1,
            state,
            ..Self::default()
        }
    }

    /// A new cluster of `voters` around `copy`, which was made of an older one: under `generation`, so that every claim
    /// and every unspent one-time token of before is void.
    pub fn restored(
        voters: impl IntoIterator<Item = NodeId>,
        copy: State,
        generation: u64,
    ) -> Result<Self, SavedError> {
        let mut state = copy;
        // The same on every voter: request and time come from the copy.
        let request = RequestId::from_u128((u128::from(generation) << 64) | u128::from(state.revision().0));
        let command = Command::RaiseGeneration { to: generation };
        let at = state.now();
        let applied = cluster_model::apply(&mut state, Stamped { request, at, command });
        if applied.outcome != (Outcome::Stored { version: generation }) {
            return Err(SavedError(format!("generation {generation} is not greater than all before")));
        }
        Ok(Self::first(voters, state))
    }

    /// Applies its whole log, for a member that goes on alone because the others are lost: what was acknowledged is in it,
    /// though this member may not have learned that it was.
    pub fn apply_all(&mut self) -> Result<(), SavedError> {
        let unknown = |index: u64, why: &dyn ToString| {
            SavedError(format!("entry {index} of the log cannot be read: {}", why.to_string()))
        };
        let from = self.applied;
        for LogEntry { index, bytes, .. } in self.entries.iter().filter(|entry| entry.index > from) {
            let entry = Entry::decode(&**bytes).map_err(|error| unknown(*index, &error))?;
            if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
                match Payload::decode(&entry.data).map_err(|error| unknown(*index, &error))? {
                    Payload::Command { request, at, command } => {
                        let command = Command::decode(&command).map_err(|error| unknown(*index, &error))?;
                        cluster_model::apply(&mut self.state, Stamped { request, at, command });
                    }
                    Payload::Level(level) => self.level = self.level.max(level),
                    Payload::CheckHash { .. } => {}
                }
            }
            self.applied = *index;
        }
        Ok(())
    }

    /// A node that will be added to a cluster that is there.
    pub fn joining() -> Self {
        Self::default()
    }

    /// Does what `persist` says.
    pub fn write(&mut self, persist: Persist) {
        let Persist { n: _, sync: _, boot, snapshot, entries, vote, rows, compacted } = persist;
        if let Some(boot) = boot {
            self.boot = boot;
        }
        if let Some(snapshot) = snapshot {
            let Installed { index, term, members, level, state } = *snapshot;
            self.entries.clear();
            self.compacted = (index, term);
            (self.members, self.level, self.applied, self.state) = (members, level, index, state);
        }
        if let Some(first) = entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(entries);
        }
        if let Some(vote) = vote {
            self.vote = vote;
        }
        if let Some(Rows { index, now, level, members, commands }) = rows {
            for command in commands {
                self.state.absorb(command.revision, now, &command.changes);
                if let (Some(request), Some(outcome)) = (command.request, command.outcome) {
                    self.state.remember(request, command.revision, outcome);
                }
            }
            (self.applied, self.level) = (index, level);
            self.members = members.unwrap_or_else(|| std::mem::take(&mut self.members));
        }
        if let Some((index, term)) = compacted {
            self.entries.retain(|entry| entry.index > index);
            self.compacted = (index, term);
        }
    }

    /// Finds what no crash can have left behind.
    pub(crate) fn check(&self) -> Result<(), SavedError> {
        let last = self.entries.last().map_or(self.compacted.0, |entry| entry.index);
        let wrong = |what: String| Err(SavedError(what));
        let mut expected = self.compacted.0;
        for entry in &self.entries {
            expected += 1;
            if entry.index != expected {
                return wrong(format!("entry {} where {expected} should be", entry.index));
            }
        }
        if self.applied < self.compacted.0 || self.applied > last {
            return wrong(format!(
                "entry {} was applied, the log holds {} to {last}",
                self.applied,
                self.compacted.0.saturating_add(1)
            ));
        }
        if self.vote.commit > last {
            return wrong(format!("entry {} is committed, the log ends at {last}", self.vote.commit));
        }
        Ok(())
    }
}
