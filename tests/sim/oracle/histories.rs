//! What clients saw of each object was linearizable.

mod specs;

use std::collections::BTreeMap;

use cluster_model::{Epoch, Outcome};

use super::{Verdict, broken};
use crate::linear::{OPERATIONS_MAX, Operation, Sequential, is_linearizable};

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Settings of an application.
    Settings(String),
    /// A broadcast.
    Broadcast(String),
    /// A token, and the generation it was made in.
    Token(u64, String),
    /// A stream that nodes claim.
    Claim(String),
    /// A subscriber with one connection to give.
    Slot(String),
    /// A subscriber that is blocked or not.
    Block(String),
    /// Facts of a life of a node.
    Facts(u64, u64),
    /// Nothing that a history is kept of.
    Nothing,
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
    /// To open this session with it.
    Spend(u64),
    /// To have it, as this life of a node.
    Claim(u64, u64),
    /// To keep it.
    Renew(Epoch),
    /// To give it up.
    Release(Epoch),
    /// To have a connection for this session.
    Acquire(u64),
    /// To give it back.
    GiveBack(u64),
    /// To be blocked, or no longer.
    Block(bool),
    /// To take this batch.
    Record(u64),
    /// To live.
    Join,
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
    /// The newest claim.
    Claim(Option<Epoch>),
}

/// Histories of all objects.
#[derive(Default)]
pub struct Histories {
    by_key: BTreeMap<Key, Vec<Operation<Asked, Told>>>,
}

impl Histories {
    /// An operation begins. Gives its place in the history of its object, or nothing when that is full.
    pub fn begins(&mut self, key: &Key, call: Asked, now: u64) -> Option<usize> {
        if *key == Key::Nothing {
            return None;
        }
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

    /// Looks at all that was seen until now, and forgets it: what comes is another history.
    pub fn close(&mut self) -> Verdict {
        for (key, history) in std::mem::take(&mut self.by_key) {
            let verdict = match &key {
                Key::Settings(_) => is_linearizable::<specs::Settings>(&history),
                Key::Broadcast(_) => is_linearizable::<specs::Broadcast>(&history),
                Key::Token(..) => is_linearizable::<specs::Token>(&history),
                Key::Claim(_) => is_linearizable::<specs::Claim>(&history),
                Key::Slot(_) => is_linearizable::<specs::Slot>(&history),
                Key::Block(_) => is_linearizable::<specs::Block>(&history),
                Key::Facts(..) => is_linearizable::<specs::Facts>(&history),
                Key::Nothing => Some(true),
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
