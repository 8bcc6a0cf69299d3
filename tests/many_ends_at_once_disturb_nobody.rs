//! Of the players of a stream of sound most leave in the same moment: the others lose no packet, every end is
//! counted once and none of them as a failure, and the node counts nobody of them any more.

use std::process::Stdio;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Identity, Pace, Swarm, SwarmOptions, machine};
use serde_json::json;
use test_support::rtmp_client::timed_message;
use test_support::{Node, NodeOptions, RtmpClient, Signalling, Turn, in_full, note};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Those that stay.
const STAYING: usize = 100;
/// Processes that the others play in.
const CROWDS: usize = 2;
const JOINS_PER_SECOND: f64 = 600.0;
/// Thousands join a node that was not built for speed, on the cores they share with it.
const JOINING_MAX: Duration = Duration::from_secs(180);
const GONE_MAX: Duration = Duration::from_secs(10);
/// Between two packets of sound for so many that leave, of 60 ms each: thousands of players are a matter of their ends
/// here, not of their packets. Ten thousand get what a speaker who says nothing sends (RFC 6716 2.1.9).
fn packet_period(leaving: usize) -> Duration {
    Duration::from_millis(if leaving > 1_000 { 400 } else { 60 })
}

/// One frame of 60 ms of narrow-band speech in one channel (RFC 6716 3.1).
const TABLE_OF_CONTENTS: u8 = 3 << 3;

