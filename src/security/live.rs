//! The permits of this node that live, and on what each rests.
//!
//! Whatever a permit rests on may change while it lives: its subscriber is blocked, its token revoked, the secret that its
//! credential was made with replaced. Who notices says so here, and the permits concerned pause or die.

mod resting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base::{AppName, ExitReason, PeerAddr, SessionId, StreamId, WallTime, limits};
use cluster_model::{
    Authority, Guarded, Operation, Revision, Ruling, Subscriber, Token, TokenFault, TokenId, rule,
};
use config::AppSettings;
use parking_lot::Mutex;

use crate::grounds::{Grounds, stands};
use crate::permit::{PermitControl, PermitState};
use crate::{Access, Denial, Direction};

struct Entry {
    control: PermitControl,
    app: AppName,
    stream: StreamId,
    rooms: Vec<StreamId>,
    direction: Direction,
    protocol: &'static str,
    subscriber: Option<String>,
    peer: PeerAddr,
    session: SessionId,
    since: WallTime,
    can_pause: bool,
    grounds: Grounds,
    /// Blocked, on the stream or on one of its rooms: until then.
    blocks: BTreeMap<StreamId, WallTime>,
    /// It was let in and got its stream.
    begun: bool,
}

impl Entry {
    fn end(&self, reason: ExitReason) {
        self.control.end(reason);
    }

    /// Lifts the blocks that are meant; who stands under none any more goes on.
    fn unblock(&mut self, is_meant: impl Fn(&StreamId, WallTime) -> bool) {
        let before = self.blocks.len();
        self.blocks.retain(|of, until| !is_meant(of, *until));
        if self.blocks.is_empty() && before > 0 {
            self.control.resume();
        }
    }

    fn stands(&self, settings: &AppSettings, revoked: &BTreeSet<&str>) -> bool {
        let publish = self.direction.is_publish();
        self.grounds.rests.iter().all(|rest| stands(rest, (settings, revoked), publish, self.peer))
    }

    /// It came by a token that is its alone.
    fn is_by_token_alone(&self) -> bool {
        self.grounds.token.as_ref().is_some_and(|held| !held.is_for_many)
    }

    fn of_token(&self) -> Option<(AppName, StreamId, TokenId)> {
        let held = self.grounds.token.as_ref();
        held.map(|held| (self.app.clone(), held.home.clone(), held.token.clone()))
    }

    /// The streams by which its subscriber may be blocked.
    fn of_subscriber(&self) -> Vec<(AppName, StreamId, String)> {
        let Some(subscriber) = &self.subscriber else { return Vec::new() };
        let streams = std::iter::once(&self.stream).chain(&self.rooms);
        streams.map(|of| (self.app.clone(), of.clone(), subscriber.clone())).collect()
    }
}

/// A live session as an operator is shown it.
#[derive(Clone, Debug)]
pub struct LiveSession {
    /// Its number.
    pub session: SessionId,
    /// Publish or play.
    pub direction: Direction,
    /// By what.
    pub protocol: &'static str,
    /// The subscriber, if the peer named one.
    pub subscriber: Option<String>,
    /// Whose it is. For operators only.
    pub peer: PeerAddr,
    /// Since when.
    pub since: WallTime,
    /// The mechanisms that let it in; `None`: anybody may.
    pub proof: Option<String>,
    /// How it stands.
    pub state: PermitState,
}

/// All live permits of a node. As many as its sessions.
#[derive(Default)]
pub(crate) struct Live(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    by_stream: BTreeMap<(AppName, StreamId), BTreeSet<u64>>,
    by_subscriber: BTreeMap<(AppName, StreamId, String), BTreeSet<u64>>,
    by_token: BTreeMap<(AppName, StreamId, TokenId), BTreeSet<u64>>,
    /// Those that are blocked, or end at a time.
    timed: BTreeSet<u64>,
    /// Tokens whose sessions began and are over: since when, or 0 if they never serve again, in the order of their ends.
    over: BTreeMap<(AppName, StreamId, TokenId), WallTime>,
    over_order: VecDeque<(AppName, StreamId, TokenId)>,
    /// As it was told last.
    now: WallTime,
}

