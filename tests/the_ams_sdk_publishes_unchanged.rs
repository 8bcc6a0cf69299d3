//! The npm package `@antmedia/webrtc_adaptor`, as the registry has it, publishes to the node, hears the callbacks its
//! pages wait for, and what it mutes, hides and shares instead is what viewers hear and see.

use std::time::Duration;

use anyhow::{Result, ensure};
use base::{Clock, SystemClock};
use serde_json::Value;
use test_support::{
    Browser, Camera, Load, Measurement, Node, NodeOptions, SamplePage, Turn, ViewerPromise,
    left_to_the_proof, note,
};

const STREAM: &str = "stream1";
/// Fifteen seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(17_500);
/// Four flashes, and the two seconds before they count.
const LOOKED_AT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);
/// What was under way when the page changed something has been seen and heard by then.
const UNDER_WAY: Duration = Duration::from_secs(1);
const END_MAX: Duration = Duration::from_secs(2);

/// The browser that publishes encodes in real time: it leaves out a frame rather than be late. Its sound goes through the
/// SDK's volume control, which takes some tens of milliseconds and tells nobody.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.97,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(90.0),
    glass_to_glass_median_max_ms: Some(250.0),
    seconds_min: 15.0,
};

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

/// A node, and a page that publishes to it.
struct Stage {
    node: Node,
    publisher: Browser,
    _page: SamplePage,
    _turn: Turn,
}

impl Stage {
    /// `None`: the SDK could not be fetched, and that was said.
    async fn set(options: NodeOptions, camera: Camera) -> Result<Option<Self>> {
        let Some(page) = SamplePage::or_skip("the_ams_sdk_publishes_unchanged").await? else {
            return Ok(None);
        };
        let turn = Turn::take().await?;
        let node = Node::start(options).await?;
        let publisher = Browser::start_with(camera.options()).await?;
        publisher.open(&page.publisher_url(&node.signalling_url("LiveApp"), STREAM)).await?;
        let stage = Self { node, publisher, _page: page, _turn: turn };
        stage.hears("publish_started").await?;
        Ok(Some(stage))
    }

    async fn hears(&self, name: &str) -> Result<()> {
        let heard = format!("return window.heard.includes('{name}')");
        Ok(self.publisher.wait_until(name, PATIENCE, &heard).await?)
    }

    /// What the newest callback of this name told the page.
    async fn told(&self, name: &str) -> Result<Value> {
        self.hears(name).await?;
        Ok(self.publisher.run(&format!("return window.told['{name}']")).await?)
    }

    /// How often the page heard a callback whose name begins so.
    async fn count(&self, beginning: &str) -> Result<u64> {
        let count = format!("return window.heard.filter((name) => name.startsWith('{beginning}')).length");
        Ok(self.publisher.run(&count).await?.as_u64().unwrap_or_default())
    }

    async fn viewer(&self) -> Result<Browser> {
        let viewer = Browser::start().await?;
        viewer.open(&self.node.http_url(&format!("/LiveApp/play.html?id={STREAM}"))).await?;
        viewer.begin_to_measure("video", PATIENCE).await?;
        Ok(viewer)
    }

    /// One publication from the first callback to now: the SDK did not begin again, nor did its viewers.
    async fn was_one(&self, viewer: &Browser) -> Result<()> {
        ensure!(self.count("error ").await? == 0, "{}", self.publisher.text().await?);
        ensure!(self.count("publish_started").await? == 1, "{}", self.publisher.text().await?);
        ensure!(
            self.node.metric("penstock_player_ended_total", &[]).await? == 0.0,
            "the player was sent away"
        );
        ensure!(viewer.run("return document.body.dataset.state").await? == "playing");
        Ok(())
    }
}

/// What is shown from now on, once what was under way has passed.
async fn look(viewer: &Browser) -> Result<Measurement> {
    tokio::time::sleep(UNDER_WAY).await;
    Ok(viewer.measure("video", PATIENCE, LOOKED_AT).await?)
}

