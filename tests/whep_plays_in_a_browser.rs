//! A page without any library plays by WHEP: one `fetch` with the browser's offer, one for the end. What it sees and
//! hears is what every other viewer is promised.

use std::time::Duration;

use anyhow::{Result, ensure};
use base::{Clock, SystemClock};
use test_support::http_session::{begin_in, teach};
use test_support::{
    Browser, Load, Marker, MarkerOptions, Node, NodeOptions, Turn, ViewerPromise, note, picture_size,
};

/// Twelve seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(14_500);
const PATIENCE: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(1);

const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(40.0),
    glass_to_glass_median_max_ms: Some(170.0),
    seconds_min: 12.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn and_ends_when_it_says_so() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 30.0).await?;
    // A page of another origin, as a player on somebody's own site is: what it reads is what CORS lets it.
    let site = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let browser = Browser::start().await?;
    browser.open(&site.http_url("/livez")).await?;
    teach(&browser).await?;
    let load = Load::watch();
    let url = node.http_url("/LiveApp/whep/stream1");
    begin_in(&browser, &format!("window.play('{url}')")).await?;
    let measured = browser.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    let told = browser.run("return window.told").await?;
    note(&format!("{measured:#?}\nmachine: {load}\npage: {told}"));
    ensure!(measured.video_size == picture_size(), "{:?}", measured.video_size);
    ensure!(node.metric("penstock_players", &[]).await? == 1.0, "there is another player");
    let shown = node.get("/LiveApp/rest/v2/broadcasts/stream1/webrtc-client-stats/0/50").await?.json();
    ensure!(shown[0]["protocol"] == "whep" && shown[0]["clientInfo"] == "", "{shown}");
    ensure!(shown[0]["roundTripMs"].as_f64().is_some_and(|ms| ms < 50.0), "{shown}");

    let began = SystemClock.now();
    browser.run("window.leave()").await?;
    node.until_metric("penstock_players", &[], END_MAX, |players| players == 0.0).await?;
    note(&format!("over after {:?}", SystemClock.now() - began));
    let left = "return window.told.left === 200 && window.told.state !== 'connected'";
    browser.wait_until("the end", PATIENCE, left).await?;
    browser.close().await?;
    marker.stop()?;
    measured.judge(PROMISE, &load).into_result()
}
