//! Who rests on what is stored of its subscriber: its own secret, or that it is registered. What the watch tells is sealed, and
//! may be older than what somebody was let in by; so it only says when to ask.

use base::{AppName, ExitReason, StreamId};
use cluster_model::Subscriber;

use super::{Entered, Entry, Inner, Live};
use crate::grounds::{is_of_subscriber, stands_by};

impl Entry {
    fn rests_on_subscriber(&self) -> bool {
        self.grounds.rests.iter().any(is_of_subscriber)
    }

    fn stands_by(&self, known: Option<&Subscriber>) -> bool {
        self.grounds.rests.iter().all(|rest| stands_by(rest, known))
    }
}

impl Entered {
    /// Whether what is stored of its subscriber may end the session.
    pub(crate) fn rests_on_subscriber(&self) -> bool {
        self.live.0.lock().entries.get(&self.number).is_some_and(Entry::rests_on_subscriber)
    }

    /// Whether its subscriber is still what the session was let in by.
    pub(crate) fn stands_by(&self, known: Option<&Subscriber>) -> bool {
        self.live.0.lock().entries.get(&self.number).is_none_or(|entry| entry.stands_by(known))
    }
}

impl Inner {
    /// Codes are of the stream's subscriber, whatever room it is in.
    fn resting_on<'a>(
        &'a self,
        app: &AppName,
        stream: &'a StreamId,
        id: &str,
    ) -> impl Iterator<Item = &'a Entry> {
        let numbers = self.by_subscriber.get(&(app.clone(), stream.clone(), id.to_owned()));
        let entries = numbers.into_iter().flatten().filter_map(|number| self.entries.get(number));
        entries.filter(move |entry| entry.stream == *stream && entry.rests_on_subscriber())
    }
}

impl Live {
    /// Whether somebody here rests on what is stored of a subscriber.
    pub(crate) fn somebody_rests_on(&self, app: &AppName, stream: &StreamId, id: &str) -> bool {
        self.0.lock().resting_on(app, stream, id).next().is_some()
    }

    /// A subscriber is this, or is not, as of now: whoever rests on something else ends.
    pub(crate) fn subscriber_is(
        &self,
        app: &AppName,
        stream: &StreamId,
        id: &str,
        known: Option<&Subscriber>,
    ) {
        let inner = self.0.lock();
        let fallen = inner.resting_on(app, stream, id).filter(|entry| !entry.stands_by(known));
        fallen.for_each(|entry| entry.end(ExitReason::Revoked));
    }
}
