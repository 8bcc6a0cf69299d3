//! REST tells of each WebRTC player what the path to it does: how much of what is sent it loses, how long it takes, and
//! how much goes over it. A relay that does all of that on purpose knows the truth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Identity, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions};
use serde_json::{Value, json};
use test_support::{
    Browser, BrowserOptions, Line, LineCounts, Load, LoadReport, Node, NodeOptions, Relay, RelayOptions,
    Turn, Verdict, note,
};
use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until};

const LOSS: f64 = 0.03;
/// Each way.
const DELAY: Duration = Duration::from_millis(25);
const PLAYERS: usize = 4;

const JOINING_MAX: Duration = Duration::from_secs(30);
/// Losses are told of the last ten seconds at most: nothing of the joining is left in them.
const SETTLING: Duration = Duration::from_secs(10);
/// How often REST is asked, once a second.
const ASKED: u32 = 20;

const LOSS_OFF_MAX: f64 = 0.01;
const ROUND_TRIP_OFF_MAX_MS: f64 = 10.0;
const BITRATE_OFF_MAX: f64 = 0.05;
/// A player that has left is shown no longer than this.
const GONE_WITHIN: Duration = Duration::from_millis(500);

const STATISTICS: &str = "/LiveApp/rest/v2/broadcasts/stream1/webrtc-client-stats/0/50";

/// A node with one shard, because a relay stands before one port.
async fn start() -> Result<Node> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    Ok(Node::start(options).await?)
}

async fn relay(node: &Node) -> Result<Relay> {
    let line = Line { loss: LOSS, delay: DELAY, ..Line::default() };
    Relay::before(node, "LiveApp", "stream1", RelayOptions { to_node: line, to_viewers: line, seed: 3 }).await
}

/// The players that REST shows, by their numbers.
async fn shown(node: &Node) -> Result<BTreeMap<i64, Value>> {
    let answer = node.get(STATISTICS).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let list = answer.json();
    let players = list.as_array().context("no list")?.iter().map(|player| {
        let number = player["clientId"].as_i64().context("no number")?;
        Ok((number, player.clone()))
    });
    players.collect()
}

async fn until_shown(node: &Node, count: usize) -> Result<BTreeMap<i64, Value>> {
    let all = Node::eventually(JOINING_MAX, || async {
        shown(node).await.ok().filter(|players| players.len() == count)
    });
    all.await.with_context(|| format!("{count} players are not shown"))
}

/// What REST said of a player, once a second.
#[derive(Debug, Default)]
struct Said {
    losses: Vec<f64>,
    round_trips: Vec<f64>,
    bitrates: Vec<f64>,
}

/// What REST says of each player while the relay counts.
async fn compare(node: &Node, relay: &Relay) -> Result<(BTreeMap<i64, Said>, Truth)> {
    let before = relay.report().to_viewers;
    sleep(SETTLING).await;
    let (began, sent_before) = (SystemClock.now(), relay.report().to_viewers);
    let mut said: BTreeMap<i64, Said> = BTreeMap::new();
    for second in 1..=ASKED {
        sleep_until((began + Duration::from_secs(1) * second).into()).await;
        for (number, player) in shown(node).await? {
            let figure = |key: &str| player[key].as_f64().with_context(|| format!("no {key}: {player}"));
            let said = said.entry(number).or_default();
            said.losses.push(figure("lossShare")?);
            said.round_trips.push(figure("roundTripMs")?);
            said.bitrates.push(figure("sendBitrate")?);
        }
    }
    let after = relay.report().to_viewers;
    let seconds = (SystemClock.now() - began).as_secs_f64();
    let bitrate = after.since(&sent_before).bytes as f64 * 8.0 / seconds;
    Ok((said, Truth { counts: after.since(&before), bitrate }))
}

