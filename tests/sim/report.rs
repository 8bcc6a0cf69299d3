//! What a world saw.

use std::collections::BTreeMap;
use std::fmt;

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
    /// Faults by kind (`fault: ...`), what came of operations (`answer: ...`), commands
    /// by kind as often as they were applied (`applied: ...`), and cells of the table of authority that nodes were in
    /// (`cell: ...`).
    pub counts: Counts,
}
