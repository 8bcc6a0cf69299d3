//! What clients want: sessions that think, ask, and ask again under the same request when they were not told.

mod names;
mod operations;
mod others;

use std::collections::BTreeMap;

use base::WallTime;
use cluster_core::{NodeId, ReadId};
use cluster_model::{
    Answer, Command, Direction, Fingerprint, HeldClaim, NodeCard, Outcome, Owner, Query, Refusal, RequestId,
    Revision, SettingsDocument, TokenFault, TokenTerms,
};

use crate::oracle::{Asked, Key, Told};
use crate::rng::Rng;
use names::{app, session_id, stream, subscriber, token};

pub use operations::{CARRIED_OUT, operation};

/// Microseconds of a second.
pub const SECOND: u64 = 1_000_000;

/// What a session asks.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A command.
    Change(Box<Command>),
    /// A query.
    Know(Query),
}

/// One operation under way.
#[derive(Clone, Debug)]
pub struct Running {
    /// On which node it was asked, in which life of that.
    pub on: (NodeId, u64),
    /// What is asked.
    pub wish: Wish,
    /// The same for every retry of a command.
    pub request: RequestId,
    /// Of a query.
    pub read: ReadId,
    /// Which object it is about.
    pub key: Key,
    /// What is asked of it.
    pub asked: Asked,
    /// Its place in the object's history, unless that is full.
    pub place: Option<usize>,
    /// The newest revision anybody was told of when it began.
    pub told: Revision,
    /// How often it may be asked again.
    pub retries: u64,
}

/// What sessions know of each other.
#[derive(Debug, Default)]
pub struct Shared {
    /// How often the data was restored.
    pub generation: u64,
    /// Tokens that were made lately, and in which generation.
    tokens: Vec<(u64, String)>,
    made: u64,
}

/// Someone who asks one thing at a time: the front of one node.
#[derive(Debug, Default)]
pub struct Session {
    /// What it waits for.
    pub running: Option<Running>,
    /// It is idle until then.
    pub think_at: u64,
    number: u64,
    joins: u64,
    owner: Option<Owner>,
    /// What it knows of each application's settings.
    versions: BTreeMap<String, u64>,
    claims: Vec<HeldClaim>,
    /// Subscribers it holds a connection of, and by which session.
    slots: Vec<(String, u64, Owner)>,
    sequence: u64,
}

impl Session {
    /// The `number`th.
    pub fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Thinks of something to ask at `now`; `wall` is what its node takes for the time.
    pub fn think(
        &mut self,
        rng: &mut Rng,
        shared: &mut Shared,
        now: u64,
        wall: WallTime,
    ) -> (Key, Asked, Wish) {
        // Objects change with the time, so that no history grows beyond what can be searched.
        let time = format!("{}.{}", shared.generation, now / (60 * SECOND));
        let kind = rng.below(24);
        let Some(owner) = self.owner else { return self.join() };
        match kind {
            0..=2 => self.put_settings(rng, &time),
            3..=4 => {
                let name = format!("s{}.{time}", rng.below(2));
                let query = Query::Settings { app: app(&name) };
                (Key::Settings(name), Asked::Read, Wish::Know(query))
            }
            5..=7 => broadcast(rng, &time),
            8..=13 => self.token(rng, shared, now),
            14..=17 if self.number.is_multiple_of(2) => self.claim(rng, &time, owner),
            14..=17 => self.slot(rng, &time, owner),
            18..=19 => block(rng, &time),
            20 if self.number.is_multiple_of(2) && rng.chance(400) => self.join(),
            20..=21 => {
                let (sequence, facts) = (self.sequence + 1, others::facts(rng, wall));
                let key = Key::Facts(owner.node.0, owner.incarnation.0);
                (key, Asked::Record(sequence), change(Command::RecordFacts { owner, sequence, facts }))
            }
            22 => (Key::Nothing, Asked::Read, change(Command::Expire { up_to: wall })),
            _ => (Key::Nothing, Asked::Read, change(others::command(rng, &time))),
        }
    }

