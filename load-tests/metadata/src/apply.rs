//! How long commands take that are applied to a large state: everybody waits for the thread meanwhile.

use std::time::{Duration, Instant};

use base::{Clock, SessionId, SystemClock, WallTime};
use cluster_model::{
    Command, Connection, Direction, Fact, FactKind, Figures, Incarnation, NodeCard, NodeId, Outcome, Owner,
    State,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::{million, rows};

/// Of each kind so many.
const TIMES: u64 = 20;
/// Rows that are swept or lost.
const SWEPT: u64 = 30_000;

/// What one command took, milliseconds.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Which.
    pub command: &'static str,
    /// Rows it changed, at most.
    pub changes: usize,
    /// In the replica, at the median.
    pub apply_p50_ms: f64,
    /// And at worst.
    pub apply_max_ms: f64,
    /// At worst without the time in which other programs had the core.
    pub apply_cpu_max_ms: f64,
    /// In the copy for readers, at worst: they wait for so long.
    pub publish_max_ms: f64,
    /// And without the time of other programs.
    pub publish_cpu_max_ms: f64,
}

/// A replica and its readers' copy, as on a node.
struct Stage {
    state: State,
    published: State,
    n: u64,
    now: WallTime,
    rows: Vec<Row>,
}

/// Commands over `count` subscribers and as many tokens.
pub fn apply(count: u64) -> Vec<Row> {
    let state = million::state(count, SWEPT.min(count / 4));
    let now = state.now();
    let published = state.replica();
    let mut stage = Stage { state, published, n: 0, now, rows: Vec::new() };
    let half = count / 2;
    stage.times("spend_token", |n| rows::spend_token(half + n));
    stage.times("put_subscriber", |n| rows::put_subscriber(half + n, None));
    let owner = stage.join();
    stage.times("record_facts, 500 that begin", |n| facts(owner, n + 1, |viewer| begins(n * 500 + viewer)));
    stage.times("record_facts, 500 summaries", |n| {
        facts(owner, TIMES + n + 1, |viewer| goes_on(n * 500 + viewer))
    });
    stage.times("record_facts, 500 that end", |n| {
        facts(owner, 2 * TIMES + n + 1, |viewer| ends(n * 500 + viewer))
    });
    stage.times("acquire_slot", |n| acquire(owner, n));
    for n in TIMES..SWEPT.min(half) {
        stage.once(acquire(owner, n));
    }
    stage.once(Command::NodeExpired { node: owner.node, incarnation: owner.incarnation });
    let up_to = stage.now;
    stage.times("expire, slots of a dead node", |_| Command::Expire { up_to });
    while stage.once(Command::Expire { up_to }) == (Outcome::Swept { more: true }) {}
    let up_to = stage.pass(million::EARLY_S.unsigned_abs() * 1_000 + 1);
    stage.times("expire, tokens", |_| Command::Expire { up_to });
    stage.times("revoke_tokens", |n| Command::RevokeTokens { app: rows::app(), stream: rows::stream(n) });
    stage.times("expire, revoked tokens", |_| Command::Expire { up_to });
    stage.times("delete_subscribers", |n| Command::DeleteSubscribers {
        app: rows::app(),
        stream: rows::stream(100 + n),
    });
    stage.rows
}

impl Stage {
    fn times(&mut self, command: &'static str, make: impl Fn(u64) -> Command) {
        let (mut applied, mut published, mut changes) = (Vec::new(), Vec::new(), 0);
        for n in 0..TIMES {
            let command = make(n);
            self.n += 1;
            let began = Instants::now();
            let done = million::apply(&mut self.state, self.n, self.now, command);
            applied.push(began.millis());
            changes = changes.max(done.changes.len());
            let began = Instants::now();
            self.published.absorb(done.revision, self.now, &done.changes);
            published.push(began.millis());
        }
        let most = |all: &[(f64, f64)]| {
            all.iter().fold((0.0, 0.0), |(wall, cpu): (f64, f64), took| (wall.max(took.0), cpu.max(took.1)))
        };
        let ((apply_max_ms, apply_cpu_max_ms), (publish_max_ms, publish_cpu_max_ms)) =
            (most(&applied), most(&published));
        applied.sort_by(|a, b| a.0.total_cmp(&b.0));
        let apply_p50_ms = applied[applied.len() / 2].0;
        self.rows.push(Row {
            command,
            changes,
            apply_p50_ms,
            apply_max_ms,
            apply_cpu_max_ms,
            publish_max_ms,
            publish_cpu_max_ms,
        });
    }

    fn once(&mut self, command: Command) -> Outcome {
        self.n += 1;
        let done = million::apply(&mut self.state, self.n, self.now, command);
        self.published.absorb(done.revision, self.now, &done.changes);
        done.outcome
    }

    fn pass(&mut self, until_ms: u64) -> WallTime {
        self.now = self.now.max(WallTime(until_ms));
        self.now
    }

    /// A node, in the life that begins now.
    fn join(&mut self) -> Owner {
        let node = NodeId(7);
        match self.once(Command::NodeJoined { node, card: NodeCard::default() }) {
            Outcome::Joined { incarnation } => Owner { node, incarnation },
            _ => Owner { node, incarnation: Incarnation(0) },
        }
    }
}

fn acquire(owner: Owner, n: u64) -> Command {
    let (app, stream, subscriber) = rows::subscriber_of(n);
    Command::AcquireSlot { app, stream, subscriber, session: session(n), owner }
}

fn facts(owner: Owner, sequence: u64, what: impl Fn(u64) -> Fact) -> Command {
    Command::RecordFacts { owner, sequence, facts: (0..500).map(what).collect() }
}

fn session(n: u64) -> SessionId {
    SessionId::from_u128(u128::from(n) << 64 | 5)
}

fn fact(n: u64, what: FactKind) -> Fact {
    let (app, stream, subscriber) = rows::subscriber_of(n);
    let at = WallTime(million::MADE_MS);
    Fact { app, stream, subscriber: Some(subscriber), session: session(n), at, what }
}

fn begins(n: u64) -> Fact {
    let (protocol, peer) = ("WebRTC".to_owned(), Some("203.0.113.117".to_owned()));
    fact(n, FactKind::Connected(Connection { direction: Direction::Play, protocol, peer, proof: None }))
}

fn goes_on(n: u64) -> Fact {
    fact(n, FactKind::Summary(Figures { duration_ms: 30_000, ..Figures::default() }))
}

fn ends(n: u64) -> Fact {
    let figures = Figures { duration_ms: 45_000, ..Figures::default() };
    fact(n, FactKind::Disconnected { reason: "peer_closed".to_owned(), figures })
}

/// A moment by the clock, and by the time this thread had a core.
struct Instants(Instant, Duration);

impl Instants {
    fn now() -> Self {
        Self(SystemClock.now(), cpu())
    }

    fn millis(&self) -> (f64, f64) {
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        let wall = SystemClock.now().saturating_duration_since(self.0);
        (millis(wall), millis(cpu().saturating_sub(self.1)))
    }
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
