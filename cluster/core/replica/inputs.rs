//! What the node around it wants, and what other nodes say.

use std::collections::{BTreeSet, VecDeque};

use base::limits;
use cluster_model::{
    Change, Command, Consistency, NotApplied, Proposal, Query, ReadFailed, RequestId, Revision, RowKind,
};
use prost_011::Message as _;
use raft::eraftpb::{Entry, Message, MessageType};

use super::Replica;
use crate::clocks::Leader;
use crate::entry::Payload;
use crate::output::Output;
use crate::reads::{Asker, Read};
use crate::snapshots::Fetched;
use crate::wire::{LISTED_ROW_BYTES, members_to_json};
use crate::{Class, Envelope, Halt, Members, MembershipChange, MembershipError, Moment, NodeId, Now, ReadId};

impl Replica {
    /// Wants `command` applied. Answered with [`Output::Answer`], at the deadline at the latest.
    pub fn propose(&mut self, request: RequestId, command: &Command, deadline: Moment, now: Now) {
        self.tell_time(now);
        let taken = match command.encode() {
            _ if self.halted.is_some() => Err(NotApplied::Closed),
            Ok(bytes) if bytes.len() as u64 <= limits::RAFT_MESSAGE_BYTES_MAX => {
                self.proposals.add(request, bytes, now.monotonic, deadline)
            }
            _ => Err(NotApplied::TooLarge),
        };
        if let Err(why) = taken {
            let proposal = Proposal::NotApplied(why);
            self.outputs.push_back(Output::Answer { request, proposal });
            return;
        }
        #[cfg(feature = "broken")]
        self.spend_without_check(request, command);
        self.unsettled = true;
    }

