//! What breaks, and what the operator does about it.

mod disaster;

use std::collections::BTreeSet;

use cluster_core::{Members, MembershipChange, NodeId, Saved};

use crate::disk::Disk;
use crate::net::Network;
use crate::oracle::Violation;
use crate::process::Process;
use crate::report::Fault;
use crate::work::SECOND;
use crate::world::{Event, FAULTS_END, World};

/// What is mended later.
#[derive(Clone, Copy, Debug)]
pub enum Heal {
    /// Links.
    Links,
    /// Loss, doubles, delay.
    Weather,
    /// A node that is down starts.
    Start(NodeId),
    /// A full disk has room.
    Disk(NodeId),
    /// A slow disk is quick.
    Fsync(NodeId),
    /// A wrong clock is right.
    Clock(NodeId),
    /// It was right for so long that nobody remembers what it showed.
    ClockForgotten,
}

/// What the operator wants of the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A member joins, and another one goes if it is named.
    Join {
        /// The new one.
        node: NodeId,
        /// The one that goes.
        replaces: Option<NodeId>,
    },
    /// A member goes.
    Leave(NodeId),
}

/// What is under way.
#[derive(Debug)]
pub struct Faults {
    goal: Option<Goal>,
    next_node: u64,
    voters: u64,
    /// At most one member's clock is wrong at a time.
    one_wrong_clock: bool,
    /// One is, or was lately.
    wrong_clock: bool,
}

impl Faults {
    /// A world of so many voters.
    pub const fn new(voters: u64, one_wrong_clock: bool) -> Self {
        Self { goal: None, next_node: voters + 1, voters, one_wrong_clock, wrong_clock: false }
    }

    /// Whether the clocks of most members are right at any time.
    pub const fn most_clocks_are_right(&self) -> bool {
        self.one_wrong_clock
    }

    /// What the operator has not reached yet.
    pub const fn goal(&self) -> Option<Goal> {
        self.goal
    }
}

impl World {
    /// Breaks one thing.
    pub fn break_something(&mut self) -> Result<(), Violation> {
        let kind = self.rng.below(18);
        self.note("fault", &[kind]);
        match kind {
            0..=1 => self.partition(),
            2 => self.one_way_loss(),
            3 => self.bad_weather(),
            4 => self.slow_network(),
            5..=6 => self.crash(),
            7 => self.crash_of_many(),
            8 => self.full_disk(),
            9 => self.slow_fsync(),
            10 => self.clock_jump(),
            11 => self.standstill(),
            12 => return self.transfer(),
            13..=14 => return self.wipe(),
            15 => return self.grow(),
            16 => self.shrink(),
            _ => return self.disaster(),
        }
        Ok(())
    }

    fn any_node(&mut self, members_only: bool) -> Option<NodeId> {
        let all: Vec<_> = self
            .nodes
            .values()
            .filter(|process| process.core.is_some() && (process.is_member || !members_only))
            .map(|process| process.node)
            .collect();
        self.rng.pick(&all).copied()
    }

    /// The members as the leader of the newest term knows them; nobody without one.
    fn members(&self) -> Members {
        let leading = self.leader().and_then(|leader| self.nodes.get(&leader)).and_then(Process::replica);
        leading.map(|replica| replica.status().members).unwrap_or_default()
    }

    fn partition(&mut self) {
        self.counts.strikes(Fault::Partition);
        let all: Vec<_> = self.nodes.keys().copied().collect();
        // Often the leader alone on one side: that is who must notice.
        let leader = self.leader().filter(|_| self.rng.chance(500));
        let side: BTreeSet<_> = match leader {
            Some(leader) if self.rng.chance(500) => {
                // With the clients, who then are served by nobody else.
                let clients = all.iter().copied().filter(|node| node.0 >= 1_000);
                clients.chain([leader]).collect()
            }
            Some(leader) => [leader].into(),
            None => all.iter().copied().filter(|_| self.rng.chance(400)).collect(),
        };
        for from in &all {
            for to in &all {
                if side.contains(from) != side.contains(to) {
                    self.net.cut(*from, *to);
                }
            }
        }
        let after = self.rng.between(SECOND / 2, 12 * SECOND);
        self.at(after, Event::Heal(Heal::Links));
    }

    fn one_way_loss(&mut self) {
        self.counts.strikes(Fault::OneWayLoss);
        let all: Vec<_> = self.nodes.keys().copied().collect();
        if let (Some(from), Some(to)) = (self.any_node(false), self.rng.pick(&all).copied()) {
            self.net.cut(from, to);
        }
        let after = self.rng.between(SECOND / 2, 15 * SECOND);
        self.at(after, Event::Heal(Heal::Links));
    }

