//! What clients saw of each object was linearizable.

use std::collections::BTreeMap;

use cluster_model::Outcome;

use super::{Verdict, broken};
use crate::linear::{OPERATIONS_MAX, Operation, Sequential, is_linearizable};

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Settings of an application.
    Settings(String),
    /// A broadcast.
    Broadcast(String),
}

/// What was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To store settings over this version.
    Put(u64),
    /// To create it.
    Create,
    /// To delete it.
    Delete,
    /// What it is.
    Read,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What a command came to.
    Outcome(Outcome),
    /// The version of settings, or 1 for what is there and 0 for what is not.
    Value(u64),
}

/// Settings: a version that goes up when the right one is named.
pub struct SettingsSpec;

impl Sequential for SettingsSpec {
    type State = u64;
    type Call = Asked;
    type Answer = Told;

    fn step(version: &u64, call: &Asked, answer: Option<&Told>) -> Option<u64> {
        let (next, right) = match *call {
            Asked::Put(expected) if expected == *version => {
                (version + 1, Told::Outcome(Outcome::Stored { version: version + 1 }))
            }
            Asked::Put(_) => (*version, Told::Outcome(Outcome::Conflict { version: *version })),
            Asked::Read => (*version, Told::Value(*version)),
            _ => return None,
        };
        answer.is_none_or(|answer| *answer == right).then_some(next)
    }
}

/// A broadcast: there or not.
pub struct BroadcastSpec;

impl Sequential for BroadcastSpec {
    type State = bool;
    type Call = Asked;
    type Answer = Told;

    fn step(there: &bool, call: &Asked, answer: Option<&Told>) -> Option<bool> {
        let (next, right) = match call {
            Asked::Create => (true, Told::Outcome(if *there { Outcome::Exists } else { Outcome::Done })),
            Asked::Delete => (false, Told::Outcome(if *there { Outcome::Done } else { Outcome::Absent })),
            Asked::Read => (*there, Told::Value(u64::from(*there))),
            Asked::Put(_) => return None,
        };
        answer.is_none_or(|answer| *answer == right).then_some(next)
    }
}

/// Histories of all objects.
#[derive(Default)]
pub struct Histories {
    by_key: BTreeMap<Key, Vec<Operation<Asked, Told>>>,
}

impl Histories {
    /// An operation begins. Gives its place in the history of its object, or nothing when that is full.
    pub fn begins(&mut self, key: &Key, call: Asked, now: u64) -> Option<usize> {
        let history = self.by_key.entry(key.clone()).or_default();
        if history.len() >= OPERATIONS_MAX {
            return None;
        }
        history.push(Operation { began: now, ended: None, call });
        Some(history.len() - 1)
    }

    /// It is answered.
    pub fn ends(&mut self, key: &Key, place: usize, told: Told, now: u64) {
        if let Some(operation) = self.by_key.get_mut(key).and_then(|history| history.get_mut(place)) {
            operation.ended = Some((now, told));
        }
    }

    pub(super) fn at_the_end(&self) -> Verdict {
        for (key, history) in &self.by_key {
            let verdict = match key {
                Key::Settings(_) => is_linearizable::<SettingsSpec>(history),
                Key::Broadcast(_) => is_linearizable::<BroadcastSpec>(history),
            };
            match verdict {
                Some(true) => {}
                Some(false) => return broken("histories are linearizable", format!("{key:?}: {history:?}")),
                None => return broken("histories can be checked", format!("{key:?} took too long")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
