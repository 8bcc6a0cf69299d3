//! A conversation as Ant Media Server is known to answer holds word by word; what REST shows of a live stream is
//! what the stream is doing in this second; a stop ends it before it is answered. Bodies without end are refused, and so
//! are other machines.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::limits::{HTTP_BODY_WAIT_MAX, HTTP_IDLE_MAX, REST_BODY_BYTES_MAX};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use test_support::{Marker, MarkerError, MarkerOptions, Node, NodeOptions, Signalling, note, skipped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

const PATIENCE: Duration = Duration::from_secs(15);
/// Statistics are true each second: what happened is shown this soon.
const SHOWN_WITHIN: Duration = Duration::from_millis(1_500);
/// How early and how late a limit may act on a loaded machine.
const EARLY_MAX: Duration = Duration::from_millis(500);
const LATE_MAX: Duration = Duration::from_secs(3);

async fn start() -> Result<Node> {
    Ok(Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?)
}

/// Sends a request as it stands, in pieces of 64 KiB, and reads the answer meanwhile: status, content type
/// and body.
async fn exchange(node: &Node, head: &str, body: &[u8]) -> Result<(u16, String, String)> {
    let host = node.endpoints().http.strip_prefix("http://").context("no http address")?.to_owned();
    let head = format!("{head}\r\nHost: {host}\r\nConnection: close\r\n");
    let (mut read, mut write) = TcpStream::connect(&host).await?.into_split();
    let body = body.to_vec();
    let sending = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await?;
        for piece in body.chunks(64 * 1024) {
            write.write_all(piece).await?;
        }
        std::io::Result::Ok(write)
    });
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, read.read_to_end(&mut answer)).await.context("no answer")?;
    // Who is refused in the middle of a body may find the connection closed: the answer came all the same.
    let broke_off = sending.await?.is_err() || ended.is_err();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("{broke_off} {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    Ok((status, kind.to_owned(), body.to_owned()))
}

/// What differs from run to run.
fn levelled(text: &str, host: &str) -> String {
    let mut level = text.replace(host, "HOST");
    for key in ["date", "updateTime", "startTime"] {
        let mark = format!("\"{key}\":");
        if let Some((before, after)) = level.split_once(&mark) {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            level = format!("{before}{mark}0{rest}");
        }
    }
    level
}