struct Truth {
    counts: LineCounts,
    /// Of all players.
    bitrate: f64,
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len().max(1) as f64
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn judge(said: &BTreeMap<i64, Said>, truth: &Truth, players: usize, load: &LoadReport) -> Verdict {
    let loss = truth.counts.lost as f64 / (truth.counts.lost + truth.counts.passed) as f64;
    let round_trip = 2.0 * DELAY.as_secs_f64() * 1_000.0;
    let bitrate: f64 = said.values().map(|said| mean(&said.bitrates)).sum();
    note(&format!(
        "relay: {:?}, {:.2} % lost, {round_trip} ms, {:.0} bit/s; REST: {bitrate:.0} bit/s in all",
        truth.counts,
        loss * 100.0,
        truth.bitrate,
    ));
    let mut promises = vec![
        (said.len() != players, format!("{} players were shown", said.len())),
        (
            (bitrate / truth.bitrate - 1.0).abs() > BITRATE_OFF_MAX,
            format!("{bitrate} bit/s told, {} sent", truth.bitrate),
        ),
    ];
    for (number, said) in said {
        let (told, took) = (mean(&said.losses), median(&said.round_trips));
        note(&format!(
            "player {number}: {:.2} % lost, {took} ms ({:?} to {:?}), {:.0} bit/s",
            told * 100.0,
            said.round_trips.iter().copied().reduce(f64::min),
            said.round_trips.iter().copied().reduce(f64::max),
            mean(&said.bitrates),
        ));
        let lost = format!("player {number}: {:.2} % told, {:.2} % lost", told * 100.0, loss * 100.0);
        promises.push(((told - loss).abs() > LOSS_OFF_MAX, lost));
        let took_long = format!("player {number}: {took} ms told, the relay takes {round_trip}");
        promises.push(((took - round_trip).abs() > ROUND_TRIP_OFF_MAX_MS, took_long));
    }
    Verdict::of(promises, "", load)
}

#[tokio::test]
async fn of_players_behind_a_path_that_loses_and_delays() -> Result<()> {
    LocalSet::new().run_until(play()).await
}

async fn play() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let node = start().await?;
    ensure!(node.get(STATISTICS).await?.json() == json!([]), "nobody knows the stream yet");
    let mut publisher = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "stream1")?;
    let relay = relay(&node).await?;
    let options = |players, info: &str| SwarmOptions {
        detour: Some(relay.detour()),
        viewer_info: info.to_owned(),
        ..SwarmOptions::new(node.signalling_url("LiveApp"), "stream1", players)
    };
    let identity = Arc::new(Identity::new()?);
    let swarm = Swarm::start(options(PLAYERS, ""), Arc::clone(&identity));
    ensure!(swarm.joined(JOINING_MAX).await, "not all joined");
    let stay = until_shown(&node, PLAYERS).await?;

    let leaving = Swarm::start(options(1, "hall 3"), identity);
    ensure!(leaving.joined(JOINING_MAX).await, "the last one did not join");
    let all = until_shown(&node, PLAYERS + 1).await?;
    let (number, player) = all.last_key_value().context("nobody")?;
    ensure!(!stay.contains_key(number), "players are shown in the order they came: {all:?}");
    ensure!(player["clientInfo"] == "hall 3" && player["clientIp"] == "127.0.0.1", "{player}");
    ensure!(player["protocol"] == "websocket", "{player}");
    drop(leaving);
    let began = SystemClock.now();
    let rest = until_shown(&node, PLAYERS).await?;
    let took = SystemClock.now() - began;
    note(&format!("gone after {took:?}"));
    ensure!(rest.keys().eq(stay.keys()) && took <= GONE_WITHIN, "after {took:?}: {:?}", rest.keys());

    let load = Load::watch();
    let (compared, summary) = swarm.measure(compare(&node, &relay)).await;
    let (said, truth) = compared?;
    let load = load.report();
    publisher.check()?;
    note(&format!("{summary:?}\nmachine: {load}"));
    ensure!(summary.ended.is_empty(), "players ended: {:?}", summary.ended);
    let sum = node.get("/LiveApp/rest/v2/broadcasts/webrtc-send-low-level-stats").await?.json();
    let frames = sum["videoSendStats"]["videoFramesEncodedPerSecond"].as_f64().context("no frames")?;
    ensure!((frames / PLAYERS as f64 - 30.0).abs() < 3.0, "{sum}");
    for (path, expected) in [
        ("/LiveApp/rest/v2/broadcasts/unknown/webrtc-client-stats/0/50", (200, json!([]))),
        ("/WebRTCAppEE/rest/v2/broadcasts/stream1/webrtc-client-stats/0/50", (200, json!([]))),
    ] {
        let answer = node.get(path).await?;
        ensure!((answer.status, answer.json()) == expected, "{path}: {} {}", answer.status, answer.text());
    }
    judge(&said, &truth, PLAYERS, &load).into_result()
}

/// A browser counts in its own way what is sent again, and reports on sound every five seconds.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_browser_behind_the_same_path() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let node = start().await?;
    let mut publisher = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "stream1")?;
    let relay = relay(&node).await?;
    let scripts = vec![relay.detour().script()];
    let browser = Browser::start_with(BrowserOptions { scripts, ..BrowserOptions::default() }).await?;
    browser.open_player(&node.http_url("/LiveApp/play.html?id=stream1&autoplay=false")).await?;
    browser.press_play().await?;
    until_shown(&node, 1).await?;
    let load = Load::watch();
    let compared = compare(&node, &relay).await;
    let load = load.report();
    browser.close().await?;
    let (said, truth) = compared?;
    publisher.check()?;
    note(&format!("machine: {load}"));
    judge(&said, &truth, 1, &load).into_result()
}
