//! The state of the metadata plane and how a command changes it. Each kind of row has its own file.

mod broadcasts;
mod claims;
mod digest;
mod facts;
mod index;
mod nodes;
mod rows;
mod settings;
mod shelf;
mod slots;
mod snapshot;
mod subscribers;
mod sweep;
mod tokens;
mod users;
mod vods;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{AppName, SessionId, StreamId, WallTime, limits};

use crate::{
    Broadcast, Change, Claim, Command, ConnectionEvent, Filter, History, Life, Node, NodeId, Outcome, Owner,
    RequestId, Revision, RowKind, Session, SettingsRecord, Slot, Stamped, Subscriber, SubscriberId, Token,
    TokenId, User, UserName, Vod, VodId,
};
use digest::Digest;
use index::{Due, Index, Owned};
use shelf::Shelf;
use subscribers::tell_codes;

pub use digest::StateHash;

/// Everything the metadata plane knows. Ordered by application first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    revision: Revision,
    now: WallTime,
    generation: u64,
    settings: BTreeMap<AppName, Arc<SettingsRecord>>,
    broadcasts: Shelf<StreamId, Broadcast>,
    tokens: Shelf<(StreamId, TokenId), Token>,
    revocations: BTreeMap<(AppName, StreamId), Revision>,
    subscribers: Shelf<(StreamId, SubscriberId), Subscriber>,
    slots: Shelf<(StreamId, SubscriberId, SessionId), Slot>,
    claims: Shelf<StreamId, Claim>,
    nodes: BTreeMap<NodeId, Arc<Node>>,
    lives: BTreeMap<Owner, Arc<Life>>,
    users: BTreeMap<UserName, Arc<User>>,
    vods: Shelf<VodId, Vod>,
    sessions: Shelf<(StreamId, SubscriberId, SessionId, Owner), Session>,
    histories: Shelf<(StreamId, SubscriberId), History>,
    events: Shelf<(StreamId, SubscriberId, u64), ConnectionEvent>,
    index: Index,
    digest: Digest,
    remembered: BTreeMap<RequestId, (Revision, Outcome)>,
    remembered_order: VecDeque<RequestId>,
}

/// What a command changes is written here as it happens.
type Changes<'a> = &'a mut Vec<Change>;

/// What came of a command: its revision, its outcome and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision it was applied at; for a retry, the one of the first time.
    pub revision: Revision,
    /// What it came to.
    pub outcome: Outcome,
    /// What it changed, as absolute values; nothing for a retry.
    pub changes: Vec<Change>,
    /// Whether this was a retry of something already applied.
    pub repeated: bool,
}

/// Applies `stamped` to `state`. Deterministic: the same state and command give the same result on
/// every node. A request id that is still remembered changes nothing and is answered as before.
pub fn apply(state: &mut State, stamped: Stamped) -> Applied {
    let Stamped { request, at, command } = stamped;
    if let Some(&(revision, outcome)) = state.remembered.get(&request) {
        return Applied { revision, outcome, changes: Vec::new(), repeated: true };
    }
    // Time never goes back: a new leader's clock may be behind the old one's.
    state.now = state.now.max(at);
    state.revision = state.revision.next();
    let mut changes = Vec::new();
    let outcome = state.run(command, &mut changes);
    state.remember(request, state.revision, outcome);
    Applied { revision: state.revision, outcome, changes, repeated: false }
}

impl State {
    /// The number of commands applied so far.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The greatest time a command carried.
    pub const fn now(&self) -> WallTime {
        self.now
    }

    /// What replicas that agree have in common. Costs nothing: it is kept up with every change.
    pub fn hash(&self) -> StateHash {
        self.digest.with(self.revision, self.now)
    }

