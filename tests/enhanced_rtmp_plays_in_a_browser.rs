//! What an encoder publishes by Enhanced RTMP is played by a browser as it is where the browser can: AV1
//! and VP9 pictures, Opus sound. HEVC is refused with words that say why.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use test_support::{
    AAC, Browser, Load, Marker, MarkerOptions, Node, NodeOptions, OPUS, Signalling, Turn, ViewerPromise,
    X264, enhanced_ffmpeg, left_to_the_proof, note, skipped,
};

const WATCHED: Duration = Duration::from_secs(22);
const FIRST_PICTURE_MAX: Duration = Duration::from_secs(20);
const BEGINS_MAX: Duration = Duration::from_secs(20);

const AV1: &[&str] = &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"];
const VP9: &[&str] =
    &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"];
const HEVC: &[&str] =
    &["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", "log-level=error"];

/// What is published is what is shown; the encoders themselves are slower and later than x264.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.98,
    shown_share_min: 0.8,
    freeze_max_ms: 300.0,
    sound_offset_max_ms: Some(100.0),
    glass_to_glass_median_max_ms: Some(500.0),
    seconds_min: 18.0,
};

/// `None`, said aloud, on a machine that has none.
fn ffmpeg_for(what: &str) -> Option<PathBuf> {
    enhanced_ffmpeg().map_err(|why| skipped(what, &why)).ok()
}

async fn watch(what: &str, video: &'static [&'static str], audio: &'static [&'static str]) -> Result<()> {
    let Some(ffmpeg) = ffmpeg_for(what) else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = Marker::start(MarkerOptions {
        ffmpeg,
        width: 640,
        height: 360,
        video_bitrate: 1_000_000,
        video,
        audio,
        ..MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1"))
    })?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=stream1")).await?;
    let load = Load::watch();
    let measured = browser.measure("video", FIRST_PICTURE_MAX, WATCHED).await;
    let load = load.report();
    browser.close().await?;
    let published = marker.stop()?;
    let measured = measured?;
    note(&format!("{video:?} {audio:?}: {measured:#?}\nencoder: {published:?}\nmachine: {load}"));
    ensure!(measured.video_size == (640, 360), "{:?}", measured.video_size);
    measured.judge(PROMISE, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn av1_with_opus() -> Result<()> {
    watch("av1 with opus", AV1, OPUS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn vp9_with_aac() -> Result<()> {
    if left_to_the_proof("VP9 with AAC, by enhanced RTMP") {
        return Ok(());
    }
    watch("vp9 with aac", VP9, AAC).await
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_with_opus() -> Result<()> {
    watch("h264 with opus", X264, OPUS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_is_refused_by_name() -> Result<()> {
    let Some(ffmpeg) = ffmpeg_for("HEVC is refused by name") else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let play = json!({ "command": "play", "streamId": "stream1" });
    ensure!(socket.ask(&play).await?["definition"] == "no_stream_exist");
    let _marker = Marker::start(MarkerOptions {
        ffmpeg,
        width: 320,
        height: 180,
        video: HEVC,
        audio: OPUS,
        ..MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1"))
    })?;
    let told = socket.receive_within(BEGINS_MAX).await?;
    ensure!(told["definition"] == "streaming_started", "{told}");
    let refused = socket.ask(&play).await?;
    ensure!(refused["definition"] == "no_codec_enabled_in_the_server", "{refused}");
    ensure!(refused["information"].as_str().is_some_and(|words| words.contains("HEVC")), "{refused}");
    Ok(())
}
