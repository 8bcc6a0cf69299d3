//! Encoders differ in what they send beside pictures and sound, in how they cut a URL and in when a track
//! begins. Real ones publish here, each with its own manners, and the node knows what they send. (What no
//! encoder at hand does is replayed in `penstock-rtmp`'s tests.)

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock};
use bytes::Bytes;
use container::flv::{TagHeader, tags};
use media::Kind;
use serde_json::{Value, json};
use test_support::rtmp_client::{message, timed_message};
use test_support::{
    Browser, Encoder, Load, Node, NodeOptions, RtmpClient, Signalling, Turn, Verdict, enhanced_ffmpeg, note,
    runs, skipped,
};
use tokio::time::sleep_until;

const BEGINS_MAX: Duration = Duration::from_secs(30);

/// Waits until the node knows pictures and sound of a stream: size and codec of its pictures. Their rates are there
/// once each has flowed for a while.
async fn known(node: &Node, stream: &str) -> Result<(u64, u64, String)> {
    let path = format!("/LiveApp/rest/v2/broadcasts/{stream}/stream-info");
    let both = async || {
        let told = node.get(&path).await.ok()?.json();
        let number = |name: &str| told[0][name].as_u64().unwrap_or(0);
        let codec = told[0]["videoCodec"].as_str().unwrap_or_default().to_owned();
        let flow = number("videoBitrate") > 0 && number("audioBitrate") > 0;
        flow.then(|| (number("videoWidth"), number("videoHeight"), codec))
    };
    match Node::eventually(BEGINS_MAX, both).await {
        Some(known) => Ok(known),
        None => {
            let told = node.get(&path).await?.text();
            bail!("{stream} has not both: {told}\n{}", node.log_lines().join("\n"))
        }
    }
}

/// One that talks much.
fn quiet(mut command: Command) -> Command {
    command.stderr(Stdio::null());
    command
}

const X264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"];

