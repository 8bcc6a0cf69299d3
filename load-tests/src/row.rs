//! One row of the table: a node of its own under so many players.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use test_support::{Load, note};
use tokio::time::sleep;

use crate::bare::{self, Bare, Pattern, Rhythm, Sealing};
use crate::bench::{Admission, Bench, BenchOptions, Crowd};
use crate::link::Profile;
use crate::machine::{Cores, FOREIGN_SHARE_MAX, Noise, Syscalls, Used};
use crate::source::Recording;
use crate::swarm::{Opening, Pace, Summary};

const STREAM: &str = "load";
/// By how many places those who open media move with each repeat.
const TURN: usize = 37;

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Case {
    /// What players offer.
    pub profile: Profile,
    /// How many.
    pub players: usize,
}

/// How rows are measured.
#[derive(Clone, Debug)]
pub struct RowOptions {
    /// The penstock program.
    pub node: PathBuf,
    /// Who runs where.
    pub cores: Cores,
    /// How long is measured.
    pub window: Duration,
    /// How long each bare loop sends.
    pub bare: Duration,
    /// Joins begun per second.
    pub joins: f64,
    /// How many players decrypt what they get.
    pub opening: usize,
    /// Further environment variables of the node.
    pub environment: Vec<(String, String)>,
}

/// One run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What it is of.
    pub case: Case,
    /// Which time it was measured, from 0.
    pub repeat: usize,
    /// Why it is left out of medians; `None` for a row that counts.
    pub invalid: Option<String>,
    /// Whether what the players missed may be their own doing.
    pub players_were_the_limit: bool,
    /// What node and players used in the window.
    pub used: Used,
    /// The node's resident memory with a full ring and one player, bytes.
    pub idle_bytes: u64,
    /// Its growth since then, per player that joined.
    pub bytes_per_player: Option<f64>,
    /// What all players together got, bits per second.
    pub bits_per_second: f64,
    /// The node's time on its cores per packet that arrived, microseconds.
    pub us_per_packet: Option<f64>,
    /// The bare loop without a cipher, right after the window.
    pub plain: Bare,
    /// The bare loop with the row's cipher.
    pub sealed: Bare,
    /// The same in the rhythm of the frames.
    pub live: Bare,
    /// The node's system calls, in the second after the window; `None` where they cannot be counted.
    pub syscalls: Option<Syscalls>,
    /// The fixed loops before and after.
    pub noise: [Noise; 2],
    /// What the players saw.
    pub summary: Summary,
}

impl Row {
    /// Measures a case. To be called within a `LocalSet`.
    ///
    /// # Errors
    /// Node, publisher or a measuring loop failed. Players that fail are part of the row.
    pub async fn measure(
        options: &RowOptions,
        case: Case,
        repeat: usize,
        recording: &Arc<Recording>,
        pattern: &Pattern,
    ) -> anyhow::Result<Self> {
        let before = Noise::measure(&options.cores)?;
        let mut bench = Bench::start(&BenchOptions {
            node: options.node.clone(),
            cores: options.cores.clone(),
            players: case.players,
            admission: Admission::Off,
            environment: options.environment.clone(),
        })
        .await?;
        let mut publisher = bench.publish(recording, STREAM).await?;
        let idle = bench.usage_of_one(STREAM, case.profile).await?;
        let crowd = Crowd {
            stream: STREAM.to_owned(),
            players: case.players,
            pace: Pace::PerSecond(options.joins),
            profile: case.profile,
            opening: Opening { count: options.opening, turn: repeat * TURN },
            listening: None,
        };
        let swarm = bench.settle_crowd(crowd, Some(publisher.ledger())).await;
        let gauge = bench.gauge()?;
        let (_, summary) = swarm.measure(sleep(options.window)).await;
        let used = gauge.stop()?;
        let syscalls = Syscalls::count(bench.node().pid()).await;
        let syscalls =
            syscalls.inspect_err(|error| note(&format!("system calls not counted: {error:#}"))).ok();
        publisher.check()?;
        drop(swarm);
        drop(publisher);
        bench.stop().await?;

        let beside = Load::watch();
        let bare =
            |sealing, rhythm| bare::run(pattern, case.players, sealing, rhythm, &options.cores, options.bare);
        let sealing = match case.profile {
            Profile::Gcm => Sealing::Gcm,
            Profile::Cm => Sealing::Cm,
        };
        let plain = bare(Sealing::Plain, Rhythm::Fast)?;
        let sealed = bare(sealing, Rhythm::Fast)?;
        let live = bare(sealing, Rhythm::Live)?;
        let after = Noise::measure(&options.cores)?;
        let beside = beside.report().foreign_mean;

        let packets = summary.video.packets + summary.audio.packets;
        let bytes = summary.video.bytes + summary.audio.bytes;
        Ok(Self {
            case,
            repeat,
            invalid: used.excuse().or_else(|| {
                (beside > FOREIGN_SHARE_MAX)
                    .then(|| format!("foreign load {:.0} % beside the bare loops", beside * 100.0))
            }),
            players_were_the_limit: used.players_were_the_limit(),
            idle_bytes: idle.resident_bytes,
            bytes_per_player: (summary.joined > 0)
                .then(|| (used.server_bytes as f64 - idle.resident_bytes as f64) / summary.joined as f64),
            bits_per_second: bytes as f64 * 8.0 / summary.seconds,
            us_per_packet: (packets > 0).then(|| used.server_cpu_seconds() * 1e6 / packets as f64),
            plain,
            sealed,
            live,
            syscalls,
            noise: [before, after],
            used,
            summary,
        })
    }

    /// The plain bare loop's time per packet against the node's (0 to 1).
    pub fn plain_ratio(&self) -> Option<f64> {
        Some(self.plain.us_per_packet / self.us_per_packet?)
    }

    /// The sealed bare loop's time per packet against the node's (0 to 1).
    pub fn sealed_ratio(&self) -> Option<f64> {
        Some(self.sealed.us_per_packet / self.us_per_packet?)
    }

    /// The live bare loop's time per packet against the node's (0 to 1).
    pub fn live_ratio(&self) -> Option<f64> {
        Some(self.live.us_per_packet / self.us_per_packet?)
    }
}
