//! An encoder publishes by RTMP, a browser plays by WebRTC on the node's own page: for a minute (in the long proof; else
//! for half of one) nearly every frame is shown, nothing freezes, sound and picture are in step, and all of it is young.

use std::time::Duration;

use anyhow::{Result, ensure};
use test_support::{
    Browser, Load, Marker, MarkerOptions, Node, NodeOptions, Turn, ViewerPromise, in_full, left_to_the_proof,
    note, picture_size,
};

/// Before this promises do not count, and that much may be lost at the end.
const MARGIN: Duration = Duration::from_millis(2_500);
const FIRST_PICTURE_MAX: Duration = Duration::from_secs(20);

const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(40.0),
    glass_to_glass_median_max_ms: Some(150.0),
    seconds_min: 0.0,
};

async fn watch(sample_rate: u32) -> Result<()> {
    let watched = Duration::from_secs(if in_full() { 60 } else { 30 });
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let options =
        MarkerOptions { sample_rate, ..MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")) };
    let marker = Marker::start(options)?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=stream1")).await?;
    let load = Load::watch();
    let measured = browser.measure("video", FIRST_PICTURE_MAX, watched + MARGIN).await?;
    let load = load.report();
    browser.close().await?;
    let published = marker.stop()?;
    note(&format!("{sample_rate} Hz: {measured:#?}\nencoder: {published:?}\nmachine: {load}"));
    ensure!(
        measured.last_frame < Some(published.frames),
        "{measured:?} shows what nobody published: {published:?}"
    );
    ensure!(measured.video_size == picture_size(), "{:?}", measured.video_size);
    let promise = ViewerPromise { seconds_min: watched.as_secs_f64(), ..PROMISE };
    measured.judge(promise, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_48_khz() -> Result<()> {
    watch(48_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_44_1_khz() -> Result<()> {
    if left_to_the_proof("sound at 44.1 kHz") {
        return Ok(());
    }
    watch(44_100).await
}