    fn join(&mut self) -> (Key, Asked, Wish) {
        // One whose joining was not answered may join late: it is another node than the one that goes on.
        self.joins += u64::from(self.owner.take().is_none());
        let node = NodeId(2_000 + self.number + 100 * self.joins);
        self.claims.clear();
        (Key::Nothing, Asked::Join, change(Command::NodeJoined { node, card: NodeCard::default() }))
    }

    fn put_settings(&self, rng: &mut Rng, time: &str) -> (Key, Asked, Wish) {
        let name = format!("s{}.{time}", rng.below(2));
        let known = self.versions.get(&name).copied().unwrap_or_default();
        let expected = if rng.chance(100) { known.saturating_sub(1) } else { known };
        let value = serde_json::Value::from(rng.number());
        let document = SettingsDocument([("value".to_owned(), value)].into_iter().collect());
        let command = Command::PutSettings { app: app(&name), expected, document };
        (Key::Settings(name), Asked::Put(expected), change(command))
    }

    fn token(&self, rng: &mut Rng, shared: &mut Shared, now: u64) -> (Key, Asked, Wish) {
        let text = match shared.tokens.last().cloned() {
            Some(known) if rng.chance(700) => {
                // Mostly the newest, about which sessions race; sometimes one of long ago.
                if rng.chance(150) { rng.pick(&shared.tokens).cloned().unwrap_or(known) } else { known }
            }
            _ => {
                shared.made += 1;
                let made = (shared.generation, format!("k{}", shared.made));
                shared.tokens.push(made.clone());
                let terms = TokenTerms { direction: Direction::Play, expire_s: 9_000_000_000, room: None };
                let command =
                    Command::CreateToken { app: app("a"), stream: stream("t"), token: token(&made.1), terms };
                return (Key::Token(made.0, made.1), Asked::Create, change(command));
            }
        };
        let (generation, text) = text;
        let key = Key::Token(generation, text.clone());
        let (app, stream, token, direction) = (app("a"), stream("t"), token(&text), Direction::Play);
        if rng.chance(100) {
            return (key, Asked::Read, Wish::Know(Query::TokenFault { app, stream, token, direction }));
        }
        let session = self.number * 1_000_000_000 + now / 1_000;
        let fingerprint = Fingerprint(u128::from(self.number));
        let command = Command::SpendToken {
            app,
            stream,
            token,
            direction,
            session: session_id(session),
            fingerprint,
            outside_room: false,
        };
        (key, Asked::Spend(session), change(command))
    }

    fn claim(&mut self, rng: &mut Rng, time: &str, owner: Owner) -> (Key, Asked, Wish) {
        if let Some(held) = self.claims.last().cloned()
            && rng.chance(600)
        {
            let key = Key::Claim(held.stream.to_string());
            if rng.chance(600) {
                let command = Command::RenewStreams { owner, claims: vec![held.clone()] };
                return (key, Asked::Renew(held.epoch), change(command));
            }
            let HeldClaim { app, stream, epoch } = held;
            // Asked again later it is still the old epoch, as of a node that does not know it lost.
            if rng.chance(700) {
                self.claims.pop();
            }
            return (key, Asked::Release(epoch), change(Command::ReleaseStream { app, stream, epoch }));
        }
        let name = format!("c{}.{time}", rng.below(2));
        let key = Key::Claim(name.clone());
        let (app, stream) = (app("a"), stream(&name));
        if rng.chance(250) {
            return (key, Asked::Read, Wish::Know(Query::Claim { app, stream }));
        }
        let command = Command::ClaimStream { app, stream, owner, against: None };
        (key, Asked::Claim(owner.node.0, owner.incarnation.0), change(command))
    }

    fn slot(&mut self, rng: &mut Rng, time: &str, owner: Owner) -> (Key, Asked, Wish) {
        if let Some((name, session, owner)) = self.slots.last().cloned()
            && rng.chance(600)
        {
            if rng.chance(800) {
                self.slots.pop();
            }
            let (app, stream, subscriber) = (app("a"), stream("t"), subscriber(&name));
            let command =
                Command::ReleaseSlot { app, stream, subscriber, session: session_id(session), owner };
            return (Key::Slot(name), Asked::GiveBack(session), change(command));
        }
        let name = format!("u{}.{time}", rng.below(2));
        let session = rng.below(1 << 40);
        self.slots.push((name.clone(), session, owner));
        let (app, stream, subscriber) = (app("a"), stream("t"), subscriber(&name));
        let command = Command::AcquireSlot { app, stream, subscriber, session: session_id(session), owner };
        (Key::Slot(name), Asked::Acquire(session), change(command))
    }

