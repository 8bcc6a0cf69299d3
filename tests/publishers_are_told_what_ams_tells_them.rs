//! The signalling messages of a publisher, to the key: who may not publish is told why in AMS's words, one stream has one
//! publisher, and who begins without going on is told so. No error closes the socket.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, limits};
use serde_json::{Value, json};
use test_support::offer::{self, H264, SdpMedia, offered_data, offered_media, publish_offer};
use test_support::{AAC, Encoder, Node, NodeOptions, Signalling};

const PATIENCE: Duration = Duration::from_secs(15);
const VIDEO: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

async fn open(node: &Node) -> Result<Signalling> {
    Ok(Signalling::open(&format!("{}?target=origin", node.signalling_url("LiveApp"))).await?)
}

/// What the SDK sends when a page calls `publish(stream)`: its token is left out.
fn publish(stream: &str) -> Value {
    json!({
        "command": "publish", "streamId": stream, "subscriberId": "", "subscriberCode": "", "streamName": "",
        "mainTrack": "", "video": true, "audio": true, "metaData": "", "role": ""
    })
}

fn error(definition: &str, stream: &str) -> Value {
    json!({ "command": "error", "definition": definition, "streamId": stream })
}

/// The answer has these keys with these values; AMS's clients pass over others.
fn says(answer: &Value, expected: &Value) -> bool {
    expected.as_object().into_iter().flatten().all(|(key, value)| answer.get(key) == Some(value))
}

async fn is_told(socket: &mut Signalling, question: &Value, expected: Value) -> Result<()> {
    let answer = socket.ask(question).await?;
    ensure!(says(&answer, &expected), "asked {question}\nheard {answer}\nnot   {expected}");
    Ok(())
}

async fn is_open(socket: &mut Signalling) -> Result<()> {
    is_told(socket, &json!({ "command": "ping" }), json!({ "command": "pong" })).await
}

async fn starts(socket: &mut Signalling, stream: &str) -> Result<()> {
    is_told(socket, &publish(stream), json!({ "command": "start", "streamId": stream })).await
}

