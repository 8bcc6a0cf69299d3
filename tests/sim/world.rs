//! The world: what happens when, in an order that depends on the seed alone.

mod outputs;
mod rest;
mod sessions;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use base::limits;
use cluster_core::{Client, Config, Fnv, NodeId, Replica, Saved};
use cluster_model::{Command, RequestId, Revision, State};

use crate::disk::Disk;
use crate::faults::{Faults, Heal};
use crate::net::Network;
use crate::oracle::{Oracle, Violation};
use crate::process::{Core, EPOCH_MS, Process};
use crate::report::{Counts, Fault, Report};
use crate::rng::Rng;
use crate::work::{CARRIED_OUT, SECOND, Session, Shared};
use crate::{Plan, oracle};

/// Until then there are faults.
pub const FAULTS_END: u64 = 600 * SECOND;
/// From then on everything must be answered.
pub const CALM_FROM: u64 = FAULTS_END + 15 * SECOND;
/// For how long a node without the plane goes on.
const AUTHORITY_LEASE: Duration = Duration::from_secs(10);
/// In one world of so many, members have real stores: they take many times longer.
const REAL_STORES_EVERY: u64 = 100;
/// The end.
pub const END: u64 = FAULTS_END + 30 * SECOND;

/// Something that happens at its time.
pub enum Event {
    /// A node is told the time.
    Tick(NodeId, u64),
    /// A message arrives.
    Deliver { from: NodeId, to: NodeId, bytes: Vec<u8> },
    /// A write is done.
    Written { node: NodeId, life: u64, n: u64 },
    /// A session thinks of something.
    Think(usize),
    /// All sessions do.
    Race,
    /// Something breaks.
    Fault,
    /// Something is mended.
    Heal(Heal),
    /// The operator looks after the membership.
    Operate,
}

