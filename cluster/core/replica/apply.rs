//! What is committed is applied, in order, the same on every member.

use std::sync::Arc;

use cluster_model::{Applied, Command, Proposal, Stamped};
use prost_011::Message as _;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType};

use super::Replica;
use crate::entry::Payload;
use crate::output::{AppliedEntry, Output, Rows};
use crate::{Class, Envelope, Halt, MembershipChange};

impl Replica {
    /// Applies `entries`; gives what is to be written of it.
    pub(super) fn apply(&mut self, entries: Vec<Entry>) -> Option<Rows> {
        if entries.is_empty() {
            return None;
        }
        let before = self.members.clone();
        let mut commands = Vec::new();
        for entry in entries {
            if let Err(why) = self.apply_one(&entry, &mut commands) {
                self.halt(why);
                break;
            }
        }
        let members = (self.members != before).then(|| self.members.clone());
        Some(Rows { index: self.applied, now: self.state.now(), level: self.level, members, commands })
    }

    fn apply_one(&mut self, entry: &Entry, commands: &mut Vec<AppliedEntry>) -> Result<(), Halt> {
        if entry.index != self.applied + 1 {
            return Err(Halt::Order { expected: self.applied + 1, found: entry.index });
        }
        let unknown = |why: &dyn ToString| Halt::UnknownEntry { index: entry.index, why: why.to_string() };
        match entry.get_entry_type() {
            // Its kind is looked at before its data: the one that leaves a joint configuration has none.
            EntryType::EntryConfChangeV2 => {
                if !(broken!(self.config, EmptyConfChangeSkipped) && entry.data.is_empty()) {
                    let change = ConfChangeV2::decode(&*entry.data).map_err(|error| unknown(&error))?;
                    self.apply_membership(&change, &entry.context);
                }
            }
            EntryType::EntryConfChange => return Err(unknown(&"an old form of membership change")),
            // Empty ones begin a term, or stand where a membership change was refused.
            EntryType::EntryNormal if entry.data.is_empty() => {}
            EntryType::EntryNormal => match Payload::decode(&entry.data).map_err(|error| unknown(&error))? {
                Payload::Command { request, at, command } => {
                    let command = Command::decode(&command).map_err(|error| unknown(&error))?;
                    self.apply_command(entry, Stamped { request, at, command }, commands);
                }
                Payload::CheckHash { index, hash } => {
                    if self.hashed.is_some_and(|(at, own)| at == index && own != hash) {
                        return Err(Halt::Diverged { index });
                    }
                }
                Payload::Level(level) if level > self.config.level => {
                    return Err(unknown(&format!("level {level}, this program knows {}", self.config.level)));
                }
                Payload::Level(level) => self.level = self.level.max(level),
            },
        }
        self.applied = entry.index;
        if self.applied.is_multiple_of(self.config.tuning.check_hash_every.max(1)) {
            self.hashed = Some((self.applied, self.state.hash()));
        }
        if self.members.removed(self.config.node) {
            return Err(Halt::Removed);
        }
        Ok(())
    }

    fn apply_command(&mut self, entry: &Entry, stamped: Stamped, commands: &mut Vec<AppliedEntry>) {
        let request = stamped.request;
        #[cfg(feature = "broken")]
        let applied = self.apply_broken(entry.index, stamped);
        #[cfg(not(feature = "broken"))]
        let applied = cluster_model::apply(&mut self.state, stamped);
        let Applied { revision, outcome, changes, repeated } = applied;
        let changes: Arc<[_]> = changes.into();
        let applied = AppliedEntry {
            index: entry.index,
            term: entry.term,
            revision,
            request: Some(request),
            outcome: Some(outcome),
            changes: Arc::clone(&changes),
            repeated,
            now: self.state.now(),
        };
        if !repeated {
            self.watchers.push((revision, self.state.generation()), self.state.now(), changes);
            commands.push(applied.clone());
        }
        self.outputs.push_back(Output::Applied(applied));
        self.in_log.remove(&request);
        let proposal = Proposal::Applied { revision, outcome };
        if self.proposals.answered(request) {
            self.outputs.push_back(Output::Answer { request, proposal });
        }
        for node in self.waiters.remove(&request).unwrap_or_default() {
            self.send(node, Class::Meta, &Envelope::Answer { request, revision, outcome });
        }
    }

    /// A change that does not fit, which is the same for all, is passed over.
    fn apply_membership(&mut self, change: &ConfChangeV2, context: &[u8]) {
        let intent: Option<MembershipChange> = serde_json::from_slice(context).ok();
        if intent.is_some_and(|intent| self.members.check(intent).is_err()) {
            return;
        }
        if let Ok(conf) = self.raft.apply_conf_change(change) {
            self.members.set(&conf, intent);
            self.reads.keep_askers(|node| self.members.contains(node));
        }
    }
}
