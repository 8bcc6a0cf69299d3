//! A browser publishes over a path that loses packets both ways and delays the others differently: they are asked for
//! again and come, and viewers see it all. What is sent again is about what was lost.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::http_session::{begin_in, teach};
use test_support::{
    Browser, Camera, CameraReport, Line, Load, Node, NodeOptions, Relay, RelayOptions, Turn, Verdict,
    ViewerPromise, note,
};

const LOSS: f64 = 0.03;
/// Each way, and up to so much longer.
const DELAY: Duration = Duration::from_millis(10);
const JITTER: Duration = Duration::from_millis(50);
/// Twenty seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(22_500);
const PATIENCE: Duration = Duration::from_secs(20);

/// Of the frames that were encoded. A packet that is sent again comes a round trip and a half later, and keeps what is behind it waiting.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    // What the browser leaves out is often what a flash begins with.
    shown_share_min: 0.5,
    freeze_max_ms: 600.0,
    // Pictures that come late now and then make the viewer's browser hold all of them longer, and it takes its time to have
    // its sound wait for them. That they belong together is seen on calm paths.
    sound_offset_max_ms: None,
    glass_to_glass_median_max_ms: Some(450.0),
    seconds_min: 20.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn and_sends_little_again() -> Result<()> {
    let _turn = Turn::take().await?;
    // One shard, because a relay stands before one port.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let port = *node.endpoints().media_udp_ports.first().context("the node has no media port")?;
    let line = Line { loss: LOSS, delay: DELAY, jitter: JITTER, ..Line::default() };
    let relay = Relay::start(
        SocketAddr::from(([127, 0, 0, 1], port)),
        RelayOptions { to_node: line, to_viewers: line, seed: 6 },
    )?;
    let mut camera = Camera { grain: 40, ..Camera::of(&["H264"]) }.options();
    camera.scripts.push(relay.detour().script());
    let publisher = Browser::start_with(camera).await?;
    publisher.open(&node.http_url("/livez")).await?;
    teach(&publisher).await?;
    begin_in(&publisher, &format!("window.publish('{}')", node.http_url("/LiveApp/whip/s"))).await?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 60.0).await?;

    let viewer = Browser::start().await?;
    viewer.open(&node.http_url("/LiveApp/play.html?id=s")).await?;
    let before = relay.report().to_node;
    let camera_before = publisher.camera().await?;
    let load = Load::watch();
    let measured = viewer.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    let received = node.get("/LiveApp/rest/v2/broadcasts/webrtc-receive-low-level-stats").await?.json();
    let counts = relay.report().to_node.since(&before);
    let camera_after = publisher.camera().await?;
    // A browser's H.264 encoder leaves frames out behind a key frame of a picture that is hard to encode.
    let drawn = f64::from(camera_after.frames - camera_before.frames);
    let encoded = (encoded(&camera_after) - encoded(&camera_before)) / drawn;
    note(&format!(
        "{measured:#?}\nencoded: {encoded:.4} of the frames\nrelay: {counts:?}\nreceived: {received}\nmachine: {load}"
    ));
    viewer.close().await?;
    publisher.close().await?;
    let pictures = &received["videoReceiveStats"];
    let of_pictures = |key: &str| pictures[key].as_f64().unwrap_or(-1.0);
    ensure!(of_pictures("videoNackCount") > 10.0, "nothing was asked for again: {received}");
    ensure!(
        (3.0..=90.0).contains(&(of_pictures("jitter") * 1_000.0)),
        "delays differ by 0 to 50 ms: {received}"
    );
    let frames = (of_pictures("videoFrameReceived"), self::encoded(&camera_after));
    // Some are on their way, some came before the first key frame that was whole.
    ensure!(
        (frames.1 * 0.95..=frames.1).contains(&frames.0),
        "{frames:?} frames came and were encoded: {received}"
    );
    ensure!(counts.packets > 500, "the publisher does not go through the relay: {counts:?}");
    let again = counts.again as f64 / counts.packets as f64;
    let too_much = (again > 2.0 * LOSS, format!("{:.1} % were sent again", again * 100.0));
    Verdict::of([too_much], "", &load).into_result()?;
    ensure!(encoded > 0.9, "the publisher's browser encodes {encoded:.2} of its frames");
    let promise = ViewerPromise { seen_share_min: PROMISE.seen_share_min * encoded, ..PROMISE };
    measured.judge(promise, &load).into_result()
}

fn encoded(camera: &CameraReport) -> f64 {
    camera.sender("video")["framesEncoded"].as_f64().unwrap_or_default()
}
