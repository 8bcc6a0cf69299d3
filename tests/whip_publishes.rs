//! What publishes by WHIP is seen as it was drawn: a page without any library, ffmpeg, and aiortc, which is nobody's
//! browser. Each ends when it says so.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use serde_json::Value;
use test_support::http_session::{begin_in, teach};
use test_support::{
    AAC, Aiortc, Browser, Camera, Load, LoadReport, Marker, MarkerOptions, Measurement, Node, NodeOptions,
    Target, Turn, ViewerPromise, X264, left_to_the_proof, note, picture_size, skipped, whip_ffmpeg,
};

const STREAM: &str = "stream1";
/// Twelve seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(14_500);
const PATIENCE: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(1);

/// A browser encodes in real time: it leaves out a frame rather than be late.
const BROWSER: ViewerPromise = ViewerPromise {
    seen_share_min: 0.97,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(60.0),
    glass_to_glass_median_max_ms: Some(250.0),
    seconds_min: 12.0,
};
/// An encoder leaves out nothing.
const ENCODER: ViewerPromise = ViewerPromise { seen_share_min: 0.99, ..BROWSER };
/// Python's clock is no camera's: it comes now and then some milliseconds late.
const PYTHON: ViewerPromise =
    ViewerPromise { freeze_max_ms: 300.0, sound_offset_max_ms: Some(90.0), ..BROWSER };

async fn start() -> Result<Node> {
    Ok(Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?)
}

fn whip(node: &Node) -> String {
    node.http_url(&format!("/LiveApp/whip/{STREAM}"))
}

async fn until_live(node: &Node) -> Result<()> {
    let live =
        |broadcast: &Value| broadcast["status"] == "broadcasting" && broadcast["publishType"] == "WebRTC";
    node.until_broadcast("LiveApp", STREAM, PATIENCE, live).await?;
    Ok(())
}

/// The stream is gone at once, because its publisher said goodbye.
async fn until_gone(node: &Node) -> Result<()> {
    let began = SystemClock.now();
    node.until_broadcast("LiveApp", STREAM, END_MAX, Value::is_null).await?;
    note(&format!("over after {:?}", SystemClock.now() - began));
    let finished = ["reason=\"finished\""];
    node.until_metric("penstock_publisher_ended_total", &finished, END_MAX, |ended| ended == 1.0).await?;
    Ok(())
}

/// What a viewer sees of the stream.
async fn watch(node: &Node) -> Result<(Measurement, LoadReport)> {
    let viewer = Browser::start().await?;
    viewer.open(&node.http_url(&format!("/LiveApp/play.html?id={STREAM}"))).await?;
    let load = Load::watch();
    let measured = viewer.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    viewer.close().await?;
    Ok((measured, load))
}

