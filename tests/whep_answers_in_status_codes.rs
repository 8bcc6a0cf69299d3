//! What a WHEP player is answered: when it may not play, when it plays, when it has to come again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, SystemRandomness, limits};
use load_tests::{Identity, Profile, Receiver};
use test_support::http_session::{Asked, FRAGMENT, SDP, begin, check, send, until_gone};
use test_support::{Encoder, Node, NodeOptions, Response};

const PATIENCE: Duration = Duration::from_secs(20);
const VIDEO: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];
const AUDIO: &[&str] = &["-c:a", "aac", "-ar", "48000", "-ac", "2"];
const NONE: &[&str] = &[];
const STREAM: &str = "/LiveApp/whep/live";

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

/// An offer as a browser makes it, whose player takes pictures as this.
fn offer(codec: &str) -> String {
    let digest = ["AB"; 32].join(":");
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\na=ice-pwd:0123456789012345678901\r\n\
         a=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=recvonly\r\na=rtcp-mux\r\n"
    );
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 102\r\n{transport}a=mid:0\r\na=rtpmap:102 {codec}/90000\r\n\
         a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    )
}

async fn publish(node: &Node, video: &[&str], audio: &[&str]) -> Result<Encoder> {
    let encoder = Encoder::start(&node.rtmp_url("LiveApp", "live"), "320x180", video, audio)?;
    // It is there for players once its tracks are known; nobody takes VP8 of it.
    let is_live = async || {
        let asked = send(node, "POST", STREAM, &[SDP], &offer("VP8")).await.ok()?;
        (asked.status != 404).then_some(())
    };
    Node::eventually(PATIENCE, is_live).await.context("it is not live")?;
    Ok(encoder)
}

