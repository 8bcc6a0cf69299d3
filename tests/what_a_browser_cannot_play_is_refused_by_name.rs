//! A stream whose codecs a browser cannot show is refused with a reason, or comes without that part;
//! what can be shown is offered whatever else the stream lacks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Encoder, Node, NodeOptions, Signalling};

const BEGINS_MAX: Duration = Duration::from_secs(20);

/// Plays as soon as the stream has begun, and gives the answer.
async fn play(node: &Node, stream: &str) -> Result<Value> {
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    Ok(socket.play(stream, BEGINS_MAX).await?)
}

const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];
const B_FRAMES: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60"];
const AAC: &[&str] = &["-c:a", "aac", "-ar", "48000", "-ac", "2"];
const SURROUND: &[&str] = &["-c:a", "aac", "-ar", "48000", "-ac", "6"];
const AT_32_KHZ: &[&str] = &["-c:a", "aac", "-ar", "32000", "-ac", "2"];

#[tokio::test(flavor = "multi_thread")]
async fn each_by_what_it_lacks() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    for (stream, video, audio, kinds) in [
        ("picture-only", H264, &[] as &[&str], &["video"] as &[&str]),
        ("sound-only", &[], AAC, &["audio"]),
        ("surround", H264, SURROUND, &["video", "audio"]),
        ("at-32-khz", H264, AT_32_KHZ, &["video", "audio"]),
        ("b-frames", B_FRAMES, AAC, &["video", "audio"]),
    ] {
        let _encoder = Encoder::start(&node.rtmp_url("LiveApp", stream), "320x180", video, audio)?;
        let offer = play(&node, stream).await?;
        ensure!(offer["type"] == "offer", "{stream}: {offer}");
        let sdp = offer["sdp"].as_str().context("no sdp")?;
        let offered: Vec<&str> = sdp
            .lines()
            .filter_map(|line| line.strip_prefix("m="))
            .filter_map(|line| line.split(' ').next())
            // Data channels have a line of their own.
            .filter(|kind| *kind != "application")
            .collect();
        ensure!(offered == kinds, "{stream}: {offered:?}");
        ensure!(
            offer["idMapping"].as_object().is_some_and(|mapping| mapping.len() == kinds.len()),
            "{offer}"
        );
    }
    Ok(())
}

/// Sound without its picture would not be what the viewer came for.
#[tokio::test(flavor = "multi_thread")]
async fn b_frames_where_they_are_not_transcoded() -> Result<()> {
    for (setting, value, definition, why) in [
        ("PENSTOCK_WEBRTC_B_FRAMES", "refuse", "no_codec_enabled_in_the_server", "bf=0"),
        // Once it is installed, it is found.
        ("PENSTOCK_TRANSCODE_FFMPEG", "/nonexistent/ffmpeg", "encoderNotOpened", "transcode.ffmpeg"),
    ] {
        let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment(setting, value);
        let node = Node::start(options).await?;
        for (stream, audio) in [("b-frames", &[] as &[&str]), ("b-frames-with-sound", AAC)] {
            let _encoder = Encoder::start(&node.rtmp_url("LiveApp", stream), "320x180", B_FRAMES, audio)?;
            let refused = play(&node, stream).await?;
            ensure!(refused["definition"] == definition, "{refused}");
            ensure!(refused["information"].as_str().is_some_and(|words| words.contains(why)), "{refused}");
        }
    }
    Ok(())
}

/// Two streams need transcoding and there is room for one: who comes second is told, and plays when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn b_frames_over_the_budget() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_VIDEO_TRANSCODERS", "1");
    let node = Node::start(options).await?;
    let _encoders = [
        Encoder::start(&node.rtmp_url("LiveApp", "first"), "320x180", B_FRAMES, AAC)?,
        Encoder::start(&node.rtmp_url("LiveApp", "second"), "320x180", B_FRAMES, AAC)?,
    ];
    let mut watching = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let offer = watching.play("first", BEGINS_MAX).await?;
    ensure!(offer["type"] == "offer", "{offer}");
    let refused = play(&node, "second").await?;
    ensure!(refused["definition"] == "encoderNotOpened", "{refused}");
    ensure!(
        refused["information"].as_str().is_some_and(|words| words.contains("limits.video_transcoders")),
        "{refused}"
    );
    drop(watching);
    node.until_metric("penstock_transcoding_programs", &["kind=\"video\""], BEGINS_MAX, |programs| {
        programs == 0.0
    })
    .await?;
    let offer = play(&node, "second").await?;
    ensure!(offer["type"] == "offer", "{offer}");
    Ok(())
}

/// Whoever waits for a transcoder that takes its time is told so.
#[tokio::test(flavor = "multi_thread")]
async fn b_frames_that_take_their_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("ffmpeg");
    fs::write(&program, "#!/bin/sh\nexec sleep 60\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let program = program.to_str().context("a folder with a strange name")?;
    let options =
        NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_TRANSCODE_FFMPEG", program);
    let node = Node::start(options).await?;
    let _encoder = Encoder::start(&node.rtmp_url("LiveApp", "slow"), "320x180", B_FRAMES, AAC)?;
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let told = socket.first_word("slow", BEGINS_MAX).await?;
    ensure!(told["definition"] == "streaming_starts_soon", "{told}");
    Ok(())
}
