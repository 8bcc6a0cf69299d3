//! Connection slots: how many connections a subscriber has at a time.

use std::sync::Arc;

use base::{AppName, SessionId, StreamId, limits};

use super::{Changes, State};
use crate::{Change, Outcome, Owner, Refusal, Slot, SubscriberId};

impl State {
    /// The slots a subscriber has, also those of nodes that are dead.
    pub fn slots(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> impl Iterator<Item = (SessionId, &Arc<Slot>)> {
        let wanted = (stream.clone(), subscriber.clone());
        self.slots
            .of_from(app, (stream.clone(), subscriber.clone(), SessionId::from_u128(0))..)
            .take_while(move |((of, by, _), _)| (of, by) == (&wanted.0, &wanted.1))
            .map(|((_, _, session), slot)| (*session, slot))
    }

    pub(super) fn acquire(
        &mut self,
        (app, stream, subscriber): (AppName, StreamId, SubscriberId),
        session: SessionId,
        owner: Owner,
        changes: Changes<'_>,
    ) -> Outcome {
        if !self.is_alive(owner) {
            return Outcome::Refused(Refusal::NotJoined);
        }
        let wanted = self
            .subscriber(&app, &stream, &subscriber)
            .map_or(1, |subscriber| subscriber.terms.concurrent_connections_limit);
        let limit = wanted.min(u32::try_from(limits::SLOTS_PER_SUBSCRIBER_MAX).unwrap_or(u32::MAX));
        let (mut held, mut others, mut dead) = (None, 0_u32, Vec::new());
        for (holder, slot) in self.slots(&app, &stream, &subscriber) {
            if holder == session {
                held = Some(slot);
            } else if self.is_alive(slot.owner) {
                others = others.saturating_add(1);
            } else {
                dead.push(holder);
            }
        }
        // What a session has it keeps, also under a limit that was lowered since.
        let is_own = held.is_some_and(|slot| self.is_alive(slot.owner));
        if held.is_some_and(|slot| slot.owner == owner) {
            return Outcome::Done;
        }
        if !is_own && others >= limit {
            return Outcome::SlotsTaken { limit };
        }
        let since_ms = held.map_or(self.now.as_millis(), |slot| slot.since_ms);
        let max = limits::SLOTS_PER_APPLICATION_MAX;
        if held.is_none()
            && dead.is_empty()
            && let Err(full) = self.slots.room(&app, max, Refusal::TooManySlots)
        {
            return Outcome::Refused(full);
        }
        for session in dead {
            let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
            self.change(Change::Slot { app, stream, subscriber, session, now: None }, changes);
        }
        let now = Some(Arc::new(Slot { owner, since_ms }));
        self.change(Change::Slot { app, stream, subscriber, session, now }, changes);
        Outcome::Done
    }

    pub(super) fn give_back(
        &mut self,
        (app, stream, subscriber): (AppName, StreamId, SubscriberId),
        session: SessionId,
        owner: Owner,
        changes: Changes<'_>,
    ) -> Outcome {
        let key = (stream, subscriber, session);
        if self.slots.get(&app, &key).is_none_or(|slot| slot.owner != owner) {
            return Outcome::Absent;
        }
        let (stream, subscriber, session) = key;
        self.change(Change::Slot { app, stream, subscriber, session, now: None }, changes);
        Outcome::Done
    }
}
