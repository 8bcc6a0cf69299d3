//! `play`: a node under N players, as one row of a table.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock, limits};
use clap::{Parser, ValueEnum};
use penstock_load_tests::{Identity, Percentiles, Profile, Recording, Summary, Swarm, SwarmOptions, machine};
use serde::Serialize;
use test_support::{Load, Node, NodeOptions};
use tokio::task::LocalSet;
use tokio::time::sleep;

const APPLICATION: &str = "LiveApp";
const STREAM: &str = "load";
/// Time for the published stream to be there.
const LIVE_MAX: Duration = Duration::from_secs(15);
/// Between the last join and the window: replays of joins are over then.
const SETTLING: Duration = Duration::from_secs(3);
/// Time for the last players to have media after they were all asked to join.
const JOINING_MAX: Duration = Duration::from_secs(20);

/// Starts a node and a publisher, lets players join, and says what they got and what they cost.
#[derive(Parser)]
struct Arguments {
    /// The penstock program, a release build.
    #[arg(long)]
    node: PathBuf,
    /// How many players; several numbers are several runs, each with a node of its own.
    #[arg(long, value_delimiter = ',', default_value = "100")]
    players: Vec<usize>,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Joins begun per second.
    #[arg(long, default_value_t = 50.0)]
    joins: f64,
    /// What players offer: GCM as browsers do, or CM alone.
    #[arg(long, value_enum, default_value_t = OfferedProfile::Gcm)]
    profile: OfferedProfile,
    /// Bits per second of the picture.
    #[arg(long, default_value_t = 2_000_000)]
    bitrate: u32,
    /// How many players decrypt what they get and hold it to be authentic.
    #[arg(long, default_value_t = 8)]
    opening: usize,
    /// Write one JSON object per run instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum OfferedProfile {
    Gcm,
    Cm,
}

/// One run.
#[derive(Serialize)]
struct Row {
    profile: OfferedProfile,
    /// Video and sound that all players together got, bits per second.
    bits_per_second: f64,
    /// The node's process against one core.
    server_cpu_percent: f64,
    /// The part of it within the kernel.
    server_kernel_percent: f64,
    /// The node's time per packet it delivered, microseconds.
    server_cpu_us_per_packet: Option<f64>,
    /// This process, the players, against one core.
    players_cpu_percent: f64,
    /// Resident memory with the stream and no player.
    server_idle_bytes: u64,
    /// Growth of resident memory since then, per player that joined.
    server_bytes_per_player: Option<f64>,
    /// The cores of the node and of the rest; absent when there is only one.
    cores: Option<(usize, usize)>,
    /// The fixed loop on the node's core before the run and after it, milliseconds.
    fixed_loop_ms: (f64, f64),
    /// Share of the machine that foreign programs took during the window.
    foreign_share: f64,
    summary: Summary,
}

fn main() -> ExitCode {
    let run = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(LocalSet::new().run_until(run(Arguments::parse()))));
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    ensure!(arguments.joins > 0.0, "--joins must be above 0");
    machine::raise_open_files()?;
    let cores = match machine::cores()?[..] {
        [first, second, ..] => Some((first, second)),
        _ => None,
    };
    if let Some((_, ours)) = cores {
        machine::pin(ours)?;
    }
    let recording = Recording::make(arguments.bitrate).await?;
    let identity = Arc::new(Identity::new()?);
    if !arguments.json {
        println!("{HEADING}");
    }
    for &players in &arguments.players {
        let row = measure(&arguments, players, cores, &recording, &identity).await?;
        if arguments.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            print_row(&row);
        }
    }
    Ok(())
}

