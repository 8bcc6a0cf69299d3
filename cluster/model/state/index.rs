//! What is due when, what hangs on which life of a node, and which tokens are of which room. Derived from the rows and never stored.

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
    /// By application, room and token: the streams that it was made for.
    in_rooms: BTreeMap<(AppName, StreamId, TokenId), BTreeSet<StreamId>>,
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

    /// A token that was of the room `before` is of the room `now`; `home` is the stream it was made for.
    pub fn in_room(
        &mut self,
        before: Option<&StreamId>,
        now: Option<&StreamId>,
        (app, home, token): (&AppName, &StreamId, &TokenId),
    ) {
        if before == now {
            return;
        }
        let of = |room: &StreamId| (app.clone(), room.clone(), token.clone());
        if let Some(of) = before.map(of)
            && let Some(homes) = self.in_rooms.get_mut(&of)
        {
            homes.remove(home);
            if homes.is_empty() {
                self.in_rooms.remove(&of);
            }
        }
        if let Some(room) = now {
            self.in_rooms.entry(of(room)).or_default().insert(home.clone());
        }
    }

    /// The streams that tokens of this text and room were made for.
    pub fn homes_in_room(
        &self,
        app: &AppName,
        room: &StreamId,
        token: &TokenId,
    ) -> impl Iterator<Item = &StreamId> {
        self.in_rooms.get(&(app.clone(), room.clone(), token.clone())).into_iter().flatten()
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