fn ffmpeg(program: &Path, video: &[&str], before_output: &[&str], url: &str) -> Command {
    let mut command = Command::new(program);
    command.args([
        "-nostdin",
        "-loglevel",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=30",
    ]);
    command.args([
        "-re",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
        "-c:a",
        "aac",
        "-g",
        "30",
    ]);
    command.args(video).args(before_output).args(["-t", "60", "-f", "flv", url]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_with_every_form_of_url() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let with = |stream: &str| node.rtmp_url("LiveApp", stream);
    let base = format!("rtmp://{}", node.rtmp_address());
    let connection = "-rtmp_conn";
    for (stream, arguments, url) in [
        ("plain", vec![], with("plain")),
        ("lone", vec![], with("lone?abc&=&x=1")),
        ("inst", vec![], format!("{base}/LiveApp/inst/x")),
        ("in-app", vec!["-rtmp_app", "LiveApp?token=T", "-rtmp_playpath", "in-app"], base.clone()),
        (
            "odd-fields",
            vec![connection, "S:odd", connection, "B:1", "-rtmp_flashver", "X"],
            with("odd-fields"),
        ),
        ("encoded", vec![], with("encoded%2Ftoken%2Fsubscriber")),
    ] {
        let _encoder = Encoder::run(ffmpeg(Path::new("ffmpeg"), X264, &arguments, &url))?;
        let known = known(&node, stream).await?;
        ensure!(known == (320, 180, "h264".to_owned()), "{stream}: {known:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ffmpeg_with_the_codecs_of_enhanced_rtmp() -> Result<()> {
    let _turn = Turn::take().await?;
    let program = match enhanced_ffmpeg() {
        Ok(program) => program,
        Err(why) => {
            skipped("a new ffmpeg's codecs", &why);
            return Ok(());
        }
    };
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    for (codec, encoder) in [
        ("h265", &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"] as &[&str]),
        ("av1", &["-c:v", "libsvtav1", "-preset", "12"]),
        ("vp9", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
        ("h264", X264),
    ] {
        let url = node.rtmp_url("LiveApp", codec);
        let _encoder = Encoder::run(quiet(ffmpeg(&program, encoder, &["-c:a", "libopus"], &url)))?;
        let known = known(&node, codec).await?;
        ensure!(known == (320, 180, codec.to_owned()), "{codec}: {known:?}");
    }
    // What is not carried is said by name.
    let mut flac = ffmpeg(&program, X264, &["-c:a", "flac"], &node.rtmp_url("LiveApp", "flac"));
    let told = flac.output()?;
    let line = |line: &str| line.contains("the codec FLAC is not supported");
    let logged = node.wait_for_log(BEGINS_MAX, line).await;
    ensure!(logged.is_some(), "{}", String::from_utf8_lossy(&told.stderr));
    Ok(())
}

/// Elements that make pictures and sound and put them into FLV.
const GST_SOURCES: &[&str] = &[
    "videotestsrc",
    "is-live=true",
    "!",
    "video/x-raw,width=320,height=180,framerate=30/1",
    "!",
    "x264enc",
    "tune=zerolatency",
    "speed-preset=ultrafast",
    "key-int-max=30",
    "!",
    "flvmux",
    "name=mux",
    "streamable=true",
    "audiotestsrc",
    "is-live=true",
    "!",
    "audioconvert",
    "!",
    "audio/x-raw,rate=48000,channels=2",
    "!",
    "avenc_aac",
    "!",
    "mux.",
    "mux.",
    "!",
];

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_by_its_own_rtmp_and_by_librtmp() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    for sink in ["rtmp2sink", "rtmpsink"] {
        let needed = [sink, "x264enc", "avenc_aac", "flvmux"];
        if let Some(missing) = needed.iter().find(|element| !runs("gst-inspect-1.0", &[element])) {
            skipped(
                &format!("GStreamer's {sink}"),
                &format!("no {missing}; scripts/setup encoders installs it"),
            );
            continue;
        }
        let mut gst = Command::new("gst-launch-1.0");
        gst.arg("-q").args(GST_SOURCES).args([sink, &format!("location={}", node.rtmp_url("LiveApp", sink))]);
        let _encoder = Encoder::run(quiet(gst))?;
        let known = known(&node, sink).await?;
        ensure!(known == (320, 180, "h264".to_owned()), "{sink}: {known:?}");
    }
    Ok(())
}

/// What OBS Studio keeps of a user who typed in a server and a stream key and changed nothing else. Without
/// the file of the empty scene it does not start to stream by itself.
fn obs_home(url: &str, key: &str) -> Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    let basic = home.path().join("obs-studio/basic");
    let profile = basic.join("profiles/Untitled");
    std::fs::create_dir_all(&profile)?;
    std::fs::create_dir_all(basic.join("scenes"))?;
    // No first-run wizard, which would wait for somebody.
    let global = "[General]\nFirstRun=true\nLastVersion=486539266\n[Basic]\nProfile=Untitled\nProfileDir=Untitled\n\
                  SceneCollection=Untitled\nSceneCollectionFile=Untitled\n";
    std::fs::write(home.path().join("obs-studio/global.ini"), global)?;
    std::fs::write(profile.join("basic.ini"), "[General]\nName=Untitled\n")?;
    let service =
        json!({ "type": "rtmp_custom", "settings": { "server": url, "key": key, "use_auth": false } });
    std::fs::write(profile.join("service.json"), service.to_string())?;
    let scene =
        json!({ "id": "scene", "versioned_id": "scene", "name": "Scene", "settings": { "items": [] } });
    let scenes = json!({
        "name": "Untitled", "current_scene": "Scene", "current_program_scene": "Scene",
        "scene_order": [{ "name": "Scene" }], "sources": [scene]
    });
    std::fs::write(basic.join("scenes/Untitled.json"), scenes.to_string())?;
    Ok(home)
}

#[tokio::test(flavor = "multi_thread")]
async fn obs_studio_with_its_defaults() -> Result<()> {
    if !runs("obs", &["--version"]) || !runs("Xvfb", &["-help"]) {
        skipped("OBS Studio", "no obs or no Xvfb; scripts/setup encoders installs them");
        return Ok(());
    }
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let home = obs_home(&format!("rtmp://{}/LiveApp", node.rtmp_address()), "obs")?;
    let display = free_display().context("no free display number")?;
    let mut screen = Command::new("Xvfb");
    screen.args([&display, "-screen", "0", "1280x800x24", "+extension", "GLX"]);
    let mut obs = Command::new("obs");
    obs.args(["--startstreaming", "--minimize-to-tray", "--multi"]);
    obs.env("XDG_CONFIG_HOME", home.path()).env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path());
    obs.env("DISPLAY", &display).env("QT_QPA_PLATFORM", "xcb").env("LIBGL_ALWAYS_SOFTWARE", "1");
    obs.env_remove("WAYLAND_DISPLAY");
    let screen = Encoder::run(quiet(screen))?;
    let ready = PathBuf::from(format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':')));
    Node::eventually(BEGINS_MAX, || async { ready.exists().then_some(()) }).await.context("no display")?;
    let obs = Encoder::run(quiet(obs))?;
    let (width, height, codec) = known(&node, "obs").await?;
    note(&format!("OBS Studio sends {codec} of {width}x{height}, and sound"));
    ensure!(codec == "h264" && height > 0 && width > height, "{width}x{height} {codec}");
    watch_obs(&node).await?;
    drop((obs, screen));
    Ok(())
}

