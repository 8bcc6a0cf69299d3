//! The unmodified SDK publishes, and its network goes away: it comes back by itself, its stream goes on, and whoever watched
//! sees it again without doing anything.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use serde_json::Value;
use test_support::{
    Bottleneck, Browser, Camera, Line, NarrowNetwork, Node, NodeOptions, Relay, RelayOptions, SamplePage,
    Turn, note, skipped,
};

const STREAM: &str = "stream1";
/// Room for what a browser sends, and more.
const LINE: Bottleneck<'static> = Bottleneck { rate: "100mbit", burst: "64kb", limit: "1mb" };
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the network is away: longer than the SDK waits before it does something, and than a publisher that is lost is
/// waited for before its stream ends.
const AWAY: Duration = Duration::from_secs(8);
/// The SDK makes an attempt every 3 s, each of which takes a while.
const BACK_MAX: Duration = Duration::from_secs(20);
/// Pictures that show that it goes on.
const SEEN: u32 = 60;
/// Five seconds of them, in so many.
const STAYS: u32 = 150;
const STAYS_MAX: Duration = Duration::from_secs(7);

/// A page that publishes, and one that watches what it publishes.
struct Stage {
    node: Node,
    publisher: Browser,
    viewer: Browser,
    _page: SamplePage,
}

impl Stage {
    async fn set(node: Node, page: SamplePage, publisher: Browser, url: &str) -> Result<Self> {
        publisher.open(url).await?;
        let began = "return window.heard.includes('publish_started')";
        publisher.wait_until("the beginning", PATIENCE, began).await?;
        let viewer = Browser::start().await?;
        viewer.open(&node.http_url(&format!("/LiveApp/play.html?id={STREAM}"))).await?;
        viewer.begin_to_measure("video", PATIENCE).await?;
        viewer.seen(SEEN, PATIENCE).await?;
        Ok(Self { node, publisher, viewer, _page: page })
    }

    /// The network is back since now.
    async fn comes_back(self, what: &str) -> Result<()> {
        let began = SystemClock.now();
        let back = self.viewer.sees_more(SEEN, BACK_MAX).await;
        let heard = self.publisher.run("return window.heard").await?;
        back.with_context(|| format!("{what}: {heard}"))?;
        note(&format!("{what}: seen again after {:?}; the page heard {heard}", SystemClock.now() - began));
        // And stays: what the server had to say of the old session does not end the new one.
        self.viewer.sees_more(STAYS, STAYS_MAX).await.with_context(|| format!("{what}: gone again"))?;
        let live = |broadcast: &Value| broadcast["status"] == "broadcasting";
        self.node.until_broadcast("LiveApp", STREAM, PATIENCE, live).await?;
        ensure!(self.node.metric("penstock_publishers", &[]).await? == 1.0, "there are several of it");
        self.viewer.close().await?;
        Ok(self.publisher.close().await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_link_was_down() -> Result<()> {
    let network = match NarrowNetwork::new(LINE) {
        Ok(network) => network,
        Err(error) => {
            skipped("the_ams_sdk_comes_back", &error.to_string());
            return Ok(());
        }
    };
    let Some(page) = SamplePage::or_skip("the_ams_sdk_comes_back").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    let address = network.outside().to_string();
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", &address);
    let node = Node::start(options).await?;
    let url = page.publisher_url(&node.signalling_url("LiveApp"), STREAM).replace("127.0.0.1", &address);
    let origin = url.split("/publish.html").next().context("no origin")?;
    let mut options = Camera::of(&["H264"]).options();
    options.launcher = network.launcher();
    // A page from elsewhere has no camera without TLS, which is not the matter here.
    options.flags.push(format!("--unsafely-treat-insecure-origin-as-secure={origin}"));
    let publisher = Browser::start_with(options).await?;
    let stage = Stage::set(node, page, publisher, &url).await?;
    network.cut()?;
    // A time without a network is what this is about.
    tokio::time::sleep(AWAY).await;
    network.mend()?;
    stage.comes_back("the link").await
}

/// The socket for signalling stays: the server still holds the session that is half dead.
#[tokio::test(flavor = "multi_thread")]
async fn after_its_media_was_held_back() -> Result<()> {
    let Some(page) = SamplePage::or_skip("the_ams_sdk_comes_back").await? else { return Ok(()) };
    let _turn = Turn::take().await?;
    // One shard, because a relay stands before one port.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let port = *node.endpoints().media_udp_ports.first().context("the node has no media port")?;
    let relay = Relay::start(SocketAddr::from(([127, 0, 0, 1], port)), RelayOptions::default())?;
    let mut camera = Camera::of(&["H264"]).options();
    camera.scripts.push(relay.detour().script());
    let url = page.publisher_url(&node.signalling_url("LiveApp"), STREAM);
    let publisher = Browser::start_with(camera).await?;
    let stage = Stage::set(node, page, publisher, &url).await?;
    let cut = Line { loss: 1.0, ..Line::default() };
    relay.change(cut, cut);
    // See above.
    tokio::time::sleep(AWAY).await;
    relay.change(Line::default(), Line::default());
    stage.comes_back("media").await
}