struct Item {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A quick hash for the trace.
fn mixed(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Everything there is.
pub struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub now: u64,
    queue: BinaryHeap<Reverse<Item>>,
    order: u64,
    pub nodes: BTreeMap<NodeId, Process>,
    pub net: Network,
    pub oracle: Oracle,
    pub sessions: Vec<Session>,
    /// What sessions know of each other.
    pub shared: Shared,
    /// A copy of the data, made some time ago.
    pub archive: Option<State>,
    /// What a disk did that it must not, to be told once what happens is over.
    found: Option<Violation>,
    pub faults: Faults,
    pub counts: Counts,
    trace: Fnv,
    next_read: u64,
    operations: u64,
    /// What the commands are called that were proposed.
    pub kinds: BTreeMap<RequestId, &'static str>,
    /// How often each kind was applied, those that never were included.
    pub applied: BTreeMap<&'static str, u64>,
}

impl World {
    /// The world of `plan`, at its beginning.
    pub fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed);
        let voters = if rng.chance(250) { 5 } else { 3 };
        let clients = rng.between(1, 3);
        let mut world = Self {
            plan,
            now: 0,
            queue: BinaryHeap::new(),
            order: 0,
            nodes: BTreeMap::new(),
            net: Network::good(),
            oracle: Oracle::default(),
            sessions: Vec::new(),
            shared: Shared::default(),
            archive: None,
            found: None,
            // In one world of four any number of clocks may be wrong, and nothing is promised of time.
            faults: Faults::new(voters, !plan.seed.is_multiple_of(4)),
            counts: Counts::default(),
            trace: Fnv::default(),
            next_read: 0,
            operations: 0,
            kinds: BTreeMap::new(),
            applied: Command::NAMES.iter().map(|kind| (*kind, 0)).collect(),
            rng,
        };
        let members: Vec<_> = (1..=voters).map(NodeId).collect();
        for node in &members {
            let mut process = Process::new(world.config(*node), true);
            process.disk = Disk::with(Saved::first(members.iter().copied(), State::default()));
            world.place(process);
        }
        for client in 0..clients {
            let process = Process::new(world.config(NodeId(1_000 + client)), false);
            world.place(process);
        }
        for session in 0..5 {
            world.sessions.push(Session::new(session));
            let at = world.rng.between(SECOND, 5 * SECOND);
            world.at(at, Event::Think(world.sessions.len() - 1));
        }
        world.at(3 * SECOND, Event::Operate);
        world.at(8 * SECOND, Event::Fault);
        world.at(9 * SECOND, Event::Race);
        world
    }

    /// Lets it run to its end.
    pub fn run(mut self) -> Result<Report, Violation> {
        let nodes: Vec<_> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.start(node)?;
        }
        let mut calm = false;
        while let Some(Reverse(Item { at, event, .. })) = self.queue.pop() {
            if at > END {
                break;
            }
            self.now = at;
            if !calm && at >= FAULTS_END {
                calm = true;
                self.end_faults()?;
            }
            self.happens(event)?;
            if let Some(found) = self.found.take() {
                return Err(found);
            }
        }
        self.check_rest()?;
        self.oracle.at_the_end()?;
        for (cell, count) in self.oracle.cells(|operation| CARRIED_OUT.contains(&operation)) {
            self.counts.add_many(&cell, count);
        }
        for (kind, count) in self.applied {
            self.counts.add_many(&format!("applied: {kind}"), count);
        }
        Ok(Report {
            trace: self.trace.finish(),
            seconds: END / SECOND,
            operations: self.operations,
            counts: self.counts,
        })
    }

    /// The configuration of `node`: with limits so small that they are met.
    pub fn config(&self, node: NodeId) -> Config {
        let mut config = Config::new(node, self.plan.seed);
        config.tuning.log_entries_kept = 24;
        config.tuning.log_entries_max = 60;
        config.tuning.check_hash_every = 150;
        config.tuning.chunk_bytes = 8 * 1024;
        config.tuning.watch_lag_max = 40;
        config.tuning.log_bytes_kept = 8 * 1024;
        config.tuning.log_bytes_max = 24 * 1024;
        config.tuning.authority_lease = AUTHORITY_LEASE;
        #[cfg(feature = "broken")]
        {
            config.broken = self.plan.broken;
        }
        config
    }

    /// Adds a node, which is down.
    pub fn place(&mut self, mut process: Process) {
        process.drift = i64::try_from(self.rng.below(41)).unwrap_or_default() - 20;
        if process.is_member && self.plan.seed.is_multiple_of(REAL_STORES_EVERY) {
            self.counts.add("event: real store");
            self.found = process.disk.make_real().err().or(self.found.take());
        }
        self.nodes.insert(process.node, process);
    }

    /// Puts `event` on the list for `after` microseconds from now.
    pub fn at(&mut self, after: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Item { at: self.now + after, order: self.order, event }));
    }

    /// Notes something in the trace.
    pub fn note(&mut self, what: &str, numbers: &[u64]) {
        self.trace.add(what.as_bytes());
        self.trace.add_u64(self.now);
        for number in numbers {
            self.trace.add_u64(*number);
        }
    }

    /// Begins a life of `node`.
    pub fn start(&mut self, node: NodeId) -> Result<(), Violation> {
        let members: Vec<_> =
            self.nodes.values().filter(|process| process.is_member).map(|process| process.node).collect();
        let life = self.rng.number();
        let at = self.now;
        let Some(process) = self.nodes.get_mut(&node).filter(|process| process.core.is_none()) else {
            return Ok(());
        };
        process.life += 1;
        process.began = at;
        let began = process.now(at);
        if process.is_member {
            let saved = process.disk.durable().clone();
            let revision = saved.state.revision();
            let replica =
                Replica::start(process.config.clone(), saved, began).map_err(|error| Violation {
                    promise: "a member starts from what it wrote",
                    what: format!("node {node}: {error}"),
                })?;
            process.core = Some(Core::Replica(Box::new(replica)));
            self.oracle.begins(node, revision);
        } else {
            let client = Client::start(process.config.clone(), members, life, began);
            process.core = Some(Core::Client(Box::new(client)));
        }
        let life = self.nodes.get(&node).map_or(0, |process| process.life);
        self.note("start", &[node.0, life]);
        let first = self.rng.between(1_000, 100_000);
        self.at(first, Event::Tick(node, life));
        self.drain(node)
    }

    fn happens(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Tick(node, life) => self.tick(node, life),
            Event::Deliver { from, to, bytes } => self.deliver(from, to, bytes),
            Event::Written { node, life, n } => self.written(node, life, n),
            Event::Think(session) => self.think(session),
            Event::Race => {
                for session in 0..self.sessions.len() {
                    self.think_after(session, 0);
                }
                let next = self.rng.around(8 * SECOND);
                self.at(next, Event::Race);
                Ok(())
            }
            Event::Fault if self.now >= FAULTS_END => Ok(()),
            Event::Fault => {
                let next = self.rng.around(5 * SECOND);
                self.at(next, Event::Fault);
                self.break_something()
            }
            Event::Heal(heal) => self.heal(heal),
            Event::Operate => {
                self.at(400_000, Event::Operate);
                self.operate()
            }
        }
    }

    /// Whether `node` is up in `life`; one that is stopped gets `event` when it goes on.
    fn awake(&mut self, node: NodeId, life: Option<u64>) -> Result<(), Option<u64>> {
        match self.nodes.get(&node) {
            Some(process) if process.core.is_some() && life.is_none_or(|life| life == process.life) => {
                if process.stopped_until > self.now {
                    Err(Some(process.stopped_until - self.now))
                } else {
                    Ok(())
                }
            }
            _ => Err(None),
        }
    }

    fn tick(&mut self, node: NodeId, life: u64) -> Result<(), Violation> {
        match self.awake(node, Some(life)) {
            Err(None) => return Ok(()),
            Err(Some(later)) => {
                self.at(later, Event::Tick(node, life));
                return Ok(());
            }
            Ok(()) => {}
        }
        self.at(100_000, Event::Tick(node, life));
        let now = self.now;
        if let Some(process) = self.nodes.get_mut(&node) {
            process.tick(now);
        }
        self.asks_for_authority(node)?;
        self.drain(node)
    }

    /// What `node` says of its age is held against what was told, and so is what it would decide by itself.
    fn asks_for_authority(&mut self, node: NodeId) -> Result<(), Violation> {
        let now = self.now;
        let Some(process) = self.nodes.get(&node) else { return Ok(()) };
        let Some((age, authority)) = process.authority(now) else { return Ok(()) };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // By the node's own clock, which runs too fast or too slow by up to two parts in a hundred.
        let most = |time: Duration| micros(time) + micros(time) / 25;
        if let (Some(age), Some(state)) = (age, process.state()) {
            self.oracle.is_fresh(node, now.saturating_sub(most(age)), state.revision())?;
        }
        let lags = [most(limits::META_FRESH_AGE_MAX), most(AUTHORITY_LEASE)];
        self.oracle.decides((node, process.state()), authority, (now, lags))
    }

    /// What the clocks of most voters show, in milliseconds, if most are right.
    pub fn real_ms(&self) -> Option<u64> {
        self.faults.most_clocks_are_right().then_some(EPOCH_MS + self.now / 1_000)
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) -> Result<(), Violation> {
        match self.awake(to, None) {
            Err(None) => return Ok(()),
            Err(Some(later)) => {
                self.at(later, Event::Deliver { from, to, bytes });
                return Ok(());
            }
            Ok(()) => {}
        }
        self.note("deliver", &[from.0, to.0, mixed(&bytes)]);
        let now = self.now;
        let read = self.nodes.get_mut(&to).is_none_or(|process| process.receive(from, &bytes, now));
        if !read {
            return oracle::broken(
                "nodes understand each other",
                format!("node {to} cannot read node {from}"),
            );
        }
        self.drain(to)
    }

    fn written(&mut self, node: NodeId, life: u64, n: u64) -> Result<(), Violation> {
        match self.awake(node, Some(life)) {
            Err(None) => return Ok(()),
            Err(Some(later)) => {
                self.at(later, Event::Written { node, life, n });
                return Ok(());
            }
            Ok(()) => {}
        }
        let now = self.now;
        let Some(process) = self.nodes.get_mut(&node) else { return Ok(()) };
        let fsync = self.rng.around(process.fsync);
        let begun = process.disk.done(n, fsync)?;
        let told = process.now(now);
        if let Some(replica) = process.replica_mut() {
            replica.persisted(n, told);
        }
        self.writes(node, begun);
        self.drain(node)
    }

    /// Takes `node` down, whatever it is doing.
    pub fn take_down(&mut self, node: NodeId) {
        let Some(process) = self.nodes.get_mut(&node).filter(|process| process.core.is_some()) else {
            return;
        };
        process.core = None;
        process.stopped_until = 0;
        match process.disk.crash(&mut self.rng) {
            Ok(true) => self.counts.strikes(Fault::UnsyncedWritesLost),
            Ok(false) => {}
            Err(found) => self.found = Some(found),
        }
        self.note("down", &[node.0]);
        self.lose_operations_of(node);
    }

    /// The member that leads the newest term.
    pub fn leader(&self) -> Option<NodeId> {
        let leads = |process: &&Process| process.stopped_until <= self.now;
        let leaders = self.nodes.values().filter(leads).filter_map(|process| {
            let status = process.replica()?.status();
            status.leads.then_some((status.term, process.node))
        });
        leaders.max().map(|(_, node)| node)
    }

    /// The newest revision that was told.
    pub fn newest_told(&self) -> Revision {
        self.oracle.newest_told()
    }
}
