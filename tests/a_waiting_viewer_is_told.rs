//! The signalling messages of a player, to the key: who asks for a stream too early is told so, and told
//! again when it begins.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::{Marker, MarkerOptions, Node, NodeOptions, Signalling, picture_size};

fn keys(message: &Value) -> BTreeSet<&str> {
    message.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

async fn answers(socket: &mut Signalling, question: Value, expected: Value) -> Result<()> {
    let answer = socket.ask(&question).await?;
    ensure!(answer == expected, "asked {question}\nheard {answer}\nnot   {expected}");
    Ok(())
}

async fn open(node: &Node) -> Result<Signalling> {
    Ok(Signalling::open(&format!("{}?target=edge", node.signalling_url("LiveApp"))).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_words_are_ams_words() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut socket = open(&node).await?;
    answers(&mut socket, json!({ "command": "ping" }), json!({ "command": "pong" })).await?;

    let servers = socket.ask(&json!({ "command": "getIceServerConfig" })).await?;
    ensure!(servers["command"] == "iceServerConfig", "{servers}");
    let expected = BTreeSet::from(["command", "stunServerUri", "turnServerUsername", "turnServerCredential"]);
    ensure!(keys(&servers) == expected, "{servers}");
    ensure!(servers.as_object().into_iter().flatten().all(|(_, value)| value.is_string()), "{servers}");

    let nameless = json!({ "command": "error", "definition": "noStreamNameSpecified" });
    answers(&mut socket, json!({ "command": "play" }), nameless.clone()).await?;
    answers(&mut socket, json!({ "command": "play", "streamId": "" }), nameless.clone()).await?;
    answers(&mut socket, json!({ "command": "getStreamInfo" }), nameless).await?;
    for bad in ["with space", "slash/in/it", "star*", "umläut"] {
        let expected = json!({ "command": "error", "definition": "invalidStreamName", "streamId": bad });
        answers(&mut socket, json!({ "command": "play", "streamId": bad }), expected).await?;
    }

    // What AMS does not answer is not answered: the next word is the next question's.
    socket.send(&json!({ "command": "dance", "streamId": "a" })).await?;
    socket.send_text("{\"command\":".to_owned()).await?;
    answers(&mut socket, json!({ "command": "ping" }), json!({ "command": "pong" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_too_early_to_the_end() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut socket = open(&node).await?;
    let play = json!({
        "command": "play", "streamId": "later", "token": "", "room": "", "trackList": [], "subscriberId": "",
        "subscriberCode": "", "viewerInfo": "", "role": "", "userPublishId": ""
    });
    let absent = json!({
        "command": "error", "definition": "no_stream_exist", "error_code": "404",
        "information": "stream_not_exist_or_not_streaming", "streamId": "later"
    });
    answers(&mut socket, play.clone(), absent).await?;
    let information = socket.ask(&json!({ "command": "getStreamInfo", "streamId": "later" })).await?;
    for (key, value) in [("command", "error"), ("definition", "no_stream_exist"), ("error_code", "404")] {
        ensure!(information[key] == value, "{information}");
    }

    // A second viewer waits for something else and must not be told.
    let mut other = open(&node).await?;
    ensure!(
        other.ask(&json!({ "command": "play", "streamId": "never" })).await?["definition"]
            == "no_stream_exist"
    );

    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "later")))?;
    let told = socket.receive().await?;
    let expected =
        json!({ "command": "notification", "definition": "streaming_started", "streamId": "later" });
    ensure!(told == expected, "{told}");
    answers(&mut other, json!({ "command": "ping" }), json!({ "command": "pong" })).await?;

    let offer = socket.ask(&play).await?;
    ensure!(offer["command"] == "takeConfiguration" && offer["type"] == "offer", "{offer}");
    ensure!(offer["streamId"] == "later", "{offer}");
    for key in ["idMapping", "sdp", "linkSession", "subscriberId"] {
        ensure!(offer.get(key).is_some(), "{key} is missing: {offer}");
    }
    let tracks: BTreeSet<&str> = offer["idMapping"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, label)| label.as_str())
        .collect();
    ensure!(tracks == BTreeSet::from(["ARDAMSalater", "ARDAMSvlater"]), "{offer}");
    let sdp = offer["sdp"].as_str().context("no sdp")?;
    for line in
        ["a=sendonly", "ARDAMSvlater", "ARDAMSalater", "useinbandfec=1", "packetization-mode=1", "a=ice-lite"]
    {
        ensure!(sdp.contains(line), "{line} is missing in {sdp}");
    }

    let is = |command: &'static str| move |message: &Value| message["command"] == command;
    socket.send(&json!({ "command": "getStreamInfo", "streamId": "later" })).await?;
    let information = socket.receive_until(is("streamInformation")).await?;
    let rendition = &information["streamInfo"][0];
    let size = (&rendition["streamWidth"], &rendition["streamHeight"]);
    let (width, height) = picture_size();
    ensure!(size == (&json!(width), &json!(height)), "{information}");
    ensure!(rendition["videoCodec"] == "h264", "{information}");
    ensure!(rendition["videoBitrate"].is_number() && rendition["audioBitrate"].is_number(), "{information}");

    socket.send(&json!({ "command": "getBroadcastObject", "streamId": "later" })).await?;
    let object = socket.receive_until(|message| message["definition"] == "broadcastObject").await?;
    ensure!(object["command"] == "notification" && object["streamId"] == "later", "{object}");
    // The broadcast is text inside the JSON, as in AMS.
    let broadcast: Value = serde_json::from_str(object["broadcast"].as_str().context("not a text")?)?;
    ensure!(broadcast["streamId"] == "later" && broadcast["status"] == "broadcasting", "{broadcast}");

    socket.send(&json!({ "command": "stop", "streamId": "later" })).await?;
    let finished = socket.receive_until(|message| message["definition"] == "play_finished").await?;
    ensure!(finished["command"] == "notification" && finished["streamId"] == "later", "{finished}");
    marker.stop()?;
    Ok(())
}