    fn bad_weather(&mut self) {
        self.counts.strikes(Fault::BadWeather);
        self.net.loss = self.rng.below(300);
        self.net.doubled = self.rng.below(200);
        self.net.held_up = self.rng.below(150);
        let after = self.rng.between(SECOND, 10 * SECOND);
        self.at(after, Event::Heal(Heal::Weather));
    }

    fn slow_network(&mut self) {
        self.counts.strikes(Fault::SlowNetwork);
        self.net.delay = self.rng.between(5_000, 120_000);
        let after = self.rng.between(SECOND, 10 * SECOND);
        self.at(after, Event::Heal(Heal::Weather));
    }

    fn crash(&mut self) {
        // The leader more often than the others: there is more to go wrong with it.
        let leader = self.leader().filter(|_| self.rng.chance(400));
        if let Some(node) = leader.or_else(|| self.any_node(false)) {
            self.crash_one(node);
        }
    }

    fn crash_one(&mut self, node: NodeId) {
        self.counts.strikes(Fault::Crash);
        self.take_down(node);
        let after = if self.rng.chance(500) { self.rng.below(SECOND) } else { self.rng.below(10 * SECOND) };
        self.at(after, Event::Heal(Heal::Start(node)));
    }

    fn crash_of_many(&mut self) {
        self.counts.strikes(Fault::PowerLoss);
        let all: Vec<_> = self.nodes.keys().copied().collect();
        let spared = self.rng.below(400);
        for node in all {
            if !self.rng.chance(spared) {
                self.crash_one(node);
            }
        }
    }

    fn full_disk(&mut self) {
        let Some(node) = self.any_node(true) else { return };
        self.counts.strikes(Fault::FullDisk);
        if let Some(process) = self.nodes.get_mut(&node) {
            process.disk.fill();
        }
        let after = self.rng.between(SECOND / 2, 12 * SECOND);
        self.at(after, Event::Heal(Heal::Disk(node)));
    }

    fn slow_fsync(&mut self) {
        let Some(node) = self.any_node(true) else { return };
        self.counts.strikes(Fault::SlowFsync);
        let slow = self.rng.between(50_000, 1_500_000);
        if let Some(process) = self.nodes.get_mut(&node) {
            process.fsync = slow;
        }
        let after = self.rng.between(SECOND, 15 * SECOND);
        self.at(after, Event::Heal(Heal::Fsync(node)));
    }

    fn clock_jump(&mut self) {
        let Some(node) = self.any_node(false) else { return };
        let counts = self.faults.one_wrong_clock && self.nodes.get(&node).is_some_and(|it| it.is_member);
        if counts && self.faults.wrong_clock {
            return;
        }
        self.counts.strikes(Fault::ClockJump);
        if counts {
            self.faults.wrong_clock = true;
            let after = self.rng.between(5 * SECOND, 30 * SECOND);
            self.at(after, Event::Heal(Heal::Clock(node)));
        }
        let range = if self.rng.chance(500) { 10_000 } else { 7_200_000 };
        let off = i64::try_from(self.rng.below(2 * range)).unwrap_or_default();
        if let Some(process) = self.nodes.get_mut(&node) {
            process.wall_off_ms = off - i64::try_from(range).unwrap_or_default();
        }
    }

    fn standstill(&mut self) {
        let Some(node) = self.any_node(false) else { return };
        self.counts.strikes(Fault::Standstill);
        let until = self.now + self.rng.between(SECOND / 5, 8 * SECOND);
        if let Some(process) = self.nodes.get_mut(&node) {
            process.stopped_until = until;
        }
    }

    fn transfer(&mut self) -> Result<(), Violation> {
        let (Some(leader), Some(to)) = (self.leader(), self.any_node(true)) else { return Ok(()) };
        self.counts.strikes(Fault::LeadershipTransfer);
        let now = self.now;
        if let Some(process) = self.nodes.get_mut(&leader) {
            let told = process.now(now);
            if let Some(replica) = process.replica_mut() {
                replica.transfer(to, told);
            }
        }
        self.drain(leader)
    }

    /// A member loses its disk. It comes back as a new one, in the old one's place.
    fn wipe(&mut self) -> Result<(), Violation> {
        if self.faults.goal.is_some() || self.now + 20 * SECOND > FAULTS_END {
            return Ok(());
        }
        // Only while a majority is left without it: what a majority loses is lost.
        let members = self.members();
        let Some(old) = self.any_node(true).filter(|old| members.contains(*old) && members.voters.len() > 2)
        else {
            return Ok(());
        };
        self.counts.strikes(Fault::Wipe);
        self.take_down(old);
        self.nodes.remove(&old);
        self.join(Some(old))
    }

    fn grow(&mut self) -> Result<(), Violation> {
        let members = self.members().voters.len() as u64;
        if self.faults.goal.is_some() || members > self.faults.voters || self.now + 20 * SECOND > FAULTS_END {
            return Ok(());
        }
        self.counts.strikes(Fault::MemberAdded);
        self.join(None)
    }

