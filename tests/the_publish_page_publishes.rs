//! Whoever opens the publish page and presses Start is seen by who opens the address it shows, until they stop. What
//! they change meanwhile, and what happens to their connection, sends no viewer away; what goes wrong is said in words.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Browser, BrowserOptions, Node, NodeOptions, Turn};

const STREAM: &str = "stream1";
const PATIENCE: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(2);

/// A camera and a microphone that every page may use.
const DEVICES: [&str; 2] = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
/// A camera, and somebody who lets no page use it.
const DENIED: [&str; 2] = ["--use-fake-device-for-media-stream", "--deny-permission-prompts"];
/// Lets a test cut the page's signalling.
const SOCKETS: &str = r"
  const Original = window.WebSocket;
  window.sockets = [];
  window.WebSocket = class WebSocket extends Original {
    constructor(...options) {
      super(...options);
      window.sockets.push(this);
    }
  };
";

/// A node, and the publish page in a browser.
struct Stage {
    node: Node,
    page: Browser,
    _turn: Turn,
}

impl Stage {
    async fn set(flags: [&str; 2]) -> Result<Self> {
        let turn = Turn::take().await?;
        let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
        let options = BrowserOptions {
            flags: flags.map(str::to_owned).to_vec(),
            scripts: vec![SOCKETS.to_owned()],
            ..BrowserOptions::default()
        };
        let page = Browser::start_with(options).await?;
        page.open(&node.http_url(&format!("/LiveApp/publish.html?id={STREAM}"))).await?;
        Ok(Self { node, page, _turn: turn })
    }

    /// Somebody is live, and somebody else watches them at the address that the page shows.
    async fn live(&self) -> Result<Browser> {
        self.is("ready").await?;
        self.press("toggle").await?;
        self.is("live").await?;
        let address = self.page.run("return document.querySelector('#link input').value").await?;
        let viewer = Browser::start().await?;
        viewer.open(address.as_str().context("the page shows no address")?).await?;
        advances(&viewer).await?;
        Ok(viewer)
    }

    async fn press(&self, button: &str) -> Result<()> {
        self.page.run(&format!("document.getElementById('{button}').click()")).await?;
        Ok(())
    }

    async fn is(&self, state: &str) -> Result<()> {
        is(&self.page, state).await
    }

    /// One publication from its beginning, and one play.
    async fn sent_nobody_away(&self) -> Result<()> {
        let ended = self.node.metric("penstock_player_ended_total", &[]).await?;
        ensure!(ended == 0.0, "{ended} players were sent away");
        Ok(())
    }
}

async fn is(page: &Browser, state: &str) -> Result<()> {
    let script = format!("return document.body.dataset.state === '{state}'");
    Ok(page.wait_until(state, PATIENCE, &script).await?)
}

/// Two more seconds of the picture are shown.
async fn advances(viewer: &Browser) -> Result<()> {
    let now = viewer.run("return document.querySelector('video').currentTime").await?;
    let later = format!(
        "const video = document.querySelector('video');
         return video.videoWidth > 0 && video.currentTime > {} + 2",
        now.as_f64().unwrap_or_default()
    );
    Ok(viewer.wait_until("a picture that moves", PATIENCE, &later).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_presses_start_is_seen_until_they_stop() -> Result<()> {
    let stage = Stage::set(DEVICES).await?;
    let viewer = stage.live().await?;
    let live =
        |broadcast: &Value| broadcast["status"] == "broadcasting" && broadcast["publishType"] == "WebRTC";
    stage.node.until_broadcast("LiveApp", STREAM, PATIENCE, live).await?;
    let sound = viewer.sound().await?;
    ensure!(sound["packetsReceived"].as_u64() > Some(0), "{sound}");

    stage.press("toggle").await?;
    stage.is("stopped").await?;
    stage.node.until_broadcast("LiveApp", STREAM, END_MAX, Value::is_null).await?;
    is(&viewer, "ended").await?;
    let text = stage.page.text().await?;
    ensure!(text.contains("You have ended the stream."), "{text}");

    // What waits for it sees it again.
    stage.press("toggle").await?;
    stage.is("live").await?;
    is(&viewer, "playing").await?;
    viewer.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_picture_and_another_connection_send_nobody_away() -> Result<()> {
    let stage = Stage::set(DEVICES).await?;
    let viewer = stage.live().await?;

    stage.press("screen").await?;
    let shared = "return document.getElementById('screen').getAttribute('aria-pressed') === 'true'";
    stage.page.wait_until("a shared screen", PATIENCE, shared).await?;
    advances(&viewer).await?;
    stage.press("screen").await?;
    advances(&viewer).await?;

    stage.page.run("window.sockets.at(-1).close()").await?;
    stage.is("retrying").await?;
    stage.is("live").await?;
    advances(&viewer).await?;

    // Without its sound the stream is another one: viewers are offered what is left.
    stage
        .page
        .run(
            "const choice = document.getElementById('microphone');
             choice.value = 'none';
             choice.dispatchEvent(new Event('change'));",
        )
        .await?;
    stage.is("connecting").await?;
    stage.is("live").await?;
    advances(&viewer).await?;
    stage.sent_nobody_away().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_camera_explains_itself() -> Result<()> {
    let stage = Stage::set(DENIED).await?;
    stage.is("trouble").await?;
    let text = stage.page.text().await?;
    for words in ["This page may not use your camera and microphone.", "allow it there", "Try again"] {
        ensure!(text.contains(words), "{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_said_in_words() -> Result<()> {
    let stage = Stage::set(DEVICES).await?;
    let _viewer = stage.live().await?;
    let second = Browser::start_with(BrowserOptions {
        flags: DEVICES.map(str::to_owned).to_vec(),
        ..BrowserOptions::default()
    })
    .await?;
    second.open(&stage.node.http_url(&format!("/LiveApp/publish.html?name={STREAM}"))).await?;
    is(&second, "ready").await?;
    second.run("document.getElementById('toggle').click()").await?;
    is(&second, "refused").await?;
    let text = second.text().await?;
    ensure!(text.contains("Somebody is publishing under this name already."), "{text}");
    stage.is("live").await?;
    second.close().await?;
    stage.sent_nobody_away().await
}