/// What a browser sees of OBS, which sends 30 pictures a second with B-frames among them.
async fn watch_obs(node: &Node) -> Result<()> {
    const SECONDS: f64 = 8.0;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=obs")).await?;
    browser
        .wait_until("a picture", BEGINS_MAX, "return document.querySelector('video').videoWidth > 0")
        .await?;
    let load = Load::watch();
    let quality = "const video = document.querySelector('video'); const { totalVideoFrames, droppedVideoFrames } = \
                   video.getVideoPlaybackQuality(); return [totalVideoFrames, droppedVideoFrames, video.currentTime]";
    let before = browser.run(quality).await?;
    // What is watched is a span of time.
    tokio::time::sleep(Duration::from_secs_f64(SECONDS)).await;
    let after = browser.run(quality).await?;
    let sound = browser.sound().await?;
    let load = load.report();
    browser.close().await?;
    let grew = |at: usize| after[at].as_f64().unwrap_or(0.0) - before[at].as_f64().unwrap_or(0.0);
    let (pictures, dropped, seconds) = (grew(0), grew(1), grew(2));
    note(&format!(
        "OBS Studio in Chromium: {pictures} pictures, {dropped} dropped, in {seconds:.1} s; machine: {load}"
    ));
    ensure!(sound["packetsReceived"].as_f64().unwrap_or(0.0) > 40.0 * SECONDS, "{sound}");
    let too_few = (pictures < 29.0 * SECONDS, format!("{pictures} pictures in {SECONDS} s"));
    Verdict::of([too_few], "", &load).into_result()
}

fn free_display() -> Option<String> {
    let taken = |number: &u32| Path::new(&format!("/tmp/.X11-unix/X{number}")).exists();
    (90..190).find(|number| !taken(number)).map(|number| format!(":{number}"))
}

/// The kinds of tracks an offer has, in its order; nothing of what is no offer.
fn offered(answer: &Value) -> Vec<String> {
    let lines = answer["sdp"].as_str().unwrap_or_default().lines();
    let media = lines.filter_map(|line| line.strip_prefix("m=")).filter_map(|line| line.split(' ').next());
    let media = media.filter(|kind| *kind != "application");
    media.map(str::to_owned).collect()
}

/// The sound begins 3 s after the pictures: who comes before gets the pictures, who comes after both.
#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_begins_late() -> Result<()> {
    const LATE_MS: u32 = 3_000;
    // Types of RTMP messages.
    const AUDIO: u8 = 8;
    const VIDEO: u8 = 9;
    let _turn = Turn::take().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("both.flv");
    let mut make = Command::new("ffmpeg");
    make.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]);
    make.args([
        "-f",
        "lavfi",
        "-i",
        "sine=sample_rate=48000",
        "-t",
        "12",
        "-c:v",
        "libx264",
        "-tune",
        "zerolatency",
    ]);
    make.args(["-g", "30", "-c:a", "aac"]).arg(&file);
    ensure!(make.status()?.success(), "ffmpeg made no file");
    // No metadata: it would tell of the sound.
    let file = std::fs::read(&file)?.into();
    let late = |(header, body): (TagHeader, Bytes)| match header.kind? {
        Kind::Audio if header.millis >= LATE_MS || body.get(1) == Some(&0) => {
            Some((AUDIO, header.millis.max(LATE_MS), body))
        }
        Kind::Audio => None,
        Kind::Video => Some((VIDEO, header.millis, body)),
    };
    let mut tags: Vec<_> = tags(&file).filter_map(late).collect();
    tags.sort_by_key(|(_, time, _)| *time);

    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut early = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let play = json!({ "command": "play", "streamId": "late" });
    ensure!(early.ask(&play).await?["definition"] == "no_stream_exist");
    let mut client = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "late").await?;
    client.send(&message(2, 1, 0, &0x00ff_ffff_u32.to_be_bytes())).await?;
    let publisher = tokio::spawn(async move {
        let start = SystemClock.now();
        for (kind, time, body) in tags {
            sleep_until((start + Duration::from_millis(time.into())).into()).await;
            client.send(&timed_message(kind - 4, kind, 1, time, &body)).await?;
        }
        anyhow::Ok(client)
    });
    let told = early.receive_within(BEGINS_MAX).await?;
    ensure!(told["definition"] == "streaming_started", "{told}");
    let offer = early.ask(&play).await?;
    ensure!(offered(&offer) == ["video"], "{offer}");
    let both = async || {
        let mut later = Signalling::open(&node.signalling_url("LiveApp")).await.ok()?;
        (offered(&later.ask(&play).await.ok()?) == ["video", "audio"]).then_some(())
    };
    Node::eventually(BEGINS_MAX, both).await.context("the sound is offered to nobody")?;
    publisher.abort();
    Ok(())
}
