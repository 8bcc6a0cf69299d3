//! The clauses of the gate, one by one: what each asks for and whether it is passed.

use std::sync::Arc;

use base::{StreamId, WallTime};
use cluster_model::{
    Authority, Broadcast, Direction as Stored, MetaError, Operation, Refused, Ruling, SubscriberId,
    SubscriberShown, TokenFault, TokenId, rule,
};
use config::AppSettings;
use serde_json::{Map, Value};

use super::Gate;
use super::guesses::Guesser;
use crate::address::publisher_is_allowed;
use crate::credential::jwt::JwtFault;
use crate::credential::{hash, print_of, totp};
use crate::grounds::{Grounds, Rest, SecretPrint, jwt_print, own_secret};
use crate::{Access, Came, Denial, TotpFault};

/// A clause of the gate. What is switched off is passed by everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// Only registered streams are published.
    Registered,
    /// Nobody publishes the stream.
    Free,
    /// Only registered rooms are joined, in their time.
    Room,
    /// An authorisation webhook allows it.
    Webhook,
    /// The subscriber's code.
    Totp,
    /// The one-time token, as far as that can be said without spending it.
    Token,
    /// The hash.
    Hash,
    /// The JWT.
    Jwt,
    /// The broadcast's dates.
    Window,
    /// The publisher's address.
    Address,
    /// The subscriber is not blocked.
    Block,
}

impl Clause {
    /// AMS's order for publishers (its `streamPublishSecurityList`).
    pub(crate) const OF_PUBLISH: [Self; 11] = [
        Self::Registered,
        Self::Free,
        Self::Room,
        Self::Webhook,
        Self::Totp,
        Self::Token,
        Self::Hash,
        Self::Jwt,
        Self::Window,
        Self::Address,
        Self::Block,
    ];
    /// AMS's order for players.
    pub(crate) const OF_PLAY: [Self; 7] =
        [Self::Block, Self::Room, Self::Totp, Self::Token, Self::Hash, Self::Jwt, Self::Webhook];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered stream",
            Self::Free => "stream is free",
            Self::Room => "registered room",
            Self::Webhook => "authorisation webhook",
            Self::Totp => "subscriber's code",
            Self::Token => "one-time token",
            Self::Hash => "hash",
            Self::Jwt => "JWT",
            Self::Window => "time window",
            Self::Address => "publisher's address",
            Self::Block => "block",
        }
    }
}

/// Whether a clause asked for something at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It is switched off, or has nothing to ask of this one.
    Off,
    /// It asked, and what came is right.
    Right,
}

/// One wish, with everything that is known of it.
pub(crate) struct Question<'a> {
    pub access: &'a Access,
    pub settings: Arc<AppSettings>,
    pub stream: StreamId,
    /// The room that the peer says the stream belongs to: blocks and dates of it are asked for.
    pub room: Option<StreamId>,
    /// Whether that is so, so that what was made for the room opens the stream.
    pub is_in_room: bool,
    pub broadcast: Option<Arc<Broadcast>>,
    pub authority: Authority,
    pub now: WallTime,
    /// It is only asked what would be said: nothing is taken, and no wrong code counted.
    pub is_look: bool,
}