async fn measure(
    arguments: &Arguments,
    players: usize,
    cores: Option<(usize, usize)>,
    recording: &Recording,
    identity: &Arc<Identity>,
) -> anyhow::Result<Row> {
    let node_core = cores.map_or(machine::cores()?.first().copied().unwrap_or(0), |(node, _)| node);
    let mut node = start_node(arguments, players, cores).await?;
    let mut publisher = recording.publish(&node.rtmp_url(APPLICATION, STREAM))?;
    Node::eventually(LIVE_MAX, || is_live(&node)).await.context("the stream did not begin")?;
    // One player, so that what the first one costs for all (sound for browsers) is in the idle figure.
    let options = |players, opening| SwarmOptions {
        url: node.signalling_url(APPLICATION),
        stream: STREAM.to_owned(),
        players,
        joins_per_second: arguments.joins,
        profile: match arguments.profile {
            OfferedProfile::Gcm => Profile::Gcm,
            OfferedProfile::Cm => Profile::Cm,
        },
        opening,
        detour: None,
    };
    let scout = Swarm::start(options(1, 0), Arc::clone(identity));
    ensure!(scout.joined(JOINING_MAX).await, "not even one player got media");
    // The ring is full then, and what grows afterwards grows because of players.
    sleep(limits::RING_DURATION_MAX).await;
    let idle = machine::usage(node.pid())?;
    let loop_before = machine::fixed_loop(node_core)?;

    let mut swarm = Swarm::start(options(players, arguments.opening), Arc::clone(identity));
    drop(scout);
    let patience = Duration::from_secs_f64(players as f64 / arguments.joins) + JOINING_MAX;
    if !swarm.joined(patience).await {
        eprintln!("play: not all of {players} players had media within {patience:?}");
    }
    sleep(SETTLING).await;
    let load = Load::watch();
    let (server_before, own_before) = (machine::usage(node.pid())?, machine::usage(std::process::id())?);
    let start = SystemClock.now();
    swarm.open_window();
    sleep(Duration::from_secs(arguments.seconds)).await;
    let summary = swarm.close_window(recording.fps()).context("the window was not open")?;
    let (server, own) = (machine::usage(node.pid())?, machine::usage(std::process::id())?);
    let elapsed = (SystemClock.now() - start).as_secs_f64();
    let load = load.report();
    publisher.check()?;
    drop(swarm);
    drop(publisher);
    let status = node.terminate().await?;
    if !status.success() {
        bail!("the node ended with {status}");
    }
    let loop_after = machine::fixed_loop(node_core)?;

    let percent = |time: Duration| time.as_secs_f64() / elapsed * 100.0;
    let cpu = server.cpu_since(&server_before);
    let packets = summary.video.packets + summary.audio.packets;
    let bytes = summary.video.bytes + summary.audio.bytes;
    Ok(Row {
        profile: arguments.profile,
        bits_per_second: bytes as f64 * 8.0 / summary.seconds,
        server_cpu_percent: percent(cpu),
        server_kernel_percent: percent(server.system.saturating_sub(server_before.system)),
        server_cpu_us_per_packet: (packets > 0).then(|| cpu.as_secs_f64() * 1e6 / packets as f64),
        players_cpu_percent: percent(own.cpu_since(&own_before)),
        server_idle_bytes: idle.resident_bytes,
        server_bytes_per_player: (summary.joined > 0)
            .then(|| (server.resident_bytes as f64 - idle.resident_bytes as f64) / summary.joined as f64),
        cores,
        fixed_loop_ms: (loop_before.as_secs_f64() * 1e3, loop_after.as_secs_f64() * 1e3),
        foreign_share: load.foreign_mean,
        summary,
    })
}

async fn start_node(
    arguments: &Arguments,
    players: usize,
    cores: Option<(usize, usize)>,
) -> anyhow::Result<Node> {
    // All players come from one address, and there is one more before them.
    let allowed = (players + 16).to_string();
    let mut options = NodeOptions::new(&arguments.node)
        .environment("PENSTOCK_HTTP_BIND_ADDRESSES", "127.0.0.1")
        .environment("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", "127.0.0.1")
        .environment("PENSTOCK_LOG_LEVEL", "warn");
    for limit in ["SIGNALLING_SOCKETS_PER_ADDRESS", "PLAYERS_PER_ADDRESS", "PLAYERS_PER_SHARD"] {
        options = options.environment(&format!("PENSTOCK_LIMITS_{limit}"), &allowed);
    }
    let Some((node_core, own_core)) = cores else { return Ok(Node::start(options).await?) };
    let options =
        options.environment("PENSTOCK_WEBRTC_SHARDS", "1").environment("PENSTOCK_HTTP_WORKERS", "1");
    // A process starts on the cores of the thread that starts it.
    machine::pin(node_core)?;
    let started = Node::start(options).await;
    machine::pin(own_core)?;
    Ok(started?)
}

/// `Some` once the node has the stream.
async fn is_live(node: &Node) -> Option<()> {
    let live = node.metric("penstock_streams", &[]).await.ok()?;
    (live >= 1.0).then_some(())
}

const HEADING: &str = "profile players joined  frames%  worst%   loss%   lost%  join p50/p99 ms  handshake p50/p99    lag p50/p99 ms  \
                       gap max ms  node CPU% (kernel)  us/packet  RSS/player  players CPU%  loop ms  foreign%";

fn print_row(row: &Row) {
    let summary = &row.summary;
    let pair = |percentiles: Option<Percentiles>| {
        percentiles.map_or("-".to_owned(), |p| format!("{:.1} / {:.1}", p.p50, p.p99))
    };
    let number =
        |value: Option<f64>, unit: &str| value.map_or("-".to_owned(), |value| format!("{value:.1}{unit}"));
    println!(
        "{:>7} {:>7} {:>6} {:>8.2} {:>7} {:>7.3} {:>7.3} {:>16} {:>18} {:>16} {:>11} {:>11.1} ({:>5.1}) {:>10} {:>11} {:>13.1} {:>4.0}/{:.0} {:>8.1}",
        match row.profile {
            OfferedProfile::Gcm => "GCM",
            OfferedProfile::Cm => "CM",
        },
        summary.players,
        summary.joined,
        summary.frames_share * 100.0,
        number(summary.frames_share_worst.map(|share| share * 100.0), ""),
        summary.loss_share * 100.0,
        summary.lost_share * 100.0,
        pair(summary.join_ms),
        pair(summary.handshake_ms),
        pair(summary.lag_ms),
        number(summary.gap_ms.map(|gap| gap.max), ""),
        row.server_cpu_percent,
        row.server_kernel_percent,
        number(row.server_cpu_us_per_packet, ""),
        number(row.server_bytes_per_player.map(|bytes| bytes / 1024.0), " KB"),
        row.players_cpu_percent,
        row.fixed_loop_ms.0,
        row.fixed_loop_ms.1,
        row.foreign_share * 100.0,
    );
    for (reason, count) in &summary.ended {
        println!("        {count} ended: {reason}");
    }
}