/// Begins to play; where the play is.
async fn play(node: &Node, body: &str) -> Result<(String, Response)> {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[SDP] };
    begin(node, STREAM, headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_plays() -> Result<()> {
    let node = Node::start(options()).await?;
    let good = offer("H264");
    let length = (limits::SDP_BYTES_MAX + 1).to_string();
    let large = ("Content-Length", length.as_str());
    let many = format!("{good}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(1_000));
    let plain = ("Content-Type", "text/plain");
    let rows: &[Asked<'_>] = &[
        ("an unknown application", 404, "POST", "/NoApp/whep/live", &[SDP], &good),
        ("a stream that nobody publishes", 404, "POST", STREAM, &[SDP], &good),
        ("the same without an offer", 404, "POST", STREAM, &[], ""),
        ("a name that is none", 400, "POST", "/LiveApp/whep/a%20b", &[SDP], &good),
        ("what is no sdp", 400, "POST", STREAM, &[SDP], "hello"),
        ("too many m-lines", 400, "POST", STREAM, &[SDP], &many),
        ("another type", 415, "POST", STREAM, &[plain], &good),
        ("too large a body", 413, "POST", STREAM, &[SDP, large], ""),
        ("a wrong verb", 405, "GET", STREAM, &[], ""),
        ("a wrong verb for a session", 405, "PUT", "/LiveApp/whep/live/x", &[SDP], &good),
        ("a session that never was", 404, "DELETE", "/LiveApp/whep/live/x", &[], ""),
        ("a change of it", 404, "PATCH", "/LiveApp/whep/live/x", &[FRAGMENT], ""),
    ];
    check(&node, rows).await?;
    let asked = send(&node, "OPTIONS", STREAM, &[("Origin", "https://a.example")], "").await?;
    ensure!(asked.status == 204 && asked.header("accept-post") == Some("application/sdp"), "{asked:?}");
    ensure!(asked.header("access-control-expose-headers") == Some("Location, ETag, Link"), "{asked:?}");
    let preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")];
    let asked = send(&node, "OPTIONS", STREAM, &preflight, "").await?;
    ensure!(
        asked.header("access-control-allow-methods").is_some_and(|verbs| verbs.contains("PATCH")),
        "{asked:?}"
    );
    let asked = send(&node, "OPTIONS", "/LiveApp/whep/live/x", &[], "").await?;
    ensure!(asked.header("allow") == Some("PATCH, DELETE, OPTIONS"), "{asked:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_plays_and_after() -> Result<()> {
    let options = options().environment("PENSTOCK_LIMITS_PLAYERS_PER_ADDRESS", "2");
    let node = Node::start(options).await?;
    let encoder = publish(&node, VIDEO, AUDIO).await?;
    let refused = send(&node, "POST", STREAM, &[SDP], &offer("VP8")).await?;
    ensure!(refused.status == 406, "{} {}", refused.status, refused.text());

    let (place, answer) = play(&node, &offer("H264")).await?;
    ensure!(place.starts_with("/LiveApp/whep/live/") && place.len() >= 19 + 22, "{place}");
    let text = answer.text();
    ensure!(
        text.contains("m=video 9 UDP/TLS/RTP/SAVPF 102\r\n") && text.contains("a=setup:passive"),
        "{text}"
    );
    ensure!(answer.header("content-type") == Some("application/sdp"), "{:?}", answer.headers);
    let etag = answer.header("etag").context("no ETag")?;
    let link = answer.header("link").context("the default settings name a STUN server")?;
    ensure!(link == "<stun:stun1.l.google.com:19302>; rel=\"ice-server\"", "{link}");

    let candidate = "a=ice-ufrag:them\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let restart = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\n";
    let (own, other) = (("If-Match", etag), ("If-Match", "\"other\""));
    let elsewhere = place.replace("/live/", "/other/");
    let rows: &[Asked<'_>] = &[
        ("a candidate", 204, "PATCH", &place, &[FRAGMENT, own], candidate),
        ("one without a precondition", 204, "PATCH", &place, &[FRAGMENT], candidate),
        ("one for another session", 412, "PATCH", &place, &[FRAGMENT, other], candidate),
        ("what is no fragment", 400, "PATCH", &place, &[FRAGMENT], "hello"),
        ("a restart of ICE", 422, "PATCH", &place, &[FRAGMENT, ("If-Match", "*")], restart),
        ("an answer to an answer", 409, "PATCH", &place, &[SDP], "v=0\r\n"),
        ("another type", 415, "PATCH", &place, &[], "hello"),
        ("under another stream's name", 404, "DELETE", &elsewhere, &[], ""),
    ];
    check(&node, rows).await?;

    // Without an offer the node makes one, and takes its answer.
    let (second, made) = play(&node, "").await?;
    let identity = Arc::new(Identity::new()?);
    let receiver =
        Receiver::new(&identity, &made.text(), Profile::Gcm, &SystemRandomness, SystemClock.now())?;
    let wrong = send(&node, "PATCH", &second, &[SDP], "v=0\r\n").await?;
    ensure!(wrong.status == 400, "{} {}", wrong.status, wrong.text());
    let taken = send(&node, "PATCH", &second, &[SDP], &receiver.answer()).await?;
    ensure!(taken.status == 204, "{} {}", taken.status, taken.text());
    let restarted = send(&node, "PATCH", &second, &[FRAGMENT], restart).await?;
    ensure!(restarted.status == 422, "{} {}", restarted.status, restarted.text());

    let full = send(&node, "POST", STREAM, &[SDP], &offer("H264")).await?;
    ensure!(full.status == 503 && full.header("retry-after").is_some(), "{} {}", full.status, full.text());

    let ended = send(&node, "DELETE", &place, &[], "").await?;
    ensure!(ended.status == 200, "{} {}", ended.status, ended.text());
    let again = send(&node, "DELETE", &place, &[], "").await?;
    ensure!(again.status == 404, "{} {}", again.status, again.text());
    node.until_metric("penstock_player_ended_total", &["reason=\"finished\""], PATIENCE, |n| n == 1.0)
        .await?;

    // There is room again; and a stream that goes takes its players' sessions along.
    let has_room = async || play(&node, &offer("H264")).await.ok();
    let (third, _) = Node::eventually(PATIENCE, has_room).await.context("there is no room")?;
    let stopped = send(&node, "POST", "/LiveApp/rest/v2/broadcasts/live/stop", &[], "").await?;
    ensure!(stopped.status == 200, "{} {}", stopped.status, stopped.text());
    until_gone(&node, &second, PATIENCE).await?;
    until_gone(&node, &third, PATIENCE).await?;
    drop(encoder);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_gate_says_no() -> Result<()> {
    let options = options().setting("LiveApp", "settings.playTokenControlEnabled", "true");
    let node = Node::start(options).await?;
    let _encoder = publish(&node, VIDEO, NONE).await?;
    let body = offer("H264");
    let asked = send(&node, "POST", STREAM, &[SDP], &body).await?;
    ensure!(asked.status == 401 && asked.header("www-authenticate") == Some("Bearer"), "{asked:?}");
    let bearer = ("Authorization", "Bearer guessed");
    let asked = send(&node, "POST", STREAM, &[SDP, bearer], &body).await?;
    ensure!(asked.status == 403, "{} {}", asked.status, asked.text());
    let asked = send(&node, "POST", &format!("{STREAM}?token=guessed"), &[SDP], &body).await?;
    ensure!(asked.status == 403 && !asked.text().contains("guessed"), "{} {}", asked.status, asked.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_never_connects() -> Result<()> {
    let options = options().setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "1000");
    let node = Node::start(options).await?;
    let _encoder = publish(&node, VIDEO, NONE).await?;
    let (place, _) = play(&node, &offer("H264")).await?;
    node.until_metric("penstock_player_ended_total", &["reason=\"timed out\""], PATIENCE, |n| n == 1.0)
        .await?;
    until_gone(&node, &place, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_stream_is_another_one() -> Result<()> {
    let options = options().setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "60000");
    let node = Node::start(options).await?;
    let first = publish(&node, VIDEO, AUDIO).await?;
    let (place, _) = play(&node, &offer("H264")).await?;
    drop(first);
    let _second = publish(&node, NONE, AUDIO).await?;
    let changed = ["reason=\"codec changed\""];
    node.until_metric("penstock_player_ended_total", &changed, PATIENCE, |n| n == 1.0).await?;
    until_gone(&node, &place, PATIENCE).await
}