    /// Everything `filter` wants, in the form of changes.
    pub fn list(&self, filter: &Filter) -> Vec<Change> {
        match filter {
            Filter::Broadcast(app, stream) => {
                let now = self.broadcast(app, stream).cloned();
                let (app, stream) = (app.clone(), stream.clone());
                now.map(|now| Change::Broadcast { app, stream, now: Some(now) }).into_iter().collect()
            }
            Filter::Claim(app, stream) => {
                let now = self.claim(app, stream).cloned();
                let (app, stream) = (app.clone(), stream.clone());
                now.map(|now| Change::Claim { app, stream, now: Some(now) }).into_iter().collect()
            }
            Filter::Subscriber(app, stream, subscriber) => {
                let now = self.subscriber(app, stream, subscriber).cloned();
                let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
                now.map(|now| Change::Subscriber { app, stream, subscriber, now: Some(now) })
                    .into_iter()
                    .collect()
            }
            Filter::Broadcasts(app) => self.broadcast_rows(app).collect(),
            Filter::Tokens(app) => self.token_rows(app).chain(self.revocation_rows(app)).collect(),
            Filter::Subscribers(app) => self.subscriber_rows(app).collect(),
            Filter::Settings => self.rows_of(RowKind::Settings, None).collect(),
            Filter::Claims => self.rows_of(RowKind::Claim, None).collect(),
            Filter::Nodes => self.rows_of(RowKind::Node, None).collect(),
            Filter::Users => self.rows_of(RowKind::User, None).collect(),
            // Of what is told once there is no list.
            Filter::Contests => Vec::new(),
            Filter::All => self.rows().collect(),
        }
    }

    /// A replica for reading: the same rows, which are shared, and no remembered requests.
    pub fn replica(&self) -> Self {
        let mut replica = self.clone();
        for (request, known) in std::mem::take(&mut replica.remembered) {
            replica.digest.replace_request(request, Some(known), None);
        }
        replica.remembered_order.clear();
        replica
    }

    /// Takes over what a command changed elsewhere: a replica for reading, or rows read from disk.
    pub fn absorb(&mut self, revision: Revision, now: WallTime, changes: &[Change]) {
        self.revision = self.revision.max(revision);
        self.now = self.now.max(now);
        for change in changes {
            self.set(change);
        }
    }

    /// The remembered requests, in the order of their revisions.
    pub fn requests(&self) -> impl Iterator<Item = (RequestId, Revision, Outcome)> {
        self.remembered_order.iter().filter_map(|request| {
            let (revision, outcome) = self.remembered.get(request)?;
            Some((*request, *revision, *outcome))
        })
    }

    /// Takes over a remembered request. To be called in the order of the revisions.
    pub fn remember(&mut self, request: RequestId, revision: Revision, outcome: Outcome) {
        let before = self.remembered.insert(request, (revision, outcome));
        self.digest.replace_request(request, before, Some((revision, outcome)));
        if before.is_none() {
            self.remembered_order.push_back(request);
        }
        while self.remembered_order.len() > limits::META_REQUESTS_REMEMBERED_MAX {
            if let Some(oldest) = self.remembered_order.pop_front() {
                let forgotten = self.remembered.remove(&oldest);
                self.digest.replace_request(oldest, forgotten, None);
            }
        }
    }

