//! Where a network lets no UDP through, a page publishes over TCP and another plays over TCP, by signalling sockets,
//! WHIP and WHEP alike, when the application offers that. What is seen is what was drawn.

use std::time::Duration;

use anyhow::{Result, ensure};
use test_support::http_session::{SDP, begin, begin_in, teach};
use test_support::offer::{H264, offered_media, publish_offer};
use test_support::{Browser, Camera, Load, Node, NodeOptions, Turn, ViewerPromise, note};

/// Ten seconds, and the two before promises count.
const WATCHED: Duration = Duration::from_millis(12_500);
const PATIENCE: Duration = Duration::from_secs(20);

const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.97,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(60.0),
    glass_to_glass_median_max_ms: Some(250.0),
    seconds_min: 10.0,
};

/// A network without UDP, as a page sees it: of all addresses those for datagrams lead nowhere.
const NO_UDP: &str = r#"
  window.peers = [];
  const Original = window.RTCPeerConnection;
  const without = (sdp) => sdp.split('\r\n').filter((line) => !/^a=candidate:.* udp /i.test(line)).join('\r\n');
  window.RTCPeerConnection = class extends Original {
    constructor(...options) {
      super(...options);
      window.peers.push(this);
    }
    setRemoteDescription(description) {
      return super.setRemoteDescription({ type: description.type, sdp: without(description.sdp) });
    }
    addIceCandidate(candidate) {
      return / udp /i.test(candidate?.candidate ?? '') ? Promise.resolve() : super.addIceCandidate(candidate);
    }
  };
  window.transport = async () => {
    const reports = [...(await window.peers.at(-1).getStats()).values()];
    const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated);
    return reports.find((report) => report.id === pair?.localCandidateId)?.protocol ?? 'none';
  };
"#;

async fn page(node: &Node, camera: Option<Camera>) -> Result<Browser> {
    let browser = match camera {
        Some(camera) => Browser::start_with(camera.options()).await?,
        None => Browser::start().await?,
    };
    browser.open(&node.http_url("/livez")).await?;
    browser.run(NO_UDP).await?;
    teach(&browser).await?;
    Ok(browser)
}

async fn goes_by_tcp(browser: &Browser) -> Result<()> {
    let transport = browser.run("return window.transport()").await?;
    ensure!(transport == "tcp", "media goes by {transport}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways() -> Result<()> {
    let _turn = Turn::take().await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let node = Node::start(options.setting("LiveApp", "settings.webrtc.tcpCandidateEnabled", "true")).await?;
    let publisher = page(&node, Some(Camera::of(&["H264"]))).await?;
    let whip = node.http_url("/LiveApp/whip/stream1");
    begin_in(&publisher, &format!("window.publish('{whip}')")).await?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 30.0).await?;
    goes_by_tcp(&publisher).await?;

    let viewer = page(&node, None).await?;
    let whep = node.http_url("/LiveApp/whep/stream1");
    let load = Load::watch();
    begin_in(&viewer, &format!("window.play('{whep}')")).await?;
    let measured = viewer.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    note(&format!("{measured:#?}\nmachine: {load}"));
    goes_by_tcp(&viewer).await?;
    ensure!(node.metric("penstock_media_tcp_connections", &[]).await? >= 2.0, "who came by TCP?");
    viewer.close().await?;
    publisher.close().await?;
    measured.judge(PROMISE, &load).into_result()
}

/// Nobody is told of the port where the application does not say so.
#[tokio::test]
async fn not_where_it_is_not_wanted() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let offer = publish_offer(&[offered_media("video", "0", &[H264])]);
    let (_, answer) = begin(&node, "/LiveApp/whip/stream1", &[SDP], &offer).await?;
    ensure!(!answer.text().contains(" tcp "), "{}", answer.text());
    Ok(())
}