impl Question<'_> {
    const fn publish(&self) -> bool {
        self.access.direction.is_publish()
    }

    /// Who decides `operation` here and now; what is refused by the plane being away is.
    pub(crate) fn ruling(&self, operation: Operation) -> Result<Ruling, Denial> {
        match rule(operation, self.authority) {
            Ruling::Refused(Refused::NotAllowed) => Err(Denial::AuthorityLost),
            Ruling::Refused(Refused::Initializing) => Err(Denial::NotInitialised),
            Ruling::Refused(Refused::DataStoreNotAvailable | Refused::Unavailable) => {
                Err(Denial::DataStoreNotAvailable)
            }
            ruling => Ok(ruling),
        }
    }

    /// The rooms by which its subscriber may be blocked: the one that the peer names, and the one that is stored of the stream,
    /// which it cannot leave by saying nothing of it.
    pub(crate) fn rooms(&self) -> Vec<StreamId> {
        let stored = self.broadcast.as_ref().and_then(|broadcast| broadcast.main_track_stream_id.as_deref());
        let stored =
            stored.and_then(|room| StreamId::new(room).ok()).filter(|room| self.room.as_ref() != Some(room));
        self.room.iter().cloned().chain(stored).filter(|room| *room != self.stream).collect()
    }

    /// Whether a mechanism that needs a credential stands before the stream.
    pub(crate) fn is_guarded(&self) -> bool {
        self.settings.is_guarded(self.publish())
    }

    /// Whether a stored broadcast is what the peer says: of its room. So is one that is published and not stored yet.
    pub(crate) fn says_so(&self, broadcast: Option<&Broadcast>) -> bool {
        let Some(room) = &self.room else { return false };
        match broadcast {
            _ if *room == self.stream => true,
            Some(broadcast) => broadcast.main_track_stream_id.as_deref() == Some(room.as_str()),
            None => self.publish(),
        }
    }

    /// The room whose credentials open the stream.
    pub(crate) fn open_room(&self) -> Option<&StreamId> {
        self.room.as_ref().filter(|_| self.is_in_room)
    }

    fn token(&self) -> Option<&str> {
        self.access.token.as_ref().map(|token| token.expose().as_str())
    }

    /// The one-time token that is asked for; `None`: none is.
    pub(crate) fn one_time_token(&self) -> Result<Option<TokenId>, Denial> {
        if !self.settings.wants_token(self.publish()) {
            return Ok(None);
        }
        let token = self.token().ok_or(Denial::TokenMissing)?;
        TokenId::new(token).map(Some).map_err(|_| Denial::Token(TokenFault::Unknown))
    }
}

impl Gate {
    /// Asks one clause. What somebody is let in by is added to `grounds`.
    pub(crate) async fn ask(
        &self,
        clause: Clause,
        question: &Question<'_>,
        grounds: &mut Grounds,
    ) -> Result<Passed, Denial> {
        match clause {
            Clause::Registered => match (&question.broadcast, self.only_registered(question)) {
                (_, false) => Ok(Passed::Off),
                (None, true) => Err(Denial::Unregistered),
                (Some(_), true) => Ok(Passed::Right),
            },
            // Only a look: who is refused by a later clause must not have kept others out meanwhile.
            Clause::Free if self.seats.is_held(&question.access.app, &question.stream) => {
                Err(Denial::AlreadyLive)
            }
            Clause::Free => Ok(Passed::Right),
            Clause::Room => self.room(question).await,
            Clause::Webhook => self.webhook(question, grounds).await,
            Clause::Totp => self.code(question, grounds).await,
            Clause::Token => token_is_there(question, grounds),
            Clause::Hash => hash_is_right(question, grounds),
            Clause::Jwt => self.jwt(question, grounds).await,
            Clause::Window => window(question),
            Clause::Address => address(question, grounds),
            Clause::Block => self.not_blocked(question).await,
        }
    }

    fn only_registered(&self, question: &Question<'_>) -> bool {
        question.settings.accept_only_streams_in_data_store()
    }

    async fn room(&self, question: &Question<'_>) -> Result<Passed, Denial> {
        let Some(room) = &question.room else { return Ok(Passed::Off) };
        if !question.settings.accept_only_rooms_in_data_store() {
            return Ok(Passed::Off);
        }
        question.ruling(Operation::Lists)?;
        let app = &question.access.app;
        let fault = |found: Result<Option<Arc<Broadcast>>, MetaError>| match found {
            Err(_) => Err(Denial::DataStoreNotAvailable),
            Ok(None) => Err(Denial::RoomUnregistered),
            Ok(Some(room)) if !room.may_be_published_at(question.now) => Err(Denial::RoomOutsideWindow),
            Ok(Some(_)) => Ok(Passed::Right),
        };
        match fault(self.broadcasts.get_local(app, room).await) {
            Ok(passed) => Ok(passed),
            // What refuses somebody has to be certain; without the plane what is known here decides.
            Err(here) => match fault(self.broadcasts.get(app, room).await) {
                Err(Denial::DataStoreNotAvailable) => Err(here),
                certain => certain,
            },
        }
    }

    async fn webhook(&self, question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
        let url = question.settings.authorisation_webhook(question.publish());
        if url.is_empty() {
            return Ok(Passed::Off);
        }
        question.ruling(Operation::Webhook)?;
        if !self.authorizer.allows(url, webhook_question(question)).await {
            return Err(Denial::Webhook);
        }
        grounds.proofs.push("webhook");
        Ok(Passed::Right)
    }

