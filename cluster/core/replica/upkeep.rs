//! What time brings: ticks of raft, retries, deadlines, compaction, promotions.

use std::collections::BTreeSet;

use base::limits;
use cluster_model::ReadFailed;
use raft::{ProgressState, SnapshotStatus, StateRole, Storage};

use super::Replica;
use crate::entry::Payload;
use crate::output::{Output, Persist};
use crate::{Class, Envelope, Members, NodeId, Now};

impl Replica {
    /// Tells the time. To be called every [`limits::RAFT_TICK`].
    pub fn tick(&mut self, now: Now) {
        self.tell_time(now);
        if self.halted.is_some() {
            return;
        }
        self.expire();
        if self.started {
            self.tick_raft();
            self.propose_due();
            self.begin_reads();
            self.fetch_more();
            for node in self.snapshots.stalled(self.now.monotonic) {
                if self.is_sent_a_snapshot(node) {
                    self.raft.report_snapshot(node.0, SnapshotStatus::Failure);
                }
            }
            self.give_sign_of_life();
            if self.leads() {
                self.yield_with_stuck_disk();
                self.promote();
                self.compare_hashes();
                self.raise_level();
            }
        }
        self.turn();
        if self.started {
            self.offer_snapshot();
            self.compact();
        }
    }

    fn tick_raft(&mut self) {
        let late = self.now.monotonic.saturating_sub(self.ticked);
        let due = u32::try_from(late.as_nanos() / limits::RAFT_TICK.as_nanos()).unwrap_or(u32::MAX);
        // After a standstill the others had no chance to be heard: the time lost is not counted against them.
        let ticks = due.min(limits::RAFT_TICKS_AT_ONCE_MAX);
        self.ticked = if ticks < due { self.now.monotonic } else { self.ticked + limits::RAFT_TICK * due };
        // A node that has not written what it promised is not to stand for election.
        if self.leads() || self.outstanding.is_empty() {
            for _ in 0..ticks {
                self.raft.tick();
                self.stand_again();
            }
        }
    }

    /// Who stood for election in vain (a vote was split, or the other one had still heard the dead leader) stands again
    /// sooner than raft would, which waits as long as for a leader.
    fn stand_again(&mut self) {
        if !matches!(self.raft.raft.state, StateRole::PreCandidate | StateRole::Candidate) {
            self.stands = 0;
            return;
        }
        // Two whose votes were split stand at the same moment: each has a turn of its own, another one in each term.
        let own = self.members.voters.iter().position(|voter| *voter == self.config.node).unwrap_or_default();
        let voters = self.members.voters.len().max(1) as u64;
        let turn = usize::try_from((own as u64 + self.raft.raft.term) % voters).unwrap_or_default();
        // The tick in which it first stood is none of waiting.
        self.stands += 1;
        if self.stands > limits::RAFT_STAND_AGAIN_TICKS + turn && self.raft.campaign().is_ok() {
            self.stands = 1;
        }
    }

    fn expire(&mut self) {
        for (request, proposal) in self.proposals.expired(self.now.monotonic) {
            self.outputs.push_back(Output::Answer { request, proposal });
        }
        for read in self.reads.expired(self.now.monotonic) {
            self.refuse_read(&read, ReadFailed::TooLate);
        }
    }

    pub(super) fn fetch_more(&mut self) {
        if let Some((node, envelope)) = self.snapshots.retry(self.now.monotonic) {
            self.send(node, Class::Snapshot, &envelope);
        }
    }

    fn is_sent_a_snapshot(&self, node: NodeId) -> bool {
        let progress = self.raft.raft.prs().get(node.0);
        progress.is_some_and(|progress| progress.state == ProgressState::Snapshot)
    }

    /// A leader that cannot write holds everybody up: others could go on without it.
    fn yield_with_stuck_disk(&mut self) {
        let limit = limits::RAFT_PERSIST_STALL_MAX;
        let stuck = self.outstanding.front().is_some_and(|oldest| self.now.monotonic >= oldest.since + limit);
        if !stuck || self.raft.raft.lead_transferee.is_some() {
            return;
        }
        let own = self.config.node.0;
        let voters = &self.members.voters;
        let best = self
            .raft
            .raft
            .prs()
            .iter()
            .filter(|(id, progress)| **id != own && progress.recent_active && voters.contains(&NodeId(**id)))
            .max_by_key(|(id, progress)| (progress.matched, **id))
            .map(|(id, _)| *id);
        if let Some(best) = best {
            self.raft.transfer_leader(best);
        }
    }

    /// Makes a learner that has caught up a voter, in one joint change with the one it replaces.
    fn promote(&mut self) {
        if self.members.learners.is_empty() || self.members.is_joint() || self.raft.raft.has_pending_conf() {
            return;
        }
        let commit = self.raft.raft.raft_log.committed;
        let caught_up = self.members.learners.iter().copied().find(|node| {
            self.raft.raft.prs().get(node.0).is_some_and(|progress| {
                // One that was sent nothing yet is not near the end, however short the log is.
                let follows = progress.state != ProgressState::Snapshot && progress.matched > 0;
                progress.recent_active
                    && follows
                    && progress.matched + limits::RAFT_PROMOTION_LAG_MAX >= commit
            })
        });
        if let Some(node) = caught_up {
            let replaced = self.members.replaces.get(&node).copied();
            if replaced == Some(self.config.node) {
                // A leader that goes hands over first, so that nobody waits for an election.
                self.hand_over();
                return;
            }
            let change: raft::eraftpb::ConfChangeV2 = Members::promotion(&self.members, node);
            let _ = self.raft.propose_conf_change(Vec::new(), change);
        }
    }