    /// What came in since outputs were last taken goes on its way: together, so that it is one run of entries, one message
    /// to each member, one write, and one question to the leader.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.unsettled) && self.halted.is_none() {
            self.propose_due();
            self.begin_reads();
            self.turn();
        }
    }

    /// Hands on what is due: into the log, or to the leader.
    pub(super) fn propose_due(&mut self) {
        if self.leads() {
            self.append_due();
            return;
        }
        let (now, leader) = (self.now.monotonic, self.leader());
        for (node, ..) in std::mem::take(&mut self.forwarded) {
            self.send(node, Class::Meta, &Envelope::Elsewhere { leader });
            // Whom it was sent to may be dead already.
            if self.asked_in_vain.len() < limits::META_WATCHING_NODES_MAX {
                self.asked_in_vain.insert(node);
            }
        }
        let Some(leader) = leader.filter(|_| self.started) else { return };
        while let Some((request, command)) = self.proposals.next_due(now) {
            self.send(leader, Class::Meta, &Envelope::Propose { request, command });
            self.proposals.sent(request, now);
        }
    }

    /// What other nodes want proposed and what is due here, as few runs as hold it. What there is no room for is asked for
    /// again by the others, and stays due here.
    fn append_due(&mut self) {
        let now = self.now.monotonic;
        let mut forwarded = VecDeque::from(std::mem::take(&mut self.forwarded));
        loop {
            let others = forwarded.iter().map(|(node, request, command)| (Some(*node), *request, command));
            let own = self.proposals.due(now).map(|(request, command)| (None, request, command));
            let run = one_message(others.chain(own).take(self.room()), |(.., command)| command.len());
            let wanted: Vec<_> = run.iter().map(|(node, request, _)| (*node, *request)).collect();
            let commands = run.into_iter().map(|(_, request, command)| (request, command.clone())).collect();
            if wanted.is_empty() || !self.append(commands) {
                return;
            }
            for (node, request) in wanted {
                if let Some(node) = node {
                    forwarded.pop_front();
                    self.waiters.entry(request).or_default().insert(node);
                } else {
                    self.proposals.sent(request, now);
                }
            }
        }
    }

    /// How many more commands may be in the log and not applied.
    pub(super) fn room(&self) -> usize {
        limits::META_COMMANDS_MAX.saturating_sub(self.in_log.len())
    }

    /// Puts commands into the log, stamped with the cluster's time: all of them or none. One that is in it already, and not
    /// applied, is not put there twice; one that was applied is, and is answered by that.
    fn append(&mut self, commands: Vec<(RequestId, Vec<u8>)>) -> bool {
        let voters = [&self.members.voters, &self.members.outgoing];
        let voters = &voters[..if self.members.is_joint() { 2 } else { 1 }];
        let leader = Leader { node: self.config.node, now: self.now, since: self.leads_since, voters };
        // Leases in what is not applied yet are not known.
        let (state, all_applied) = (&self.state, self.applied == self.raft.raft.raft_log.last_index());
        let Some(at) = self.clocks.stamp(leader, || !all_applied || state.leases_run()) else { return false };
        let mut message = Message { from: self.config.node.0, ..Message::default() };
        message.set_msg_type(MessageType::MsgPropose);
        let mut new = BTreeSet::new();
        for (request, command) in commands {
            if !self.in_log.contains(&request) && new.insert(request) {
                let data = Payload::Command { request, at, command }.encode();
                message.entries.push(Entry { data, ..Entry::default() });
            }
        }
        let taken = new.is_empty() || self.raft.step(message).is_ok();
        if taken {
            self.in_log.append(&mut new);
        }
        taken
    }

    /// Reads by `deadline`. Answered with [`Output::Read`] under `id`.
    pub fn read(&mut self, id: ReadId, query: Query, consistency: Consistency, deadline: Moment, now: Now) {
        self.tell_time(now);
        if self.halted.is_some() {
            self.outputs.push_back(Output::Read { id, result: Err(ReadFailed::Closed) });
            return;
        }
        if consistency == Consistency::Local || self.reads_unasked() {
            let result = Ok(self.state.answer(&query));
            self.outputs.push_back(Output::Read { id, result });
            return;
        }
        let read = Read { asker: Asker::Here(id), query: Some(query), deadline };
        if !self.reads.add(read) {
            self.outputs.push_back(Output::Read { id, result: Err(ReadFailed::TooLate) });
        }
        self.unsettled = true;
    }

    pub(super) fn begin_reads(&mut self) {
        // Raft drops a question that nobody can answer, and it would be asked again only after a while.
        let answers =
            if self.leads() { self.raft.raft.commit_to_current_term() } else { self.leader().is_some() };
        if !self.started || !answers {
            return;
        }
        if let Some(context) = self.reads.begin(self.now.monotonic, [self.config.node.0, self.boot]) {
            self.raft.read_index(context);
        }
    }

    pub(super) fn answer_reads(&mut self) {
        while let Some((stamp, reads)) = self.reads.complete(self.applied) {
            self.freshness.answered(stamp);
            for read in reads {
                let reading = read.query.as_ref().map(|query| self.state.answer(query));
                match (read.asker, reading) {
                    (Asker::Here(id), Some(reading)) => {
                        self.outputs.push_back(Output::Read { id, result: Ok(reading) });
                    }
                    (Asker::Here(_), None) => {}
                    (Asker::There(node, id), reading) => {
                        let reading = reading.and_then(|reading| serde_json::to_vec(&reading).ok());
                        let envelope = Envelope::Reading {
                            id,
                            revision: self.state.revision(),
                            generation: self.state.generation(),
                            reading: reading.unwrap_or_default(),
                            members: members_to_json(&self.members),
                        };
                        self.send(node, Class::Meta, &envelope);
                    }
                }
            }
        }
        // More may have come meanwhile.
        self.begin_reads();
    }

    pub(super) fn refuse_read(&mut self, read: &Read, why: ReadFailed) {
        // Who asked from elsewhere has a deadline of its own.
        if let Asker::Here(id) = read.asker {
            self.outputs.push_back(Output::Read { id, result: Err(why) });
        }
    }

    /// Hands leadership to `to`; a no-op on any other node than the leader.
    pub fn transfer(&mut self, to: NodeId, now: Now) {
        self.tell_time(now);
        // What was wanted before does not wait for the next leader.
        self.settle();
        if self.halted.is_none() && self.leads() {
            self.raft.transfer_leader(to.0);
            self.turn();
        }
    }

    /// Wants the membership changed. `Ok` says that it was proposed; [`Replica::status`] shows when it is done.
    pub fn change_membership(&mut self, change: MembershipChange, now: Now) -> Result<(), MembershipError> {
        self.tell_time(now);
        if self.halted.is_some() {
            return Err(MembershipError::Closed);
        }
        if !self.leads() {
            return Err(MembershipError::NotLeader);
        }
        if self.raft.raft.has_pending_conf() {
            return Err(MembershipError::UnderWay);
        }
        self.members.check(change)?;
        if change == (MembershipChange::Remove { node: self.config.node }) {
            // A leader that goes stops as soon as it knows that it may, before the others do: two of them would be left with a
            // majority that cannot be had any more. So another one leads first, and removes it.
            let why =
                if self.hand_over() { MembershipError::HandsOver } else { MembershipError::NoSuccessor };
            self.turn();
            return Err(why);
        }
        let (entry, context) = Members::entry(change);
        self.raft.propose_conf_change(context, entry).map_err(|_| MembershipError::Busy)?;
        self.turn();
        Ok(())
    }

    /// Takes what `from` sent. What cannot be read is dropped: the link knows its peers, and counts them.
    pub fn receive(&mut self, from: NodeId, bytes: &[u8], now: Now) -> Result<(), crate::WireError> {
        self.tell_time(now);
        if self.halted.is_some() || !self.started {
            return Ok(());
        }
        match Envelope::decode(bytes)? {
            Envelope::Raft(bytes) => {
                let message = Message::decode(&*bytes).map_err(|_| crate::WireError)?;
                self.receive_raft(from, message);
                // What raft has of it is given out before the next one is judged by it.
                self.turn();
            }
            Envelope::Propose { request, command } => self.propose_for(from, request, command),
            Envelope::Answer { request, revision, outcome } => {
                if self.proposals.answered(request) {
                    let proposal = Proposal::Applied { revision, outcome };
                    self.outputs.push_back(Output::Answer { request, proposal });
                }
            }
            Envelope::Read { id, query } => self.read_for(from, id, &query)?,
            Envelope::Watch { from: seen, generation } => self.watchers.wait(from, (seen, generation)),
            Envelope::List { id, from: seen, generation, behind } => {
                self.list_for(from, id, (seen, generation), behind)?;
            }
            Envelope::Fetch { index, hash, chunk } => {
                let envelope = self.snapshots.chunk(from, index, hash, chunk, self.now.monotonic);
                self.send(from, Class::Snapshot, &envelope);
            }
            Envelope::Chunk { index, hash, chunk, bytes } => {
                self.take_chunk(from, index, hash, chunk, &bytes);
                self.turn();
            }
            Envelope::Alive { level, wall } => self.note_alive(from, level, wall),
            Envelope::Removed if self.members.contains(from) => self.halt(Halt::Removed),
            // Said to clients.
            Envelope::Removed
            | Envelope::Elsewhere { .. }
            | Envelope::Reading { .. }
            | Envelope::Changes { .. }
            | Envelope::Listed { .. }
            | Envelope::Behind { .. } => {}
        }
        self.unsettled = true;
        Ok(())
    }

    fn receive_raft(&mut self, from: NodeId, message: Message) {
        if message.from != from.0 || message.to != self.config.node.0 {
            return;
        }
        if self.members.removed(from) {
            self.send(from, Class::Meta, &Envelope::Removed);
            return;
        }
        match message.get_msg_type() {
            // Proposals and transfers go by their own envelopes; raft's would go past what is checked here.
            MessageType::MsgPropose | MessageType::MsgTransferLeader => return,
            MessageType::MsgReadIndex | MessageType::MsgReadIndexResp if message.entries.len() != 1 => return,
            MessageType::MsgReadIndex => {
                let asked = message.entries.first().map(|entry| &*entry.data).unwrap_or_default();
                if !self.members.contains(from) || !self.reads.is_asked_anew(from, asked) {
                    return;
                }
            }
            // A leader says no more in it than what this member had.
            MessageType::MsgHeartbeat
                if message.term >= self.raft.raft.term
                    && message.commit > self.raft.raft.raft_log.last_index() =>
            {
                let (told, last) = (message.commit, self.raft.raft.raft_log.last_index());
                self.halt(Halt::Forgot { told, last });
                return;
            }
            // To stand for election with something unwritten would be to promise it.
            MessageType::MsgTimeoutNow if !self.outstanding.is_empty() => return,
            MessageType::MsgSnapshot if message.get_snapshot().get_metadata().index > self.applied => {
                if let Some(envelope) = self.snapshots.announced_here(from, message, self.now.monotonic) {
                    self.send(from, Class::Snapshot, &envelope);
                }
                return;
            }
            _ => {}
        }
        // What raft refuses (an answer of one that is no member, say) needs no answer.
        let _ = self.raft.step(message);
    }

    fn take_chunk(&mut self, from: NodeId, index: u64, hash: u64, chunk: u32, bytes: &[u8]) {
        match self.snapshots.take(from, index, hash, chunk, bytes) {
            Fetched::Going => self.fetch_more(),
            Fetched::Complete(message) => {
                let _ = self.raft.step(*message);
                if self.raft.snap().is_none() {
                    self.snapshots.passed_over();
                }
            }
            Fetched::Unreadable(why) => self.halt(Halt::Snapshot(why)),
        }
    }

    fn propose_for(&mut self, node: NodeId, request: RequestId, command: Vec<u8>) {
        if self.in_log.contains(&request) {
            self.waiters.entry(request).or_default().insert(node);
        } else if command.len() as u64 <= limits::RAFT_MESSAGE_BYTES_MAX
            && self.forwarded.len() < limits::META_COMMANDS_MAX
        {
            self.forwarded.push((node, request, command));
        }
    }

    /// Gives `node` the next rows of the state, as many as one message holds. Each page is true at its own revision: the
    /// asker watches in between, and so has all of one revision at the end. Nothing is kept for it here.
    fn list_for(
        &mut self,
        node: NodeId,
        id: u64,
        (from, generation): (Revision, u64),
        behind: Option<(u8, String)>,
    ) -> Result<(), crate::WireError> {
        let place = behind.map(|(kind, key)| {
            RowKind::try_from(kind).and_then(|kind| Change::of_key(kind, &key)).map_err(|_| crate::WireError)
        });
        let place = place.transpose()?;
        if place.is_some() && generation != self.state.generation() {
            self.send(node, Class::Meta, &Envelope::Behind { from });
            return Ok(());
        }
        let (mut rows, mut bytes, mut ends) = (Vec::new(), 0, true);
        for change in self.state.rows_behind(place.as_ref()) {
            // What is in the state was encoded before.
            let Ok(Some(row)) = change.row() else { continue };
            let value = row.value.unwrap_or_default();
            bytes += row.key.len() + value.len() + LISTED_ROW_BYTES;
            if bytes > self.config.tuning.chunk_bytes && !rows.is_empty() {
                ends = false;
                break;
            }
            rows.push((row.kind.number(), row.key, value));
        }
        let (revision, now) = (self.state.revision(), self.state.now());
        self.send(node, Class::Snapshot, &Envelope::Listed { id, revision, now, rows, ends });
        Ok(())
    }

    /// Whether linearizable reads are answered without a question to the leader: only as a fault.
    #[cfg(not(feature = "broken"))]
    #[expect(clippy::unused_self, reason = "with faults it depends")]
    const fn reads_unasked(&self) -> bool {
        false
    }

    fn read_for(&mut self, node: NodeId, id: u64, query: &[u8]) -> Result<(), crate::WireError> {
        let query = if query.is_empty() {
            None
        } else {
            Some(serde_json::from_slice(query).map_err(|_| crate::WireError)?)
        };
        if self.reads_unasked() {
            let reading = query.map(|query: Query| self.state.answer(&query));
            let reading = reading.and_then(|reading| serde_json::to_vec(&reading).ok()).unwrap_or_default();
            let (revision, generation) = (self.state.revision(), self.state.generation());
            let members = members_to_json(&self.members);
            let envelope = Envelope::Reading { id, revision, generation, reading, members };
            self.send(node, Class::Meta, &envelope);
            return Ok(());
        }
        let deadline = self.now.monotonic + limits::META_ANSWER_MAX;
        // Too many: the asker tries another member.
        self.reads.add(Read { asker: Asker::There(node, id), query, deadline });
        Ok(())
    }
}

/// As many of `wanted`, the first one in any case, as one message holds.
fn one_message<T>(wanted: impl Iterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut sum = 0;
    let fits = |one: &T| {
        let is_first = sum == 0;
        sum += bytes(one) as u64;
        is_first || sum <= limits::RAFT_MESSAGE_BYTES_MAX
    };
    wanted.take_while(fits).collect()
}
