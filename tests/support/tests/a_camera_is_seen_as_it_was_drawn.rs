//! What a page is given for a camera and a microphone is the marker, and what another page is sent of it by WebRTC can be
//! measured: the ground that tests of publishing pages stand on. No server is between the two.

use std::time::Duration;

use anyhow::{Result, ensure};
use penstock_test_support::{
    Browser, BrowserOptions, Camera, CameraFiles, FileServer, Load, Measurement, Turn, Verdict,
    ViewerPromise, left_to_the_proof, note,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Ten seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(12_500);

const PAGE: &str = r#"<!doctype html><link rel="icon" href="data:,"><video autoplay playsinline></video>"#;

/// Shows the camera itself.
const SHOW: &str = r#"
  return navigator.mediaDevices.getUserMedia({ audio: true, video: true }).then((stream) => {
    window.stream = stream;
    document.querySelector('video').srcObject = stream;
  });
"#;

/// Sends it to a second connection of the same page. Addresses are hidden from pages that use no real camera: both ends
/// are on this machine.
const SEND: &str = r#"
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const gathered = (peer) => new Promise((resolve) => {
    const done = () => { if (peer.iceGatheringState === 'complete') resolve(); };
    peer.addEventListener('icegatheringstatechange', done);
    done();
  });
  const shown = (description) =>
    ({ type: description.type, sdp: description.sdp.replace(/[0-9a-f-]+\.local/g, '127.0.0.1') });
  there.ontrack = ({ streams }) => { document.querySelector('video').srcObject = streams[0]; };
  const connect = async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    window.stream = stream;
    for (const track of stream.getTracks()) here.addTrack(track, stream);
    await here.setLocalDescription();
    await gathered(here);
    await there.setRemoteDescription(shown(here.localDescription));
    await there.setLocalDescription();
    await gathered(there);
    await here.setRemoteDescription(shown(there.localDescription));
  };
  return connect();
"#;

/// Without a path in between a picture is there after 25 to 50 ms, and its sound, which the browser does not hurry, after
/// some 95: what a server asks the browser to even out, nobody does here.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.97,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(100.0),
    glass_to_glass_median_max_ms: Some(100.0),
    seconds_min: 10.0,
};

struct Scene {
    browser: Browser,
    _server: FileServer,
    _folder: tempfile::TempDir,
}

/// A page in a browser with such devices, which has run `script`.
async fn scene(options: BrowserOptions, script: &str) -> Result<Scene> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("page.html"), PAGE)?;
    let server = FileServer::start(folder.path()).await?;
    let browser = Browser::start_with(options).await?;
    browser.open(&server.url("page.html")).await?;
    browser.run(script).await?;
    Ok(Scene { browser, _server: server, _folder: folder })
}

async fn is_sent(codecs: &'static [&'static str]) -> Result<()> {
    let _turn = Turn::take().await?;
    let scene = scene(Camera::of(codecs).options(), SEND).await?;
    let load = Load::watch();
    let measured = scene.browser.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    let camera = scene.browser.camera().await?;
    note(&format!("{codecs:?}: {measured:#?}\ncamera: {camera:#?}\nmachine: {load}"));
    scene.browser.close().await?;
    ensure!(camera.codec() == format!("video/{}", codecs[0]), "{camera:?}");
    ensure!(camera.failure.is_none() && camera.frames > 300, "{camera:?}");
    ensure!(measured.video_size == (640, 360) && measured.unreadable == 0, "{measured:?}");
    measured.judge(PROMISE, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_h264() -> Result<()> {
    is_sent(&["H264"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_vp8() -> Result<()> {
    if left_to_the_proof("the camera in VP8") {
        return Ok(());
    }
    is_sent(&["VP8"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_page_itself() -> Result<()> {
    let _turn = Turn::take().await?;
    let scene = scene(Camera::default().options(), SHOW).await?;
    let load = Load::watch();
    let measured = scene.browser.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    let camera = scene.browser.camera().await?;
    scene.browser.close().await?;
    note(&format!("{measured:#?}\ncamera: {camera:#?}\nmachine: {load}"));
    Verdict::of([(camera.late_max_ms >= 50.0, "the camera was late")], &format!(": {camera:?}"), &load)
        .into_result()?;
    measured.judge(PROMISE, &load).into_result()
}

async fn look(browser: &Browser) -> Result<Measurement> {
    Ok(browser.measure("video", PATIENCE, Duration::from_secs(7)).await?)
}

/// A page may mute it, stop it, and ask for it again, as it may a real one.
#[tokio::test(flavor = "multi_thread")]
async fn and_is_a_device_like_any() -> Result<()> {
    let _turn = Turn::take().await?;
    let Scene { browser, _server, _folder } = scene(Camera::default().options(), SEND).await?;
    browser.begin_to_measure("video", PATIENCE).await?;
    browser.seen(60, PATIENCE).await?;

    browser.run("window.stream.getTracks().forEach((track) => { track.enabled = false; })").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let muted = look(&browser).await?;
    ensure!(muted.frames_seen == 0 && muted.sound_minus_picture.beeps == 0, "{muted:#?}");
    browser.run("window.stream.getTracks().forEach((track) => { track.enabled = true; })").await?;
    let again = look(&browser).await?;
    ensure!(again.frames_seen > 100 && again.sound_minus_picture.beeps > 1, "{again:#?}");

    browser.run("window.stream.getTracks().forEach((track) => track.stop())").await?;
    let states = "return window.stream.getTracks().every((track) => track.readyState === 'ended')";
    ensure!(browser.run(states).await? == true, "a track goes on");
    browser.run(SHOW).await?;
    let third = look(&browser).await?;
    ensure!(third.frames_seen > 100 && third.first_frame > again.last_frame, "{third:#?}");
    let devices =
        "return navigator.mediaDevices.enumerateDevices().then((all) => all.map(({ kind }) => kind))";
    ensure!(browser.run(devices).await? == serde_json::json!(["audioinput", "videoinput"]));
    let screen = "return navigator.mediaDevices.getDisplayMedia().then((stream) => {
      document.querySelector('video').srcObject = stream; })";
    browser.run(screen).await?;
    let wide = "return document.querySelector('video').videoWidth === 960";
    browser.wait_until("the screen", PATIENCE, wide).await?;
    let shown = look(&browser).await?;
    ensure!(shown.frames_seen > 100 && shown.unreadable == 0, "{shown:#?}");
    Ok(browser.close().await?)
}

/// The browser's own capture of files: numbered frames and beeps, in no relation to each other or to the wall clock.
#[tokio::test(flavor = "multi_thread")]
async fn or_is_a_file() -> Result<()> {
    if left_to_the_proof("a camera of files") {
        return Ok(());
    }
    let files = CameraFiles::make(15)?;
    let _turn = Turn::take().await?;
    let scene = scene(files.options(), SHOW).await?;
    let load = Load::watch();
    let measured = scene.browser.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    scene.browser.close().await?;
    note(&format!("{measured:#?}\nmachine: {load}"));
    ensure!(measured.video_size == (640, 360) && measured.unreadable == 0, "{measured:?}");
    ensure!(measured.sound_minus_picture.beeps >= 5, "{measured:?}");
    let promise = ViewerPromise { sound_offset_max_ms: None, glass_to_glass_median_max_ms: None, ..PROMISE };
    measured.judge(promise, &load).into_result()
}
