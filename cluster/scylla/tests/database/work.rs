//! Commands of every kind, drawn from a seed.

use base::{AppName, Clock, Randomness, SeededRandomness, SessionId, StreamId, SystemClock, WallTime};
use cluster_model::{
    Broadcast, Command, Connection, Direction, Fact, FactKind, Figures, Fingerprint, HeldClaim, NodeCard,
    NodeId, Outcome, Owner, PutWhen, SettingsDocument, SubscriberId, SubscriberTerms, TokenId, TokenTerms,
    User, UserName, Vod, VodId,
};
use serde_json::{Map, Value};

use crate::plane::Plane;

pub fn app() -> AppName {
    AppName::new("LiveApp").expect("a name")
}

pub fn stream(number: u64) -> StreamId {
    StreamId::new(&format!("stream-{number}")).expect("a name")
}

pub fn subscriber(number: u64) -> SubscriberId {
    SubscriberId::new(&format!("Zoë {number}")).expect("a name")
}

pub fn create(number: u64) -> Command {
    let broadcast = Broadcast { name: Some(format!("Nr. {number}")), ..Broadcast::default() };
    Command::CreateBroadcast { app: app(), stream: stream(number), broadcast: Box::new(broadcast) }
}

pub fn token(number: u64) -> TokenId {
    TokenId::new(&format!("token-{number}")).expect("a name")
}

pub fn create_token(on: u64, number: u64) -> Command {
    let terms = TokenTerms { direction: Direction::Play, expire_s: 4_000_000_000, room: None };
    Command::CreateToken { app: app(), stream: stream(on), token: token(number), terms }
}

pub fn spend(on: u64, number: u64, session: u128) -> Command {
    Command::SpendToken {
        app: app(),
        stream: stream(on),
        token: token(number),
        direction: Direction::Play,
        session: SessionId::from_u128(session),
        fingerprint: Fingerprint(7),
        outside_room: false,
    }
}

pub fn settings(of: &str, text: String) -> Command {
    let document = Map::from_iter([("jwtSecretKey".to_owned(), Value::String(text))]);
    let app = AppName::new(of).expect("a name");
    Command::PutSettings { app, expected: 0, document: SettingsDocument(document) }
}

pub fn fact(on: u64, by: Option<u64>, session: u128, at: WallTime, what: FactKind) -> Fact {
    let subscriber = by.map(subscriber);
    Fact { app: app(), stream: stream(on), subscriber, session: SessionId::from_u128(session), at, what }
}

pub fn connected() -> FactKind {
    FactKind::Connected(Connection {
        direction: Direction::Play,
        protocol: "webrtc".to_owned(),
        peer: Some("192.0.2.7".to_owned()),
        proof: None,
    })
}

pub fn disconnected(bytes: u64) -> FactKind {
    let figures = Figures { duration_ms: 1_000, bytes, video_bytes: bytes / 2, audio_bytes: bytes / 4 };
    FactKind::Disconnected { reason: "client_left".to_owned(), figures }
}

/// Has node 1 join.
pub fn join(plane: &Plane) -> Owner {
    join_at(plane, SystemClock.wall())
}

/// The same at another time.
pub fn join_at(plane: &Plane, at: WallTime) -> Owner {
    let card = NodeCard { address: "node-1".to_owned(), ..NodeCard::default() };
    match plane.run_at(at, Command::NodeJoined { node: NodeId(1), card }) {
        Outcome::Joined { incarnation } => Owner { node: NodeId(1), incarnation },
        other => panic!("{other:?}"),
    }
}

/// Draws commands.
pub struct Work {
    random: SeededRandomness,
    owner: Owner,
    sequence: u64,
    claims: Vec<HeldClaim>,
}

impl Work {
    pub fn new(seed: u64, plane: &Plane) -> Self {
        let owner = join(plane);
        Self { random: SeededRandomness::new(seed), owner, sequence: 0, claims: Vec::new() }
    }

    fn draw(&self, below: u64) -> u64 {
        self.random.next_u64() % below
    }