    /// Has the member lead that is nearest to it; `false`: none that is heard could.
    pub(super) fn hand_over(&mut self) -> bool {
        let own = self.config.node.0;
        let other = self.raft.raft.prs().iter().filter(|(id, progress)| {
            **id != own && progress.recent_active && self.members.voters.contains(&NodeId(**id))
        });
        let best = other.max_by_key(|(id, progress)| (progress.matched, **id)).map(|(id, _)| *id);
        if let Some(best) = best {
            self.raft.transfer_leader(best);
        }
        best.is_some()
    }

    fn compare_hashes(&mut self) {
        if let Some((index, hash)) = self.hashed
            && self.checked < index
        {
            let payload = Payload::CheckHash { index, hash };
            if self.raft.propose(Vec::new(), payload.encode()).is_ok() {
                self.checked = index;
            }
        }
    }

    fn raise_level(&mut self) {
        let own = self.config.node;
        let knows = |node: &NodeId| {
            if *node == own { self.config.level } else { self.levels.get(node).copied().unwrap_or_default() }
        };
        let all = self.members.voters.iter().chain(&self.members.learners).chain(&self.members.outgoing);
        let common = all.map(knows).min().unwrap_or_default();
        if common > self.level && self.level_proposed < common {
            let proposed = self.raft.propose(Vec::new(), Payload::Level(common).encode()).is_ok();
            self.level_proposed = if proposed { common } else { self.level_proposed };
        }
    }

    fn give_sign_of_life(&mut self) {
        let now = self.now.monotonic;
        if self.alive_told.is_some_and(|told| now < told + limits::META_ALIVE_EVERY) {
            return;
        }
        self.alive_told = Some(now);
        // To all members, so that whoever leads next knows the clocks of most.
        let own = self.config.node;
        let members = [&self.members.voters, &self.members.learners, &self.members.outgoing];
        let others: BTreeSet<_> = members.into_iter().flatten().copied().chain(self.leader()).collect();
        let envelope = Envelope::Alive { level: self.config.level, wall: self.now.wall };
        for node in others.into_iter().filter(|node| *node != own) {
            self.send(node, Class::Meta, &envelope);
        }
    }

    /// Other nodes give signs of life as well: what their clocks show and which commands they know is nothing to members.
    pub(super) fn note_alive(&mut self, node: NodeId, level: u32, wall: base::WallTime) {
        if self.members.contains(node) {
            self.clocks.hear(node, self.now.monotonic, wall);
            self.levels.insert(node, level);
            self.levels.retain(|node, _| self.members.contains(*node));
        }
    }

    fn offer_snapshot(&mut self) {
        if !self.raft.store().wants_snapshot() || self.halted.is_some() || !self.leads() {
            return;
        }
        let Ok(term) = self.raft.store().term(self.applied) else { return };
        let at = (self.applied, term);
        let chunk_bytes = self.config.tuning.chunk_bytes;
        match self.snapshots.make(&self.state, at, &self.members, self.level, chunk_bytes) {
            Ok(snapshot) => self.raft.mut_store().offer(Some(snapshot)),
            Err(error) => self.halt(crate::Halt::Snapshot(error.to_string())),
        }
    }

    /// Lets the log's beginning go: what the slowest live member needs stays, up to a cap.
    fn compact(&mut self) {
        let tuning = &self.config.tuning;
        let first = self.raft.store().compacted().0;
        // In steps, so that not every entry costs a write.
        let log = self.raft.store();
        let entries = self.applied.saturating_sub(first);
        if entries < tuning.log_entries_kept + tuning.log_entries_kept / 4 + 1
            && log.bytes() < tuning.log_bytes_kept + tuning.log_bytes_kept / 4
        {
            return;
        }
        let mut upto = self.applied.saturating_sub(tuning.log_entries_kept);
        upto = upto.max(log.bytes_behind(tuning.log_bytes_kept)).min(self.applied);
        if self.leads() {
            let own = self.config.node.0;
            let needed =
                self.raft.raft.prs().iter().filter(|(id, progress)| **id != own && progress.recent_active);
            upto = needed.map(|(_, progress)| progress.matched).fold(upto, u64::min);
        }
        if self.snapshots.is_sending()
            && let Some(offered) = self.raft.store().offered()
        {
            upto = upto.min(offered);
        }
        let log = self.raft.store();
        let most =
            self.applied.saturating_sub(tuning.log_entries_max).max(log.bytes_behind(tuning.log_bytes_max));
        upto = upto.max(most.min(self.applied));
        if let Some(compacted) = self.raft.mut_store().compact(upto) {
            let persist = Persist { compacted: Some(compacted), ..Persist::default() };
            self.persist(persist, 0, Vec::new());
        }
    }
}
