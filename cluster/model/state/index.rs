//! What is due when, and what hangs on which life of a node. Derived from the rows and never stored.

use std::collections::{BTreeMap, BTreeSet};

use base::{AppName, SessionId, StreamId, WallTime};

use crate::{NodeId, Owner, SubscriberId, TokenId};

/// Something that is over at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Token(AppName, StreamId, TokenId),
    Claim(AppName, StreamId),
    Node(NodeId),
    Life(Owner),
    History(AppName, StreamId, SubscriberId),
}

/// Something that ends with a life of a node. Sessions come last: they wait for late facts, the rest does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owned {
    Claim(AppName, StreamId),
    Slot(AppName, StreamId, SubscriberId, SessionId),
    Session(AppName, StreamId, SubscriberId, SessionId),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    due: BTreeSet<(WallTime, Due)>,
    owned: BTreeMap<Owner, BTreeSet<Owned>>,
}

impl Index {
    /// A row that was due at `before` is due at `now`.
    pub fn due(&mut self, before: Option<WallTime>, now: Option<WallTime>, what: impl Fn() -> Due) {
        if before == now {
            return;
        }
        if let Some(at) = before {
            self.due.remove(&(at, what()));
        }
        if let Some(at) = now {
            self.due.insert((at, what()));
        }
    }

    /// A row that was `before`'s is `now`'s.
    pub fn owned(&mut self, before: Option<Owner>, now: Option<Owner>, what: impl Fn() -> Owned) {
        if before == now {
            return;
        }
        if let Some(owner) = before
            && let Some(rows) = self.owned.get_mut(&owner)
        {
            rows.remove(&what());
            if rows.is_empty() {
                self.owned.remove(&owner);
            }
        }
        if let Some(owner) = now {
            self.owned.entry(owner).or_default().insert(what());
        }
    }

    /// What has been due the longest, of all that is due at `now`.
    pub fn first_due(&self, now: WallTime) -> Option<Due> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, what)| what.clone())
    }

    /// What goes first with a life.
    pub fn first_owned_by(&self, owner: Owner) -> Option<Owned> {
        self.owned.get(&owner)?.first().cloned()
    }

    /// Everything that hangs on a life.
    pub fn owned_by(&self, owner: Owner) -> impl Iterator<Item = &Owned> {
        self.owned.get(&owner).into_iter().flatten()
    }
}