/// A page of another origin, with a camera.
async fn page(site: &Node, camera: Camera) -> Result<Browser> {
    let page = Browser::start_with(camera.options()).await?;
    page.open(&site.http_url("/livez")).await?;
    teach(&page).await?;
    Ok(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_library() -> Result<()> {
    let _turn = Turn::take().await?;
    let (node, site) = (start().await?, start().await?);
    let page = page(&site, Camera::of(&["H264"])).await?;
    begin_in(&page, &format!("window.publish('{}')", whip(&node))).await?;
    until_live(&node).await?;
    let (measured, load) = watch(&node).await?;
    let camera = page.camera().await?;
    note(&format!("{measured:#?}\npublisher: {camera:#?}\nmachine: {load}"));
    ensure!(camera.codec() == "video/H264", "{camera:?}");
    page.run("window.leave()").await?;
    until_gone(&node).await?;
    let left = "return window.told.left === 200 && window.told.state !== 'connected'";
    page.wait_until("the end", PATIENCE, left).await?;
    page.close().await?;
    measured.judge(BROWSER, &load).into_result()
}

/// Whose offer does not say by which names its media comes is known by what it sends.
async fn publishes_without_names(arguments: &str) -> Result<()> {
    let _turn = Turn::take().await?;
    let node = start().await?;
    let page = page(&node, Camera::of(&["H264"])).await?;
    begin_in(&page, &format!("window.publish('{}', {{ {arguments} }})", whip(&node))).await?;
    until_live(&node).await?;
    let (measured, load) = watch(&node).await?;
    let camera = page.camera().await?;
    note(&format!("{measured:#?}\npublisher: {camera:#?}\nmachine: {load}"));
    // What was lost is asked for by its name, and what came is told.
    let pictures = camera.sender("video");
    ensure!(pictures["pliCount"].as_u64().is_some_and(|asked| asked > 0), "{pictures}");
    ensure!(pictures["targetBitrate"].as_f64().is_some_and(|rate| rate > 500_000.0), "{pictures}");
    page.run("window.leave()").await?;
    until_gone(&node).await?;
    page.close().await?;
    measured.judge(BROWSER, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_names_no_source() -> Result<()> {
    if left_to_the_proof("a page that names no source, by WHIP") {
        return Ok(());
    }
    publishes_without_names("change: (sdp) => sdp.replace(/a=(ssrc|ssrc-group|msid):.*\\r\\n/g, '')").await
}

/// One layer is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_simulcast() -> Result<()> {
    publishes_without_names("layers: ['h', 'm', 'l']").await
}

/// The way is found anew by other names, and the stream goes on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_restarts_ice() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = start().await?;
    let page = page(&node, Camera::of(&["H264"])).await?;
    begin_in(&page, &format!("window.publish('{}')", whip(&node))).await?;
    until_live(&node).await?;
    let viewer = Browser::start().await?;
    viewer.open(&node.http_url(&format!("/LiveApp/play.html?id={STREAM}"))).await?;
    viewer.begin_to_measure("video", PATIENCE).await?;
    viewer.seen(60, PATIENCE).await?;
    let first = page.run("return window.told.etag").await?;
    for _ in 0..2 {
        let name = page.run("return (await window.way())[0]").await?;
        page.run("await window.restart()").await?;
        let anew = format!(
            "const [name, state] = await window.way(); return name !== {name} && state === 'succeeded'"
        );
        page.wait_until("another way", PATIENCE, &anew).await?;
        viewer.sees_more(90, PATIENCE).await?;
    }
    ensure!(page.run("return window.told.etag").await? != first, "the ICE session has its old name");
    let gaps = viewer.end_measuring().await?.gaps;
    ensure!(gaps.iter().all(|gap| gap.length_ms < 400.0), "{gaps:?}");
    page.run("window.leave()").await?;
    until_gone(&node).await?;
    viewer.close().await?;
    Ok(page.close().await?)
}

/// Whoever has the offer but not the key of its certificate publishes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_another_certificate_does_not() -> Result<()> {
    let _turn = Turn::take().await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let node =
        Node::start(options.setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "3000")).await?;
    let page = page(&node, Camera::of(&["H264"])).await?;
    let change =
        "(sdp) => sdp.replace(/(sha-256 )(..)/g, (_, name, byte) => name + (byte === '00' ? '11' : '00'))";
    begin_in(&page, &format!("window.publish('{}', {{ change: {change} }})", whip(&node))).await?;
    node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0).await?;
    ensure!(node.metric("penstock_units_total", &[]).await? == 0.0, "something was taken of it");
    node.until_broadcast("LiveApp", STREAM, END_MAX, Value::is_null).await?;
    page.run("window.leave()").await?;
    page.wait_until("a session that is gone", PATIENCE, "return window.told.left === 404").await?;
    Ok(page.close().await?)
}

/// `None`, said aloud, on a machine that has none.
fn ffmpeg_for(what: &str) -> Option<PathBuf> {
    whip_ffmpeg().map_err(|why| skipped(what, &why)).ok()
}

async fn by_ffmpeg(what: &str, change: fn(MarkerOptions) -> MarkerOptions) -> Result<()> {
    let Some(ffmpeg) = ffmpeg_for(what) else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = start().await?;
    let mut marker = Marker::start(change(MarkerOptions::to_whip(ffmpeg, whip(&node))))?;
    if let Err(error) = until_live(&node).await {
        let said = marker.failure().map(|failure| failure.to_string()).unwrap_or_default();
        return Err(error.context(said));
    }
    let (measured, load) = watch(&node).await?;
    let published = marker.stop().context("its end")?;
    note(&format!("{what}: {measured:#?}\nencoder: {published:?}\nmachine: {load}"));
    ensure!(measured.video_size == picture_size(), "{:?}", measured.video_size);
    until_gone(&node).await?;
    measured.judge(ENCODER, &load).into_result()
}

