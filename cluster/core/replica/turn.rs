//! One turn: what raft is ready with is written, sent and applied.

use prost_011::Message as _;
use raft::eraftpb::{Message, MessageType, Snapshot};

use super::{Outstanding, Replica};
use crate::entry::Payload;
use crate::output::{Output, Persist};
use crate::{Class, Envelope, Halt, NodeId};

impl Replica {
    /// Takes what raft is ready with until it has nothing more.
    pub(super) fn turn(&mut self) {
        self.set_election_timeout();
        while self.halted.is_none() && self.raft.has_ready() {
            let mut ready = self.raft.ready();
            // A leader may send before it has written: it counts itself only when it has.
            self.send_all(ready.take_messages());
            let mut persist = Persist { sync: ready.must_sync(), ..Persist::default() };
            if !ready.snapshot().is_empty() {
                self.install(&ready.snapshot().clone(), &mut persist);
            }
            let entries = ready.take_entries();
            let stamp = entries.iter().rev().find_map(|entry| Payload::stamp(&entry.data));
            if let Some(at) = stamp.filter(|_| !self.leads()) {
                self.clocks.note(self.now.monotonic, at);
            }
            persist.entries = self.raft.mut_store().append(&entries);
            if let Some(vote) = ready.hs() {
                persist.vote = Some(self.raft.mut_store().set_vote(vote));
            }
            for found in ready.take_read_states() {
                self.reads.found(&found.request_ctx, found.index);
            }
            persist.rows = self.apply(ready.take_committed_entries());
            let held = ready.take_persisted_messages();
            let number = ready.number();
            self.raft.advance_append_async(ready);
            self.persist(persist, number, held);
            self.tell_applied();
            self.set_election_timeout();
        }
        self.tell_leader();
        self.answer_reads();
        for (node, envelope) in self.watchers.serve() {
            self.send(node, Class::Meta, &envelope);
        }
    }

    /// Gives out `persist`. What is `held`, and raft's word that `ready` is written, wait for it and for all
    /// that was given out before.
    pub(super) fn persist(&mut self, mut persist: Persist, ready: u64, mut held: Vec<Message>) {
        let empty = persist.boot.is_none()
            && persist.snapshot.is_none()
            && persist.entries.is_empty()
            && persist.vote.is_none()
            && persist.rows.is_none()
            && persist.compacted.is_none();
        if broken!(self.config, AnswerBeforeFsync) && ready != 0 {
            self.raft.on_persist_ready(ready);
            self.send_all(std::mem::take(&mut held));
        }
        match self.outstanding.back_mut() {
            Some(last) if empty => {
                last.ready = last.ready.max(ready);
                last.held.extend(held);
            }
            None if empty => {
                self.raft.on_persist_ready(ready);
                self.send_all(held);
            }
            _ => {
                self.persist_n += 1;
                persist.n = self.persist_n;
                let since = self.now.monotonic;
                self.outstanding.push_back(Outstanding { n: persist.n, ready, held, since });
                self.outputs.push_back(Output::Persist(Box::new(persist)));
            }
        }
    }

    /// All up to the `n`th [`Persist`] is on disk.
    pub fn persisted(&mut self, n: u64, now: crate::Now) {
        self.tell_time(now);
        let begins = !self.started;
        self.unsettled = true;
        let mut ready = 0;
        while let Some(written) = self.outstanding.pop_front_if(|outstanding| outstanding.n <= n) {
            self.started = true;
            ready = ready.max(written.ready);
            if self.halted.is_none() {
                self.send_all(written.held);
            }
        }
        if begins && self.started && self.is_alone() {
            // There is nobody to wait for. What raft says against it (it leads already) needs no answer.
            let _ = self.raft.campaign();
            self.turn();
        }
        if self.halted.is_none() && ready != 0 {
            self.raft.on_persist_ready(ready);
            self.tell_applied();
            self.turn();
        }
    }

    fn is_alone(&self) -> bool {
        !self.members.is_joint() && self.members.voters.iter().eq([&self.config.node])
    }

    /// Tells raft what is applied. A snapshot counts from when it is on disk.
    fn tell_applied(&mut self) {
        let log = &self.raft.raft.raft_log;
        if self.applied > log.applied && self.applied <= log.committed.min(log.persisted) {
            self.raft.advance_apply_to(self.applied);
        }
    }

    fn install(&mut self, snapshot: &Snapshot, persist: &mut Persist) {
        let metadata = snapshot.get_metadata();
        let Some(mut installed) = self.snapshots.installed(metadata.index) else {
            self.halt(Halt::Snapshot(format!("nothing was fetched for the one at entry {}", metadata.index)));
            return;
        };
        self.raft.mut_store().reset(installed.index, installed.term);
        self.state = installed.state.clone();
        self.clocks.note(self.now.monotonic, self.state.now());
        self.members = installed.members.clone();
        self.level = installed.level;
        if broken!(self.config, SnapshotWithoutIndex) {
            installed.index = self.applied;
        } else {
            self.applied = installed.index;
        }
        self.hashed = None;
        self.watchers.reset((self.state.revision(), self.state.generation()));
        self.outputs.push_back(Output::Relist { revision: self.state.revision() });
        persist.snapshot = Some(Box::new(installed));
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = NodeId(message.to);
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.snapshots.announced(to, self.now.monotonic);
            }
            self.send(to, Class::Raft, &Envelope::Raft(message.encode_to_vec()));
        }
    }

    fn tell_leader(&mut self) {
        let seen = (self.leader(), self.raft.raft.term);
        if seen == self.told_leader {
            return;
        }
        if let Some(leader) = seen.0 {
            self.proposals.hurry(self.now.monotonic);
            for node in std::mem::take(&mut self.asked_in_vain) {
                self.send(node, Class::Meta, &Envelope::Elsewhere { leader: Some(leader) });
            }
        }
        self.told_leader = seen;
        self.clocks.begin();
        self.leads_since = self.now.monotonic;
        // What was proposed under another leadership may be lost; whoever wants it asks again.
        self.in_log.clear();
        self.waiters.clear();
        if !self.leads() {
            self.snapshots.lead_no_more();
        }
        self.outputs.push_back(Output::Leader { leader: seen.0, term: seen.1 });
    }
}