    fn join(&mut self, replaces: Option<NodeId>) -> Result<(), Violation> {
        let node = NodeId(self.faults.next_node);
        self.faults.next_node += 1;
        self.faults.goal = Some(Goal::Join { node, replaces });
        let mut process = Process::new(self.config(node), true);
        process.disk = Disk::with(Saved::joining());
        self.place(process);
        self.start(node)
    }

    fn shrink(&mut self) {
        let members = self.members();
        if self.faults.goal.is_some() || members.voters.len() as u64 <= self.faults.voters {
            return;
        }
        if let Some(node) = self.any_node(true).filter(|node| members.contains(*node)) {
            self.counts.strikes(Fault::MemberRemoved);
            self.faults.goal = Some(Goal::Leave(node));
        }
    }

    /// The operator tells the leader what is wanted, until it is so.
    pub fn operate(&mut self) -> Result<(), Violation> {
        let (Some(goal), Some(leader)) = (self.faults.goal, self.leader()) else { return Ok(()) };
        let now = self.now;
        let Some(process) = self.nodes.get_mut(&leader) else { return Ok(()) };
        let told = process.now(now);
        let Some(replica) = process.replica_mut() else { return Ok(()) };
        let members = replica.status().members;
        let reached = match goal {
            Goal::Join { node, replaces } => {
                members.voters.contains(&node) && replaces.is_none_or(|old| !members.contains(old))
            }
            Goal::Leave(node) => !members.contains(node),
        };
        if reached && !members.is_joint() {
            self.faults.goal = None;
            // One that went before it was ever told anything has nobody to ask.
            let untold = |process: &&Process| {
                process.replica().is_some_and(|replica| replica.status().members.newest == NodeId(0))
            };
            if let Goal::Leave(node) = goal
                && self.nodes.get(&node).filter(untold).is_some()
            {
                self.take_down(node);
                self.nodes.remove(&node);
            }
            return Ok(());
        }
        // Refusals need nothing: the goal is looked at again soon.
        match goal {
            Goal::Join { node, replaces } if !members.contains(node) => {
                // Who was removed already, and did not know it, needs no replacement.
                let replaces = replaces.filter(|old| members.contains(*old));
                let _ = replica.change_membership(MembershipChange::Add { node, replaces }, told);
            }
            Goal::Leave(node) if node == leader => {
                let other = members.voters.iter().copied().find(|other| *other != leader);
                if let Some(other) = other {
                    replica.transfer(other, told);
                }
            }
            Goal::Leave(node) => {
                let _ = replica.change_membership(MembershipChange::Remove { node }, told);
            }
            Goal::Join { .. } => {}
        }
        self.drain(leader)
    }

    /// Mends one thing.
    pub fn heal(&mut self, heal: Heal) -> Result<(), Violation> {
        match heal {
            Heal::Links => self.net.mend(),
            Heal::Weather => {
                let Network { loss, doubled, held_up, delay, .. } = Network::good();
                (self.net.loss, self.net.doubled, self.net.held_up, self.net.delay) =
                    (loss, doubled, held_up, delay);
            }
            Heal::Start(node) => return self.start(node),
            Heal::Disk(node) => {
                if let Some(process) = self.nodes.get_mut(&node) {
                    let begun = process.disk.free(process.fsync);
                    self.writes(node, begun);
                }
            }
            Heal::Clock(node) => {
                if let Some(process) = self.nodes.get_mut(&node) {
                    process.wall_off_ms = 0;
                }
                self.at(20 * SECOND, Event::Heal(Heal::ClockForgotten));
            }
            Heal::ClockForgotten => self.faults.wrong_clock = false,
            Heal::Fsync(node) => {
                if let Some(process) = self.nodes.get_mut(&node) {
                    process.fsync = 1_500;
                }
            }
        }
        Ok(())
    }

    /// Mends everything.
    pub fn end_faults(&mut self) -> Result<(), Violation> {
        self.note("calm", &[]);
        self.heal(Heal::Links)?;
        self.heal(Heal::Weather)?;
        let all: Vec<_> = self.nodes.keys().copied().collect();
        for node in all {
            if let Some(process) = self.nodes.get_mut(&node) {
                process.stopped_until = 0;
                process.wall_off_ms = 0;
            }
            self.heal(Heal::Fsync(node))?;
            self.heal(Heal::Disk(node))?;
            self.heal(Heal::Start(node))?;
            // One that was cut off while all members were replaced knows nobody: its operator tells it who they are now.
            let asks = self.nodes.get(&node).and_then(Process::asks);
            if asks.is_some_and(|asks| !asks.iter().any(|member| self.nodes.contains_key(member))) {
                self.take_down(node);
                self.start(node)?;
            }
        }
        Ok(())
    }
}