/// `schemas/golden/rest_conversation.txt`: a line with `>` asks, the line after it is status, content type
/// and body of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_conversation_holds_word_by_word() -> Result<()> {
    let node = start().await?;
    let liveness = node.get("/rest/v2/liveness").await?.json();
    let host = liveness["host"].as_str().context("no host")?.to_owned();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/golden/rest_conversation.txt");
    let recorded = std::fs::read_to_string(path)?;
    let mut said = String::new();
    for line in recorded.lines() {
        let Some(request) = line.strip_prefix("> ") else {
            if line.starts_with('#') || line.is_empty() {
                said += &format!("{line}\n");
            }
            continue;
        };
        let (verb, rest) = request.split_once(' ').context("no verb")?;
        let (target, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let target = if target.starts_with("/rest/") {
            target.to_owned()
        } else {
            format!("/LiveApp/rest/v2{target}")
        };
        let mut head = format!("{verb} {target} HTTP/1.1");
        if !body.is_empty() {
            head += &format!("\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        } else if verb != "GET" {
            head += "\r\nContent-Length: 0";
        }
        let (status, kind, answer) = exchange(&node, &head, format!("\r\n{body}").as_bytes()).await?;
        said += &format!("{line}\n{status} {kind} {}\n", levelled(&answer, &host));
    }
    if std::env::var_os("PENSTOCK_BLESS").is_some() {
        std::fs::write(path, &said)?;
        return Ok(());
    }
    for (recorded, said) in recorded.lines().zip(said.lines()) {
        ensure!(recorded == said, "\nrecorded {recorded}\nsaid     {said}");
    }
    ensure!(recorded.lines().count() == said.lines().count(), "the conversation ended early");
    Ok(())
}

async fn until(node: &Node, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    node.until_broadcast("LiveApp", id, PATIENCE, wanted).await.with_context(|| what.to_owned())
}

/// The encoder found its connection closed, and did not have to be killed.
fn noticed(encoder: Marker) -> Result<()> {
    let ended = encoder.finish(PATIENCE);
    ensure!(matches!(ended, Err(MarkerError::Encoder { status: Some(_), .. })), "the encoder: {ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_true_each_second() -> Result<()> {
    let node = start().await?;
    let create = json!({ "streamId": "live", "name": "n" });
    ensure!(node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &create).await?.status == 200);
    let options = MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "live"));
    let (width, height) = (options.width, options.height);
    let marker = Marker::start(options)?;
    let size = |b: &Value| b["width"] == json!(width) && b["height"] == json!(height);
    until(&node, "live", "its size", |b| b["status"] == "broadcasting" && size(b)).await?;
    let before = until(&node, "live", "its rate", |b| b["bitrate"].as_i64() > Some(0)).await?;
    ensure!(before["publishType"] == "RTMP" && before["remoteIp"] == "127.0.0.1", "{before}");
    ensure!(before["userAgent"].as_str().is_some_and(|agent| agent != "N/A"), "{before}");

    // Over five seconds every figure goes on, once a second.
    let mut last = before.clone();
    let began = SystemClock.now();
    for second in 1..=5 {
        // What each second shows is asked in each second.
        sleep_until((began + Duration::from_secs(second)).into()).await;
        let now = node.broadcast("LiveApp", "live").await?;
        for key in ["updateTime", "duration", "receivedBytes"] {
            ensure!(now[key].as_i64() > last[key].as_i64(), "{key} stands still: {} {}", last[key], now[key]);
        }
        last = now;
    }
    let growth = |key: &str| -> Result<f64> {
        Ok(last[key].as_f64().context("no number")? - before[key].as_f64().context("no number")?)
    };
    let measured = growth("receivedBytes")? * 8_000.0 / growth("duration")?;
    let told = last["bitrate"].as_f64().context("no bitrate")?;
    let speed = last["speed"].as_f64().context("no speed")?;
    note(&format!("bitrate {told} told, {measured} measured from outside, speed {speed}"));
    ensure!((told / measured - 1.0).abs() < 0.25, "{told} told, {measured} measured");
    ensure!((0.8..1.2).contains(&speed), "a live source has speed {speed}");

    // A viewer is counted as it comes and as it goes.
    let watchers = "/LiveApp/rest/v2/broadcasts/live/broadcast-statistics";
    let counted = |viewers: i64| node_counts(&node, watchers, viewers);
    let mut viewer = Signalling::open(&node.signalling_url("LiveApp")).await?;
    viewer.send(&json!({ "command": "play", "streamId": "live" })).await?;
    viewer.receive_until(|message| message["command"] == "takeConfiguration").await?;
    counted(1).await.context("a viewer came")?;
    let total = node.get("/LiveApp/rest/v2/broadcasts/total-broadcast-statistics").await?.json();
    ensure!(total["totalWebRTCWatchersCount"] == 1 && total["activeLiveStreamCount"] == 1, "{total}");
    let list = node.get("/LiveApp/rest/v2/broadcasts/list/0/5").await?.json();
    ensure!(list[0]["webRTCViewerCount"] == 1 && list[0]["anyoneWatching"] == true, "{list}");
    viewer.send(&json!({ "command": "stop", "streamId": "live" })).await?;
    counted(0).await.context("a viewer left")?;

    let info = node.get("/LiveApp/rest/v2/broadcasts/live/stream-info").await?.json();
    ensure!(info[0]["videoWidth"] == width && info[0]["videoHeight"] == height, "{info}");
    ensure!(info[0]["videoCodec"] == "h264", "{info}");
    ensure!(info[0]["videoBitrate"].as_i64() > info[0]["audioBitrate"].as_i64(), "{info}");
    ensure!(info[0]["audioBitrate"].as_i64() > Some(0), "{info}");

    marker.stop()?;
    let over = until(&node, "live", "its end", |b| b["status"] == "finished").await?;
    ensure!(size(&over) && over["duration"].as_i64() > Some(0), "the figures stay: {over}");
    let info = node.get("/LiveApp/rest/v2/broadcasts/live/stream-info").await?.json();
    ensure!(info == json!([]), "{info}");
    Ok(())
}

