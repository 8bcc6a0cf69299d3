//! Players of a stream speak with one another, and REST with all of them, over data channels: in Chromium, with what a
//! plain page has, by Ant Media Server's signalling and by WHEP. Text and a megabyte arrive once, whole and in order,
//! while the picture goes on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::{Browser, Marker, MarkerOptions, Node, NodeOptions, Signalling, Turn, note};

const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(1);

/// Two kinds of players, and what they hear: texts as they are, bytes as their number and a sum of them.
const PAGE: &str = r#"
  window.players = {};
  const told = (bytes) => bytes.length + ' bytes ' + bytes.reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
  const player = (name) => {
    const video = document.createElement('video');
    Object.assign(video, { autoplay: true, muted: true, playsInline: true });
    document.body.append(video);
    const peer = new RTCPeerConnection();
    const self = { peer, video, channels: [], labels: [], heard: [] };
    peer.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
    self.listen = (channel) => {
      channel.binaryType = 'arraybuffer';
      self.channels.push(channel);
      channel.onmessage = ({ data }) => {
        self.heard.push(typeof data === 'string' ? data : told(new Uint8Array(data)));
        self.at = performance.now();
      };
    };
    peer.ondatachannel = ({ channel }) => { self.labels.push(channel.label); self.listen(channel); };
    window.players[name] = self;
    return self;
  };
  window.play = (name, socket, stream) => {
    const { peer } = player(name);
    const line = new WebSocket(socket);
    const send = (message) => line.send(JSON.stringify({ streamId: stream, ...message }));
    line.onopen = () => send({ command: 'play' });
    line.onmessage = async ({ data }) => {
      const { command, sdp } = JSON.parse(data);
      if (command !== 'takeConfiguration') return;
      await peer.setRemoteDescription({ type: 'offer', sdp });
      await peer.setLocalDescription();
      send({ command: 'takeConfiguration', type: 'answer', sdp: peer.localDescription.sdp });
    };
  };
  window.whep = async (name, url) => {
    const self = player(name);
    self.listen(self.peer.createDataChannel('chat'));
    self.peer.addTransceiver('video', { direction: 'recvonly' });
    await self.peer.setLocalDescription();
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: self.peer.localDescription.sdp,
    });
    await self.peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
  };
  window.ready = (name) => window.players[name].channels.some(({ readyState }) => readyState === 'open');
  // As AMS's SDK does: in frames of 16,004 bytes.
  window.sayBytes = (name, count, seed) => {
    const all = [];
    const [channel] = window.players[name].channels;
    for (let at = 0; at < count; at += 16000) {
      const frame = Uint8Array.from({ length: Math.min(16000, count - at) + 4 }, (_, n) => (n * 7 + at + seed) & 255);
      channel.send(frame);
      all.push(told(frame));
    }
    window.saidAt = performance.now();
    return all;
  };
"#;

async fn publish(node: &Node) -> Result<Marker> {
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |units| units > 30.0).await?;
    Ok(marker)
}

async fn say_by_rest(node: &Node, message: &Value) -> Result<Value> {
    Ok(node.send("POST", "/LiveApp/rest/v2/broadcasts/stream1/data", message).await?.json())
}

