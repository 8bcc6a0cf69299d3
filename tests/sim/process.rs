//! One node: a core, its clocks and its disk.

use std::time::Duration;

use base::WallTime;
use cluster_core::{Authority, Client, Config, NodeId, Now, Output, ReadId, Replica};
use cluster_model::{Command, Consistency, Query, RequestId, State};

use crate::disk::Disk;

/// The wall clock's time at the beginning of a world, in milliseconds.
pub const EPOCH_MS: u64 = 1_700_000_000_000;

/// What runs on a node.
pub enum Core {
    /// A member.
    Replica(Box<Replica>),
    /// Any other node.
    Client(Box<Client>),
}

/// One node.
pub struct Process {
    /// Which one.
    pub node: NodeId,
    /// Which life; what was meant for an earlier one no longer arrives.
    pub life: u64,
    /// `None` while it is down.
    pub core: Option<Core>,
    /// A member's.
    pub disk: Disk,
    /// Whether it is a member by its nature.
    pub is_member: bool,
    /// What its core is started with.
    pub config: Config,
    /// Its wall clock is off by this, in milliseconds.
    pub wall_off_ms: i64,
    /// Its monotonic clock runs this much too fast, in parts per thousand.
    pub drift: i64,
    /// When this life began.
    pub began: u64,
    /// It does nothing until then: stopped by the machine under it.
    pub stopped_until: u64,
    /// What a sync takes, in microseconds.
    pub fsync: u64,
}

impl Process {
    /// A node that is down.
    pub fn new(config: Config, is_member: bool) -> Self {
        Self {
            node: config.node,
            life: 0,
            core: None,
            disk: Disk::default(),
            is_member,
            config,
            wall_off_ms: 0,
            drift: 0,
            began: 0,
            stopped_until: 0,
            fsync: 1_500,
        }
    }

    /// What its clocks show at the world's time `at`.
    pub fn now(&self, at: u64) -> Now {
        let elapsed = at.saturating_sub(self.began);
        let drifted = elapsed.saturating_add_signed(elapsed as i64 / 1000 * self.drift);
        let wall = (EPOCH_MS + at / 1000).saturating_add_signed(self.wall_off_ms);
        Now { monotonic: Duration::from_micros(drifted), wall: WallTime(wall) }
    }

    /// The member that runs here.
    pub fn replica(&self) -> Option<&Replica> {
        match &self.core {
            Some(Core::Replica(replica)) => Some(replica),
            _ => None,
        }
    }

    /// The same, to be told something.
    pub fn replica_mut(&mut self) -> Option<&mut Replica> {
        match &mut self.core {
            Some(Core::Replica(replica)) => Some(replica),
            _ => None,
        }
    }

    /// What a node that is no member has copied.
    pub fn mirror(&self) -> Option<&State> {
        match &self.core {
            Some(Core::Client(client)) => client.state(),
            _ => None,
        }
    }

    /// Whom one that is no member asks.
    pub fn asks(&self) -> Option<&[NodeId]> {
        match &self.core {
            Some(Core::Client(client)) => Some(client.asks()),
            _ => None,
        }
    }

    /// What it has to decide by.
    pub fn state(&self) -> Option<&State> {
        self.replica().map(Replica::state).or_else(|| self.mirror())
    }

    /// How old it says that is, and what it may decide by itself.
    pub fn authority(&self, at: u64) -> Option<(Option<Duration>, Authority)> {
        let now = self.now(at);
        Some(match self.core.as_ref()? {
            Core::Replica(replica) => (replica.age(now), replica.authority(now)),
            Core::Client(client) => (client.age(now), client.authority(now)),
        })
    }

    /// The next output.
    pub fn poll(&mut self) -> Option<Output> {
        match self.core.as_mut()? {
            Core::Replica(replica) => replica.poll(),
            Core::Client(client) => client.poll(),
        }
    }

    /// Tells the time.
    pub fn tick(&mut self, at: u64) {
        let now = self.now(at);
        match &mut self.core {
            Some(Core::Replica(replica)) => replica.tick(now),
            Some(Core::Client(client)) => client.tick(now),
            None => {}
        }
    }

    /// Hands over a message. Gives whether it could be read.
    pub fn receive(&mut self, from: NodeId, bytes: &[u8], at: u64) -> bool {
        let now = self.now(at);
        match &mut self.core {
            Some(Core::Replica(replica)) => replica.receive(from, bytes, now).is_ok(),
            Some(Core::Client(client)) => client.receive(from, bytes, now).is_ok(),
            None => true,
        }
    }

    /// Proposes, to be answered within `within` microseconds.
    pub fn propose(&mut self, request: RequestId, command: &Command, within: u64, at: u64) {
        let now = self.now(at);
        let deadline = now.monotonic + Duration::from_micros(within);
        match &mut self.core {
            Some(Core::Replica(replica)) => replica.propose(request, command, deadline, now),
            Some(Core::Client(client)) => client.propose(request, command, deadline, now),
            None => {}
        }
    }

    /// Asks, to be answered within `within` microseconds.
    pub fn read(&mut self, id: ReadId, query: Query, within: u64, at: u64) {
        let now = self.now(at);
        let deadline = now.monotonic + Duration::from_micros(within);
        match &mut self.core {
            Some(Core::Replica(replica)) => {
                replica.read(id, query, Consistency::Linearizable, deadline, now);
            }
            Some(Core::Client(client)) => client.read(id, &query, deadline, now),
            None => {}
        }
    }
}
