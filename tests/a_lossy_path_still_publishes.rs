//! A browser publishes over a path that loses packets both ways: they are asked for again and come, and viewers see it
//! all. What is sent again is about what was lost.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::http_session::{begin_in, teach};
use test_support::{
    Browser, Camera, Line, Load, Node, NodeOptions, Relay, RelayOptions, Turn, Verdict, ViewerPromise, note,
};

const LOSS: f64 = 0.03;
/// Each way.
const DELAY: Duration = Duration::from_millis(25);
/// Twenty seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(22_500);
const PATIENCE: Duration = Duration::from_secs(20);

/// A packet that is sent again comes a round trip and a half later, and keeps what is behind it waiting.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.7,
    freeze_max_ms: 400.0,
    sound_offset_max_ms: Some(90.0),
    glass_to_glass_median_max_ms: Some(300.0),
    seconds_min: 20.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn and_sends_little_again() -> Result<()> {
    let _turn = Turn::take().await?;
    // One shard, because a relay stands before one port.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let port = *node.endpoints().media_udp_ports.first().context("the node has no media port")?;
    let line = Line { loss: LOSS, delay: DELAY, ..Line::default() };
    let relay = Relay::start(
        SocketAddr::from(([127, 0, 0, 1], port)),
        RelayOptions { to_node: line, to_viewers: line, seed: 6 },
    )?;
    let mut camera = Camera::of(&["H264"]).options();
    camera.scripts.push(relay.detour().script());
    let publisher = Browser::start_with(camera).await?;
    publisher.open(&node.http_url("/livez")).await?;
    teach(&publisher).await?;
    begin_in(&publisher, &format!("window.publish('{}')", node.http_url("/LiveApp/whip/s"))).await?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 60.0).await?;

    let viewer = Browser::start().await?;
    viewer.open(&node.http_url("/LiveApp/play.html?id=s")).await?;
    let before = relay.report().to_node;
    let load = Load::watch();
    let measured = viewer.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    let counts = relay.report().to_node.since(&before);
    note(&format!("{measured:#?}\nrelay: {counts:?}\nmachine: {load}"));
    viewer.close().await?;
    publisher.close().await?;
    ensure!(counts.packets > 500, "the publisher does not go through the relay: {counts:?}");
    let again = counts.again as f64 / counts.packets as f64;
    let too_much = (again > 2.0 * LOSS, format!("{:.1} % were sent again", again * 100.0));
    Verdict::of([too_much], "", &load).into_result()?;
    measured.judge(PROMISE, &load).into_result()
}
