//! What each WebRTC player of the node is sent, and what it reports of that.
//!
//! A shard samples its players once a second, some of them in a turn, and hands them over as one batch. Who wants to
//! know reads the batches: no shard and no actor is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, PeerAddr, StreamId, WallTime, limits};
use parking_lot::Mutex;
use rtc::{PlayerId, PlayerStats};
use streams::{Carried, Ending};

pub use rtc::{ReceivedStats, SentStats, TrackStats};

/// Between two samples of a player: what rates are over.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two samples of a player when its shard is late, at least. What has played for less than this is told as
/// if it had played for this long: a rate over some milliseconds says nothing.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// How a player came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayProtocol {
    /// Over the signalling socket.
    WebSocket,
    /// By WHEP.
    Whep,
}

impl PlayProtocol {
    /// The word for answers.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Whep => "whep",
        }
    }
}

/// Who a player is. Does not change while it lives.
#[derive(Debug)]
pub struct Viewer {
    /// Its application.
    pub app: AppName,
    /// What it plays.
    pub stream: StreamId,
    /// Where it asked from; never logged in full.
    pub peer: PeerAddr,
    /// How it came.
    pub protocol: PlayProtocol,
    /// As [`ClientFigures::info`].
    pub info: String,
    /// As [`ClientFigures::number`].
    pub number: i32,
    /// Its end: from then on it is not shown.
    pub ending: Ending,
}

/// What was sent within a second, of late.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// RTP packets.
    pub packets: f64,
    /// Their bytes, with header and tag.
    pub bytes: f64,
    /// Frames begun.
    pub frames: f64,
}

/// How one kind of media of a player fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KindFigures {
    /// Since it began.
    pub stats: TrackStats,
    /// Now.
    pub rates: Rates,
}

/// How a player fares, as it was sampled last.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFigures {
    /// Its number on this node, above 0: later ones have higher numbers, until after 2^31 players they begin anew.
    pub number: i32,
    /// Where it asked from.
    pub ip: IpAddr,
    /// How it came.
    pub protocol: PlayProtocol,
    /// What it says of itself, at most [`limits::VIEWER_INFO_CHARS_MAX`] characters; empty: nothing.
    pub info: String,
    /// When it was sampled.
    pub at: WallTime,
    /// How long a packet takes to it and back, by its last report.
    pub round_trip: Option<Duration>,
    /// Its pictures.
    pub video: KindFigures,
    /// Its sound.
    pub audio: KindFigures,
}

/// What several players were sent together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentFigures {
    /// When the last of them was sampled; `None`: there are none.
    pub at: Option<WallTime>,
    /// Pictures, and how many of them now.
    pub video: (SentStats, Rates),
    /// The same of sound.
    pub audio: (SentStats, Rates),
}

/// One player of a batch.
#[derive(Debug)]
struct Row {
    viewer: Arc<Viewer>,
    at: WallTime,
    round_trip: Option<Duration>,
    video: KindFigures,
    audio: KindFigures,
}

impl Row {
    fn is_of(&self, app: &AppName) -> bool {
        self.viewer.app == *app && self.viewer.ending.reason().is_none()
    }

    fn figures(&self) -> ClientFigures {
        ClientFigures {
            number: self.viewer.number,
            ip: self.viewer.peer.ip(),
            protocol: self.viewer.protocol,
            info: self.viewer.info.clone(),
            at: self.at,
            round_trip: self.round_trip,
            video: self.video,
            audio: self.audio,
        }
    }
}

type Batch = Arc<Vec<Row>>;

/// Where a shard leaves its newest batch.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Batch>);

impl Board {
    fn put(&self, batch: Vec<Row>) {
        let before = std::mem::replace(&mut *self.0.lock(), Arc::new(batch));
        // Whoever still reads it lets go of it last.
        drop(before);
    }

    fn newest(&self) -> Batch {
        Arc::clone(&self.0.lock())
    }
}

/// The newest batches of all shards. Players that have ended since are not shown.
#[derive(Debug)]
pub struct Clients(Vec<Batch>);

impl Clients {
    pub(super) fn read<'a>(boards: impl Iterator<Item = &'a Board>) -> Self {
        Self(boards.map(Board::newest).collect())
    }

    fn rows(&self, app: &AppName) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|batch| batch.iter()).filter(move |row| row.is_of(app))
    }

    /// Those of a stream, in the order they came: so many of them, from `offset` on.
    pub fn of(&self, app: &AppName, stream: &StreamId, offset: usize, size: usize) -> Vec<ClientFigures> {
        let mut rows: Vec<_> = self.rows(app).filter(|row| row.viewer.stream == *stream).collect();
        rows.sort_unstable_by_key(|row| row.viewer.number);
        rows.into_iter().skip(offset).take(size).map(Row::figures).collect()
    }

    /// What those of an application were sent together.
    pub fn sent(&self, app: &AppName) -> SentFigures {
        self.rows(app).fold(SentFigures::default(), |mut sum, row| {
            sum.at = sum.at.max(Some(row.at));
            for ((sent, rates), more) in [(&mut sum.video, row.video), (&mut sum.audio, row.audio)] {
                *sent += more.stats.sent;
                rates.packets += more.rates.packets;
                rates.bytes += more.rates.bytes;
                rates.frames += more.rates.frames;
            }
            sum
        })
    }
}

