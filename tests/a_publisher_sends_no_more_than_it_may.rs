//! A browser that publishes sends no more than `maxBitrateAccept` says, in all, and as much as it can where that says
//! nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use test_support::http_session::{begin_in, teach};
use test_support::{Browser, Camera, CameraReport, Node, NodeOptions, Turn, note};

const LIMIT_BPS: f64 = 400_000.0;
/// What a browser's picture with grain takes where it may, as soon as it has found that its path has room.
const UNLIMITED_MIN_BPS: f64 = 800_000.0;
const PATIENCE: Duration = Duration::from_secs(40);
/// Over so long a rate is measured.
const MEASURED: Duration = Duration::from_secs(5);

/// Bits that all senders have sent, headers included.
fn sent_bits(report: &CameraReport) -> f64 {
    let of = |kind: &str, counter: &str| report.sender(kind)[counter].as_f64().unwrap_or_default();
    let counters = ["bytesSent", "headerBytesSent"];
    ["video", "audio"].iter().flat_map(|kind| counters.map(|counter| of(kind, counter))).sum::<f64>() * 8.0
}

/// What the page sends now, in bits per second.
async fn rate(page: &Browser) -> Result<f64> {
    let (before, began) = (sent_bits(&page.camera().await?), SystemClock.now());
    // A rate is one over time.
    tokio::time::sleep(MEASURED).await;
    let report = page.camera().await?;
    let rate = (sent_bits(&report) - before) / (SystemClock.now() - began).as_secs_f64();
    note(&format!("{rate:.0} bit/s, for pictures it aims at {}", report.sender("video")["targetBitrate"]));
    Ok(rate)
}

/// A page that publishes pictures which take whatever they may.
async fn publisher(limit: &str) -> Result<(Node, Browser)> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .setting("LiveApp", "settings.vp8Enabled", "true")
        .setting("LiveApp", "settings.maxBitrateAccept", limit);
    let node = Node::start(options).await?;
    let page = Browser::start_with(Camera { grain: 40, ..Camera::of(&["VP8"]) }.options()).await?;
    page.open(&node.http_url("/livez")).await?;
    teach(&page).await?;
    begin_in(&page, &format!("window.publish('{}')", node.http_url("/LiveApp/whip/s"))).await?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 30.0).await?;
    Ok((node, page))
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_limit() -> Result<()> {
    let _turn = Turn::take().await?;
    let (_node, page) = publisher("0").await?;
    let began = SystemClock.now();
    let exceeds = async || rate(&page).await.ok().filter(|rate| *rate > UNLIMITED_MIN_BPS);
    Node::eventually(PATIENCE, exceeds).await.context("a browser without a limit stays below 800 kbit/s")?;
    let took = SystemClock.now() - began;
    page.close().await?;

    let (_node, page) = publisher("400000").await?;
    // Twice as long as it would have taken to send twice as much.
    let until = SystemClock.now() + 2 * took;
    let mut rates = Vec::new();
    while rates.len() < 2 || SystemClock.now() < until {
        rates.push(rate(&page).await?);
    }
    page.close().await?;
    ensure!(rates.iter().all(|rate| *rate <= 1.1 * LIMIT_BPS), "it sends more than it may: {rates:?}");
    ensure!(
        rates.last().is_some_and(|rate| *rate > 0.5 * LIMIT_BPS),
        "it does not use what it may: {rates:?}"
    );
    Ok(())
}
