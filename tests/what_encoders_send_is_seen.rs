//! Whatever an encoder makes of its picture and its sound, a browser shows all of it, in step and without a freeze:
//! a table of encoders and what their viewers are promised.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{
    Browser, Encoder, Load, Marker, MarkerOptions, Node, NodeOptions, Pace, Target, Turn, ViewerPromise,
    in_full, left_to_the_proof, note,
};

const FIRST_PICTURE_MAX: Duration = Duration::from_secs(20);
/// The start of a measurement that does not count, and the time that may be lost at its end.
const MARGIN: Duration = Duration::from_millis(2_500);
/// What viewers of pictures that pass as they are get. A screen that is out of step with them shows some together with
/// the next.
const PASSED: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(40.0),
    glass_to_glass_median_max_ms: Some(150.0),
    seconds_min: 0.0,
};
/// What viewers of pictures that are transcoded get.
const MADE_ANEW: ViewerPromise = ViewerPromise { glass_to_glass_median_max_ms: Some(900.0), ..PASSED };
/// As OBS encodes by default: B-frames, High profile, a key frame every 8.3 s.
const OBS_LIKE: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "2"];
const THREE_B_FRAMES: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "3"];
/// Where a screen of 60 Hz now and then shows two pictures in the time of one.
const SHOWN_IN_PAIRS: ViewerPromise = ViewerPromise { shown_share_min: 0.5, ..PASSED };

/// How long a row is watched: `full` in the long proof.
fn watched(full: u64) -> Duration {
    Duration::from_secs(if in_full() { full } else { 9 })
}

async fn see(
    name: &str,
    of: Duration,
    promise: ViewerPromise,
    encoder: impl FnOnce(MarkerOptions) -> MarkerOptions,
) -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let options = encoder(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "row")));
    let size = (options.width, options.height);
    let marker = Marker::start(options)?;
    judge(name, &node, of, promise, size).await?;
    marker.stop()?;
    Ok(())
}

async fn judge(
    name: &str,
    node: &Node,
    of: Duration,
    promise: ViewerPromise,
    size: (usize, usize),
) -> Result<()> {
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=row")).await?;
    let load = Load::watch();
    let measured = browser.measure("video", FIRST_PICTURE_MAX, of + MARGIN).await?;
    let load = load.report();
    browser.close().await?;
    note(&format!("{name}: {measured:#?}\nmachine: {load}"));
    ensure!(measured.video_size == size, "{name}: {:?}", measured.video_size);
    let promise = ViewerPromise { seconds_min: of.as_secs_f64(), ..promise };
    measured.judge(promise, &load).into_result().with_context(|| name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_frame_every_two_seconds_at_59_94_frames() -> Result<()> {
    // The screen is not in step with the pictures.
    see("59.94 frames per second", watched(60), SHOWN_IN_PAIRS, |options| MarkerOptions {
        width: 640,
        height: 360,
        fps: 60,
        ntsc: true,
        gop: 120,
        ..options
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_as_obs_makes_them() -> Result<()> {
    see("OBS-like", watched(600), MADE_ANEW, |options| MarkerOptions { gop: 250, video: OBS_LIKE, ..options })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_b_frames_in_a_row() -> Result<()> {
    if left_to_the_proof("three B-frames in a row") {
        return Ok(());
    }
    see("three B-frames", watched(60), MADE_ANEW, |options| MarkerOptions {
        video: THREE_B_FRAMES,
        ..options
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_of_six_channels() -> Result<()> {
    // Pictures wait for sound that another program makes.
    let promise = ViewerPromise { glass_to_glass_median_max_ms: Some(250.0), ..PASSED };
    see("5.1", watched(60), promise, |options| MarkerOptions { channels: 6, ..options }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_alone() -> Result<()> {
    // Without sound nothing is held back, and a picture that comes at the screen's own moment may be shown together
    // with the next one.
    let promise = ViewerPromise { sound_offset_max_ms: None, ..SHOWN_IN_PAIRS };
    see("pictures alone", watched(60), promise, |options| MarkerOptions { audio: &[], ..options }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_hd_that_was_encoded_before() -> Result<()> {
    if left_to_the_proof("full HD that was encoded before") {
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    // Not a fragmented MP4: ffmpeg reads that in bursts.
    let file = folder.path().join("made-before.mkv");
    let of = watched(60);
    let options = MarkerOptions {
        width: 1920,
        height: 1080,
        video_bitrate: 4_000_000,
        duration: Some(of + FIRST_PICTURE_MAX),
        pace: Pace::Unpaced,
        ..MarkerOptions::new(Target::File(file.clone()))
    };
    let size = (options.width, options.height);
    Marker::start(options)?.finish(Duration::from_secs(300))?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-re", "-i"]).arg(&file);
    ffmpeg.args(["-c", "copy", "-f", "flv", &node.rtmp_url("LiveApp", "row")]);
    let _encoder = Encoder::run(ffmpeg)?;
    let promise = ViewerPromise { glass_to_glass_median_max_ms: None, ..PASSED };
    judge("1080p30, copied", &node, of, promise, size).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone() -> Result<()> {
    hear("sound alone", |url| {
        Marker::start(MarkerOptions { video: &[], ..MarkerOptions::to_rtmp(url) }).map_err(Into::into)
    })
    .await
}

/// No encoder of HE-AAC is in Debian's archive: this one was recorded.
#[tokio::test(flavor = "multi_thread")]
async fn sound_of_he_aac() -> Result<()> {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transcode/testdata/beeps-he-aac.flv");
    hear("HE-AAC", |url| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-re", "-i"]).arg(&recording);
        ffmpeg.args(["-c", "copy", "-f", "flv", url]);
        Ok(Encoder::run(ffmpeg)?)
    })
    .await
}

/// Sound alone, with a beep of 100 ms at least every 2 s, is heard without a hole.
async fn hear<T>(name: &str, encoder: impl FnOnce(&str) -> Result<T>) -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let encoder = encoder(&node.rtmp_url("LiveApp", "row"))?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=row")).await?;
    let flows =
        "return window.penstockMeasure.sound().then((sound) => (sound?.totalSamplesReceived ?? 0) > 48000)";
    browser.wait_until("sound", FIRST_PICTURE_MAX, flows).await?;
    let before = browser.sound().await?;
    let load = Load::watch();
    // A window to count in: what is promised is that nothing happens.
    tokio::time::sleep(watched(60)).await;
    let after = browser.sound().await?;
    let load = load.report();
    browser.close().await?;
    drop(encoder);
    let grew = |name: &str| {
        let value = |sound: &Value| sound[name].as_f64().unwrap_or(0.0);
        value(&after) - value(&before)
    };
    let (packets, lost, energy) = (grew("packetsReceived"), grew("packetsLost"), grew("totalAudioEnergy"));
    let concealed = grew("concealedSamples") / grew("totalSamplesReceived").max(1.0);
    note(&format!("{name}: {packets} packets, {lost} lost, {concealed:.4} concealed; machine: {load}"));
    ensure!(lost == 0.0, "{lost} packets lost");
    // 50 packets of 20 ms a second.
    ensure!(packets >= 48.0 * watched(60).as_secs_f64(), "{packets} packets");
    ensure!(energy > 0.0, "nothing was heard: {after}");
    if let Some(excuse) = load.excuse() {
        note(&format!("how much was concealed is not judged: {excuse}"));
        return Ok(());
    }
    ensure!(concealed < 0.01, "{concealed:.4} of the sound was concealed");
    Ok(())
}