    async fn code(&self, question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
        if !question.settings.wants_totp(question.publish()) {
            return Ok(Passed::Off);
        }
        question.ruling(Operation::Totp)?;
        let access = question.access;
        let (Some(id), Some(code)) = (&access.subscriber_id, &access.subscriber_code) else {
            return Err(TotpFault::Missing.into());
        };
        let id = SubscriberId::new(id).map_err(|_| TotpFault::InvalidId)?;
        let whose = (access.app.clone(), question.stream.clone(), id);
        let (app, stream, id) = &whose;
        let (network, now) = (access.peer.network(), self.clock.now());
        let known = self.subscribers.get_local(app, stream, id).await.ok().flatten();
        let mut guesser = Guesser { whose: &whose, network, is_registered: known.is_some() };
        if self.guesses.is_locked(&guesser, now) {
            return Err(TotpFault::Locked.into());
        }
        let rests = match code_fault(question, id, known.as_ref(), code.expose()) {
            Ok(rests) => rests,
            // What refuses somebody has to be certain. A wrong code counts before it is, so that of many at a time no more are
            // looked at than of as many one after the other.
            Err(here) => {
                let counts = |fault: TotpFault| fault == TotpFault::WrongCode && !question.is_look;
                if counts(here) && !self.guesses.wrong(&guesser, now) {
                    return Err(TotpFault::Locked.into());
                }
                let known = self.subscribers.get(app, stream, id).await;
                let known = known.map_err(|_| Denial::DataStoreNotAvailable)?;
                guesser.is_registered = known.is_some();
                code_fault(question, id, known.as_ref(), code.expose()).inspect_err(|fault| {
                    if counts(*fault) && !counts(here) {
                        self.guesses.wrong(&guesser, now);
                    }
                })?
            }
        };
        if !question.is_look {
            self.guesses.right(&guesser, now);
        }
        grounds.rests.extend(rests);
        grounds.proofs.push("totp");
        Ok(Passed::Right)
    }

    async fn jwt(&self, question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
        let settings = &question.settings;
        if !settings.wants_jwt(question.publish()) {
            return Ok(Passed::Off);
        }
        question.ruling(Operation::HashOrJwt)?;
        let token = question.token().ok_or(Denial::JwtMissing)?;
        let (secret, jwks_url) = (settings.jwt_stream_secret(), settings.jwt_stream_jwks_url());
        let claims = self.keys.signed(token, secret.expose(), jwks_url).await?;
        claims.check_time(question.now)?;
        let print = print_of(token);
        if settings.is_revoked(&print) {
            return Err(JwtFault::Revoked.into());
        }
        let room = question.open_room().map(StreamId::as_str);
        claims.check_stream(question.stream.as_str(), room, question.access.direction)?;
        if settings.jwt_expiry_ends_session() {
            let expires = claims.expires_s().map(|seconds| WallTime((seconds.max(0.0) * 1_000.0) as u64));
            grounds.expires = expires;
        }
        grounds.rests.extend([Rest::Jwt(jwt_print(settings)), Rest::Unrevoked(print)]);
        grounds.proofs.push("jwt");
        Ok(Passed::Right)
    }

    /// On the stream and on its rooms. What this node knows lets pass; what refuses is asked for.
    pub(crate) async fn not_blocked(&self, question: &Question<'_>) -> Result<Passed, Denial> {
        let access = question.access;
        let Some(id) = access.subscriber_id.as_deref().and_then(|id| SubscriberId::new(id).ok()) else {
            return Ok(Passed::Off);
        };
        // Without a mechanism a node that knows nothing of the plane still lets viewers in.
        if question.is_guarded() || question.publish() {
            question.ruling(Operation::Lists)?;
        }
        let is_blocked = |shown: Option<SubscriberShown>| {
            shown.is_some_and(|it| it.subscriber.is_blocked_at(access.direction.into(), question.now))
        };
        for stream in std::iter::once(&question.stream).chain(&question.rooms()) {
            let local = self.subscribers.get_local(&access.app, stream, &id).await;
            if !is_blocked(local.ok().flatten()) {
                continue;
            }
            match self.subscribers.get(&access.app, stream, &id).await {
                Ok(shown) if !is_blocked(shown.clone()) => {}
                // Known to be blocked, and nobody says otherwise.
                Ok(_) | Err(_) => return Err(Denial::Blocked),
            }
        }
        Ok(Passed::Right)
    }
}

