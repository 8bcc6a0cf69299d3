//! Five of a hundred datagrams are lost on each way, whatever they are: players have their frames all the same,
//! and what is sent again stays a small part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use load_tests::{Identity, Opening, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions};
use test_support::{Line, Load, Node, NodeOptions, Relay, RelayOptions, Turn, Verdict, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const LOSS: f64 = 0.05;
const WHOLE_SHARE_MIN: f64 = 0.999;
const AGAIN_SHARE_MAX: f64 = 0.15;

const PLAYERS: usize = 8;
/// Time for all to have media as it is sent: a lost flight of a handshake takes half a second.
const JOINING_MAX: Duration = Duration::from_secs(30);
const MEASURED: Duration = Duration::from_secs(20);
/// Share of the frames due that came within the time, whole: what is under way at its ends does not count.
const IN_TIME_SHARE_MIN: f64 = 0.99;

#[tokio::test]
async fn costs_no_frames() -> Result<()> {
    LocalSet::new().run_until(play()).await
}

async fn play() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    // A relay stands before one port: one shard.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let mut publisher = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "stream1")?;
    let line = Line { loss: LOSS, ..Line::default() };
    let options = RelayOptions { to_node: line, to_viewers: line, seed: 5 };
    let relay = Relay::before(&node, "LiveApp", "stream1", options).await?;
    let options = SwarmOptions {
        opening: Opening { count: PLAYERS, turn: 0 },
        ledger: Some(Arc::clone(publisher.ledger())),
        detour: Some(relay.detour()),
        ..SwarmOptions::new(node.signalling_url("LiveApp"), "stream1", PLAYERS)
    };
    let swarm = Swarm::start(options, Arc::new(Identity::new()?));
    let joined = swarm.live(JOINING_MAX).await;
    let (before, load) = (relay.report().to_viewers, Load::watch());
    let (_, summary) = swarm.measure(sleep(MEASURED)).await;
    let (sent, load) = (relay.report().to_viewers.since(&before), load.report());
    publisher.check()?;
    note(&format!(
        "{summary:?}\nrelay, to viewers: {sent:?}\n{:?}\n{:?}\nmachine: {load}",
        node.metric_lines("penstock_nacks_total").await?,
        node.metric_lines("penstock_replays_total").await?,
    ));
    ensure!(sent.lost * 30 > sent.passed, "nothing was lost: {sent:?}");
    let frames = summary.video.frames as f64;
    let not_whole = summary.video.broken_frames + summary.video.skipped_frames;
    let whole = frames / (frames + not_whole as f64).max(1.0);
    let again = sent.again_bytes as f64 / sent.bytes.max(1) as f64;
    let promises = [
        (
            !joined || summary.joined < PLAYERS,
            format!("{} of {PLAYERS} joined, or not all came to the live frames", summary.joined),
        ),
        (!summary.ended.is_empty(), format!("players ended: {:?}", summary.ended)),
        (whole < WHOLE_SHARE_MIN, format!("{:.3} % of the frames were whole", whole * 100.0)),
        (
            summary.frames_share < IN_TIME_SHARE_MIN,
            format!("{:.2} % of the frames came", summary.frames_share * 100.0),
        ),
        (again > AGAIN_SHARE_MAX, format!("{:.1} % of the bytes were sent again", again * 100.0)),
    ];
    Verdict::of(promises, "", &load).into_result()
}
