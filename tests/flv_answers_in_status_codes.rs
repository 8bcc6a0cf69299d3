//! What a player by HTTP is answered: when it may not play, when there is nothing, and how what ends it ends its body; and
//! what is told of it.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use test_support::{Encoder, Node, NodeOptions, Streaming, note};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(1);
const WINDOW: u32 = 256 * 1024;
const VIDEO: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];
const AUDIO: &[&str] = &["-c:a", "aac", "-ar", "48000", "-ac", "2"];

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

async fn publish(node: &Node, stream: &str) -> Result<Encoder> {
    let encoder = Encoder::start(&node.rtmp_url("LiveApp", stream), "320x180", VIDEO, AUDIO)?;
    let url = node.http_url(&format!("/LiveApp/live/{stream}.flv"));
    let is_live = async || Streaming::get(&url, WINDOW).await.ok();
    Node::eventually(PATIENCE, is_live).await.context("it is not live")?;
    Ok(encoder)
}

/// Verb, path, status, message.
type Row<'a> = (&'a str, &'a str, u16, &'a str);

async fn check(node: &Node, rows: &[Row<'_>]) -> Result<()> {
    for (verb, path, status, message) in rows {
        let answer = test_support::request(verb, &node.http_url(path), None).await?;
        let said = answer.json();
        ensure!(answer.status == *status, "{verb} {path}: {} {}", answer.status, answer.text());
        if !message.is_empty() {
            ensure!(said["success"] == false && said["message"] == *message, "{verb} {path}: {said}");
        }
        ensure!(
            answer.header("referrer-policy") == Some("no-referrer"),
            "{verb} {path}: {:?}",
            answer.headers
        );
    }
    Ok(())
}

const NO_APP: &str = "there is no such application on this server";
const NO_ID: &str = "Cannot specified the stream id from the url";
const NOT_LIVE: &str = "nobody publishes this stream: try again when it is live";
const WRONG_VERB: &str = "Invalid Request Type";

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_asked_for() -> Result<()> {
    let node = Node::start(options()).await?;
    check(
        &node,
        &[
            ("GET", "/LiveApp/live/stream1.flv", 404, NOT_LIVE),
            ("GET", "/LiveApp/live/stream1.flv?token=any&subscriberId=a&subscriberCode=1", 404, NOT_LIVE),
            ("GET", "/NoApp/live/stream1.flv", 404, NO_APP),
            ("GET", "/liveapp/live/stream1.flv", 404, NO_APP),
            ("GET", "/LiveApp/live/str%20eam.flv", 403, NO_ID),
            ("GET", "/LiveApp/live/..%2fstream1.flv", 403, NO_ID),
            ("POST", "/LiveApp/live/stream1.flv", 403, WRONG_VERB),
            ("PUT", "/LiveApp/live/stream1.flv", 403, WRONG_VERB),
            ("DELETE", "/LiveApp/live/stream1.flv", 403, WRONG_VERB),
            ("OPTIONS", "/LiveApp/live/stream1.flv", 204, ""),
            ("GET", "/LiveApp/streams/stream1.m3u8", 404, "Not Found"),
            ("GET", "/LiveApp/streams/x.txt", 404, "Not Found"),
            ("GET", "/LiveApp/streams/", 404, "Not Found"),
            ("POST", "/LiveApp/streams/stream1.m3u8", 403, WRONG_VERB),
            ("DELETE", "/LiveApp/streams/stream1.mp4", 403, WRONG_VERB),
            ("OPTIONS", "/LiveApp/streams/stream1.m3u8", 204, ""),
            ("GET", "/NoApp/streams/stream1.m3u8", 404, NO_APP),
        ],
    )
    .await
}

/// The whole answer to a `HEAD`.
async fn head(node: &Node, path: &str) -> Result<String> {
    let host = node.endpoints().http.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await?;
    let asked = format!("HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_the_head_is_asked_for() -> Result<()> {
    let node =
        Node::start(options().setting("WebRTCAppEE", "settings.playTokenControlEnabled", "true")).await?;
    for (path, status) in [
        ("/LiveApp/streams/stream1.m3u8", 404),
        ("/WebRTCAppEE/streams/stream1.m3u8", 403),
        ("/LiveApp/live/stream1.flv", 405),
    ] {
        let answer = head(&node, path).await?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        ensure!(answer.ends_with("\r\n\r\n"), "{path} has a body: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_token_is_asked_for() -> Result<()> {
    let node = Node::start(options().setting("LiveApp", "settings.playTokenControlEnabled", "true")).await?;
    for path in [
        "/LiveApp/live/stream1.flv",
        "/LiveApp/live/stream1.flv?token=",
        "/LiveApp/live/stream1.flv?token=wrong",
        "/LiveApp/streams/stream1.m3u8",
        "/LiveApp/streams/stream1_adaptive.m3u8?token=wrong",
        "/LiveApp/streams/stream1.mp4?token=wrong",
        "/LiveApp/streams/stream1/stream1.mpd",
    ] {
        let answer = node.get(path).await?;
        ensure!(answer.status == 403 && answer.json()["success"] == false, "{path}: {}", answer.text());
    }
    check(
        &node,
        &[
            ("GET", "/LiveApp/streams/x.txt", 403, NO_ID),
            ("GET", "/LiveApp/streams/", 403, NO_ID),
            ("OPTIONS", "/LiveApp/streams/stream1.m3u8", 204, ""),
            ("GET", "/WebRTCAppEE/live/stream1.flv", 404, NOT_LIVE),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_the_stream_ends_the_body_at_once() -> Result<()> {
    let node = Node::start(options()).await?;
    let _encoder = publish(&node, "stopped").await?;
    let mut player = Streaming::get(&node.http_url("/LiveApp/live/stopped.flv"), WINDOW).await?;
    let (_, ended) = player.read_for(Duration::from_secs(1)).await;
    ensure!(ended.is_none(), "{ended:?}");
    let stop = node.http_url("/LiveApp/rest/v2/broadcasts/stopped/stop");
    let stopping = tokio::spawn(async move {
        let answer = test_support::request("POST", &stop, None).await;
        (answer, SystemClock.now())
    });
    let (_, ended) = player.read_for(PATIENCE).await;
    let ended_at = SystemClock.now();
    let (stopped, answered_at) = stopping.await?;
    let stopped = stopped?;
    ensure!(stopped.json()["success"] == true, "{}", stopped.text());
    let late = ended_at.saturating_duration_since(answered_at);
    ensure!(matches!(ended, Some(Ok(()))), "a stream that was stopped comes to a clean end: {ended:?}");
    ensure!(late < END_MAX, "it ended {late:?} after the answer");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_codec_ends_it_by_that_name() -> Result<()> {
    let node = Node::start(options()).await?;
    let encoder = publish(&node, "changing").await?;
    let mut player = Streaming::get(&node.http_url("/LiveApp/live/changing.flv"), WINDOW).await?;
    let _begun = player.read_for(Duration::from_millis(500)).await;
    drop(encoder);
    // The one that takes over has no sound.
    let _encoder = Encoder::start(&node.rtmp_url("LiveApp", "changing"), "320x180", VIDEO, &[])?;
    let (_, ended) = player.read_for(PATIENCE).await;
    let cut = ended.context("it goes on")?.err().map(|error| error.kind());
    ensure!(matches!(cut, Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)), "{cut:?}");
    node.until_metric("penstock_player_ended_total", &["reason=\"codec changed\""], PATIENCE, |ended| {
        ended == 1.0
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_codecs_with_other_parameters_go_on_in_the_same_body() -> Result<()> {
    let node = Node::start(options()).await?;
    let encoder = publish(&node, "taken").await?;
    let mut player = Streaming::get(&node.http_url("/LiveApp/live/taken.flv"), WINDOW).await?;
    let (mut whole, _) = player.read_for(Duration::from_secs(1)).await;
    drop(encoder);
    let _encoder = Encoder::start(&node.rtmp_url("LiveApp", "taken"), "640x360", VIDEO, AUDIO)?;
    let (rest, ended) = player.read_for(Duration::from_secs(5)).await;
    ensure!(ended.is_none(), "{ended:?}");
    whole.extend(rest);
    let file = bytes::Bytes::from(whole);
    let mut sizes = Vec::new();
    let mut last = 0;
    for (header, body) in container::flv::tags(&file) {
        ensure!(
            header.kind.is_none() || header.millis + 100 > last,
            "time goes back from {last} to {}",
            header.millis
        );
        last = last.max(header.millis);
        let Ok(tag) = container::flv::VideoTag::parse(&body) else { continue };
        if header.kind == Some(media::Kind::Video)
            && let container::flv::VideoBody::SequenceHeader(_, record) = tag.body
        {
            let (config, _) = media::h264::H264Config::from_avcc(&record)?;
            sizes.push((config.width, config.height));
        }
    }
    ensure!(sizes == [(320, 180), (640, 360)], "{sizes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_session_is_told_of_as_any_other() -> Result<()> {
    let node = Node::start(options()).await?;
    let _encoder = publish(&node, "told").await?;
    let url = node.http_url("/LiveApp/live/told.flv?subscriberId=alice&token=canary");
    let mut player = Streaming::get(&url, WINDOW).await?;
    let _watched = player.read_for(Duration::from_secs(2)).await;
    let counted =
        node.until_metric("penstock_players", &["protocol=\"flv\""], PATIENCE, |now| now == 1.0).await;
    counted?;
    drop(player);
    node.until_metric("penstock_player_ended_total", &["reason=\"peer closed\""], PATIENCE, |ended| {
        ended >= 1.0
    })
    .await?;
    let path = "/LiveApp/rest/v2/broadcasts/told/connection-events/0/10?subscriberId=alice";
    let both = async || {
        let events = node.get(path).await.ok()?.json();
        (events.as_array().is_some_and(|events| events.len() == 2)).then_some(events)
    };
    let events = Node::eventually(PATIENCE, both).await;
    let events = match events {
        Some(events) => events,
        None => anyhow::bail!("{}", node.get(path).await?.text()),
    };
    note(&format!("{events}"));
    ensure!(events[0]["eventProtocol"] == "flv", "{events}");
    ensure!(node.log_lines().iter().all(|line| !line.contains("canary")), "the token is in the log");
    Ok(())
}
