//! Subscribers and their blocks.

use std::sync::Arc;
use std::time::Duration;

use base::{AppName, StreamId, limits};

use super::sweep::ROWS_PER_STEP_MAX;
use super::{Changes, State, json_len};
use crate::{
    Block, Change, CodesSeen, NodeId, Outcome, Refusal, Subscriber, SubscriberId, SubscriberShown,
    SubscriberTerms, row,
};

impl State {
    /// One subscriber.
    pub fn subscriber(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> Option<&Arc<Subscriber>> {
        self.subscribers.get(app, &(stream.clone(), subscriber.clone()))
    }

    /// The subscribers of a stream in byte order of their ids.
    pub fn subscribers(
        &self,
        app: &AppName,
        stream: &StreamId,
    ) -> impl Iterator<Item = (&SubscriberId, &Arc<Subscriber>)> {
        let wanted = stream.clone();
        self.subscribers
            .of_from(app, (stream.clone(), SubscriberId::lowest())..)
            .take_while(move |((of, _), _)| *of == wanted)
            .map(|((_, id), row)| (id, row))
    }

    /// A subscriber with what is known of its connections.
    pub fn shown(
        &self,
        app: &AppName,
        stream: &StreamId,
        id: &SubscriberId,
        subscriber: &Arc<Subscriber>,
    ) -> SubscriberShown {
        let history = self.history(app, stream, id).cloned();
        let ended = history.as_ref().map(|history| history.figures).unwrap_or_default();
        let (mut figures, mut connections, mut newest) = (ended, 0_u32, None);
        for (_, owner, session) in self.sessions(app, stream, id) {
            figures = figures.plus(session.figures);
            if self.is_alive(owner) {
                connections = connections.saturating_add(1);
                newest = newest.max(Some((session.since_ms, owner.node)));
            }
        }
        let slots = self.slots(app, stream, id).filter(|(_, slot)| self.is_alive(slot.owner)).count();
        SubscriberShown {
            id: id.clone(),
            subscriber: Arc::clone(subscriber),
            connections,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            figures,
            history,
            node: newest.map(|(_, node)| node),
        }
    }

    pub(super) fn put_subscriber(
        &mut self,
        app: AppName,
        stream: StreamId,
        subscriber: SubscriberId,
        terms: SubscriberTerms,
        changes: Changes<'_>,
    ) -> Outcome {
        // A block is lifted by who may block, not by who registers.
        let known = self.subscriber(&app, &stream, &subscriber).map(|known| Subscriber::clone(known));
        let known = known.unwrap_or_default();
        let first = known.is_registered().then_some(known.registered_ms);
        let registered_ms = first.unwrap_or_else(|| self.now.as_millis().max(1));
        let after = Subscriber { terms, registered_ms, block: known.block };
        self.store_subscriber(app, stream, subscriber, after, changes)
    }

    pub(super) fn delete_subscriber(
        &mut self,
        app: AppName,
        stream: StreamId,
        subscriber: SubscriberId,
        changes: Changes<'_>,
    ) -> Outcome {
        if self.subscriber(&app, &stream, &subscriber).is_none() {
            return Outcome::Absent;
        }
        self.change(Change::Subscriber { app, stream, subscriber, now: None }, changes);
        Outcome::Done
    }

    pub(super) fn delete_subscribers(
        &mut self,
        app: &AppName,
        stream: &StreamId,
        changes: Changes<'_>,
    ) -> Outcome {
        let is_full = |changes: &Vec<Change>| changes.len() + ROWS_PER_STEP_MAX > limits::META_SWEEP_ROWS_MAX;
        let next = |state: &Self| state.subscribers(app, stream).next().map(|(id, _)| id.clone());
        let mut more = false;
        // Not among the changes that fill a step: how far one goes is the same on every version.
        let mut deleted = Vec::new();
        while let Some(subscriber) = next(self) {
            if is_full(changes) {
                more = true;
                break;
            }
            // One whose events are all too old for the state may have some elsewhere.
            if self.history(app, stream, &subscriber).is_none() {
                deleted.push(subscriber.clone());
            }
            let (app, stream) = (app.clone(), stream.clone());
            self.change(Change::Subscriber { app, stream, subscriber, now: None }, changes);
        }
        let next = |state: &Self| state.histories(app, stream).next().map(|(id, _)| id.clone());
        while let Some(subscriber) = next(self) {
            if is_full(changes) {
                more = true;
                break;
            }
            if self.shorten((app.clone(), stream.clone(), subscriber.clone()), changes) {
                deleted.push(subscriber);
            }
        }
        row::collapse(changes);
        changes.extend(deleted.into_iter().map(|subscriber| Change::HistoryDeleted {
            app: app.clone(),
            stream: stream.clone(),
            subscriber,
        }));
        Outcome::Swept { more }
    }

    pub(super) fn block(
        &mut self,
        (app, stream, subscriber): (AppName, StreamId, SubscriberId),
        kind: String,
        seconds: u64,
        changes: Changes<'_>,
    ) -> Outcome {
        let known = self.subscriber(&app, &stream, &subscriber).map(|known| Subscriber::clone(known));
        let before = known.unwrap_or_default();
        let until_ms = self.now.plus(Duration::from_secs(seconds)).as_millis();
        let block = (seconds > 0).then_some(Block { kind, until_ms });
        self.store_subscriber(app, stream, subscriber, Subscriber { block, ..before }, changes)
    }

    fn store_subscriber(
        &mut self,
        app: AppName,
        stream: StreamId,
        subscriber: SubscriberId,
        after: Subscriber,
        changes: Changes<'_>,
    ) -> Outcome {
        let max = limits::SUBSCRIBERS_PER_APPLICATION_MAX;
        if self.subscriber(&app, &stream, &subscriber).is_none()
            && let Err(full) = self.subscribers.room(&app, max, Refusal::TooManySubscribers)
        {
            return Outcome::Refused(full);
        }
        if json_len(&after).is_none_or(|len| len > limits::SUBSCRIBER_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        self.change(Change::Subscriber { app, stream, subscriber, now: Some(Arc::new(after)) }, changes);
        Outcome::Done
    }
}

/// Nothing is stored: codes count for minutes, and a node that missed some counts those it sees itself.
pub(super) fn tell_codes(node: NodeId, seen: Vec<CodesSeen>, changes: Changes<'_>) -> Outcome {
    if seen.len() > limits::CODES_TOLD_MAX {
        return Outcome::Refused(Refusal::TooMany);
    }
    changes.extend(seen.into_iter().map(|seen| Change::CodesSeen { node, seen: Arc::new(seen) }));
    Outcome::Done
}