/// Takes a permit out of the list when it is dropped.
pub(crate) struct Entered {
    live: Arc<Live>,
    number: u64,
}

impl Entered {
    /// The session got its stream: its token has served.
    pub(crate) fn has_begun(&self) {
        if let Some(entry) = self.live.0.lock().entries.get_mut(&self.number) {
            entry.begun = true;
        }
    }

    /// Whether the settings say what the session was let in by.
    pub(crate) fn stands(&self, settings: &AppSettings) -> bool {
        let revoked = settings.revoked();
        self.live.0.lock().entries.get(&self.number).is_none_or(|entry| entry.stands(settings, &revoked))
    }

    /// Its token, where it was let in by one.
    pub(crate) fn token(&self) -> Option<(StreamId, TokenId)> {
        let inner = self.live.0.lock();
        let held = inner.entries.get(&self.number)?.grounds.token.as_ref()?;
        Some((held.home.clone(), held.token.clone()))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.live.0.lock().remove(self.number);
    }
}

fn unlist<K: Ord>(index: &mut BTreeMap<K, BTreeSet<u64>>, key: &K, number: u64) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

impl Inner {
    /// Whether the one session is there that a token lets in. Those that a room's lets in beside it do not count.
    fn has_its_one(&self, token: &(AppName, StreamId, TokenId)) -> bool {
        let mut numbers = self.by_token.get(token).into_iter().flatten();
        numbers.any(|number| self.entries.get(number).is_some_and(Entry::is_by_token_alone))
    }

    fn remove(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        unlist(&mut self.by_stream, &(entry.app.clone(), entry.stream.clone()), number);
        for key in entry.of_subscriber() {
            unlist(&mut self.by_subscriber, &key, number);
        }
        if let Some(key) = entry.of_token() {
            unlist(&mut self.by_token, &key, number);
            // What a lost connection may do, to come back, neither a publisher may nor who was sent away.
            let may_come_back = !entry.direction.is_publish()
                && entry.control.state() != PermitState::Dead(ExitReason::Kicked);
            let since = if may_come_back { self.now } else { WallTime(0) };
            if entry.begun && entry.is_by_token_alone() && self.over.insert(key.clone(), since).is_none() {
                self.over_order.push_back(key);
            }
            if self.over_order.len() > limits::TOKENS_OVER_MAX
                && let Some(oldest) = self.over_order.pop_front()
            {
                self.over.remove(&oldest);
            }
        }
        self.timed.remove(&number);
    }
}

impl Live {
    /// Lists a permit. `stream` is `access`'s, `rooms` are those by which its subscriber may be blocked as well.
    ///
    /// # Errors
    /// Another session that its token let in is there: of many that ask at a time one is first.
    pub(crate) fn enter(
        self: &Arc<Self>,
        access: &Access,
        (stream, rooms): (&StreamId, &[StreamId]),
        control: PermitControl,
        grounds: Grounds,
        now: WallTime,
    ) -> Result<Entered, Denial> {
        let entry = Entry {
            control,
            app: access.app.clone(),
            stream: stream.clone(),
            rooms: rooms.to_vec(),
            direction: access.direction,
            protocol: access.protocol,
            subscriber: access.subscriber_id.clone(),
            peer: access.peer,
            session: access.session,
            since: now,
            can_pause: access.can_pause,
            grounds,
            blocks: BTreeMap::new(),
            begun: false,
        };
        let mut inner = self.0.lock();
        if entry.is_by_token_alone() && entry.of_token().is_some_and(|key| inner.has_its_one(&key)) {
            return Err(Denial::TokenInUse);
        }
        inner.now = inner.now.max(now);
        inner.next += 1;
        let number = inner.next;
        inner.by_stream.entry((entry.app.clone(), entry.stream.clone())).or_default().insert(number);
        for key in entry.of_subscriber() {
            inner.by_subscriber.entry(key).or_default().insert(number);
        }
        if let Some(key) = entry.of_token() {
            inner.by_token.entry(key).or_default().insert(number);
        }
        if entry.grounds.expires.is_some() {
            inner.timed.insert(number);
        }
        inner.entries.insert(number, entry);
        Ok(Entered { live: Arc::clone(self), number })
    }

