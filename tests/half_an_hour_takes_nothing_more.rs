//! A page with the AMS SDK publishes while five players watch, of whom one leaves and another comes every few seconds:
//! memory and open files stay what they were, and the publisher's token is in no line of the log.
//!
//! In full (`TESTS_IN_FULL=1`, as the long proofs do) for half an hour; otherwise for as long as shows that files are
//! given back, without a word about memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Identity, Swarm, SwarmOptions, machine};
use serde_json::Value;
use test_support::{Browser, Camera, Node, NodeOptions, SamplePage, Turn, in_full, note};
use tokio::task::LocalSet;
use tokio::time::interval;

const STREAM: &str = "stream1";
const TOKEN: &str = "a-token-that-nobody-may-read-5f3e1d5c";
const PLAYERS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);
/// Between one player that leaves and the next; somebody joins in its place.
const STAY: Duration = Duration::from_secs(4);
/// Before memory counts.
const WARM_UP: Duration = Duration::from_secs(480);
const WATCHED: Duration = Duration::from_secs(1_320);
const GLANCE: Duration = Duration::from_secs(15);
/// Memory is looked at once in this time, and the least of it counts: what is in use for a moment is no growth.
const BIN: Duration = Duration::from_secs(60);
const GROWTH_PER_HOUR_MAX: f64 = 1024.0 * 1024.0;

fn open_files(pid: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Bytes an hour by which what was read rises, by least squares over its points in time.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (hours, bytes) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|(hour, byte)| (hour - hours) * (byte - bytes)).sum();
    let below: f64 = points.iter().map(|(hour, _)| (hour - hours).powi(2)).sum();
    above / below
}

/// Players of whom the oldest leaves and another comes.
struct Audience {
    players: VecDeque<Swarm>,
    url: String,
    identity: Arc<Identity>,
}

impl Audience {
    async fn gather(node: &Node) -> Result<Self> {
        let (url, identity) = (node.signalling_url("LiveApp"), Arc::new(Identity::new()?));
        let mut audience = Self { players: VecDeque::new(), url, identity };
        for _ in 0..PLAYERS {
            audience.come().await?;
        }
        Ok(audience)
    }

    async fn come(&mut self) -> Result<()> {
        let options = SwarmOptions::new(self.url.clone(), STREAM, 1);
        let player = Swarm::start(options, Arc::clone(&self.identity));
        let joined = player.joined(PATIENCE).await && player.has_media();
        ensure!(joined, "a player did not join: {:?}", player.so_far().await.ended);
        self.players.push_back(player);
        Ok(())
    }

    async fn change(&mut self) -> Result<()> {
        drop(self.players.pop_front());
        self.come().await
    }
}

async fn watch() -> Result<()> {
    let Some(page) = SamplePage::or_skip("half_an_hour_takes_nothing_more").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let node = Node::start(options.environment("PENSTOCK_LOG_LEVEL", "debug")).await?;
    let publisher = Browser::start_with(Camera::of(&["H264"]).options()).await?;
    let url = page.publisher_url(&node.signalling_url("LiveApp"), STREAM);
    publisher.open(&format!("{url}&token={TOKEN}")).await?;
    let started = "return window.heard.includes('publish_started')";
    publisher.wait_until("the stream", PATIENCE, started).await?;
    let mut audience = Audience::gather(&node).await?;

    let (warm_up, watched) = if in_full() { (WARM_UP, WATCHED) } else { (Duration::ZERO, GLANCE) };
    let files = open_files(node.pid())?;
    let began = SystemClock.now();
    let mut bins: Vec<(f64, f64)> = Vec::new();
    let mut changes = interval(STAY);
    let (mut joins, mut files_max) = (0, files);
    loop {
        changes.tick().await;
        let since = SystemClock.now() - began;
        if since >= warm_up + watched {
            break;
        }
        audience.change().await?;
        joins += 1;
        files_max = files_max.max(open_files(node.pid())?);
        let resident = machine::usage(node.pid())?.resident_bytes as f64;
        let bin = since.as_secs() / BIN.as_secs();
        let at = (bin * BIN.as_secs()) as f64 / 3_600.0;
        match bins.last_mut().filter(|(last, _)| *last == at) {
            Some((_, least)) => *least = least.min(resident),
            None => {
                if let Some((_, least)) = bins.last() {
                    note(&format!("after {since:.0?}: {joins} joins, {:.0} KiB", least / 1_024.0));
                }
                bins.push((at, resident));
            }
        }
    }
    let leaked: Vec<_> = node.log_lines().into_iter().filter(|line| line.contains(TOKEN)).collect();
    ensure!(leaked.is_empty(), "the log has the token: {leaked:?}");
    ensure!(!node.log_lines().is_empty(), "there is no log");
    let broken = node.metric_lines("penstock_publisher_ended_total").await?;
    ensure!(broken.iter().all(|line| line.ends_with(" 0")), "the publisher was not one: {broken:?}");
    drop(audience);
    publisher.run("window.leave()").await?;
    node.until_broadcast("LiveApp", STREAM, PATIENCE, Value::is_null).await?;
    publisher.close().await?;

    // One who leaves and one who comes are there at once for a moment, and a few files are nobody's player's.
    let spare = 8;
    ensure!(files_max <= files + spare, "{files} files became {files_max}");
    if in_full() {
        let warm = warm_up.as_secs_f64() / 3_600.0;
        let counted: Vec<_> = bins.iter().copied().filter(|(at, _)| *at >= warm).collect();
        let growth = slope(&counted);
        let (least, most) = (counted.iter().map(|(_, bytes)| *bytes))
            .fold((f64::MAX, 0.0_f64), |(least, most), bytes| (least.min(bytes), most.max(bytes)));
        note(&format!(
            "{joins} joins; {files} files, {files_max} at most; {:.0} to {:.0} KiB, {:.0} KiB more an hour",
            least / 1_024.0,
            most / 1_024.0,
            growth / 1_024.0
        ));
        ensure!(counted.len() >= 20, "too few points: {counted:?}");
        ensure!(growth < GROWTH_PER_HOUR_MAX, "{growth:.0} bytes more an hour: {counted:?}");
    }
    node.panics().first().map_or(Ok(()), |panic| Err(anyhow::anyhow!("{panic}"))).context("the node panicked")
}

#[tokio::test]
async fn of_a_publisher_and_five_players() -> Result<()> {
    LocalSet::new().run_until(watch()).await
}
