//! A node that is no member: it asks members, and keeps a copy of the state by what it watches.

mod round;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base::{WallTime, limits};
use cluster_model::{
    Change, Command, NotApplied, Proposal, Query, ReadFailed, Reading, RequestId, Revision, State,
};

use crate::freshness::Freshness;
use crate::mirror::{Mirror, Taken, Wanted};
use crate::output::{AppliedEntry, Output};
use crate::proposals::Proposals;
use crate::{Authority, Class, Config, Envelope, Members, Moment, NodeId, Now, ReadId, Status, WireError};

/// A node of the cluster that is no member. Fed and drained as a [`crate::Replica`] is; it has no disk.
pub struct Client {
    config: Config,
    /// Tells this life's questions from those of any other.
    life: u64,
    now: Now,
    outputs: VecDeque<Output>,
    /// Members as configured. They stay in the round: those last heard of may all be gone.
    configured: Vec<NodeId>,
    /// Whom it asks in turn: all that may be members, as [`Self::go_round`] collects them.
    members: Vec<NodeId>,
    /// Members, as one of them told it last.
    known: Members,
    /// Whom proposals go to and reads go first, as a place in `members`.
    turn: usize,
    /// The same for the copy and the watch, and for the question how fresh this node is. Each goes round by itself: with one
    /// count for all, each could miss the same members every time.
    watch_turn: usize,
    freshen_turn: usize,
    leader: Option<NodeId>,
    /// Who was last said to lead. It stays when it does not answer: of all members it may be the only one known here.
    led: Option<NodeId>,
    proposals: Proposals,
    reads: BTreeMap<ReadId, Question>,
    asked: u64,
    mirror: Mirror,
    watch_again: Moment,
    /// The first of what was written from here and is not in the copy.
    written: Option<Written>,
    freshness: Freshness,
    freshen_again: Moment,
    freshening: Option<Freshening>,
    alive_again: Moment,
}

struct Question {
    query: Vec<u8>,
    deadline: Moment,
    again: Moment,
    /// The number it was last sent under; 0 if it never was.
    number: u64,
    /// Whom it was last sent to, as a place in the members.
    turn: usize,
}

struct Written {
    /// Who said so.
    member: NodeId,
    revision: Revision,
    since: Moment,
}

struct Freshening {
    number: u64,
    stamp: Moment,
    /// What the member had, and of which generation; fresh once it is here too.
    had: Option<(Revision, u64)>,
}

