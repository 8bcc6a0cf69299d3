//! Connection slots of subscribers, held by permits.

use std::time::Duration;

use base::{AppName, SessionId, StreamId, limits};
use cluster_model::{MetaError, NotApplied, Owner, SubscriberId, Subscribers};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Pause before a slot that could not be given back is given back again.
const AGAIN: Duration = Duration::from_secs(1);

/// A slot that nobody uses any more.
#[derive(Clone, Debug)]
pub(crate) struct GivenBack {
    app: AppName,
    stream: StreamId,
    subscriber: SubscriberId,
    session: SessionId,
    owner: Owner,
}

/// A subscriber's connection. Given back by its drop, in the background.
pub(crate) struct Slot {
    held: Option<GivenBack>,
    given_back: mpsc::Sender<GivenBack>,
}

impl Slot {
    pub(crate) fn new(
        (app, stream, subscriber): (AppName, StreamId, SubscriberId),
        (session, owner): (SessionId, Owner),
        given_back: mpsc::Sender<GivenBack>,
    ) -> Self {
        Self { held: Some(GivenBack { app, stream, subscriber, session, owner }), given_back }
    }

    /// The answer was no: there is nothing to give back.
    pub(crate) fn was_never_taken(mut self) {
        self.held = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slot) = self.held.take()
            && self.given_back.try_send(slot).is_err()
        {
            // It is free when this life of the node is over.
            tracing::warn!("a subscriber's connection could not be given back: too many are");
        }
    }
}

/// Gives back what is no longer held, until the gate is gone: many at a time, for they share commits. One after the other would
/// be a commit each, and a subscriber that comes back would find its connection taken as long as the others before it wait.
pub(crate) async fn give_back(mut slots: mpsc::Receiver<GivenBack>, subscribers: Subscribers) {
    let mut under_way = JoinSet::new();
    while let Some(slot) = slots.recv().await {
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= limits::SLOTS_GIVEN_BACK_AT_ONCE_MAX {
            under_way.join_next().await;
        }
        under_way.spawn(give_back_one(slot, subscribers.clone()));
    }
    while under_way.join_next().await.is_some() {}
}

async fn give_back_one(slot: GivenBack, subscribers: Subscribers) {
    let GivenBack { app, stream, subscriber, session, owner } = slot;
    loop {
        match subscribers.release(&app, &stream, &subscriber, session, owner).await {
            Ok(_) | Err(MetaError::Refused(_) | MetaError::NotApplied(NotApplied::Closed)) => return,
            Err(error) => tracing::debug!(%error, "a subscriber's connection was not given back yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
