//! `acceptOnlyStreamsInDataStore`: an id that nobody created is refused in words, a created one is let in,
//! and one that is live already is refused to everybody else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Marker, MarkerError, MarkerOptions, Node, NodeOptions, RtmpClient};

const PATIENCE: Duration = Duration::from_secs(15);

async fn refused_in_words(node: &Node, stream: &str) -> Result<()> {
    let publisher = RtmpClient::publishing(node.rtmp_address(), "LiveApp", stream).await?;
    let ended = publisher.await_end().await;
    ensure!(ended.refused("NetStream.Publish.BadName"), "{stream}: {ended:?}");
    Ok(())
}

async fn frames(node: &Node) -> Result<f64> {
    Ok(node.metric("penstock_units_total", &["kind=\"video\""]).await?)
}

async fn until_frames_exceed(node: &Node, count: f64) -> Result<()> {
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |now| now > count).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_created_is_published() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).setting(
        "LiveApp",
        "settings.acceptOnlyStreamsInDataStore",
        "true",
    );
    let node = Node::start(options).await?;
    refused_in_words(&node, "nobody-created-me").await?;
    // An encoder people own shows the words to its user.
    let uninvited = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "nobody-created-me")))?;
    let error = uninvited.finish(PATIENCE).err().context("ffmpeg was let in")?;
    ensure!(matches!(error, MarkerError::Encoder { status: Some(_), .. }), "{error}");
    let absent = node.get("/LiveApp/rest/v2/broadcasts/nobody-created-me").await?;
    ensure!(absent.status == 404, "a refused publish left a broadcast behind: {}", absent.text());
    ensure!(frames(&node).await? == 0.0, "frames of a refused publisher were taken");

    node.create_broadcast("LiveApp", "known").await?;
    let invited = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "known")))?;
    until_frames_exceed(&node, 30.0).await?;

    // Another application has its own setting.
    let elsewhere = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("WebRTCAppEE", "nobody-created-me")))?;
    let live = |stream: &Value| stream["status"] == "broadcasting";
    node.until_broadcast("WebRTCAppEE", "nobody-created-me", PATIENCE, live).await?;
    elsewhere.stop()?;
    invited.stop()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_has_one_publisher() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut first = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "taken")))?;
    until_frames_exceed(&node, 30.0).await?;
    refused_in_words(&node, "taken").await?;
    // The first one has not noticed.
    let now = frames(&node).await?;
    until_frames_exceed(&node, now + 30.0).await?;
    ensure!(first.failure().is_none(), "the first publisher was disturbed");
    // Once it has left, its place is free.
    first.stop()?;
    let second = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "taken")))?;
    let now = frames(&node).await?;
    until_frames_exceed(&node, now + 30.0).await?;
    second.stop()?;
    Ok(())
}