async fn node_counts(node: &Node, path: &str, viewers: i64) -> Result<()> {
    let count = Node::eventually(SHOWN_WITHIN, || async {
        let counts = node.get(path).await.ok()?.json();
        (counts["totalWebRTCWatchersCount"] == viewers).then_some(())
    });
    count.await.with_context(|| format!("{viewers} viewers were not counted within {SHOWN_WITHIN:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_publisher_and_tells_the_players() -> Result<()> {
    let node = start().await?;
    let stop = "/LiveApp/rest/v2/broadcasts/live/stop";
    let succeeds = |verb: &'static str, path: &'static str| {
        let node = &node;
        async move { Ok::<_, anyhow::Error>(node.send(verb, path, &Value::Null).await?.json()["success"] == true) }
    };
    node.create_broadcast("LiveApp", "live").await?;
    ensure!(!succeeds("POST", stop).await?, "nothing was running");
    let stopped = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "live")))?;
    until(&node, "live", "its begin", |b| b["width"].as_i64() > Some(0)).await?;
    let mut viewer = Signalling::open(&node.signalling_url("LiveApp")).await?;
    viewer.send(&json!({ "command": "play", "streamId": "live" })).await?;
    viewer.receive_until(|message| message["command"] == "takeConfiguration").await?;

    ensure!(succeeds("POST", stop).await?, "it was running");
    let now = node.broadcast("LiveApp", "live").await?;
    ensure!(now["status"] == "finished", "once it is answered it is so: {now}");
    ensure!(!succeeds("POST", stop).await?, "it was running no longer");
    viewer.receive_until(|message| message["definition"] == "play_finished").await?;
    noticed(stopped)?;
    ensure!(node.metric("penstock_publisher_ended_total", &["reason=\"kicked\""]).await? == 1.0);

    // A stream nobody registered is gone with its delete.
    let passing = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "passing")))?;
    until(&node, "passing", "its begin", |b| b["zombi"] == true).await?;
    let answer = node.send("DELETE", "/LiveApp/rest/v2/broadcasts/passing", &Value::Null).await?.json();
    ensure!(answer["message"] == "broadcast is deleted and stopped successfully", "{answer}");
    ensure!(node.get("/LiveApp/rest/v2/broadcasts/passing").await?.status == 404);
    noticed(passing)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_are_refused_at_the_limit() -> Result<()> {
    const HUGE: usize = 20 * 1024 * 1024;
    let node = start().await?;
    let ask = "POST /LiveApp/rest/v2/broadcasts/create HTTP/1.1\r\nContent-Type: application/json\r\n";
    let refused = r#"{"success":false,"message":"Payload Too Large","dataId":"","errorId":0}"#;
    let name = format!("{{\"name\":\"{}\"}}", "x".repeat(HUGE));
    let announced = format!("\r\n{name}");
    let head = format!("{ask}Content-Length: {}", name.len());
    let answer = exchange(&node, &head, announced.as_bytes()).await?;
    ensure!(answer == (413, "application/json".into(), refused.into()), "announced: {answer:?}");
    // Nobody knows how long this one becomes.
    let mut unannounced = b"\r\n".to_vec();
    for _ in 0..HUGE / 65_536 {
        unannounced.extend_from_slice(b"10000\r\n");
        unannounced.extend_from_slice(&[b' '; 65_536]);
        unannounced.extend_from_slice(b"\r\n");
    }
    let answer = exchange(&node, &format!("{ask}Transfer-Encoding: chunked"), &unannounced).await?;
    ensure!(answer == (413, "application/json".into(), refused.into()), "unannounced: {answer:?}");
    // Nor is a body taken where none belongs.
    for path in ["/LiveApp/rest/v2/broadcasts/count", "/livez", "/readyz", "/metrics"] {
        let head = format!("GET {path} HTTP/1.1\r\nTransfer-Encoding: chunked");
        // One piece, and more would follow: the answer is the end of the connection.
        let began = SystemClock.now();
        let (status, ..) = exchange(&node, &head, b"\r\n1\r\n \r\n").await.context(path)?;
        let took = SystemClock.now() - began;
        ensure!(status == 200 && took < HTTP_IDLE_MAX / 2, "{path} {status} after {took:?}");
    }
    // The largest one that is read is too much for a record.
    let name = format!("\r\n{{\"name\":\"{}\"}}", "x".repeat(REST_BODY_BYTES_MAX - 11));
    let head = format!("{ask}Content-Length: {}", name.len() - 2);
    let (status, _, text) = exchange(&node, &head, name.as_bytes()).await?;
    ensure!(status == 400 && text.contains("the record is too large"), "{status} {text}");
    // Who sends nothing more is not waited for.
    let began = SystemClock.now();
    let (status, ..) = exchange(&node, &format!("{ask}Content-Length: 100"), b"\r\n{").await?;
    let took = SystemClock.now() - began;
    let in_time = took + EARLY_MAX >= HTTP_BODY_WAIT_MAX && took <= HTTP_BODY_WAIT_MAX + LATE_MAX;
    ensure!(status == 408 && in_time, "{status} after {took:?}");
    ensure!(node.get("/LiveApp/rest/v2/broadcasts/count").await?.json() == json!({ "number": 0 }));
    Ok(())
}

/// The machine asks itself by an address other machines could use, too: REST is closed, liveness is not.
#[tokio::test(flavor = "multi_thread")]
async fn rest_answers_the_machine_itself_only() -> Result<()> {
    let node = start().await?;
    // Sends nothing; the kernel chooses the address it would send from.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let address =
        socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|address| address.ip());
    let Ok(address) = address else {
        skipped("rest_answers_the_machine_itself_only", "the machine has no address but loopback");
        return Ok(());
    };
    let port = node.endpoints().http.rsplit_once(':').context("no port")?.1;
    let url = |path: &str| format!("http://{address}:{port}{path}");
    for path in [
        "/rest/v2/version",
        "/LiveApp/rest/v2/broadcasts/count",
        "/LiveApp/rest/v2/nothing",
        "/rest/v2/openapi.json",
    ] {
        let answer = test_support::request("GET", &url(path), None).await?;
        // An application's REST looks at the address, the node's at who has logged in (AMS).
        let why = if path.starts_with("/LiveApp") { "Not allowed IP" } else { "Not authenticated user" };
        ensure!(answer.status == 403 && answer.json()["message"] == why, "{path} {}", answer.text());
        ensure!(node.get(path).await?.status != 403, "{path}");
    }
    let answer = test_support::request("GET", &url("/rest/v2/liveness"), None).await?;
    ensure!(answer.status == 200 && answer.json()["status"] == "ok", "{}", answer.text());
    Ok(())
}