    /// Whether this token can serve once more here: `TokenInUse` while its session lives, `Spent` once it began and has been
    /// over for longer than a connection may be lost for.
    pub(crate) fn token_fault(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        now: WallTime,
    ) -> Option<Denial> {
        let inner = self.0.lock();
        let key = (app.clone(), stream.clone(), token.clone());
        if inner.has_its_one(&key) {
            return Some(Denial::TokenInUse);
        }
        let since = inner.over.get(&key)?;
        (now > since.plus(limits::TOKEN_COMES_BACK_WITHIN)).then_some(Denial::Token(TokenFault::Spent))
    }

    /// What is stored of a subscriber changed: who is blocked pauses or ends, who no longer is goes on.
    pub(crate) fn subscriber_changed(
        &self,
        app: &AppName,
        stream: &StreamId,
        id: &str,
        subscriber: Option<&Subscriber>,
        now: WallTime,
    ) {
        let mut inner = self.0.lock();
        let key = (app.clone(), stream.clone(), id.to_owned());
        let Some(numbers) = inner.by_subscriber.get(&key).cloned() else { return };
        let mut timed = Vec::new();
        for number in numbers {
            let Some(entry) = inner.entries.get_mut(&number) else { continue };
            let blocked = subscriber.filter(|known| known.is_blocked_at(entry.direction.into(), now));
            match blocked.and_then(|known| known.block.as_ref()) {
                Some(_) if entry.direction.is_publish() || !entry.can_pause => entry.end(ExitReason::Blocked),
                Some(block) => {
                    entry.blocks.insert(stream.clone(), WallTime(block.until_ms));
                    entry.control.suspend();
                    timed.push(number);
                }
                None => entry.unblock(|of, _| of == stream),
            }
        }
        inner.timed.extend(timed);
    }

    /// The subscribers of an application that somebody here is; for a list that was read anew.
    pub(crate) fn subscribers(&self, of: &AppName) -> Vec<(StreamId, String)> {
        let inner = self.0.lock();
        let keys = inner.by_subscriber.keys().filter(|(app, ..)| app == of);
        keys.map(|(_, stream, subscriber)| (stream.clone(), subscriber.clone())).collect()
    }

    /// A token changed: one that is gone before its time was revoked.
    pub(crate) fn token_changed(
        &self,
        app: &AppName,
        stream: &StreamId,
        token: &TokenId,
        row: Option<&Token>,
        now: WallTime,
    ) {
        let mut inner = self.0.lock();
        let Some(numbers) = inner.by_token.get(&(app.clone(), stream.clone(), token.clone())).cloned() else {
            return;
        };
        for number in numbers {
            let Some(entry) = inner.entries.get_mut(&number) else { continue };
            let Some(held) = &mut entry.grounds.token else { continue };
            match row {
                Some(row) => held.gone_by = row.swept_from(),
                // Swept, by the clock of the plane.
                None if now.plus(limits::CLOCKS_APART_MAX) >= held.gone_by => {}
                None => entry.end(ExitReason::Revoked),
            }
        }
    }

    /// The tokens of an application that somebody here was let in by; for a list that was read anew.
    pub(crate) fn tokens(&self, of: &AppName) -> Vec<(StreamId, TokenId)> {
        let inner = self.0.lock();
        let keys = inner.by_token.keys().filter(|(app, ..)| app == of);
        keys.map(|(_, stream, token)| (stream.clone(), token.clone())).collect()
    }

    /// All tokens of a stream made before a revision were revoked.
    pub(crate) fn tokens_revoked(&self, app: &AppName, stream: &StreamId, before: Revision) {
        let inner = self.0.lock();
        let of_stream =
            inner.by_token.iter().filter(|((of_app, of_stream, _), _)| of_app == app && of_stream == stream);
        for number in of_stream.flat_map(|(_, numbers)| numbers) {
            if let Some(entry) = inner.entries.get(number)
                && entry.grounds.token.as_ref().is_some_and(|held| held.made_at < before)
            {
                entry.end(ExitReason::Revoked);
            }
        }
    }

