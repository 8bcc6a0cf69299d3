//! What permits rest on is followed while they live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base::{AppName, AppNames, Clock, ExitReason, StreamId, limits};
use cluster_model::{
    Change, MetaError, Revision, Settings, SubscriberId, SubscriberShown, Subscribers, Tokens, WatchEvent,
};
use config::AppSettings;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::Gate;
use super::clauses::Question;
use super::guesses::Guesses;
use crate::PermitControl;
use crate::live::{Entered, Live, end_spread};
use crate::outside::Plane;

/// Pause before a list that failed is tried again.
const LIST_PAUSE: Duration = Duration::from_millis(500);

impl Gate {
    /// Follows blocks, tokens, settings and what others saw of codes until the store is closed or the gate is gone.
    pub(super) fn watch(&self) {
        for app in self.applications.all().iter() {
            self.open(app);
        }
        let (guesses, plane) = (Arc::downgrade(&self.guesses), Arc::clone(&self.plane));
        tokio::spawn(tell_codes(guesses, self.subscribers.clone(), plane));
        tokio::spawn(review(
            self.applications.clone(),
            Arc::downgrade(&self.live),
            self.settings.clone(),
            Arc::clone(&self.plane),
            Arc::clone(&self.clock),
        ));
    }

    pub(super) fn follow(&self, app: &AppName) -> [AbortHandle; 2] {
        let subscribers = tokio::spawn(follow_subscribers(
            app.clone(),
            (Arc::downgrade(&self.live), Arc::downgrade(&self.guesses)),
            self.subscribers.clone(),
            Arc::clone(&self.plane),
            Arc::clone(&self.clock),
        ));
        let (live, clock) = (Arc::downgrade(&self.live), Arc::clone(&self.clock));
        let tokens = tokio::spawn(follow_tokens(app.clone(), live, self.tokens.clone(), clock));
        [subscribers.abort_handle(), tokens.abort_handle()]
    }

    /// Has the permits of a question's subscriber stand as is stored.
    pub(super) async fn review_subscriber(&self, question: &Question<'_>) {
        let access = question.access;
        let Some(id) = access.subscriber_id.as_deref().and_then(|id| SubscriberId::new(id).ok()) else {
            return;
        };
        for stream in std::iter::once(&question.stream).chain(&question.rooms()) {
            if let Ok(shown) = self.subscribers.get(&access.app, stream, &id).await {
                let known = shown.as_ref().map(|shown| &*shown.subscriber);
                self.live.subscriber_changed(&access.app, stream, id.as_str(), known, self.clock.wall());
            }
        }
    }

    /// Has a permit stand or fall by what is stored of its subscriber.
    pub(super) async fn look_at_subscriber(
        &self,
        question: &Question<'_>,
        control: &PermitControl,
        entered: &Entered,
    ) {
        let access = question.access;
        let id = access.subscriber_id.as_deref().and_then(|id| SubscriberId::new(id).ok());
        let Some(id) = id.filter(|_| entered.rests_on_subscriber()) else { return };
        let stands = |shown: &Option<SubscriberShown>| {
            entered.stands_by(shown.as_ref().map(|shown| &*shown.subscriber))
        };
        let local = self.subscribers.get_local(&access.app, &question.stream, &id).await;
        if local.is_ok_and(|shown| stands(&shown)) {
            return;
        }
        match self.subscribers.get(&access.app, &question.stream, &id).await {
            Ok(shown) if stands(&shown) => {}
            Ok(_) => control.end(ExitReason::Revoked),
            // It is another one as far as this node knows, and nobody says otherwise.
            Err(_) => control.end(ExitReason::AuthorityLost),
        }
    }
}

/// Asks what a subscriber is now, until that is known or nobody here rests on it any more.
async fn look_at(
    live: Weak<Live>,
    subscribers: Subscribers,
    (app, stream, id): (AppName, StreamId, SubscriberId),
) {
    loop {
        let shown = subscribers.get(&app, &stream, &id).await;
        let Some(live) = live.upgrade() else { return };
        match shown {
            Ok(shown) => {
                let known = shown.as_ref().map(|shown| &*shown.subscriber);
                return live.subscriber_is(&app, &stream, id.as_str(), known);
            }
            Err(_) if !live.somebody_rests_on(&app, &stream, id.as_str()) => return,
            Err(error) => {
                drop(live);
                not_listed(&error).await;
            }
        }
    }
}

/// The watch says again that a list is needed, so this is tried until it works.
async fn not_listed(error: &MetaError) {
    tracing::warn!(%error, "what live sessions rest on could not be listed");
    tokio::time::sleep(LIST_PAUSE).await;
}