    /// Learns from what it was told.
    pub fn learn(&mut self, running: &Running, told: Told) {
        match (&running.key, running.asked, told) {
            (
                Key::Settings(name),
                _,
                Told::Outcome(Outcome::Stored { version } | Outcome::Conflict { version })
                | Told::Value(version),
            ) => {
                self.versions.insert(name.clone(), version);
            }
            (_, Asked::Join, Told::Outcome(Outcome::Joined { incarnation })) => {
                if let Wish::Change(command) = &running.wish
                    && let Command::NodeJoined { node, .. } = &**command
                {
                    self.owner = Some(Owner { node: *node, incarnation });
                    self.sequence = 0;
                }
            }
            (Key::Claim(name), Asked::Claim(..), Told::Outcome(Outcome::Claimed { epoch })) => {
                self.claims.push(HeldClaim { app: app("a"), stream: stream(name), epoch });
            }
            (_, Asked::Record(sequence), Told::Outcome(Outcome::Done)) => self.sequence = sequence,
            (_, Asked::Record(_), Told::Outcome(Outcome::OutOfOrder { last })) => self.sequence = last,
            (key, _, Told::Outcome(Outcome::Refused(Refusal::NotJoined))) if *key != Key::Nothing => {
                self.owner = None;
            }
            _ => {}
        }
    }

    /// The cluster was restored: what it had there is void.
    pub fn forget(&mut self) {
        *self = Self { number: self.number, joins: self.joins + 1, ..Self::default() };
    }
}

fn change(command: Command) -> Wish {
    Wish::Change(Box::new(command))
}

fn broadcast(rng: &mut Rng, time: &str) -> (Key, Asked, Wish) {
    let name = format!("b{}.{time}", rng.below(2));
    let (app, stream) = (app("a"), stream(&name));
    let (asked, wish) = match rng.below(5) {
        0..=1 => (Asked::Create, change(Command::CreateBroadcast { app, stream, broadcast: Box::default() })),
        2 => (Asked::Delete, change(Command::DeleteBroadcast { app, stream })),
        _ => (Asked::Read, Wish::Know(Query::Broadcast { app, stream })),
    };
    (Key::Broadcast(name), asked, wish)
}

fn block(rng: &mut Rng, time: &str) -> (Key, Asked, Wish) {
    let name = format!("v{}.{time}", rng.below(2));
    let (app, stream, subscriber) = (app("a"), stream("t"), subscriber(&name));
    if rng.chance(500) {
        return (Key::Block(name), Asked::Read, Wish::Know(Query::Subscriber { app, stream, subscriber }));
    }
    let blocked = rng.chance(500);
    let (kind, seconds) = ("play".to_owned(), if blocked { 1_000_000_000 } else { 0 });
    let command = Command::BlockSubscriber { app, stream, subscriber, kind, seconds };
    (Key::Block(name), Asked::Block(blocked), change(command))
}

/// What an answer tells of its object.
pub fn told(answer: &Answer) -> Told {
    match answer {
        Answer::Settings(settings) => Told::Value(settings.as_ref().map_or(0, |record| record.version)),
        Answer::Broadcast(broadcast) => Told::Value(u64::from(broadcast.is_some())),
        Answer::Subscriber(shown) => {
            Told::Value(u64::from(shown.as_ref().is_some_and(|shown| shown.subscriber.block.is_some())))
        }
        Answer::Claim(shown) => Told::Claim(shown.as_ref().map(|shown| shown.claim.epoch)),
        Answer::TokenFault(None) => Told::Outcome(Outcome::Done),
        Answer::TokenFault(Some(fault)) => Told::Outcome(Outcome::TokenRefused(*fault)),
        _ => Told::Value(0),
    }
}

/// Whether a token was refused because nobody knows what happened to it.
pub fn is_void(told: &Told) -> bool {
    matches!(told, Told::Outcome(Outcome::TokenRefused(TokenFault::Void)))
}