fn token_is_there(question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
    if !question.settings.wants_token(question.publish()) {
        return Ok(Passed::Off);
    }
    question.ruling(Operation::SpendToken)?;
    question.one_time_token()?;
    grounds.proofs.push("one-time token");
    Ok(Passed::Right)
}

fn code_fault(
    question: &Question<'_>,
    id: &SubscriberId,
    known: Option<&SubscriberShown>,
    code: &str,
) -> Result<Vec<Rest>, TotpFault> {
    // A block makes a record, too.
    let terms = known.filter(|known| known.subscriber.is_registered()).map(|known| &known.subscriber.terms);
    let settings = &question.settings;
    if terms.is_none() && settings.time_token_subscriber_only() {
        return Err(TotpFault::Unregistered);
    }
    if question.publish() && terms.is_some_and(|terms| terms.direction != Some(Stored::Publish)) {
        return Err(TotpFault::WrongType);
    }
    let period = terms.and_then(|terms| terms.totp_period_s).unwrap_or_else(|| settings.time_token_period());
    let (key, rests) = match terms.and_then(own_secret) {
        Some(secret) => (totp::key_of_base32(secret), vec![Rest::OwnCode(SecretPrint::of(secret))]),
        None => {
            let secret = settings.time_token_secret(question.publish());
            let secret = *secret.expose();
            let direction = question.access.direction;
            let key = totp::derived_key(secret, id.as_str(), question.stream.as_str(), direction);
            let registered = settings.time_token_subscriber_only().then_some(Rest::Registered);
            (key, registered.into_iter().chain([Rest::Code(SecretPrint::of(secret))]).collect())
        }
    };
    let key = key.ok_or(TotpFault::NoSecret)?;
    totp::step_of(&key, period, code, question.now).map(|_| rests).ok_or(TotpFault::WrongCode)
}

fn hash_is_right(question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
    if !question.settings.wants_hash(question.publish()) {
        return Ok(Passed::Off);
    }
    question.ruling(Operation::HashOrJwt)?;
    let token = question.token().ok_or(Denial::Hash)?;
    let secrets = [question.settings.token_hash_secret(), question.settings.token_hash_secret_previous()];
    let (stream, direction) = (question.stream.as_str(), question.access.direction);
    let by =
        secrets.into_iter().find(|secret| hash::is_stream_hash(token, stream, direction, secret.expose()));
    let print = print_of(token);
    let by = by.filter(|_| !question.settings.is_revoked(&print)).ok_or(Denial::Hash)?;
    grounds.rests.extend([Rest::Hash(SecretPrint::of(by.expose())), Rest::Unrevoked(print)]);
    grounds.proofs.push("hash");
    Ok(Passed::Right)
}

fn window(question: &Question<'_>) -> Result<Passed, Denial> {
    match &question.broadcast {
        None => Ok(Passed::Off),
        Some(broadcast) if broadcast.may_be_published_at(question.now) => Ok(Passed::Right),
        Some(_) => Err(Denial::OutsideWindow),
    }
}

fn address(question: &Question<'_>, grounds: &mut Grounds) -> Result<Passed, Denial> {
    let ranges = question.settings.allowed_publisher_cidr();
    if ranges.trim().is_empty() {
        return Ok(Passed::Off);
    }
    question.ruling(Operation::Lists)?;
    if !publisher_is_allowed(ranges, question.access.peer) {
        return Err(Denial::Address);
    }
    grounds.rests.push(Rest::Addresses);
    Ok(Passed::Right)
}

/// What an authorisation webhook is posted: AMS's keys, those that are absent left out; `queryParams` is the text of a map.
fn webhook_question(question: &Question<'_>) -> Value {
    let access = question.access;
    let mut body = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.into());
        }
    };
    put("appName", Some(access.app.as_str().to_owned()));
    put("streamId", Some(question.stream.as_str().to_owned()));
    put("mode", Some(access.direction.label().to_owned()));
    put("token", access.token.as_ref().map(|token| token.expose().clone()));
    put("subscriberId", access.subscriber_id.clone());
    put("subscriberCode", access.subscriber_code.as_ref().map(|code| code.expose().clone()));
    put("metaData", access.meta_data.clone());
    put("ipAddress", Some(access.peer.ip().to_string()));
    let Came { query, origin } = &access.came;
    if question.publish() {
        put("name", Some(question.stream.as_str().to_owned()));
        let pairs: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", value.expose())).collect();
        put("queryParams", (!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(", "))));
    } else {
        put("origin", origin.clone());
    }
    Value::Object(body)
}
