//! What a world saw.

use std::collections::BTreeMap;
use std::fmt;

/// What can break. Each must strike in a thousand worlds, or that nothing was violated says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nodes on one side do not reach those on the other.
    Partition,
    /// A link carries nothing one way.
    OneWayLoss,
    /// Messages are lost, doubled and held up.
    BadWeather,
    /// A message was lost.
    MessageLost,
    /// A message came twice.
    MessageTwice,
    /// All messages take long.
    SlowNetwork,
    /// A node crashes.
    Crash,
    /// Most nodes crash at once.
    PowerLoss,
    /// A crash took writes that were not synced yet, or a part of them.
    UnsyncedWritesLost,
    /// A disk is full.
    FullDisk,
    /// Syncs take long.
    SlowFsync,
    /// A wall clock shows another time.
    ClockJump,
    /// A node does nothing for a while.
    Standstill,
    /// Leadership is handed to somebody.
    LeadershipTransfer,
    /// A member loses its disk.
    Wipe,
    /// A member joins.
    MemberAdded,
    /// A member goes.
    MemberRemoved,
    /// All members are lost, and the cluster is restored from a copy.
    Disaster,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Partition,
        Self::OneWayLoss,
        Self::BadWeather,
        Self::MessageLost,
        Self::MessageTwice,
        Self::SlowNetwork,
        Self::Crash,
        Self::PowerLoss,
        Self::UnsyncedWritesLost,
        Self::FullDisk,
        Self::SlowFsync,
        Self::ClockJump,
        Self::Standstill,
        Self::LeadershipTransfer,
        Self::Wipe,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::Disaster,
    ];

    /// What it is counted as.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "fault: partition",
            Self::OneWayLoss => "fault: one-way loss",
            Self::BadWeather => "fault: loss, doubles, disorder",
            Self::MessageLost => "fault: message lost",
            Self::MessageTwice => "fault: message twice",
            Self::SlowNetwork => "fault: slow network",
            Self::Crash => "fault: crash",
            Self::PowerLoss => "fault: power loss",
            Self::UnsyncedWritesLost => "fault: unsynced writes lost",
            Self::FullDisk => "fault: full disk",
            Self::SlowFsync => "fault: slow fsync",
            Self::ClockJump => "fault: clock jump",
            Self::Standstill => "fault: standstill",
            Self::LeadershipTransfer => "fault: leadership transfer",
            Self::Wipe => "fault: wipe",
            Self::MemberAdded => "fault: member added",
            Self::MemberRemoved => "fault: member removed",
            Self::Disaster => "fault: all members lost and restored",
        }
    }
}

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<String, u64>);

impl Counts {
    /// It happened once more.
    pub fn add(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    /// `fault` struck.
    pub fn strikes(&mut self, fault: Fault) {
        self.add(fault.name());
    }

    /// It happened so many times more.
    pub fn add_many(&mut self, what: &str, count: u64) {
        *self.0.entry(what.to_owned()).or_default() += count;
    }

    /// Adds those of another world.
    pub fn merge(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    /// How often `what` happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:>10} {what}")?;
        }
        Ok(())
    }
}

/// One world from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// A hash over every message, write, fault and answer, in order.
    pub trace: u64,
    /// Simulated seconds.
    pub seconds: u64,
    /// Operations that clients began.
    pub operations: u64,
    /// Faults by kind (each [`Fault`], by its name), what came of operations (`answer: ...`), commands
    /// by kind as often as they were applied (`applied: ...`), and cells of the table of authority: those in which sessions
    /// asked for what they want (`cell: ...`) and those that nodes were in when the table alone was asked (`evaluated: ...`).
    pub counts: Counts,
}
