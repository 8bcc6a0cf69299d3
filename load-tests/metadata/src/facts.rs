//! What a large cluster writes into its log: a minute of it, encoded as nodes encode it.
//!
//! Every viewer is a subscriber, which is the worst case: of others no summaries are told. A node sends its facts in
//! batches of what came in [`limits::FACTS_COLLECTED`], renews its claims and reports its streams as
//! `src/streams/plane` and the stream's actor do. Signs of life and gauges never come into the log.

use std::time::Duration;

use base::{SessionId, WallTime, limits};
use cluster_model::{
    Command, Connection, Direction, Epoch, Fact, FactKind, Figures, Heartbeat, HeldClaim, Incarnation,
    NodeId, Owner,
};
use serde::Serialize;

use crate::rows;

/// What the log adds to a command: request, time and lengths, term and index.
const ENTRY_BYTES: usize = 48;
/// How often a live stream reports (`src/streams/stream/report.rs`).
const HEARTBEAT: Duration = Duration::from_secs(10);
/// What a viewer is sent, bits per second: pictures of 2 Mbit/s, and sound.
const VIDEO_BPS: u128 = 2_000_000;
const AUDIO_BPS: u128 = 150_000;
/// How long a viewer stays.
const STAY: Duration = Duration::from_secs(600);
/// What is simulated.
const LENGTH: Duration = Duration::from_secs(60);

/// Of one kind of command.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Share {
    /// Commands per second.
    pub commands_per_second: f64,
    /// Bytes of log per second.
    pub bytes_per_second: f64,
}

/// What a cluster writes.
#[derive(Debug, Serialize)]
pub struct LogBytes {
    /// Nodes.
    pub nodes: u64,
    /// Viewers of all of them, each of them a subscriber.
    pub viewers: u64,
    /// How long a viewer stays, seconds.
    pub stay_s: u64,
    /// Facts of sessions: joins, leaves, a summary of each viewer every 30 s.
    pub facts: Share,
    /// Renewals of claims, one stream on each node.
    pub renewals: Share,
    /// Reports of live streams.
    pub heartbeats: Share,
    /// Tokens that joining viewers spend.
    pub spends: Share,
    /// All of it, bytes per second.
    pub bytes_per_second: f64,
    /// Bytes of one summary in a batch, on average.
    pub summary_bytes: f64,
}

#[derive(Default)]
struct Sum {
    commands: u64,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, command: &Command) -> anyhow::Result<()> {
        self.commands += 1;
        self.bytes += command.encode()?.len() + ENTRY_BYTES;
        Ok(())
    }

    fn share(&self) -> Share {
        let seconds = LENGTH.as_secs_f64();
        Share {
            commands_per_second: (self.commands as f64 / seconds).round(),
            bytes_per_second: (self.bytes as f64 / seconds).round(),
        }
    }
}

/// A minute of `nodes` nodes with `viewers` viewers.
///
/// # Errors
/// A command cannot be encoded.
pub fn log_bytes(nodes: u64, viewers: u64) -> anyhow::Result<LogBytes> {
    let [mut facts, mut renewals, mut heartbeats, mut spends] = std::array::from_fn(|_| Sum::default());
    let (mut summaries, mut summary_bytes) = (0u64, 0);
    for node in 0..nodes {
        let node = Node { n: node, first: node * viewers / nodes, last: (node + 1) * viewers / nodes };
        let mut sequence = 0;
        let mut now = Duration::ZERO;
        while now < LENGTH {
            let batch = node.facts(now, now + limits::FACTS_COLLECTED);
            now += limits::FACTS_COLLECTED;
            for fact in batch.iter().filter(|fact| matches!(fact.what, FactKind::Summary(_))) {
                summaries += 1;
                summary_bytes += serde_json::to_vec(fact)?.len() + 1;
            }
            for fact in batch.iter().filter(|fact| matches!(fact.what, FactKind::Connected(_))) {
                spends.add(&rows::spend_token(fact.session.as_u128() as u64))?;
            }
            for batch in batch.chunks(limits::FACTS_PER_BATCH_MAX) {
                sequence += 1;
                facts.add(&Command::RecordFacts { owner: node.owner(), sequence, facts: batch.to_vec() })?;
            }
        }
        for _ in 0..LENGTH.as_millis() / limits::CLAIM_RENEWED_EVERY.as_millis() {
            renewals.add(&node.renewal())?;
        }
        for _ in 0..LENGTH.as_secs() / HEARTBEAT.as_secs() {
            heartbeats.add(&node.heartbeat())?;
        }
    }
    let all = [facts.share(), renewals.share(), heartbeats.share(), spends.share()];
    Ok(LogBytes {
        nodes,
        viewers,
        stay_s: STAY.as_secs(),
        facts: all[0],
        renewals: all[1],
        heartbeats: all[2],
        spends: all[3],
        bytes_per_second: all.iter().map(|share| share.bytes_per_second).sum(),
        summary_bytes: (summary_bytes as f64 / summaries.max(1) as f64).round(),
    })
}