impl Client {
    /// Knows `members` to begin with. `life` was given to no other life of this node.
    pub fn start(config: Config, members: Vec<NodeId>, life: u64, now: Now) -> Self {
        let life = if broken!(config, IncarnationNotRaised) { 0 } else { life };
        Self {
            turn: usize::try_from(config.seed ^ config.node.0).unwrap_or_default(),
            watch_turn: 0,
            freshen_turn: 0,
            config,
            life,
            now,
            outputs: VecDeque::new(),
            configured: members.clone(),
            known: Members { voters: members.iter().copied().collect(), ..Members::default() },
            members,
            leader: None,
            led: None,
            proposals: Proposals::default(),
            reads: BTreeMap::new(),
            asked: 0,
            mirror: Mirror::new(now.monotonic),
            watch_again: Moment::ZERO,
            written: None,
            freshness: Freshness::default(),
            freshen_again: Moment::ZERO,
            freshening: None,
            alive_again: Moment::ZERO,
        }
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The state, for local reads. It may lag. `None`: it was never whole.
    pub const fn state(&self) -> Option<&State> {
        self.mirror.whole()
    }

    /// Whom it asks, in turn.
    pub fn asks(&self) -> &[NodeId] {
        &self.members
    }

    /// What it says of itself: of the log it knows nothing.
    pub fn status(&self) -> Status {
        Status {
            term: 0,
            leader: self.leader,
            leads: false,
            commit: 0,
            applied: 0,
            last: 0,
            compacted: 0,
            members: self.known.clone(),
            level: 0,
            revision: self.mirror.whole().map(State::revision).unwrap_or_default(),
            progress: BTreeMap::new(),
        }
    }

    /// The newest moment of this node's monotonic clock at which its state was known to be all there is.
    pub const fn fresh_at(&self) -> Option<Moment> {
        self.freshness.newest()
    }

    /// How old what this node knows is at most.
    pub fn age(&self, now: Now) -> Option<Duration> {
        self.freshness.age(now.monotonic)
    }

    /// What this node may decide by itself.
    pub fn authority(&self, now: Now) -> Authority {
        self.freshness.authority(now.monotonic, self.config.tuning.authority_lease)
    }

    /// Wants `command` applied. Answered with [`Output::Answer`], at the deadline at the latest.
    pub fn propose(&mut self, request: RequestId, command: &Command, deadline: Moment, now: Now) {
        self.tell_time(now);
        let taken = match command.encode() {
            Ok(bytes) if bytes.len() as u64 <= limits::RAFT_MESSAGE_BYTES_MAX => {
                self.proposals.add(request, bytes, now.monotonic, deadline)
            }
            _ => Err(NotApplied::TooLarge),
        };
        match taken {
            Ok(()) => self.propose_due(),
            Err(why) => {
                let proposal = Proposal::NotApplied(why);
                self.outputs.push_back(Output::Answer { request, proposal });
            }
        }
    }

    /// Reads by `deadline`, always linearizable: what is here without asking is the state. Answered with
    /// [`Output::Read`] under `id`.
    pub fn read(&mut self, id: ReadId, query: &Query, deadline: Moment, now: Now) {
        self.tell_time(now);
        let Some(query) =
            serde_json::to_vec(query).ok().filter(|_| self.reads.len() < limits::META_READS_MAX)
        else {
            self.outputs.push_back(Output::Read { id, result: Err(ReadFailed::TooLate) });
            return;
        };
        self.reads.insert(id, Question { query, deadline, again: Moment::ZERO, number: 0, turn: 0 });
        self.ask_due();
    }

    /// Tells the time. To be called every [`limits::RAFT_TICK`].
    pub fn tick(&mut self, now: Now) {
        self.tell_time(now);
        for (request, proposal) in self.proposals.expired(self.now.monotonic) {
            self.outputs.push_back(Output::Answer { request, proposal });
        }
        let late = self.reads.extract_if(.., |_, question| question.deadline <= self.now.monotonic);
        for (id, _) in late {
            self.outputs.push_back(Output::Read { id, result: Err(ReadFailed::TooLate) });
        }
        if self.proposals.any_overdue(self.now.monotonic) {
            // Who does not answer in time leads no more.
            self.leader = None;
        }
        self.propose_due();
        self.ask_due();
        match self.mirror.wanted(self.now.monotonic) {
            Wanted::Page { elsewhere } => self.ask_for_page(elsewhere),
            Wanted::Changes if self.now.monotonic >= self.watch_again => {
                // No answer may be nothing new, or nobody there: another one is asked.
                self.watch_turn = self.watch_turn.wrapping_add(1);
                self.ask_to_watch();
            }
            Wanted::Changes | Wanted::Nothing => {}
        }
        self.catch_up_with_written();
        self.freshen();
        if self.now.monotonic >= self.alive_again {
            self.alive_again = self.now.monotonic + limits::META_ALIVE_EVERY;
            // To all members: who leads by now, one that asks for nothing is not told.
            let envelope = Envelope::Alive { level: self.config.level, wall: self.now.wall };
            for member in self.members.clone() {
                self.send(member, &envelope);
            }
        }
    }

    /// Takes what `from` sent.
    pub fn receive(&mut self, from: NodeId, bytes: &[u8], now: Now) -> Result<(), WireError> {
        self.tell_time(now);
        match Envelope::decode(bytes)? {
            Envelope::Answer { request, revision, outcome } => {
                self.take_leader(Some(from));
                self.note_written(from, revision);
                if self.proposals.answered(request) {
                    let proposal = Proposal::Applied { revision, outcome };
                    self.outputs.push_back(Output::Answer { request, proposal });
                }
            }
            Envelope::Elsewhere { leader } => {
                // One that leads itself says so when it begins to: it was asked before it did.
                if leader.is_some() && leader != self.leader {
                    self.proposals.hurry(self.now.monotonic);
                }
                self.take_leader(leader);
                self.propose_due();
            }
            Envelope::Reading { id, revision, generation, reading, members } => {
                let is_ours = self.take_reading(id, (revision, generation), &reading)?;
                self.take_members(&members, is_ours);
                if is_ours {
                    self.catch_up(from, (revision, generation));
                }
            }
            Envelope::Changes { after, upto, generation, now, changes }
                if generation == self.mirror.generation() =>
            {
                self.take_changes(after, (upto, now), &changes)?;
            }
            Envelope::Listed { id, revision, now, rows, ends } => {
                match self.mirror.take_page(id, (revision, now), &rows, ends)? {
                    Taken::Stray => {}
                    Taken::Old => self.watch_turn = self.watch_turn.wrapping_add(1),
                    Taken::Here => self.go_on(),
                }
            }
            Envelope::Behind { from: asked } if self.mirror.revision() == Some(asked) => {
                self.mirror.copy_anew(self.now.monotonic);
                self.ask_for_page(false);
            }
            // Said to members.
            _ => {}
        }
        Ok(())
    }

    fn tell_time(&mut self, now: Now) {
        let monotonic = self.now.monotonic.max(now.monotonic);
        self.now = Now { monotonic, wall: now.wall };
    }

    fn send(&mut self, to: NodeId, envelope: &Envelope) {
        self.outputs.push_back(Output::Send { to, class: Class::Meta, bytes: envelope.encode() });
    }

    fn next_number(&mut self) -> u64 {
        self.asked = self.asked.wrapping_add(1);
        // Mixed, so that numbers of two lives meet as seldom as two random ones.
        let mut hash = crate::Fnv::default();
        hash.add_u64(self.life);
        hash.add_u64(self.asked);
        hash.finish()
    }

    fn propose_due(&mut self) {
        let now = self.now.monotonic;
        while let Some((request, command)) = self.proposals.next_due(now) {
            let to = self.leader.or_else(|| {
                self.turn = self.turn.wrapping_add(1);
                self.member(self.turn)
            });
            let Some(to) = to else { return };
            self.send(to, &Envelope::Propose { request, command });
            self.proposals.sent(request, now);
        }
    }

    fn ask_due(&mut self) {
        let now = self.now.monotonic;
        let due: Vec<_> =
            self.reads.iter().filter(|(_, question)| question.again <= now).map(|(id, _)| *id).collect();
        for id in due {
            let (number, first) = (self.next_number(), self.first_turn());
            let Some(question) = self.reads.get_mut(&id) else { continue };
            if question.number == 0 {
                question.turn = first;
            } else {
                // Another one than did not answer, whoever else was asked for anything meanwhile.
                let next = question.turn.wrapping_add(1);
                if self.turn == question.turn {
                    self.turn = next;
                }
                question.turn = next;
            }
            question.number = number;
            question.again = now + 2 * limits::META_RETRY_AFTER;
            let (query, turn) = (question.query.clone(), question.turn);
            let Some(member) = self.member(turn) else { return };
            self.send(member, &Envelope::Read { id: number, query });
        }
    }

    fn ask_to_watch(&mut self) {
        self.watch_again = self.now.monotonic + 4 * limits::META_RETRY_AFTER;
        let Some(seen) = self.mirror.revision() else { return };
        let from =
            if broken!(self.config, WatchResumedLate) && seen > Revision::ZERO { seen.next() } else { seen };
        if let Some(member) = self.member(self.watch_turn) {
            let generation = self.mirror.generation();
            self.send(member, &Envelope::Watch { from, generation });
        }
    }

    fn ask_for_page(&mut self, elsewhere: bool) {
        if elsewhere {
            self.watch_turn = self.watch_turn.wrapping_add(1);
        }
        let id = self.next_number();
        let (from, generation) = (self.mirror.revision().unwrap_or_default(), self.mirror.generation());
        let behind = self.mirror.asks(id, self.now.monotonic);
        if let Some(member) = self.member(self.watch_turn) {
            self.send(member, &Envelope::List { id, from, generation, behind });
        }
    }

    /// `member` is ahead of what is here, which may be watched through one that is gone: it is watched through this one.
    fn catch_up(&mut self, member: NodeId, (revision, generation): (Revision, u64)) {
        if !self.mirror.is_copying()
            && !self.mirror.has(revision, generation)
            && let Some(place) = self.members.iter().position(|known| *known == member)
        {
            self.watch_turn = place;
            self.ask_to_watch();
        }
    }

    /// After something was taken: asks for what is wanted next.
    fn go_on(&mut self) {
        if self.mirror.completes() {
            let revision = self.mirror.revision().unwrap_or_default();
            self.outputs.push_back(Output::Relist { revision });
        }
        self.freshened();
        match self.mirror.wanted(self.now.monotonic) {
            Wanted::Page { elsewhere } => self.ask_for_page(elsewhere),
            Wanted::Changes => self.ask_to_watch(),
            Wanted::Nothing => {}
        }
    }

    fn take_changes(
        &mut self,
        after: Revision,
        (upto, time): (Revision, WallTime),
        changes: &[(Revision, WallTime, Vec<u8>)],
    ) -> Result<(), WireError> {
        let Some(seen) = self.mirror.revision() else { return Ok(()) };
        let follows = after == seen || broken!(self.config, WatchResumedLate) && after == seen.next();
        // While a page is on its way nothing is taken, or it would be old when it comes.
        if !follows || upto <= after || self.mirror.is_asking() {
            return Ok(());
        }
        let mut read = Vec::with_capacity(changes.len());
        for (revision, now, json) in changes {
            let changed: Vec<Change> = serde_json::from_slice(json).map_err(|_| WireError)?;
            read.push((*revision, *now, changed));
        }
        // What changed nothing is seen as well: who wrote it waits for its revision.
        if read.last().is_none_or(|(last, ..)| *last < upto) {
            read.push((upto, time, Vec::new()));
        }
        for (revision, now, changed) in read {
            if !self.mirror.take_changes(revision, now, &changed) {
                continue;
            }
            self.outputs.push_back(Output::Applied(AppliedEntry {
                index: 0,
                term: 0,
                revision,
                request: None,
                outcome: None,
                changes: changed.into(),
                repeated: false,
                now,
            }));
        }
        self.go_on();
        Ok(())
    }

    /// `member` has applied what was wanted here, at `revision`.
    fn note_written(&mut self, member: NodeId, revision: Revision) {
        let has = |revision| self.mirror.has(revision, self.mirror.generation());
        if self.written.as_ref().is_none_or(|written| has(written.revision)) && !has(revision) {
            self.written = Some(Written { member, revision, since: self.now.monotonic });
        }
    }

    /// What was written from here does not come by whom this node watches through, which may be gone: it is watched through
    /// the one that has it.
    fn catch_up_with_written(&mut self) {
        let late = |written: &mut Written| self.now.monotonic >= written.since + limits::RAFT_TICK;
        if let Some(Written { member, revision, .. }) = self.written.take_if(late) {
            self.catch_up(member, (revision, self.mirror.generation()));
        }
    }

    /// Gives whether it answers a question of this life that still stands.
    fn take_reading(&mut self, number: u64, had: (Revision, u64), reading: &[u8]) -> Result<bool, WireError> {
        if let Some(freshening) = self.freshening.as_mut().filter(|freshening| freshening.number == number) {
            freshening.had = Some(had);
            self.freshened();
            return Ok(true);
        }
        let Some(id) = self.reads.iter().find(|(_, question)| question.number == number).map(|(id, _)| *id)
        else {
            return Ok(false);
        };
        let reading: Reading = serde_json::from_slice(reading).map_err(|_| WireError)?;
        self.reads.remove(&id);
        self.outputs.push_back(Output::Read { id, result: Ok(reading) });
        Ok(true)
    }

    fn freshen(&mut self) {
        if self.now.monotonic < self.freshen_again {
            return;
        }
        if self.freshening.as_ref().is_some_and(|freshening| freshening.had.is_none()) {
            self.freshen_turn = self.freshen_turn.wrapping_add(1);
        }
        let (number, stamp) = (self.next_number(), self.now.monotonic);
        if let Some(member) = self.member(self.freshen_turn) {
            self.freshen_again = stamp + limits::META_FRESHEN_EVERY;
            self.freshening = Some(Freshening { number, stamp, had: None });
            self.send(member, &Envelope::Read { id: number, query: Vec::new() });
        }
    }

    /// What is here is as fresh as the question once it has all that the member had.
    fn freshened(&mut self) {
        if let Some(Freshening { stamp, had: Some((revision, generation)), .. }) = self.freshening
            && self.mirror.has(revision, generation)
        {
            self.freshness.answered(stamp);
        }
    }
}

#[cfg(test)]
mod tests;