    /// What time brings: blocks and credentials that are over, a metadata plane that is away for too long.
    pub(crate) fn tick(&self, now: WallTime, authority: Authority) {
        let mut inner = self.0.lock();
        inner.now = inner.now.max(now);
        let mut done = Vec::new();
        let timed = inner.timed.clone();
        for number in timed {
            let Some(entry) = inner.entries.get_mut(&number) else { continue };
            if entry.grounds.expires.is_some_and(|expires| now >= expires) {
                entry.end(ExitReason::Expired);
            }
            entry.unblock(|_, until| now > until);
            if entry.blocks.is_empty() && entry.grounds.expires.is_none() {
                done.push(number);
            }
        }
        for number in done {
            inner.timed.remove(&number);
        }
        let ends = |guarded, direction: Direction| {
            let operation = match (direction, guarded) {
                (Direction::Publish, guarded) => Operation::RunningPublish(guarded),
                (Direction::Play, Guarded::Yes) => Operation::RunningPlay,
                (Direction::Play, Guarded::No) => return false,
            };
            rule(operation, authority) == Ruling::Ends
        };
        if ends(Guarded::Yes, Direction::Play) || ends(Guarded::Yes, Direction::Publish) {
            for entry in inner.entries.values() {
                if ends(entry.grounds.guarded(), entry.direction) {
                    entry.end(ExitReason::AuthorityLost);
                }
            }
        }
    }

    /// The settings of an application changed: gives those who rest on what they no longer say.
    pub(crate) fn resting_otherwise(&self, app: &AppName, settings: &AppSettings) -> Vec<PermitControl> {
        let revoked = settings.revoked();
        let inner = self.0.lock();
        let fallen =
            inner.entries.values().filter(|entry| entry.app == *app && !entry.stands(settings, &revoked));
        fallen.map(|entry| entry.control.clone()).collect()
    }

    /// The live sessions of a stream, oldest first.
    pub(crate) fn list(&self, app: &AppName, stream: &StreamId) -> Vec<LiveSession> {
        let inner = self.0.lock();
        let numbers = inner.by_stream.get(&(app.clone(), stream.clone())).into_iter().flatten();
        let entries = numbers.filter_map(|number| inner.entries.get(number));
        entries
            .map(|entry| LiveSession {
                session: entry.session,
                direction: entry.direction,
                protocol: entry.protocol,
                subscriber: entry.subscriber.clone(),
                peer: entry.peer,
                since: entry.since,
                proof: entry.grounds.proof(),
                state: entry.control.state(),
            })
            .collect()
    }

    /// Ends one session of a stream, or its publisher (`None`).
    pub(crate) fn end(
        &self,
        app: &AppName,
        stream: &StreamId,
        session: Option<SessionId>,
        reason: ExitReason,
    ) {
        let inner = self.0.lock();
        let numbers = inner.by_stream.get(&(app.clone(), stream.clone())).into_iter().flatten();
        let entries = numbers.filter_map(|number| inner.entries.get(number));
        let meant = |entry: &&Entry| match session {
            Some(session) => entry.session == session,
            None => entry.direction.is_publish(),
        };
        entries.filter(meant).for_each(|entry| entry.end(reason));
    }

    /// Ends all that is of an application.
    pub(crate) fn end_application(&self, app: &AppName, reason: ExitReason) {
        let inner = self.0.lock();
        inner.entries.values().filter(|entry| entry.app == *app).for_each(|entry| entry.end(reason));
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.0.lock();
        inner.entries.is_empty()
            && inner.by_stream.is_empty()
            && inner.by_subscriber.is_empty()
            && inner.by_token.is_empty()
            && inner.timed.is_empty()
    }
}

/// Ends sessions because what they rest on was replaced: not all in one moment, for those that are let in again all ask.
pub(crate) async fn end_spread(fallen: Vec<PermitControl>) {
    let pause = limits::ROTATION_SPREAD / u32::try_from(fallen.len().max(1)).unwrap_or(u32::MAX);
    let pause = pause.min(limits::ROTATION_PAUSE_MAX);
    let mut waited = Duration::ZERO;
    for control in fallen {
        control.end(ExitReason::Revoked);
        waited += pause;
        // A timer is no finer.
        if waited >= Duration::from_millis(2) {
            tokio::time::sleep(waited).await;
            waited = Duration::ZERO;
        }
    }
}
