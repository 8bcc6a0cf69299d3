//! A node that is asked to end while it is busy goes in order: it is no longer ready and takes nothing new, tells
//! who waits that they should come back, ends publishers and players with that reason, records that nothing is live
//! any more, and is gone within 10 s.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Identity, Swarm, SwarmOptions};
use serde_json::{Value, json};
use test_support::{Marker, MarkerOptions, Node, NodeOptions, RtmpClient, Signalling, note};
use tokio::task::LocalSet;
use tokio::time::timeout;

const END_MAX: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(15);
const PLAYERS: usize = 30;

/// A viewer that has been offered the stream.
async fn viewer_of(node: &Node, stream: &str) -> Result<Signalling> {
    Node::eventually(PATIENCE, || async {
        let mut viewer = Signalling::open(&node.signalling_url("LiveApp")).await.ok()?;
        let answer = viewer.play(stream, PATIENCE).await.ok()?;
        (answer["command"] == "takeConfiguration").then_some(viewer)
    })
    .await
    .with_context(|| format!("{stream} cannot be played"))
}

/// What a newcomer finds once the node has said that it stops.
async fn newcomers_are_refused(node: &Node) -> Result<()> {
    // Whoever asks whether it is ready is told no, or finds nobody any more.
    if let Ok(answer) = node.get("/readyz").await {
        ensure!(answer.status == 503, "/readyz: {} {}", answer.status, answer.text());
    }
    if let Ok(late) = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "too-late").await {
        let ended = late.await_end().await;
        ensure!(ended.closed && !ended.said("NetStream.Publish.Start"), "a late publisher: {ended:?}");
    }
    if let Ok(mut late) = Signalling::open(&node.signalling_url("LiveApp")).await
        && let Ok(heard) = late.ask(&json!({ "command": "play", "streamId": "live" })).await
    {
        ensure!(heard["command"] != "takeConfiguration", "a late viewer: {heard}");
    }
    Ok(())
}

async fn drain() -> Result<()> {
    let mut node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let created = json!({ "streamId": "live", "name": "kept" });
    let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &created).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let _encoder = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "live")))?;
    let joining = viewer_of(&node, "live").await?;
    let silent = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "silent").await?;
    let options = SwarmOptions::new(node.signalling_url("LiveApp"), "live", PLAYERS);
    let players = Swarm::start(options, Arc::new(Identity::new()?));
    ensure!(players.joined(PATIENCE).await && players.has_media(), "{:?}", players.so_far().await.ended);
    let waiting = Signalling::open(&node.signalling_url("LiveApp")).await?;

    let began = SystemClock.now();
    node.ask_to_end();
    for mut viewer in [waiting, joining] {
        let stops = |heard: &Value| heard["definition"] == "server_will_stop";
        let heard = viewer.receive_until(stops).await.context("a viewer was not told")?;
        ensure!(heard == json!({ "command": "notification", "definition": "server_will_stop" }), "{heard}");
    }
    newcomers_are_refused(&node).await?;
    let silent = silent.await_end().await;
    ensure!(silent.closed, "a publisher was left open");
    let status = timeout(END_MAX, node.terminate()).await.context("the node was still there")??;
    let took = SystemClock.now() - began;
    ensure!(status.success(), "the node ended with {status}");
    ensure!(took <= END_MAX, "it took {took:?}");
    ensure!(players.gone(PATIENCE).await, "players were left alone");
    let summary = players.so_far().await;
    note(&format!(
        "{PLAYERS} players, 2 publishers: gone after {took:?}; the players heard {:?}",
        summary.ended
    ));
    // Both are said; which of them a player ends at is chance.
    let told = |why: &String| why.contains("server_will_stop") || why == "the node closed DTLS";
    ensure!(summary.ended.keys().all(told), "players were told something else: {:?}", summary.ended);
    // The players, and the one that was offered the stream.
    for (what, count) in [("publisher ended", 2), ("player ended", PLAYERS + 1)] {
        let lines = node.log_lines();
        let ends: Vec<_> = lines.iter().filter(|line| line.contains(&format!("\"{what}\""))).collect();
        ensure!(ends.len() == count, "{} of {count}: {what}", ends.len());
        ensure!(ends.iter().all(|line| line.contains("\"reason\":\"draining\"")), "{ends:#?}");
    }

    node.restart().await?;
    let answer = node.get("/LiveApp/rest/v2/broadcasts/live").await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    ensure!(answer.json()["status"] == "finished", "{}", answer.text());
    let count = node.get("/LiveApp/rest/v2/broadcasts/active-live-stream-count").await?;
    ensure!(count.json()["number"] == 0, "{}", count.text());
    Ok(())
}

#[tokio::test]
async fn a_busy_node_goes_in_order_and_in_time() -> Result<()> {
    LocalSet::new().run_until(drain()).await
}