/// It wants to be the DTLS server.
#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg() -> Result<()> {
    by_ffmpeg("ffmpeg by whip", |options| options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_as_dtls_client_in_high_profile() -> Result<()> {
    if left_to_the_proof("ffmpeg as DTLS client, by WHIP") {
        return Ok(());
    }
    by_ffmpeg("ffmpeg by whip, as dtls client", |options| {
        let Target::Whip(url, _) = options.target else { return options };
        MarkerOptions { target: Target::Whip(url, &["-whip_flags", "dtls_active"]), video: X264, ..options }
    })
    .await
}

async fn by_aiortc(codec: &str, options: NodeOptions) -> Result<()> {
    let aiortc = match Aiortc::find() {
        Ok(aiortc) => aiortc,
        Err(why) => {
            skipped("aiortc by whip", &why);
            return Ok(());
        }
    };
    let _turn = Turn::take().await?;
    let node = Node::start(options).await?;
    let mut publisher = aiortc.publish(&whip(&node), codec)?;
    publisher.until_connected(PATIENCE).await?;
    until_live(&node).await?;
    let mut player = aiortc.play(&node.http_url(&format!("/LiveApp/whep/{STREAM}")))?;
    player.until_connected(PATIENCE).await?;
    let (measured, load) = watch(&node).await?;
    let played = player.leave(PATIENCE).await?;
    let left = publisher.leave(PATIENCE).await?;
    note(&format!("aiortc, {codec}: {measured:#?}\nits player: {played}\nmachine: {load}"));
    ensure!(left["status"] == 200, "{left}");
    until_gone(&node).await?;
    ensure!(measured.video_size == (640, 360), "{:?}", measured.video_size);
    has_played(&played)?;
    measured.judge(PYTHON, &load).into_result()
}

/// aiortc's player saw the same numbers.
fn has_played(played: &Value) -> Result<()> {
    let count = |name: &str| played[name].as_u64().unwrap_or_default();
    ensure!(played["status"] == 200 && played["size"] == serde_json::json!([640, 360]), "{played}");
    let due = count("last") - count("first") + 1;
    ensure!(due > 200 && count("seen") * 100 >= due * 97 && count("unreadable") == 0, "{played}");
    // Fifty pieces of sound a second, thirty frames; but for the group of pictures that is there when a player comes, which
    // has no sound.
    ensure!(count("sounds") * 100 >= due.saturating_sub(60) * 50 / 30 * 95, "{played}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn aiortc_in_h264() -> Result<()> {
    by_aiortc("H264", NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn aiortc_in_vp8() -> Result<()> {
    if left_to_the_proof("aiortc in VP8, by WHIP") {
        return Ok(());
    }
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    by_aiortc("VP8", options.setting("LiveApp", "settings.vp8Enabled", "true")).await
}

/// What plays by WHEP without being a browser plays an encoder's stream as well.
#[tokio::test(flavor = "multi_thread")]
async fn aiortc_plays_what_an_encoder_publishes() -> Result<()> {
    let aiortc = match Aiortc::find() {
        Ok(aiortc) => aiortc,
        Err(why) => {
            skipped("aiortc by whep", &why);
            return Ok(());
        }
    };
    let _turn = Turn::take().await?;
    let node = start().await?;
    let marker = Marker::start(MarkerOptions {
        width: 640,
        height: 360,
        audio: AAC,
        ..MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", STREAM))
    })?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 30.0).await?;
    let mut player = aiortc.play(&node.http_url(&format!("/LiveApp/whep/{STREAM}")))?;
    player.until_connected(PATIENCE).await?;
    tokio::time::sleep(WATCHED).await;
    let played = player.leave(PATIENCE).await?;
    note(&format!("aiortc: {played}"));
    marker.stop()?;
    has_played(&played)
}