/// Publishes Opus by Enhanced RTMP until it is dropped: its content is noise that nobody decodes.
struct SoundPublisher {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl SoundPublisher {
    fn start(address: &str, period: Duration) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let address = address.to_owned();
        // A thread of its own: thousands that join do not make it late.
        let thread = thread::Builder::new().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => Ok(()),
                    ended = publish(&address, period) => ended,
                }
            })
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for SoundPublisher {
    fn drop(&mut self) {
        drop(self.stop.take());
        // What went wrong shows at the players.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn publish(address: &str, period: Duration) -> Result<()> {
    let mut client = RtmpClient::publishing(address, "LiveApp", "sound").await?;
    let mut head = b"\x90OpusOpusHead\x01\x01".to_vec();
    head.extend([0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]);
    client.send(&timed_message(4, 8, 1, 0, &head)).await?;
    let mut due = interval(period);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u32.. {
        due.tick().await;
        let mut packet = b"\x91Opus".to_vec();
        packet.push(TABLE_OF_CONTENTS);
        packet.extend((0..80_u32).map(|byte| (byte ^ number) as u8));
        let time = u32::try_from(period.as_millis())? * number;
        client.send(&timed_message(4, 8, 1, time, &packet)).await?;
    }
    Ok(())
}

/// A process of its own with some of those that leave, because each has two files open, and a process may have 20,000 on
/// many a machine. It is this test once more, told by the environment whom to play, and goes when its standard input
/// ends.
struct Crowd {
    process: Child,
    /// Dropped, it says to go.
    stays: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStderr>>,
}

const CROWD_URL: &str = "PENSTOCK_TEST_CROWD_URL";
const CROWD_PLAYERS: &str = "PENSTOCK_TEST_CROWD_PLAYERS";
/// What a crowd says when all of it has joined.
const CROWD_JOINED: &str = "the crowd has joined";

impl Crowd {
    fn start(url: &str, players: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([
                "--exact",
                "many_ends_at_once_disturb_nobody::those_that_stay_lose_nothing",
                "--nocapture",
            ])
            .env(CROWD_URL, url)
            .env(CROWD_PLAYERS, players.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stays = process.stdin.take();
        let lines = BufReader::new(process.stderr.take().context("no standard error")?).lines();
        Ok(Self { process, stays, lines })
    }

    async fn joined(&mut self) -> Result<()> {
        let says_so = async {
            while let Some(line) = self.lines.next_line().await? {
                if line == CROWD_JOINED {
                    return Ok(());
                }
            }
            anyhow::bail!("a crowd ended before it had joined: {:?}", self.process.wait().await?)
        };
        timeout(JOINING_MAX, says_so).await.context("a crowd does not join")?
    }

    fn leave(&mut self) {
        drop(self.stays.take());
    }

    /// What runs in the process.
    async fn be(url: String, players: usize) -> Result<()> {
        machine::raise_open_files()?;
        let crowd = crowd(url, players, &Arc::new(Identity::new()?));
        let joined = crowd.joined(JOINING_MAX).await && crowd.has_media();
        ensure!(joined, "{:?}", crowd.so_far().await.ended);
        note(CROWD_JOINED);
        // Nothing comes; it ends.
        tokio::io::stdin().read_u8().await.err().context("nobody talks to a crowd")?;
        Ok(())
    }
}

fn crowd(url: String, players: usize, identity: &Arc<Identity>) -> Swarm {
    let pace = Pace::PerSecond(JOINS_PER_SECOND / CROWDS as f64);
    Swarm::start(SwarmOptions { pace, ..SwarmOptions::new(url, "sound", players) }, Arc::clone(identity))
}

/// All ends of players so far, whatever their reason.
async fn ends(node: &Node) -> Result<f64> {
    Ok(node.metric("penstock_player_ended_total", &[]).await?)
}

async fn most_leave(leaving: usize) -> Result<()> {
    let period = packet_period(leaving);
    machine::raise_open_files()?;
    let all = (leaving + STAYING + 16).to_string();
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_SHARD_BUSY_PERCENT", "100")
        .environment("PENSTOCK_WEBRTC_SHARDS", "3")
        .environment("PENSTOCK_LOG_LEVEL", "warn");
    for limit in ["SIGNALLING_SOCKETS", "PLAYERS", "JOINS"] {
        options = options.environment(&format!("PENSTOCK_LIMITS_{limit}_PER_ADDRESS"), &all);
    }
    let node = Node::start(options).await?;
    let mut early = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let told = early.ask(&json!({ "command": "play", "streamId": "sound" })).await?;
    ensure!(told["definition"] == "no_stream_exist", "{told}");
    let _publisher = SoundPublisher::start(node.rtmp_address(), period)?;
    let told = early.receive_within(JOINING_MAX).await?;
    ensure!(told["definition"] == "streaming_started", "{told}");
    drop(early);
    let url = node.signalling_url("LiveApp");
    let staying = crowd(url.clone(), STAYING, &Arc::new(Identity::new()?));
    ensure!(staying.joined(JOINING_MAX).await && staying.has_media(), "{:?}", staying.so_far().await.ended);
    let memory = machine::usage(node.pid())?.resident_bytes;
    let mut crowds = Vec::new();
    for _ in 0..CROWDS {
        crowds.push(Crowd::start(&url, leaving / CROWDS)?);
    }
    for crowd in &mut crowds {
        crowd.joined().await?;
    }
    let with_all = machine::usage(node.pid())?.resident_bytes;

    let before = ends(&node).await?;
    let began = SystemClock.now();
    let leave = async {
        crowds.iter_mut().for_each(Crowd::leave);
        let gone = async || {
            let ended = ends(&node).await.ok()? - before;
            let left = node.metric("penstock_players", &[]).await.ok()?;
            (ended >= leaving as f64 && left == STAYING as f64).then_some(())
        };
        let gone = Node::eventually(GONE_MAX, gone).await;
        let took = SystemClock.now() - began;
        // What was lost then shows in what comes now; of packets that do not come there is no word.
        sleep(Duration::from_secs(2)).await;
        (gone, took)
    };
    let ((gone, took), saw) = staying.measure(leave).await;
    let reasons = node.metric_lines("penstock_player_ended_total").await?;
    let left = node.metric_lines("penstock_players").await?;
    gone.with_context(|| format!("after {GONE_MAX:?} not all are gone: {reasons:?}, {left:?}"))?;
    note(&format!(
        "{leaving} players left at once and were gone after {took:?}: {reasons:?}; the others: {:?}; \
         memory {} MiB, with them {} MiB, afterwards {} MiB",
        saw.audio,
        memory >> 20,
        with_all >> 20,
        machine::usage(node.pid())?.resident_bytes >> 20,
    ));
    ensure!(saw.ended.is_empty(), "others were taken along: {:?}", saw.ended);
    ensure!(saw.audio.lost == 0, "others lost packets: {:?}", saw.audio);
    let due = saw.seconds / period.as_secs_f64() * STAYING as f64;
    ensure!(
        saw.audio.packets as f64 >= due * 0.9,
        "others got less than due: {} of {due}",
        saw.audio.packets
    );
    ensure!(ends(&node).await? - before == leaving as f64, "more ends than players: {reasons:?}");
    ensure!(!reasons.iter().any(|line| line.contains("failed")), "some failed: {reasons:?}");
    for gauge in ["penstock_signalling_sockets", "penstock_shard_players"] {
        let held = node.metric(gauge, &[]).await?;
        ensure!(held == STAYING as f64, "{gauge} says {held}");
    }
    Ok(())
}

#[tokio::test]
async fn those_that_stay_lose_nothing() -> Result<()> {
    if let Ok(url) = std::env::var(CROWD_URL) {
        let players = std::env::var(CROWD_PLAYERS)?.parse()?;
        return LocalSet::new().run_until(Crowd::be(url, players)).await;
    }
    let _turn = Turn::take().await?;
    let leaving = if in_full() { 10_000 } else { 1_000 };
    LocalSet::new().run_until(most_leave(leaving)).await
}
