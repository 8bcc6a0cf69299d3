//! A publisher that does not come back: its broadcast is finished after the grace, its viewers are told, and
//! nothing that happens meanwhile leaves it `broadcasting`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use test_support::{Encoder, Node, NodeOptions, Signalling};

const PATIENCE: Duration = Duration::from_secs(15);
const VIDEO: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];

async fn start(grace_s: &str) -> Result<Node> {
    let options =
        NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_PUBLISH_GRACE_S", grace_s);
    let node = Node::start(options).await?;
    node.create_broadcast("LiveApp", "kept").await?;
    Ok(node)
}

fn publish(node: &Node) -> Result<Encoder> {
    Ok(Encoder::start(&node.rtmp_url("LiveApp", "kept"), "320x180", VIDEO, &[])?)
}

async fn status(node: &Node) -> Option<String> {
    node.broadcast("LiveApp", "kept").await.ok()?["status"].as_str().map(str::to_owned)
}

async fn becomes(node: &Node, wanted: &str) -> Result<()> {
    node.until_broadcast("LiveApp", "kept", PATIENCE, |broadcast| broadcast["status"] == wanted).await?;
    Ok(())
}

/// Plays as soon as it can, and says so no later than the stream is there.
async fn viewer(node: &Node) -> Result<Signalling> {
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let offer = socket.play("kept", PATIENCE).await?;
    ensure!(offer["type"] == "offer", "{offer}");
    Ok(socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_it_is_over() -> Result<()> {
    let node = start("1").await?;
    let encoder = publish(&node)?;
    let mut viewer = viewer(&node).await?;
    becomes(&node, "broadcasting").await?;
    drop(encoder);
    let lost = node.wait_for_log(PATIENCE, |line| line.contains("the stream waits for its publisher")).await;
    lost.context("it does not wait")?;
    ensure!(status(&node).await.as_deref() == Some("broadcasting"), "it did not wait");
    let end = viewer.receive_until(|told| told["definition"] == "play_finished").await?;
    ensure!(end["information"] == "stream ended", "{end}");
    becomes(&node, "finished").await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_it_meanwhile_stops_it() -> Result<()> {
    let node = start("60").await?;
    drop(waiting(&node).await?);
    let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/kept/stop", &json!({})).await?;
    ensure!(answer.status == 200 && answer.json()["success"] == true, "{}", answer.text());
    ensure!(status(&node).await.as_deref() == Some("finished"), "it waits still");
    // A clean end is none that is waited for.
    let mut socket = waiting(&node).await?;
    let answer = node.send("DELETE", "/LiveApp/rest/v2/broadcasts/kept", &json!({})).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    socket.receive_until(|told| told["definition"] == "play_finished").await?;
    ensure!(status(&node).await.is_none(), "it is still there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_waits_it_is_over_at_the_next_start() -> Result<()> {
    let mut node = start("60").await?;
    drop(waiting(&node).await?);
    node.kill9().await?;
    node.restart().await?;
    ensure!(status(&node).await.as_deref() == Some("finished"), "{:?}", status(&node).await);
    let _again = publish(&node)?;
    becomes(&node, "broadcasting").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_does_not_wait() -> Result<()> {
    let mut node = start("60").await?;
    let _viewer = waiting(&node).await?;
    let stopped = node.terminate().await?;
    ensure!(stopped.success(), "{stopped}");
    node.restart().await?;
    ensure!(status(&node).await.as_deref() == Some("finished"), "{:?}", status(&node).await);
    Ok(())
}

/// A stream whose publisher is lost, and its viewer.
async fn waiting(node: &Node) -> Result<Signalling> {
    let encoder = publish(node)?;
    let viewer = viewer(node).await?;
    let before = waits(node);
    drop(encoder);
    Node::eventually(PATIENCE, || async { (waits(node) > before).then_some(()) })
        .await
        .context("the stream does not wait")?;
    Ok(viewer)
}

fn waits(node: &Node) -> usize {
    node.log_lines().iter().filter(|line| line.contains("the stream waits for its publisher")).count()
}