/// A node with one stream, and its viewers by number.
struct Node {
    n: u64,
    first: u64,
    last: u64,
}

impl Node {
    const fn owner(&self) -> Owner {
        Owner { node: NodeId(self.n + 1), incarnation: Incarnation(1_000_000 + self.n) }
    }

    const fn epoch(&self) -> Epoch {
        Epoch { generation: 1, n: 2_000_000 + self.n }
    }

    fn renewal(&self) -> Command {
        let claim = HeldClaim { app: rows::app(), stream: rows::stream(self.n), epoch: self.epoch() };
        Command::RenewStreams { owner: self.owner(), claims: vec![claim] }
    }

    fn heartbeat(&self) -> Command {
        let heartbeat = Heartbeat {
            bitrate_bps: 2_512_345,
            received_bytes: 1_234_567_890,
            duration_ms: 4_321_987,
            width: 1_280,
            height: 720,
            webrtc_viewers: u32::try_from(self.last - self.first).unwrap_or(u32::MAX),
            ..Heartbeat::default()
        };
        let epoch = Some(self.epoch());
        Command::StreamHeartbeat { app: rows::app(), stream: rows::stream(self.n), heartbeat, epoch }
    }

    /// What is noted between two moments. Viewers come at even distances, and one that goes makes room for the next.
    fn facts(&self, from: Duration, until: Duration) -> Vec<Fact> {
        let (stay, every) = (STAY.as_millis(), limits::FACT_SUMMARY_EVERY.as_millis());
        let (from, until) = (from.as_millis(), until.as_millis());
        let mut noted = Vec::new();
        // A period is longer than a batch is collected: each falls due at most once in it.
        let due = |period: u128, phase: u128| {
            let at = from + (period + phase - from % period) % period;
            (at < until).then_some(at)
        };
        // The stream tells of all its viewers at once.
        let beat = due(every, spread(self.n) % every);
        for viewer in self.first..self.last {
            let phase = spread(viewer) % stay;
            if let Some(at) = beat {
                let age = (at + stay - phase) % stay;
                noted.push(self.fact(viewer, at, FactKind::Summary(figures(age))));
            }
            if let Some(at) = due(stay, phase) {
                let (reason, figures) = ("peer_closed".to_owned(), figures(stay));
                noted.push(self.fact(viewer, at, FactKind::Disconnected { reason, figures }));
                noted.push(self.fact(viewer, at, FactKind::Connected(connection())));
            }
        }
        noted
    }

    fn fact(&self, viewer: u64, at: u128, what: FactKind) -> Fact {
        Fact {
            app: rows::app(),
            stream: rows::stream(self.n),
            subscriber: Some(rows::subscriber(viewer)),
            session: SessionId::from_u128(u128::from(viewer) << 64 | u128::from(viewer) << 7),
            at: WallTime(1_700_000_000_000 + u64::try_from(at).unwrap_or_default()),
            what,
        }
    }
}

/// Numbers that follow each other, far apart.
fn spread(n: u64) -> u128 {
    u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn figures(duration_ms: u128) -> Figures {
    let of = |bits_per_second| u64::try_from(duration_ms * bits_per_second / 8_000).unwrap_or_default();
    let (video_bytes, audio_bytes) = (of(VIDEO_BPS), of(AUDIO_BPS));
    Figures {
        duration_ms: u64::try_from(duration_ms).unwrap_or_default(),
        bytes: video_bytes + audio_bytes,
        video_bytes,
        audio_bytes,
    }
}

fn connection() -> Connection {
    Connection {
        direction: Direction::Play,
        protocol: "WebRTC".to_owned(),
        peer: Some("203.0.113.117".to_owned()),
        proof: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The goal, whatever this machine is.
    #[test]
    fn the_log_of_300_nodes_and_100_000_viewers_takes_no_megabyte_a_second() {
        let found = log_bytes(300, 100_000).unwrap();
        println!("{found:?}");
        assert!(found.bytes_per_second <= 1_000_000.0, "{found:?}");
        // As nodes tell them, bytes included: after 10 minutes 161 MB.
        assert_eq!(figures(STAY.as_millis()).bytes, 161_250_000);
    }

    #[test]
    fn a_minute_has_two_summaries_of_each_viewer_and_a_tenth_of_the_viewers_change() {
        let node = Node { n: 3, first: 0, last: 1_000 };
        let count = |wanted: fn(&FactKind) -> bool| {
            let windows = (0..30).map(|n| Duration::from_secs(2 * n));
            let facts = windows.flat_map(|from| node.facts(from, from + Duration::from_secs(2)));
            facts.filter(|fact| wanted(&fact.what)).count()
        };
        assert_eq!(count(|what| matches!(what, FactKind::Summary(_))), 2_000);
        let (begun, over) = (
            count(|what| matches!(what, FactKind::Connected(_))),
            count(|what| matches!(what, FactKind::Disconnected { .. })),
        );
        assert_eq!(begun, over);
        assert!((80..120).contains(&begun), "{begun}");
    }
}
