//! What clients want: sessions that think, ask, and ask again under the same request when they were not told.

use base::{AppName, StreamId};
use cluster_core::{NodeId, ReadId};
use cluster_model::{Answer, Command, Outcome, Query, RequestId, Revision, SettingsDocument};

use crate::oracle::{Asked, Key, Told};
use crate::rng::Rng;

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
    /// Its place in the object's history, unless that is full.
    pub place: Option<usize>,
    /// The newest revision anybody was told of when it began.
    pub told: Revision,
    /// How often it may be asked again.
    pub retries: u64,
}

/// Someone who asks one thing at a time.
#[derive(Debug, Default)]
pub struct Session {
    /// What it waits for.
    pub running: Option<Running>,
    /// What it knows of each application's settings.
    versions: std::collections::BTreeMap<String, u64>,
}

impl Session {
    /// Thinks of something to ask at `now`.
    pub fn think(&mut self, rng: &mut Rng, now: u64) -> (Key, Asked, Wish) {
        // Objects change with the time, so that no history grows beyond what can be searched.
        let minute = now / (60 * SECOND);
        match rng.below(10) {
            0..=2 => {
                let app = format!("s{}.{minute}", rng.below(2));
                let known = self.versions.get(&app).copied().unwrap_or_default();
                let expected = if rng.chance(100) { known.saturating_sub(1) } else { known };
                let value = serde_json::Value::from(rng.number());
                let document = SettingsDocument([("value".to_owned(), value)].into_iter().collect());
                let command = Command::PutSettings { app: name(&app), expected, document };
                (Key::Settings(app), Asked::Put(expected), Wish::Change(Box::new(command)))
            }
            3..=4 => {
                let app = format!("s{}.{minute}", rng.below(2));
                let query = Query::Settings { app: name(&app) };
                (Key::Settings(app), Asked::Read, Wish::Know(query))
            }
            kind => {
                let stream = format!("b{}.{minute}", rng.below(2));
                let (app, id) = (name("a"), stream_id(&stream));
                let (asked, wish) = match kind {
                    5..=6 => {
                        let broadcast = Box::default();
                        (Asked::Create, Wish::Change(Box::new(Command::CreateBroadcast { app, stream: id, broadcast })))
                    }
                    7 => (Asked::Delete, Wish::Change(Box::new(Command::DeleteBroadcast { app, stream: id }))),
                    _ => (Asked::Read, Wish::Know(Query::Broadcast { app, stream: id })),
                };
                (Key::Broadcast(stream), asked, wish)
            }
        }
    }

    /// Learns from what it was told.
    pub fn learn(&mut self, key: &Key, told: Told) {
        if let Key::Settings(app) = key {
            let version = match told {
                Told::Outcome(Outcome::Stored { version } | Outcome::Conflict { version })
                | Told::Value(version) => version,
                Told::Outcome(_) => return,
            };
            self.versions.insert(app.clone(), version);
        }
    }
}

/// What an answer tells of its object.
pub fn told(answer: &Answer) -> Told {
    Told::Value(match answer {
        Answer::Settings(settings) => settings.as_ref().map_or(0, |record| record.version),
        Answer::Broadcast(broadcast) => u64::from(broadcast.is_some()),
        _ => 0,
    })
}

/// What a command is called in the report.
pub fn command_name(command: &Command) -> &'static str {
    match command {
        Command::CreateBroadcast { .. } => "command: create broadcast",
        Command::DeleteBroadcast { .. } => "command: delete broadcast",
        Command::PutSettings { .. } => "command: put settings",
        _ => "command: other",
    }
}

#[expect(clippy::expect_used, reason = "names of the simulator's own making")]
fn name(text: &str) -> AppName {
    AppName::new(text).expect("a name")
}

#[expect(clippy::expect_used, reason = "names of the simulator's own making")]
fn stream_id(text: &str) -> StreamId {
    StreamId::new(text).expect("a name")
}