/// A player that is sampled.
struct Watched {
    viewer: Arc<Viewer>,
    /// From when media flows on.
    before: Option<Before>,
}

/// What it had been sent at the last sample, and when that was.
#[derive(Clone, Copy)]
struct Before {
    at: Instant,
    video: SentStats,
    audio: SentStats,
}

impl Watched {
    /// `None` as long as no media flows.
    fn sample(&mut self, stats: &PlayerStats, now: Instant, at: WallTime) -> Option<Row> {
        let before = self.before.as_mut()?;
        self.viewer.ending.has_carried(carried(stats));
        let took = now.saturating_duration_since(before.at).max(INTERVAL_MIN);
        let row = Row {
            viewer: Arc::clone(&self.viewer),
            at,
            round_trip: stats.round_trip,
            video: KindFigures { stats: stats.video, rates: rates(&stats.video.sent, &before.video, took) },
            audio: KindFigures { stats: stats.audio, rates: rates(&stats.audio.sent, &before.audio, took) },
        };
        *before = Before { at: now, video: stats.video.sent, audio: stats.audio.sent };
        Some(row)
    }
}

/// What a player was sent, as its session tells it.
pub(super) const fn carried(stats: &PlayerStats) -> Carried {
    Carried { video: stats.video.sent.bytes, audio: stats.audio.sent.bytes }
}

fn rates(now: &SentStats, before: &SentStats, took: Duration) -> Rates {
    let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / took.as_secs_f64();
    Rates {
        packets: rate(now.packets, before.packets),
        bytes: rate(now.bytes, before.bytes),
        frames: rate(now.frames, before.frames),
    }
}

/// A batch that is being made.
struct Round {
    began: Instant,
    /// The player that was sampled last.
    after: Option<PlayerId>,
    rows: Vec<Row>,
}

/// Samples the players of one shard.
pub(super) struct Sampler {
    players: BTreeMap<PlayerId, Watched>,
    /// When the next round is due.
    next: Instant,
    round: Option<Round>,
    /// Players of the newest batch.
    shown: usize,
}

impl Sampler {
    /// For a shard that starts now.
    pub(super) const fn new(now: Instant) -> Self {
        Self { players: BTreeMap::new(), next: now, round: None, shown: 0 }
    }

    pub(super) fn add(&mut self, player: PlayerId, viewer: Arc<Viewer>) {
        self.players.insert(player, Watched { viewer, before: None });
    }

    /// Media flows to a player: from now on it is sampled.
    pub(super) fn started(&mut self, player: PlayerId, now: Instant) {
        if let Some(watched) = self.players.get_mut(&player) {
            let none = SentStats::default();
            watched.before = Some(Before { at: now, video: none, audio: none });
        }
    }

    pub(super) fn remove(&mut self, player: PlayerId) {
        self.players.remove(&player);
    }

    /// When [`Sampler::turn`] has something to do; `None`: not before a player comes.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.round {
            Some(round) => Some(round.began),
            None => (!self.players.is_empty() || self.shown > 0).then_some(self.next),
        }
    }

    /// Samples the next players of a round, and hands it over when there are no more.
    pub(super) fn turn(
        &mut self,
        board: &Board,
        stats: impl Fn(PlayerId) -> Option<PlayerStats>,
        now: Instant,
        wall: impl FnOnce() -> WallTime,
    ) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        let at = wall();
        let mut round = self.round.take().unwrap_or_else(|| {
            self.next = (self.next + INTERVAL).max(now + INTERVAL_MIN);
            Round { began: now, after: None, rows: Vec::with_capacity(self.players.len()) }
        });
        let after = round.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut room = limits::SHARD_SAMPLES_PER_TURN_MAX;
        for (player, watched) in self.players.range_mut((after, Bound::Unbounded)) {
            if room == 0 {
                self.round = Some(round);
                return;
            }
            room -= 1;
            round.after = Some(*player);
            round.rows.extend(stats(*player).and_then(|stats| watched.sample(&stats, now, at)));
        }
        self.shown = round.rows.len();
        board.put(round.rows);
    }
}

#[cfg(test)]
mod tests;