    fn run(&mut self, command: Command, changes: Changes<'_>) -> Outcome {
        match command {
            Command::CreateBroadcast { app, stream, broadcast } => {
                self.create(app, stream, *broadcast, changes)
            }
            Command::PatchBroadcast { app, stream, patch } => self.patch(app, stream, &patch, changes),
            Command::DeleteBroadcast { app, stream } => self.delete(app, stream, changes),
            Command::StreamStarted { app, stream, facts, epoch } => {
                self.started(app, stream, *facts, epoch, changes)
            }
            Command::StreamEnded { app, stream, epoch } => self.ended(app, stream, epoch, changes),
            Command::StreamHeartbeat { app, stream, heartbeat, epoch } => {
                self.heartbeat(app, stream, &heartbeat, epoch, changes)
            }
            Command::ResetAfterRestart => self.reset(changes),
            Command::PutSettings { app, expected, document } => {
                self.put_settings(app, expected, document, changes)
            }
            Command::CreateToken { app, stream, token, terms } => {
                self.create_token(app, stream, token, terms, changes)
            }
            Command::SpendToken { app, stream, token, direction, session, fingerprint, outside_room } => {
                let by = (session, fingerprint);
                self.spend((app, stream, token), direction, by, outside_room, changes)
            }
            Command::RevokeToken { app, stream, token } => self.revoke_token(app, stream, token, changes),
            Command::RevokeTokens { app, stream } => self.revoke_tokens(app, stream, changes),
            Command::PutSubscriber { app, stream, subscriber, terms } => {
                self.put_subscriber(app, stream, subscriber, terms, changes)
            }
            Command::DeleteSubscriber { app, stream, subscriber } => {
                self.delete_subscriber(app, stream, subscriber, changes)
            }
            Command::DeleteSubscribers { app, stream } => self.delete_subscribers(&app, &stream, changes),
            Command::BlockSubscriber { app, stream, subscriber, kind, seconds } => {
                self.block((app, stream, subscriber), kind, seconds, changes)
            }
            Command::AcquireSlot { app, stream, subscriber, session, owner } => {
                self.acquire((app, stream, subscriber), session, owner, changes)
            }
            Command::ReleaseSlot { app, stream, subscriber, session, owner } => {
                self.give_back((app, stream, subscriber), session, owner, changes)
            }
            Command::ClaimStream { app, stream, owner, against } => {
                self.claim_stream(app, stream, owner, against, changes)
            }
            Command::RenewStreams { owner, claims } => self.renew(owner, claims, changes),
            Command::ReleaseStream { app, stream, epoch } => self.release(app, stream, epoch, changes),
            Command::ContestStream { app, stream, epoch } => self.contest(app, stream, epoch, changes),
            Command::NodeJoined { node, card } => self.join(node, card, changes),
            Command::NodeExpired { node, incarnation } => self.expire_node(node, incarnation, changes),
            Command::ForgetNode { node } => self.forget_node(node, changes),
            Command::PutUser { name, when, user } => self.put_user(name, when, *user, changes),
            Command::DeleteUser { name } => self.delete_user(name, changes),
            Command::PutVod { app, vod, record } => self.put_vod(app, vod, *record, changes),
            Command::DeleteVod { app, vod } => self.delete_vod(app, vod, changes),
            Command::RecordFacts { owner, sequence, facts } => {
                self.record_facts(owner, sequence, facts, changes)
            }
            Command::EndSession { app, stream, session } => {
                changes.push(Change::SessionEnded { app, stream, session });
                Outcome::Done
            }
            Command::TellCodes { node, seen } => tell_codes(node, seen, changes),
            Command::Expire { up_to } => self.expire(up_to, changes),
            Command::RaiseGeneration { to } => self.raise_generation(to, changes),
        }
    }

    /// Makes a change and writes it down: what a command does is what replicas are told.
    fn change(&mut self, change: Change, changes: Changes<'_>) {
        self.set(&change);
        changes.push(change);
    }

