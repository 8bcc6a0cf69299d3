//! What a WHIP publisher is answered: when it may not publish, when it publishes, when it has to come again (RFC 9725; in
//! words as AMS has them).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::limits;
use serde_json::Value;
use test_support::http_session::{FRAGMENT, SDP, begin, check, send, until_gone};
use test_support::offer::{H264, OPUS, SdpMedia, VP8, offered_media, publish_offer};
use test_support::{Encoder, Node, NodeOptions, Response};

const PATIENCE: Duration = Duration::from_secs(20);
const VIDEO: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];
const NONE: &[&str] = &[];
const STREAM: &str = "/LiveApp/whip/live";

/// A setting, AMS's word for what it refuses, and the headers of who is refused.
type Refusal<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

fn offer() -> String {
    publish_offer(&[offered_media("audio", "0", &[OPUS]), offered_media("video", "1", &[H264])])
}

/// Begins to publish; where the session is.
async fn publish(node: &Node, path: &str) -> Result<(String, Response)> {
    begin(node, path, &[SDP], &offer()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_publishes() -> Result<()> {
    let node = Node::start(options()).await?;
    let good = offer();
    let vp8 = publish_offer(&[offered_media("video", "0", &[VP8])]);
    let length = (limits::SDP_BYTES_MAX + 1).to_string();
    let large = ("Content-Length", length.as_str());
    let many = format!("{good}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(1_000));
    let nameless = good.replace("a=ice-ufrag:them\r\n", "");
    let viewer = good.replace("sendonly", "recvonly");
    let plain = ("Content-Type", "text/plain");
    check(
        &node,
        &[
            ("an unknown application", 404, "POST", "/NoApp/whip/live", &[SDP], &good),
            ("a name that is none", 400, "POST", "/LiveApp/whip/a%20b", &[SDP], &good),
            ("no offer", 400, "POST", STREAM, &[SDP], ""),
            ("what is no sdp", 400, "POST", STREAM, &[SDP], "hello"),
            ("too many m-lines", 400, "POST", STREAM, &[SDP], &many),
            ("no ice name", 400, "POST", STREAM, &[SDP], &nameless),
            ("a viewer's offer", 400, "POST", STREAM, &[SDP], &viewer),
            ("nothing that may be published", 406, "POST", STREAM, &[SDP], &vp8),
            ("another type", 415, "POST", STREAM, &[plain], &good),
            ("no type", 415, "POST", STREAM, &[], &good),
            ("too large a body", 413, "POST", STREAM, &[SDP, large], ""),
            ("a wrong verb", 405, "GET", STREAM, &[], ""),
            ("a wrong verb for a session", 405, "PUT", "/LiveApp/whip/live/x", &[SDP], &good),
            ("a session that never was", 404, "DELETE", "/LiveApp/whip/live/x", &[], ""),
            ("a change of it", 404, "PATCH", "/LiveApp/whip/live/x", &[FRAGMENT], ""),
            ("what a page asks first", 204, "OPTIONS", STREAM, &[("Origin", "https://a.example")], ""),
        ],
    )
    .await?;
    let asked = send(&node, "OPTIONS", STREAM, &[("Origin", "https://a.example")], "").await?;
    ensure!(asked.header("accept-post") == Some("application/sdp"), "{asked:?}");
    let exposed = asked.header("access-control-expose-headers").unwrap_or_default().to_owned();
    let preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PATCH")];
    let asked = send(&node, "OPTIONS", STREAM, &preflight, "").await?;
    let verbs = asked.header("access-control-allow-methods").unwrap_or_default();
    ensure!(verbs.contains("POST"), "{asked:?}");
    ensure!(["Location", "ETag", "Link"].iter().all(|name| exposed.contains(name)), "{asked:?}");
    let wrong = send(&node, "GET", STREAM, &[], "").await?;
    ensure!(wrong.header("allow").is_some_and(|verbs| verbs.contains("POST")), "{wrong:?}");
    // Who was refused for what it offers was let in before; it is gone as soon as its stream has noticed.
    node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0).await?;
    node.until_broadcast("LiveApp", "live", PATIENCE, Value::is_null).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_publishes_and_after() -> Result<()> {
    let node = Node::start(options()).await?;
    // A query has no place in the session's address, whatever AMS does.
    let (place, answer) = publish(&node, &format!("{STREAM}?video=true&audio=true")).await?;
    ensure!(place.starts_with("/LiveApp/whip/live/") && !place.contains('?'), "{place}");
    ensure!(place.len() >= 19 + 22, "its name can be guessed: {place}");
    ensure!(answer.header("content-type") == Some("application/sdp"), "{:?}", answer.headers);
    let etag = answer.header("etag").context("no ETag")?;
    let link = answer.header("link").context("the default settings name a STUN server")?;
    ensure!(link == "<stun:stun1.l.google.com:19302>; rel=\"ice-server\"", "{link}");
    let media = SdpMedia::read(&answer.text())?;
    let codecs: Vec<_> = media.iter().map(SdpMedia::codec).collect();
    ensure!(codecs == ["opus", "H264"], "{}", answer.text());
    // Nothing can be told afterwards: the answer has its candidates.
    ensure!(media[0].attribute("candidate").is_some_and(|text| text.contains(" udp ")), "{}", answer.text());

    let good = offer();
    let candidate = "a=ice-ufrag:them\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let restart = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\n";
    let (own, other) = (("If-Match", etag), ("If-Match", "\"other\""));
    let elsewhere = place.replace("/live/", "/other/");
    check(
        &node,
        &[
            ("another publisher of the stream", 403, "POST", STREAM, &[SDP], &good),
            ("a candidate", 204, "PATCH", &place, &[FRAGMENT, own], candidate),
            ("one without a precondition", 204, "PATCH", &place, &[FRAGMENT], candidate),
            ("one for another session", 412, "PATCH", &place, &[FRAGMENT, other], candidate),
            ("what is no fragment", 400, "PATCH", &place, &[FRAGMENT], "hello"),
            ("a restart of ICE", 200, "PATCH", &place, &[FRAGMENT, ("If-Match", "*")], restart),
            ("a candidate for the session before", 412, "PATCH", &place, &[FRAGMENT, own], candidate),
            ("one for the new one", 204, "PATCH", &place, &[FRAGMENT], "a=ice-ufrag:other\r\n"),
            ("another type", 415, "PATCH", &place, &[], "hello"),
            ("a wrong verb", 405, "GET", &place, &[], ""),
            ("under another stream's name", 404, "DELETE", &elsewhere, &[], ""),
            ("the end", 200, "DELETE", &place, &[], ""),
            ("once more", 404, "DELETE", &place, &[], ""),
        ],
    )
    .await?;
    node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0).await?;
    // The stream is free again at once.
    let is_free = async || publish(&node, STREAM).await.ok();
    let (second, _) = Node::eventually(PATIENCE, is_free).await.context("the stream stays taken")?;
    let stopped = send(&node, "POST", "/LiveApp/rest/v2/broadcasts/live/stop", &[], "").await?;
    ensure!(stopped.status == 200, "{} {}", stopped.status, stopped.text());
    until_gone(&node, &second, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_gate_says_no() -> Result<()> {
    let bearer = ("Authorization", "bearer guessed");
    let raw = ("Authorization", "guessed");
    let rows: &[Refusal<'_>] = &[
        (
            "nobody created it",
            "settings.acceptOnlyStreamsInDataStore",
            "not_allowed_unregistered_streams",
            &[SDP],
        ),
        ("a wrong token", "settings.publishTokenControlEnabled", "unauthorized_access", &[SDP, bearer]),
        (
            "the same as AMS takes it",
            "settings.publishTokenControlEnabled",
            "unauthorized_access",
            &[SDP, raw],
        ),
    ];
    for (name, setting, definition, headers) in rows {
        let node = Node::start(options().setting("LiveApp", setting, "true")).await?;
        let asked = send(&node, "POST", STREAM, headers, &offer()).await?;
        ensure!(asked.status == 403, "{name}: {} {}", asked.status, asked.text());
        // Who does not read JSON finds AMS's word in it all the same.
        let message = asked.json()["message"].as_str().unwrap_or_default().to_owned();
        ensure!(message.starts_with(definition) && !message.contains("guessed"), "{name}: {message}");
        ensure!(node.metric("penstock_publishers", &[]).await? == 0.0, "{name}");
    }
    Ok(())
}

/// Who publishes by another protocol is there as well.
#[tokio::test(flavor = "multi_thread")]
async fn when_an_encoder_was_first() -> Result<()> {
    let node = Node::start(options()).await?;
    let _encoder = Encoder::start(&node.rtmp_url("LiveApp", "live"), "320x180", VIDEO, NONE)?;
    let live = |broadcast: &Value| broadcast["status"] == "broadcasting";
    node.until_broadcast("LiveApp", "live", PATIENCE, live).await?;
    let asked = send(&node, "POST", STREAM, &[SDP], &offer()).await?;
    ensure!(
        asked.status == 403 && asked.text().contains("streamIdInUse"),
        "{} {}",
        asked.status,
        asked.text()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_never_connects() -> Result<()> {
    let options = options().setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "1000");
    let node = Node::start(options).await?;
    node.create_broadcast("LiveApp", "live").await?;
    let (place, _) = publish(&node, STREAM).await?;
    let timed_out = ["reason=\"timed out\""];
    node.until_metric("penstock_publisher_ended_total", &timed_out, PATIENCE, |ended| ended == 1.0).await?;
    until_gone(&node, &place, PATIENCE).await?;
    let over = |broadcast: &Value| broadcast["status"] != "broadcasting";
    node.until_broadcast("LiveApp", "live", PATIENCE, over).await?;
    Ok(())
}

/// The stream's name and what is said of it are stored; what lets somebody in is not.
#[tokio::test(flavor = "multi_thread")]
async fn when_it_says_something_of_its_stream() -> Result<()> {
    let node = Node::start(options()).await?;
    let said = "streamName=Hall%203&metaData=%7B%22seats%22%3A3%7D&token=hunter2&subscriberCode=hunter3";
    publish(&node, &format!("{STREAM}?{said}")).await?;
    let named = |broadcast: &Value| broadcast["name"] == "Hall 3" && broadcast["metaData"] == "{\"seats\":3}";
    let stored = node.until_broadcast("LiveApp", "live", PATIENCE, named).await?;
    ensure!(!stored.to_string().contains("hunter"), "{stored}");
    // A character of six bytes in the record's JSON: the request is taken, the record is too large.
    let long = format!("/LiveApp/whip/long?metaData={}", "%01".repeat(limits::BROADCAST_BYTES_MAX / 6));
    let asked = send(&node, "POST", &long, &[SDP], &offer()).await?;
    ensure!(
        asked.status == 400 && asked.text().contains("broadcast_too_large"),
        "{} {}",
        asked.status,
        asked.text()
    );
    Ok(())
}