async fn follow_subscribers(
    app: AppName,
    (live, guesses): (Weak<Live>, Weak<Guesses>),
    subscribers: Subscribers,
    plane: Arc<dyn Plane>,
    clock: Arc<dyn Clock>,
) {
    let mut watch = subscribers.watch(&app, Revision::ZERO);
    // The plane answers those who ask at a time together.
    let look = |live: &Arc<Live>, stream: &StreamId, id: &SubscriberId| {
        if live.somebody_rests_on(&app, stream, id.as_str()) {
            let whose = (app.clone(), stream.clone(), id.clone());
            tokio::spawn(look_at(Arc::downgrade(live), subscribers.clone(), whose));
        }
    };
    loop {
        let event = watch.next().await;
        let (Some(live), Some(guesses)) = (live.upgrade(), guesses.upgrade()) else { return };
        // Who is let in while the list comes may rest on what is newer.
        let mut unlisted = BTreeSet::new();
        let changes = match event {
            WatchEvent::Changed { changes, .. } => changes,
            WatchEvent::Closed => return,
            WatchEvent::Relist => {
                unlisted.extend(live.subscribers(&app));
                match subscribers.relist(&app, &mut watch).await {
                    Ok(all) => all,
                    Err(error) => {
                        drop((live, guesses));
                        not_listed(&error).await;
                        continue;
                    }
                }
            }
        };
        let (now, this_node) = (clock.wall(), plane.owner().node);
        for change in &changes {
            match change {
                Change::Subscriber { stream, subscriber, now: row, .. } => {
                    unlisted.remove(&(stream.clone(), subscriber.as_str().to_owned()));
                    live.subscriber_changed(&app, stream, subscriber.as_str(), row.as_deref(), now);
                    look(&live, stream, subscriber);
                }
                Change::SessionEnded { stream, session, .. } => {
                    live.end(&app, stream, *session, ExitReason::Kicked);
                }
                Change::CodesSeen { node, seen } if *node != this_node => guesses.told(seen, clock.now()),
                _ => {}
            }
        }
        for (stream, subscriber) in &unlisted {
            live.subscriber_changed(&app, stream, subscriber, None, now);
            if let Ok(subscriber) = SubscriberId::new(subscriber) {
                look(&live, stream, &subscriber);
            }
        }
    }
}

async fn follow_tokens(app: AppName, live: Weak<Live>, tokens: Tokens, clock: Arc<dyn Clock>) {
    let mut watch = tokens.watch(&app, Revision::ZERO);
    loop {
        let event = watch.next().await;
        let Some(live) = live.upgrade() else { return };
        // Who is let in while the list comes may rest on what is newer.
        let mut unlisted = BTreeSet::new();
        let changes = match event {
            WatchEvent::Changed { changes, .. } => changes,
            WatchEvent::Closed => return,
            WatchEvent::Relist => {
                unlisted.extend(live.tokens(&app));
                match tokens.relist(&app, &mut watch).await {
                    Ok(all) => all,
                    Err(error) => {
                        drop(live);
                        not_listed(&error).await;
                        continue;
                    }
                }
            }
        };
        let now = clock.wall();
        for change in &changes {
            match change {
                Change::Token { stream, token, now: row, .. } => {
                    unlisted.remove(&(stream.clone(), token.clone()));
                    live.token_changed(&app, stream, token, row.as_deref(), now);
                }
                Change::TokensRevoked { stream, before: Some(before), .. } => {
                    live.tokens_revoked(&app, stream, *before);
                }
                _ => {}
            }
        }
        for (stream, token) in &unlisted {
            live.token_changed(&app, stream, token, None, now);
        }
    }
}

/// Tells the other nodes what this one saw of codes. What cannot be told is not told later: it counts here.
async fn tell_codes(guesses: Weak<Guesses>, subscribers: Subscribers, plane: Arc<dyn Plane>) {
    loop {
        tokio::time::sleep(limits::CODES_TOLD_EVERY).await;
        let Some(seen) = guesses.upgrade().map(|guesses| guesses.untold()) else { return };
        if !seen.is_empty()
            && let Err(error) = subscribers.tell_codes(plane.owner().node, seen).await
        {
            tracing::warn!(%error, "the other nodes were not told of wrong codes");
        }
    }
}

/// Looks at clocks and the plane again and again, and at settings as soon as they change.
async fn review(
    applications: AppNames,
    live: Weak<Live>,
    settings: Settings,
    plane: Arc<dyn Plane>,
    clock: Arc<dyn Clock>,
) {
    let mut seen: BTreeMap<AppName, Arc<AppSettings>> = BTreeMap::new();
    let mut changes = settings.changes();
    let mut turns = tokio::time::interval(limits::PERMITS_REVIEWED_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_turn = tokio::select! {
            _ = turns.tick() => true,
            Ok(()) = changes.changed() => false,
        };
        let Some(live) = live.upgrade() else { return };
        if is_turn {
            live.tick(clock.wall(), plane.authority());
        }
        let applications = applications.all();
        seen.retain(|app, _| applications.contains(app));
        for app in applications.iter() {
            let Some(now) = settings.snapshot(app) else { continue };
            let before = seen.insert(app.clone(), Arc::clone(&now));
            if before.is_none_or(|before| !Arc::ptr_eq(&before, &now)) {
                let fallen = live.resting_otherwise(app, &now);
                if !fallen.is_empty() {
                    tracing::info!(%app, sessions = fallen.len(), "what these rest on was replaced: they end");
                    tokio::spawn(end_spread(fallen));
                }
            }
        }
    }
}
