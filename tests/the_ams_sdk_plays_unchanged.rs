//! The npm package `@antmedia/webrtc_adaptor`, as the registry has it, plays from the node, and hears the
//! callbacks its pages wait for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use test_support::{
    Browser, Encoder, Load, Marker, MarkerOptions, Node, NodeOptions, SamplePage, Turn, ViewerPromise, note,
    picture_size,
};

/// Twenty seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(22_500);
const CALLBACK_MAX: Duration = Duration::from_secs(20);

const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(40.0),
    glass_to_glass_median_max_ms: Some(170.0),
    seconds_min: 20.0,
};

fn heard(name: &str) -> String {
    format!("return window.heard.includes('{name}')")
}

/// An encoder of sound alone is followed by one with a picture: the SDK answers the offer that says so, as it
/// does when AMS offers again, and shows the picture on the connection it has.
#[tokio::test(flavor = "multi_thread")]
async fn it_follows_a_stream_that_changes() -> Result<()> {
    let Some(page) = SamplePage::or_skip("the_ams_sdk_plays_unchanged").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let url = node.rtmp_url("LiveApp", "stream1");
    let sound = Encoder::start(&url, "", &[], &["-c:a", "aac", "-ar", "48000", "-ac", "2"])?;
    let browser = Browser::start().await?;
    browser.open(&page.url(&node.signalling_url("LiveApp"), "stream1")).await?;
    browser.wait_until("play_started", CALLBACK_MAX, &heard("play_started")).await?;
    drop(sound);
    let marker = Marker::start(MarkerOptions::to_rtmp(url))?;
    let wide = format!("return document.querySelector('#remote').videoWidth === {}", picture_size().0);
    browser.wait_until("the picture", CALLBACK_MAX, &wide).await?;
    browser.begin_to_measure("#remote", CALLBACK_MAX).await?;
    browser.seen(60, CALLBACK_MAX).await?;
    let heard = browser.run("return window.heard.filter((name) => name === 'play_started').length").await?;
    ensure!(heard == 1, "the page began to play {heard} times");
    ensure!(node.metric("penstock_player_ended_total", &[]).await? == 0.0, "the player was sent away");
    browser.close().await?;
    marker.stop()?;
    Ok(())
}

/// Two pages with the SDK, one for each of its ways to ask for a stream. Every message comes once, whichever channels
/// a page has open.
#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_and_is_spoken_to() -> Result<()> {
    let Some(page) = SamplePage::or_skip("the_ams_sdk_plays_unchanged").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], CALLBACK_MAX, |units| units > 30.0)
        .await?;
    let socket = node.signalling_url("LiveApp");
    let (usual, object) = (Browser::start().await?, Browser::start().await?);
    usual.open(&page.url(&socket, "stream1")).await?;
    object.open(&page.object_url(&socket, "stream1")).await?;
    for (browser, channels) in [(&usual, 1), (&object, 2)] {
        browser.wait_until("play_started", CALLBACK_MAX, &heard("play_started")).await?;
        let opened = "window.heard.filter((name) => name === 'data_channel_opened').length";
        let script = format!("return {opened} === {channels}");
        browser.wait_until("its data channels", CALLBACK_MAX, &script).await?;
    }

    let mut expected = [Vec::new(), Vec::new()];
    for (from, (to, list)) in [(&usual, (&object, 1)), (&object, (&usual, 0))] {
        from.run("window.say('hello')").await?;
        expected[list].push(json!("hello"));
        let sum = from.run("return window.sayBytes(300_000, 5)").await?;
        expected[list].push(sum);
        let count = expected[list].len();
        to.wait_until("its messages", CALLBACK_MAX, &format!("return window.received.length >= {count}"))
            .await?;
    }
    let message = json!({ "eventType": "CHAT_MESSAGE" });
    let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/stream1/data", &message).await?.json();
    ensure!(answer["success"] == true, "{answer}");
    for (browser, expected) in [&usual, &object].into_iter().zip(&mut expected) {
        expected.push(json!(message.to_string()));
        let last = format!("return window.received.length >= {}", expected.len());
        browser.wait_until("what REST said", CALLBACK_MAX, &last).await?;
    }
    // What should not come would have come by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (browser, expected) in [&usual, &object].into_iter().zip(&expected) {
        let received = browser.run("return window.received").await?;
        ensure!(received == json!(expected), "{received} instead of {expected:?}");
        let errors = "return window.heard.filter((name) => name.startsWith('error ')).length";
        ensure!(browser.run(errors).await? == 0, "{}", browser.text().await?);
    }
    usual.close().await?;
    object.close().await?;
    marker.stop()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_plays_and_leaves() -> Result<()> {
    let Some(page) = SamplePage::or_skip("the_ams_sdk_plays_unchanged").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let browser = Browser::start().await?;
    browser.open(&page.url(&node.signalling_url("LiveApp"), "stream1")).await?;
    // It asks for a stream that nobody publishes yet, and is told when somebody does.
    browser.wait_until("no_stream_exist", CALLBACK_MAX, &heard("error no_stream_exist")).await?;
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    browser.wait_until("play_started", CALLBACK_MAX, &heard("play_started")).await?;

    let load = Load::watch();
    let measured = browser.measure("#remote", CALLBACK_MAX, WATCHED).await?;
    let load = load.report();
    for name in ["streaming_started", "streamInformation", "broadcastObject", "pong"] {
        browser.wait_until(name, CALLBACK_MAX, &heard(name)).await?;
    }
    let errors =
        browser.run("return window.heard.filter((name) => name.startsWith('error ')).length").await?;
    let errors = errors.as_u64().context("no list of callbacks")?;
    ensure!(errors == 1, "the page heard {errors} errors: {}", browser.text().await?);

    browser.run("window.leave()").await?;
    browser.wait_until("play_finished", CALLBACK_MAX, &heard("play_finished")).await?;
    browser.close().await?;
    let published = marker.stop()?;
    note(&format!("{measured:#?}\nencoder: {published:?}\nmachine: {load}"));
    measured.judge(PROMISE, &load).into_result()
}