    /// Runs `commands` commands.
    pub fn run(&mut self, plane: &Plane, commands: usize) {
        for _ in 0..commands {
            let (on, by, number) = (self.draw(12), self.draw(9), self.draw(40));
            let session = SessionId::from_u128(u128::from(self.draw(5)) + 1);
            let owner = self.owner;
            let command = match self.draw(22) {
                0 | 1 => create(on),
                2 => Command::DeleteBroadcast { app: app(), stream: stream(on) },
                3 => settings(&format!("App{}", self.draw(4)), format!("key {number}")),
                4..=6 => create_token(on, number),
                7 | 8 => spend(on, number, u128::from(number) + 1),
                9 => Command::RevokeToken { app: app(), stream: stream(on), token: token(number) },
                10 if number < 8 => Command::RevokeTokens { app: app(), stream: stream(on) },
                10 | 11 => {
                    let secret = cluster_model::Hidden::new("JBSWY3DPEHPK3PXP".to_owned());
                    let terms = SubscriberTerms { b32_secret: Some(secret), ..SubscriberTerms::default() };
                    Command::PutSubscriber {
                        app: app(),
                        stream: stream(on),
                        subscriber: subscriber(by),
                        terms,
                    }
                }
                12 if number < 4 => Command::DeleteSubscribers { app: app(), stream: stream(on) },
                12 => Command::BlockSubscriber {
                    app: app(),
                    stream: stream(on),
                    subscriber: subscriber(by),
                    kind: "play".to_owned(),
                    seconds: number,
                },
                13 => Command::AcquireSlot {
                    app: app(),
                    stream: stream(on),
                    subscriber: subscriber(by),
                    session,
                    owner,
                },
                14 => Command::ReleaseSlot {
                    app: app(),
                    stream: stream(on),
                    subscriber: subscriber(by),
                    session,
                    owner,
                },
                15 => Command::ClaimStream { app: app(), stream: stream(on), owner, against: None },
                16 => match self.claims.pop() {
                    Some(HeldClaim { app, stream, epoch }) => Command::ReleaseStream { app, stream, epoch },
                    None => Command::RenewStreams { owner, claims: Vec::new() },
                },
                17 => Command::PutUser {
                    name: UserName::new(&format!("u{by}@example.org")).expect("a name"),
                    when: PutWhen::Always,
                    user: Box::new(User { user_type: format!("T{number}"), ..User::default() }),
                },
                18 => Command::PutVod {
                    app: app(),
                    vod: VodId::new(&format!("vod-{number}")).expect("a name"),
                    record: Box::new(Vod {
                        stream_id: Some(stream(on).to_string()),
                        creation_date: i64::try_from(number).expect("small"),
                        ..Vod::default()
                    }),
                },
                19 => Command::DeleteVod {
                    app: app(),
                    vod: VodId::new(&format!("vod-{number}")).expect("a name"),
                },
                _ => self.facts(plane, on, by),
            };
            let claimed = match &command {
                Command::ClaimStream { app, stream, .. } => Some((app.clone(), stream.clone())),
                _ => None,
            };
            if let (Outcome::Claimed { epoch }, Some((app, stream))) = (plane.run(command), claimed) {
                self.claims.push(HeldClaim { app, stream, epoch });
            }
        }
    }

    fn facts(&mut self, plane: &Plane, on: u64, by: u64) -> Command {
        self.sequence += 1;
        let at = plane.state().now();
        let session = u128::from(self.draw(6)) + 1;
        let (first, second) = match self.draw(3) {
            0 => (connected(), FactKind::Summary(Figures { bytes: self.draw(1_000), ..Figures::default() })),
            1 => (FactKind::Summary(Figures::default()), disconnected(self.draw(1_000))),
            _ => (connected(), disconnected(self.draw(1_000))),
        };
        let of = (by > 0).then_some(by);
        let facts = vec![fact(on, of, session, at, first), fact(on, of, session, at, second)];
        Command::RecordFacts { owner: self.owner, sequence: self.sequence, facts }
    }
}