async fn is_seen(codecs: &'static [&'static str], options: NodeOptions) -> Result<()> {
    let codec = codecs[0];
    let Some(stage) = Stage::set(options, Camera::of(codecs)).await? else { return Ok(()) };
    let live =
        |broadcast: &Value| broadcast["status"] == "broadcasting" && broadcast["publishType"] == "WebRTC";
    stage.node.until_broadcast("LiveApp", STREAM, PATIENCE, live).await?;
    let viewer = stage.viewer().await?;
    let load = Load::watch();
    let measured = viewer.measured_after(WATCHED).await?;
    let load = load.report();
    let camera = stage.publisher.camera().await?;
    note(&format!("{codec}: {measured:#?}\npublisher: {camera:#?}\nmachine: {load}"));
    ensure!(camera.codec() == format!("video/{codec}"), "{camera:?}");
    ensure!(measured.video_size == (640, 360), "{:?}", measured.video_size);

    let information = stage.told("streamInformation").await?;
    let rendition = &information["streamInfo"][0];
    ensure!(rendition["videoCodec"] == codec.to_ascii_lowercase(), "{information}");
    ensure!(rendition["streamHeight"].is_number(), "{information}");
    for name in ["broadcastObject", "pong"] {
        stage.hears(name).await?;
    }
    stage.was_one(&viewer).await?;

    let began = SystemClock.now();
    stage.publisher.run("window.leave()").await?;
    stage.node.until_broadcast("LiveApp", STREAM, END_MAX, Value::is_null).await?;
    note(&format!("over after {:?}", SystemClock.now() - began));
    stage.hears("publish_finished").await?;
    let finished = ["reason=\"finished\""];
    stage
        .node
        .until_metric("penstock_publisher_ended_total", &finished, END_MAX, |ended| ended == 1.0)
        .await?;
    viewer.close().await?;
    measured.judge(PROMISE, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_is_seen_as_it_was_drawn() -> Result<()> {
    is_seen(&["H264"], options()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn vp8_is_seen_as_it_was_drawn() -> Result<()> {
    if left_to_the_proof("the SDK's VP8") {
        return Ok(());
    }
    is_seen(&["VP8"], options().setting("LiveApp", "settings.vp8Enabled", "true")).await
}

/// The sound of a muted page is silence, and the picture of a hidden one black: packets of both go on.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_mutes_and_hides_comes_back() -> Result<()> {
    let Some(stage) = Stage::set(options(), Camera::of(&["H264"])).await? else { return Ok(()) };
    let viewer = stage.viewer().await?;
    viewer.seen(60, PATIENCE).await?;

    stage.publisher.run("window.mute()").await?;
    let muted = look(&viewer).await?;
    ensure!(muted.sound_minus_picture.beeps == 0 && muted.frames_seen > 100, "{muted:#?}");
    stage.publisher.run("window.unmute()").await?;
    let unmuted = look(&viewer).await?;
    ensure!(unmuted.sound_minus_picture.beeps >= 3, "{unmuted:#?}");

    stage.publisher.run("window.hide()").await?;
    let hidden = look(&viewer).await?;
    ensure!(hidden.frames_seen == 0 && hidden.sound_minus_picture.beeps >= 3, "{hidden:#?}");
    stage.publisher.run("window.show()").await?;
    let shown = look(&viewer).await?;
    note(&format!("shown again: {shown:#?}"));
    ensure!(shown.frames_seen > 100 && shown.unreadable == 0, "{shown:#?}");
    ensure!(shown.video_size == (640, 360), "{:?}", shown.video_size);
    stage.was_one(&viewer).await
}

/// A page changes its picture without a word to the server: the new one has another size. A screen is larger, and until
/// the browser knows that there is room for it, it leaves out frames.
#[tokio::test(flavor = "multi_thread")]
async fn its_screen_takes_the_place_of_its_camera() -> Result<()> {
    let Some(stage) = Stage::set(options(), Camera::of(&["H264"])).await? else { return Ok(()) };
    let viewer = stage.viewer().await?;
    viewer.seen(60, PATIENCE).await?;
    for (change, (width, height)) in [("shareScreen", (960, 540)), ("shareCamera", (640, 360))] {
        stage.publisher.run(&format!("window.{change}()")).await?;
        let wide = format!("return document.querySelector('video').videoWidth === {width}");
        viewer.wait_until(change, PATIENCE, &wide).await?;
        let shown = look(&viewer).await?;
        note(&format!("{change}: {shown:#?}"));
        ensure!(shown.video_size == (width, height), "{change}: {:?}", shown.video_size);
        ensure!(shown.seen_share() > 0.8 && shown.unreadable == 0, "{change}: {shown:#?}");
    }
    stage.was_one(&viewer).await
}
