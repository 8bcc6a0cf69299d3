//! A publisher that vanished without closing its connection does not keep the next one out; one that is heard
//! does, unless the configuration lets the second replace it. Viewers stay in every case.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::{Identity, Swarm, SwarmOptions};
use serde_json::json;
use test_support::{
    Cluster, Marker, MarkerOptions, Node, NodeOptions, RtmpClient, Signalling, Turn, freeze, note, thaw,
};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than a publisher may be silent (3 s) before it gives way.
const SILENCE: Duration = Duration::from_millis(3_300);
const WATCHED: Duration = Duration::from_secs(4);
/// Pictures a viewer has to have in that time; 120 are due, and this machine may be busy.
const PICTURES_MIN: u64 = 60;

fn small(node: &Node) -> Result<Marker> {
    let url = node.rtmp_url("LiveApp", "stream1");
    let options =
        MarkerOptions { width: 320, height: 180, video_bitrate: 300_000, ..MarkerOptions::to_rtmp(url) };
    Ok(Marker::start(options)?)
}

/// A node with a publisher that a viewer watches.
async fn watched(options: NodeOptions) -> Result<(Node, Marker, Swarm)> {
    let node = Node::start(options).await?;
    let first = small(&node)?;
    node.until_broadcast("LiveApp", "stream1", PATIENCE, |stream| stream["width"] == 320).await?;
    let options = SwarmOptions::new(node.signalling_url("LiveApp"), "stream1", 1);
    let swarm = Swarm::start(options, Arc::new(Identity::new()?));
    ensure!(swarm.joined(PATIENCE).await, "the viewer did not join");
    Ok((node, first, swarm))
}

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

/// Tries to publish; whether it was refused as AMS refuses a stream id in use.
async fn is_refused(node: &Node) -> Result<bool> {
    let second = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "stream1").await?;
    let ended = second.await_end().await;
    Ok(ended.refused("NetStream.Publish.BadName") && ended.said("already being published"))
}

async fn took_over(node: &Node, before: &str) -> Result<()> {
    let (name, label) = ("penstock_publisher_takeovers_total", format!("before=\"{before}\""));
    node.until_metric(name, &[&label], PATIENCE, |took| took == 1.0).await?;
    Ok(())
}

/// The viewer has the pictures of now, on the connection it had.
async fn goes_on(node: &Node, swarm: &Swarm) -> Result<()> {
    let (_, saw) = swarm.measure(sleep(WATCHED)).await;
    note(&format!("{saw:?}"));
    ensure!(saw.ended.is_empty(), "the viewer ended: {:?}", saw.ended);
    ensure!(saw.video.frames >= PICTURES_MIN, "{} pictures came", saw.video.frames);
    ensure!(saw.video.missed + saw.audio.missed == 0, "{:?} {:?}", saw.video, saw.audio);
    ensure!(node.metric("penstock_player_ended_total", &[]).await? == 0.0, "a player ended");
    Ok(())
}

async fn one_that_vanished() -> Result<()> {
    let _turn = Turn::take().await?;
    let (node, mut first, swarm) = watched(options()).await?;
    ensure!(is_refused(&node).await?, "a second publisher was let in beside the first");
    freeze(first.pid());
    // The silence is what is waited for.
    sleep(SILENCE).await;
    let _second = small(&node)?;
    took_over(&node, "silent").await?;
    goes_on(&node, &swarm).await?;
    // It wakes up, finds its connection closed, and disturbs nobody.
    thaw(first.pid());
    let gone = Node::eventually(PATIENCE, || std::future::ready(first.failure()));
    gone.await.context("the first publisher still publishes")?;
    goes_on(&node, &swarm).await?;
    let replaced = node.metric("penstock_publisher_ended_total", &["reason=\"replaced\""]).await?;
    ensure!(replaced == 1.0, "{replaced} publishers were replaced");
    Ok(())
}

async fn one_that_is_heard() -> Result<()> {
    let _turn = Turn::take().await?;
    let (node, _first, swarm) =
        watched(options().environment("PENSTOCK_PUBLISH_DUPLICATE", "replace")).await?;
    let _second = small(&node)?;
    took_over(&node, "replaced").await?;
    goes_on(&node, &swarm).await
}

async fn one_that_vanished_from_another_node() -> Result<()> {
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), 3).await?;
    let (first_node, other_node) = (cluster.node(1), cluster.node(3));
    let mut first = small(first_node)?;
    other_node.until_broadcast("LiveApp", "stream1", PATIENCE, |stream| stream["width"] == 320).await?;
    ensure!(is_refused(other_node).await?, "a second publisher was let in beside the first");
    freeze(first.pid());
    sleep(SILENCE).await;
    let _second = small(other_node)?;
    took_over(first_node, "silent").await?;
    // It wakes up, and disturbs nobody.
    thaw(first.pid());
    let gone = Node::eventually(PATIENCE, || std::future::ready(first.failure()));
    gone.await.context("the first publisher still publishes")?;
    // Who comes before its tracks are known there is told to come again.
    let playable = Node::eventually(PATIENCE, || async {
        let mut viewer = Signalling::open(&other_node.signalling_url("LiveApp")).await.ok()?;
        viewer.send(&json!({ "command": "play", "streamId": "stream1" })).await.ok()?;
        (viewer.receive().await.ok()?["definition"] != "no_stream_exist").then_some(())
    });
    playable.await.context("node 3 does not have the stream")?;
    let options = SwarmOptions::new(other_node.signalling_url("LiveApp"), "stream1", 1);
    let swarm = Swarm::start(options, Arc::new(Identity::new()?));
    ensure!(swarm.joined(PATIENCE).await, "a viewer of the new node did not join");
    let (_, saw) = swarm.measure(sleep(WATCHED)).await;
    note(&format!("{saw:?}"));
    ensure!(saw.ended.is_empty() && saw.video.frames >= PICTURES_MIN, "{saw:?}");
    Ok(())
}

#[tokio::test]
async fn once_it_is_silent_also_by_one_that_comes_to_another_node() -> Result<()> {
    LocalSet::new().run_until(one_that_vanished_from_another_node()).await
}

#[tokio::test]
async fn once_it_is_silent() -> Result<()> {
    LocalSet::new().run_until(one_that_vanished()).await
}

#[tokio::test]
async fn at_once_where_the_configuration_says_so() -> Result<()> {
    LocalSet::new().run_until(one_that_is_heard()).await
}
