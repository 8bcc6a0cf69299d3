//! Connection slots of subscribers, held by permits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::{AppName, SessionId, StreamId, limits};
use cluster_model::{MetaError, NotApplied, Owner, SubscriberId, Subscribers};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// Pause before a slot that could not be given back is given back again.
const AGAIN: Duration = Duration::from_secs(1);

/// A slot that nobody uses any more.
#[derive(Clone, Debug)]
pub(crate) struct GivenBack {
    whose: Whose,
    session: SessionId,
    owner: Owner,
}

/// Whose connection it is.
pub(crate) type Whose = (AppName, StreamId, SubscriberId);

/// How many connections of each subscriber are on their way back. Who left and comes again at once, as a page does that is
/// loaded anew, is not to be refused for the place that it left itself.
#[derive(Default)]
pub(crate) struct OnTheirWay {
    of: Mutex<HashMap<Whose, usize>>,
    came_back: Notify,
}

impl OnTheirWay {
    fn of(&self, act: impl FnOnce(&mut HashMap<Whose, usize>)) {
        act(&mut self.of.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn add(&self, whose: &Whose) {
        self.of(|of| *of.entry(whose.clone()).or_default() += 1);
    }

    fn remove(&self, whose: &Whose) {
        self.of(|of| {
            if let Some(count) = of.get_mut(whose) {
                *count -= 1;
                if *count == 0 {
                    of.remove(whose);
                }
            }
        });
        self.came_back.notify_waiters();
    }

    /// Whether one of the subscriber's is.
    pub(crate) fn has(&self, whose: &Whose) -> bool {
        let mut has = false;
        self.of(|of| has = of.contains_key(whose));
        has
    }

    /// Waits until none of the subscriber's is, but not for long.
    pub(crate) async fn wait_for(&self, whose: &Whose) {
        let waiting = async {
            loop {
                let came_back = self.came_back.notified();
                if !self.has(whose) {
                    return;
                }
                came_back.await;
            }
        };
        let _ = tokio::time::timeout(limits::SLOT_COMES_BACK_MAX, waiting).await;
    }
}

/// A subscriber's connection. Given back by its drop, in the background.
pub(crate) struct Slot {
    held: Option<GivenBack>,
    given_back: mpsc::Sender<GivenBack>,
    on_their_way: Arc<OnTheirWay>,
}

impl Slot {
    pub(crate) fn new(
        whose: Whose,
        (session, owner): (SessionId, Owner),
        given_back: mpsc::Sender<GivenBack>,
        on_their_way: Arc<OnTheirWay>,
    ) -> Self {
        Self { held: Some(GivenBack { whose, session, owner }), given_back, on_their_way }
    }

    /// Whether it is this subscriber's.
    pub(crate) fn is_of(&self, whose: &Whose) -> bool {
        self.held.as_ref().is_some_and(|held| held.whose == *whose)
    }

    /// The answer was no: there is nothing to give back.
    pub(crate) fn was_never_taken(mut self) {
        self.held = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slot) = self.held.take() else { return };
        let whose = slot.whose.clone();
        self.on_their_way.add(&whose);
        if self.given_back.try_send(slot).is_err() {
            self.on_their_way.remove(&whose);
            // It is free when this life of the node is over.
            tracing::warn!("a subscriber's connection could not be given back: too many are");
        }
    }
}

/// Gives back what is no longer held, until the gate is gone: many at a time, for they share commits. One after the other would
/// be a commit each, and a subscriber that comes back would find its connection taken as long as the others before it wait.
pub(crate) async fn give_back(
    mut slots: mpsc::Receiver<GivenBack>,
    subscribers: Subscribers,
    on_their_way: Arc<OnTheirWay>,
) {
    let mut under_way = JoinSet::new();
    while let Some(slot) = slots.recv().await {
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= limits::SLOTS_GIVEN_BACK_AT_ONCE_MAX {
            under_way.join_next().await;
        }
        let (subscribers, on_their_way) = (subscribers.clone(), Arc::clone(&on_their_way));
        under_way.spawn(async move {
            give_back_one(&slot, &subscribers).await;
            on_their_way.remove(&slot.whose);
        });
    }
    while under_way.join_next().await.is_some() {}
}

async fn give_back_one(slot: &GivenBack, subscribers: &Subscribers) {
    let GivenBack { whose: (app, stream, subscriber), session, owner } = slot;
    loop {
        match subscribers.release(app, stream, subscriber, *session, *owner).await {
            Ok(_) | Err(MetaError::Refused(_) | MetaError::NotApplied(NotApplied::Closed)) => return,
            Err(error) => tracing::debug!(%error, "a subscriber's connection was not given back yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests;