async fn stops(socket: &mut Signalling, stream: &str) -> Result<()> {
    socket.send(&json!({ "command": "stop", "streamId": stream })).await?;
    let finished = socket.receive_until(|told| told["definition"] == "publish_finished").await?;
    ensure!(finished["command"] == "notification" && finished["streamId"] == stream, "{finished}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_publish() -> Result<()> {
    let setting = |key, value| options().setting("LiveApp", key, value);
    let planned = json!({ "streamId": "a", "plannedStartDate": 4_000_000_000_u64, "plannedEndDate": 4_000_000_001_u64 });
    let rows = [
        ("nameless", options(), Value::Null, "", "noStreamNameSpecified"),
        ("a name that is none", options(), Value::Null, "a/b", "invalidStreamName"),
        ("not its time", options(), planned, "a", "stream_not_active_or_expired"),
        (
            "nobody created it",
            setting("settings.acceptOnlyStreamsInDataStore", "true"),
            Value::Null,
            "a",
            "not_allowed_unregistered_streams",
        ),
        (
            "no token",
            setting("settings.publishTokenControlEnabled", "true"),
            Value::Null,
            "a",
            "unauthorized_access",
        ),
        ("no room", setting("settings.ingestingStreamLimit", "0"), Value::Null, "a", "highResourceUsage"),
    ];
    for (name, options, created, stream, definition) in rows {
        let node = Node::start(options).await?;
        if created.is_object() {
            let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &created).await?;
            ensure!(answer.status == 200, "{name}: {}", answer.text());
        }
        let mut socket = open(&node).await?;
        let expected = match stream {
            "" => json!({ "command": "error", "definition": definition }),
            stream => error(definition, stream),
        };
        is_told(&mut socket, &publish(stream), expected).await.context(name)?;
        is_open(&mut socket).await.context(name)?;
        // What was refused has left nothing behind.
        node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0)
            .await
            .context(name)?;
        if created.is_null() && stream == "a" {
            node.until_broadcast("LiveApp", stream, PATIENCE, Value::is_null).await.context(name)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_has_one_publisher() -> Result<()> {
    let node = Node::start(options()).await?;
    let _encoder = Encoder::start(&node.rtmp_url("LiveApp", "taken"), "320x180", VIDEO, AAC)?;
    let live = |broadcast: &Value| broadcast["status"] == "broadcasting";
    node.until_broadcast("LiveApp", "taken", PATIENCE, live).await?;
    let (mut first, mut second) = (open(&node).await?, open(&node).await?);
    is_told(&mut first, &publish("taken"), error("streamIdInUse", "taken")).await?;

    // A stream is taken from the moment its publisher is told to begin.
    starts(&mut first, "mine").await?;
    is_told(&mut first, &publish("mine"), error("already_publishing", "mine")).await?;
    is_told(&mut second, &publish("mine"), error("streamIdInUse", "mine")).await?;
    // One socket has room for another stream.
    starts(&mut first, "other").await?;
    stops(&mut first, "other").await?;
    is_open(&mut first).await?;

    stops(&mut first, "mine").await?;
    starts(&mut second, "mine").await?;
    // A socket that goes gives back what it has taken.
    drop(second);
    let is_free = async || {
        let mut third = open(&node).await.ok()?;
        starts(&mut third, "mine").await.ok()
    };
    Node::eventually(PATIENCE, is_free).await.context("the stream stays taken")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_go_on_is_told() -> Result<()> {
    let options = options().setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "1000");
    let node = Node::start(options).await?;
    let mut socket = open(&node).await?;
    let bare = publish_offer(&[offered_media("video", "0", &[H264])]);
    for (name, sdp) in [("no offer", None), ("nothing behind its offer", Some(bare))] {
        starts(&mut socket, "idle").await.context(name)?;
        let began = SystemClock.now();
        if let Some(sdp) = sdp {
            let offer =
                json!({ "command": "takeConfiguration", "streamId": "idle", "type": "offer", "sdp": sdp });
            socket.send(&offer).await?;
        }
        let told = socket.receive_until(|told| told["command"] == "error").await.context(name)?;
        ensure!(says(&told, &error("publishTimeoutError", "idle")), "{name}: {told}");
        let after = SystemClock.now() - began;
        ensure!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&after), "{name}: {after:?}");
    }
    node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0).await?;
    starts(&mut socket, "idle").await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_is_answered_to_the_key() -> Result<()> {
    let node = Node::start(options()).await?;
    let mut socket = open(&node).await?;
    let keys = |message: &Value| -> BTreeSet<String> {
        message.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    let of = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<BTreeSet<_>>();

    let start = socket.ask(&publish("s1")).await?;
    ensure!(start["command"] == "start" && start["streamId"] == "s1", "{start}");
    ensure!(keys(&start) == of(&["command", "streamId", "subscriberId"]), "{start}");

    let sdp = publish_offer(&[
        offered_media("audio", "0", &[offer::OPUS]),
        offered_media("video", "1", &[H264]),
        offered_data("2"),
    ]);
    let question = json!({ "command": "takeConfiguration", "streamId": "s1", "type": "offer", "sdp": sdp });
    socket.send(&question).await?;
    let answer = socket.receive_until(|told| told["command"] == "takeConfiguration").await?;
    ensure!(answer["type"] == "answer" && answer["streamId"] == "s1", "{answer}");
    let expected = of(&["command", "streamId", "type", "sdp", "linkSession", "subscriberId"]);
    // A publisher is told no `idMapping`.
    ensure!(keys(&answer) == expected, "{answer}");
    let media = SdpMedia::read(answer["sdp"].as_str().context("no sdp")?)?;
    let codecs: Vec<_> = media.iter().map(SdpMedia::codec).collect();
    ensure!(codecs == ["opus", "H264", "webrtc-datachannel"], "{answer}");

    // The SDK drops a candidate in which it finds neither `udp` nor `tcp`. They come with the answer or behind it.
    let candidate = match media[0].attribute("candidate") {
        Some(candidate) => format!("candidate:{candidate}"),
        None => {
            let told = socket.receive_until(|told| told["command"] == "takeCandidate").await?;
            ensure!(told["label"] == 0 && told["id"] == "0" && told["streamId"] == "s1", "{told}");
            told["candidate"].as_str().context("no candidate")?.to_owned()
        }
    };
    ensure!(candidate.contains(" udp ") && candidate.ends_with("typ host"), "{candidate}");

    // What AMS does not answer is not answered.
    for (label, text) in [(0, "candidate:1 1 udp 1 192.0.2.1 9 typ host"), (0, "")] {
        let told = json!({ "command": "takeCandidate", "streamId": "s1", "label": label, "id": null, "candidate": text });
        socket.send(&told).await?;
    }
    is_open_after_candidates(&mut socket).await?;
    stops(&mut socket, "s1").await
}

/// Candidates of the node may come before the answer to a ping; nothing else may.
async fn is_open_after_candidates(socket: &mut Signalling) -> Result<()> {
    socket.send(&json!({ "command": "ping" })).await?;
    let told = socket.receive_until(|told| told["command"] != "takeCandidate").await?;
    ensure!(told == json!({ "command": "pong" }), "{told}");
    Ok(())
}

/// What a publisher says of its stream is in the broadcast; nobody else says anything of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_its_stream_is_stored() -> Result<()> {
    let node = Node::start(options()).await?;
    let created = json!({ "streamId": "s1", "name": "planned", "metaData": "planned too" });
    let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &created).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    let shows = async |name: &str, meta_data: &str| {
        let same = |broadcast: &Value| broadcast["name"] == name && broadcast["metaData"] == meta_data;
        node.until_broadcast("LiveApp", "s1", PATIENCE, same).await
    };
    let said = |name: &str, meta_data: &str| {
        let mut message = publish("s1");
        message["streamName"] = json!(name);
        message["metaData"] = json!(meta_data);
        message["token"] = json!("hunter2");
        message
    };
    let mut socket = open(&node).await?;
    let started = json!({ "command": "start", "streamId": "s1" });

    is_told(&mut socket, &said("", ""), started.clone()).await?;
    shows("planned", "planned too").await.context("what is empty says nothing")?;
    stops(&mut socket, "s1").await?;
    is_told(&mut socket, &said("Hall", "{\"seats\":3}"), started.clone()).await?;
    let stored = shows("Hall", "{\"seats\":3}").await?;
    ensure!(!stored.to_string().contains("hunter2"), "{stored}");

    let update = |meta_data: &str| json!({ "command": "updateStreamMetaData", "streamId": "s1", "metaData": meta_data });
    let mut other = open(&node).await?;
    is_told(&mut other, &update("stolen"), error("unauthorized_access", "s1")).await?;
    socket.send(&update("{\"seats\":4}")).await?;
    shows("Hall", "{\"seats\":4}").await?;
    // What the record has no room for changes nothing, and says so.
    let large = "x".repeat(limits::BROADCAST_BYTES_MAX);
    is_told(&mut socket, &update(&large), error("broadcast_too_large", "s1")).await?;
    shows("Hall", "{\"seats\":4}").await?;
    socket.send(&update("")).await?;
    shows("Hall", "").await?;
    stops(&mut socket, "s1").await?;
    is_told(&mut socket, &update("too late"), error("unauthorized_access", "s1")).await?;

    is_told(&mut socket, &said("Hall", &large), error("broadcast_too_large", "s1")).await?;
    is_told(&mut socket, &said("", ""), started).await?;
    shows("Hall", "").await?;
    stops(&mut socket, "s1").await
}