    /// Makes a change. The only place that touches rows, so that index and digest always fit them.
    fn set(&mut self, change: &Change) {
        let Some((kind, key)) = change.key() else { return };
        let (index, digest) = (&mut self.index, &mut self.digest);
        match change {
            Change::Generation(generation) => {
                let before = std::mem::replace(&mut self.generation, *generation);
                // Before the first restore there is no row.
                let row = |generation: u64| (generation != 0).then_some(generation);
                digest.replace(kind, &key, row(before).as_ref(), row(*generation).as_ref());
            }
            Change::Settings { app, now } => {
                let before = put(&mut self.settings, app.clone(), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Broadcast { app, stream, now } => {
                let before = self.broadcasts.set(app, stream.clone(), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Token { app, stream, token, now } => {
                let before = self.tokens.set(app, (stream.clone(), token.clone()), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let due = |row: &Option<Arc<Token>>| row.as_ref().map(|row| row.swept_from());
                index.due(due(&before), due(now), || Due::Token(app.clone(), stream.clone(), token.clone()));
                let [was, is] =
                    [&before, now].map(|row| row.as_ref().and_then(|row| row.terms.room.as_ref()));
                index.in_room(was, is, (app, stream, token));
            }
            Change::TokensRevoked { app, stream, before: now } => {
                let before = put(&mut self.revocations, (app.clone(), stream.clone()), *now);
                digest.replace(kind, &key, before.as_ref(), now.as_ref());
            }
            Change::Subscriber { app, stream, subscriber, now } => {
                let before = self.subscribers.set(app, (stream.clone(), subscriber.clone()), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Slot { app, stream, subscriber, session, now } => {
                let place = (stream.clone(), subscriber.clone(), *session);
                let before = self.slots.set(app, place, now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let owner = |row: &Option<Arc<Slot>>| row.as_ref().map(|row| row.owner);
                index.owned(owner(&before), owner(now), || {
                    Owned::Slot(app.clone(), stream.clone(), subscriber.clone(), *session)
                });
            }
            Change::Claim { app, stream, now } => {
                let before = self.claims.set(app, stream.clone(), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let due = |row: &Option<Arc<Claim>>| row.as_ref().map(|row| row.swept_from());
                index.due(due(&before), due(now), || Due::Claim(app.clone(), stream.clone()));
                let owner = |row: &Option<Arc<Claim>>| row.as_ref().map(|row| row.owner);
                index.owned(owner(&before), owner(now), || Owned::Claim(app.clone(), stream.clone()));
            }
            Change::Node { node, now } => {
                let before = put(&mut self.nodes, *node, now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let due = |row: &Option<Arc<Node>>| row.as_ref().and_then(|row| row.swept_from());
                index.due(due(&before), due(now), || Due::Node(*node));
            }
            Change::Life { owner, now } => {
                let before = put(&mut self.lives, *owner, now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let due = |row: &Option<Arc<Life>>| row.as_ref().and_then(|row| row.swept_from());
                index.due(due(&before), due(now), || Due::Life(*owner));
            }
            Change::User { name, now } => {
                let before = put(&mut self.users, name.clone(), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Vod { app, vod, now } => {
                let before = self.vods.set(app, vod.clone(), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Session { app, stream, subscriber, session, owner, now } => {
                let place = (stream.clone(), subscriber.clone(), *session, *owner);
                let before = self.sessions.set(app, place, now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let owned = |row: &Option<Arc<Session>>| row.is_some().then_some(*owner);
                index.owned(owned(&before), owned(now), || {
                    Owned::Session(app.clone(), stream.clone(), subscriber.clone(), *session)
                });
            }
            Change::History { app, stream, subscriber, now } => {
                let before = self.histories.set(app, (stream.clone(), subscriber.clone()), now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
                let due = |row: &Option<Arc<History>>| row.as_ref().map(|row| row.swept_from());
                index.due(due(&before), due(now), || {
                    Due::History(app.clone(), stream.clone(), subscriber.clone())
                });
            }
            Change::Event { app, stream, subscriber, number, now } => {
                let place = (stream.clone(), subscriber.clone(), *number);
                let before = self.events.set(app, place, now.clone());
                digest.replace(kind, &key, before.as_deref(), now.as_deref());
            }
            Change::Fact { .. }
            | Change::HistoryDeleted { .. }
            | Change::SessionEnded { .. }
            | Change::StreamContested { .. }
            | Change::CodesSeen { .. } => {}
        }
    }

    fn broadcast_rows(&self, app: &AppName) -> impl Iterator<Item = Change> {
        self.broadcasts.of(app).map(|(stream, now)| Change::Broadcast {
            app: app.clone(),
            stream: stream.clone(),
            now: Some(Arc::clone(now)),
        })
    }

    fn token_rows(&self, app: &AppName) -> impl Iterator<Item = Change> {
        self.tokens.of(app).map(|((stream, token), now)| Change::Token {
            app: app.clone(),
            stream: stream.clone(),
            token: token.clone(),
            now: Some(Arc::clone(now)),
        })
    }

    fn revocation_rows(&self, app: &AppName) -> impl Iterator<Item = Change> {
        let wanted = self.revocations.iter().filter(move |((of, _), _)| of == app);
        wanted.map(|((app, stream), before)| Change::TokensRevoked {
            app: app.clone(),
            stream: stream.clone(),
            before: Some(*before),
        })
    }

    fn subscriber_rows(&self, app: &AppName) -> impl Iterator<Item = Change> {
        self.subscribers.of(app).map(|((stream, subscriber), now)| Change::Subscriber {
            app: app.clone(),
            stream: stream.clone(),
            subscriber: subscriber.clone(),
            now: Some(Arc::clone(now)),
        })
    }
}

fn put<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, now: Option<V>) -> Option<V> {
    match now {
        Some(now) => rows.insert(key, now),
        None => rows.remove(&key),
    }
}

fn json_len(value: &impl serde::Serialize) -> Option<usize> {
    serde_json::to_vec(value).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests;