/// Waits until a player has heard so much, and a while longer for what it should not hear.
async fn heard(browser: &Browser, name: &str, count: usize) -> Result<Vec<String>> {
    let all = format!("return window.players.{name}.heard.length >= {count}");
    browser.wait_until(&format!("{count} messages of {name}"), PATIENCE, &all).await?;
    let heard = browser.run(&format!("return window.players.{name}.heard")).await?;
    serde_json::from_value(heard).context("no list of messages")
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_players_and_from_rest_to_all() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = publish(&node).await?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/livez")).await?;
    browser.run(PAGE).await?;
    let socket = node.signalling_url("LiveApp");
    for name in ["a", "b"] {
        browser.run(&format!("window.play('{name}', '{socket}', 'stream1')")).await?;
    }
    browser.run(&format!("window.whep('c', '{}')", node.http_url("/LiveApp/whep/stream1"))).await?;
    for name in ["a", "b", "c"] {
        browser.wait_until(name, PATIENCE, &format!("return window.ready('{name}')")).await?;
    }
    let labels = browser.run("return ['a', 'b', 'c'].map((name) => window.players[name].labels)").await?;
    ensure!(labels == json!([["stream1"], ["stream1"], []]), "{labels}");

    // Text, from each to the others.
    for name in ["a", "b", "c"] {
        browser.run(&format!("window.players.{name}.channels[0].send('hello from {name} \u{2713}')")).await?;
    }
    for (name, others) in [("a", ["b", "c"]), ("b", ["a", "c"]), ("c", ["a", "b"])] {
        let mut heard = heard(&browser, name, 2).await?;
        heard.sort();
        ensure!(
            heard == others.map(|other| format!("hello from {other} \u{2713}")),
            "{name} heard {heard:?}"
        );
    }

    // A megabyte each way.
    for (from, others) in [("a", ["b", "c"]), ("b", ["a", "c"])] {
        browser.run("for (const name in window.players) window.players[name].heard = []").await?;
        let said =
            browser.run(&format!("return window.sayBytes('{from}', 1_000_000, {})", from.len())).await?;
        let said: Vec<String> = serde_json::from_value(said)?;
        ensure!(said.len() == 63, "{} frames", said.len());
        for name in others {
            let heard = heard(&browser, name, said.len()).await?;
            ensure!(heard == said, "{name} heard {} frames, or others, of {from}", heard.len());
            let took = browser.run(&format!("return window.players.{name}.at - window.saidAt")).await?;
            note(&format!("1 MB from {from} to {name}: {took} ms after the last was handed to the browser"));
        }
    }

    // REST speaks to everybody.
    browser.run("for (const name in window.players) window.players[name].heard = []").await?;
    let message = json!({ "eventType": "CHAT_MESSAGE", "text": "from REST" });
    let answer = say_by_rest(&node, &message).await?;
    ensure!(answer["success"] == true && answer["message"] == "", "{answer}");
    tokio::time::sleep(QUIET).await;
    for name in ["a", "b", "c"] {
        let heard = heard(&browser, name, 1).await?;
        ensure!(heard == [message.to_string()], "{name} heard {heard:?}");
    }

    // The picture went on, and nothing was lost or refused on the way.
    for name in ["a", "b", "c"] {
        let frames = "return window.players.NAME.video.getVideoPlaybackQuality().totalVideoFrames > 60";
        browser.wait_until("pictures", PATIENCE, &frames.replace("NAME", name)).await?;
    }
    let dropped = node.metric("penstock_data_messages_dropped_total", &[]).await?;
    let refused = node.metric("penstock_data_packets_refused_total", &[]).await?;
    ensure!(dropped == 0.0 && refused == 0.0, "{dropped} messages dropped, {refused} packets refused");
    ensure!(node.metric("penstock_players", &[]).await? == 3.0, "a player was lost");
    browser.close().await?;
    marker.stop()?;
    Ok(())
}

/// The m-lines of the offer that a player is made.
async fn offered(node: &Node) -> Result<Vec<String>> {
    let mut player = Signalling::open(&node.signalling_url("LiveApp")).await?;
    player.send(&json!({ "command": "play", "streamId": "stream1" })).await?;
    let offer = player.receive_until(|message| message["command"] == "takeConfiguration").await?;
    let sdp = offer["sdp"].as_str().context("no offer")?.to_owned();
    Ok(sdp.lines().filter(|line| line.starts_with("m=")).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn and_not_where_the_application_has_them_switched_off() -> Result<()> {
    let _turn = Turn::take().await?;
    let options =
        |key, value| NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).setting("LiveApp", key, value);
    let node = Node::start(options("settings.dataChannelEnabled", "false")).await?;
    let refused = |message: &str| json!({ "success": false, "message": message, "dataId": "", "errorId": 0 });
    let marker = publish(&node).await?;
    let lines = offered(&node).await?;
    ensure!(!lines.iter().any(|line| line.starts_with("m=application")), "{lines:?}");
    let answer = say_by_rest(&node, &json!("hello")).await?;
    ensure!(answer == refused("Data channels are not enabled"), "{answer}");
    marker.stop()?;

    let node = Node::start(options("settings.dataChannelPlayerDistribution", "none")).await?;
    let answer = say_by_rest(&node, &json!("hello")).await?;
    ensure!(answer == refused("Requested WebRTC stream does not exist"), "{answer}");
    let marker = publish(&node).await?;
    let lines = offered(&node).await?;
    ensure!(lines.last().is_some_and(|line| line.starts_with("m=application 9 ")), "{lines:?}");
    let large = json!("x".repeat(base::limits::DATA_MESSAGE_BYTES_MAX));
    let answer = say_by_rest(&node, &large).await?;
    ensure!(answer == refused("Operation not completed"), "{answer}");
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/livez")).await?;
    browser.run(PAGE).await?;
    for name in ["a", "b"] {
        let socket = node.signalling_url("LiveApp");
        browser.run(&format!("window.play('{name}', '{socket}', 'stream1')")).await?;
        browser.wait_until(name, PATIENCE, &format!("return window.ready('{name}')")).await?;
    }
    browser.run("window.players.a.channels[0].send('to nobody')").await?;
    let counted = ["reason=\"for nobody\""];
    node.until_metric("penstock_data_messages_dropped_total", &counted, PATIENCE, |count| count == 1.0)
        .await?;
    ensure!(say_by_rest(&node, &json!("to all")).await?["success"] == true);
    let heard = heard(&browser, "b", 1).await?;
    ensure!(heard == ["\"to all\""], "{heard:?}");
    browser.close().await?;
    marker.stop()?;
    Ok(())
}
