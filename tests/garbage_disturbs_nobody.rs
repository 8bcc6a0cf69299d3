//! While a stream is published and watched, strangers send garbage to every door: their connections end
//! with a reason that is counted, and the stream loses no frame.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use test_support::rtmp_client::{amf, command, header, hello, message};
use test_support::{
    Browser, Load, Marker, MarkerOptions, Node, NodeOptions, RtmpClient, Signalling, SignallingError, Turn,
    note,
};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
/// The signalling message limit of AMS.
const MESSAGE_BYTES_MAX: usize = 81_920;

/// The same garbage in every run.
struct Noise(u64);

impl Noise {
    /// Bytes of Marsaglia's xorshift.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                self.0.to_le_bytes()[3]
            })
            .collect()
    }
}

/// What is sent after a whole handshake, by name.
fn after_the_handshake(noise: &mut Noise) -> Vec<(&'static str, Vec<u8>)> {
    let connect = |value: Vec<u8>| command(0, &[amf::string("connect"), amf::number(1.0), value]);
    let deep = [[3, 0, 1, b'a'].repeat(20_000), vec![5], [0, 0, 9].repeat(20_000)].concat();
    let mut open_everywhere = Vec::new();
    for stream in 3..64 {
        open_everywhere.extend(header(stream, 9, 1, 0x00ff_ffff));
        open_everywhere.extend([0; 128]);
    }
    for _ in 0..2_000 {
        for stream in 3..64u8 {
            open_everywhere.push(0xc0 | stream);
            open_everywhere.extend([0; 128]);
        }
    }
    vec![
        ("random bytes", noise.bytes(300_000)),
        ("an object nested 20,000 deep", connect(deep)),
        ("a long string of 4 GiB", connect(vec![0x0c, 0xff, 0xff, 0xff, 0xff, b'x'])),
        ("an array of 4 billion", connect(vec![0x0a, 0xff, 0xff, 0xff, 0xff, 5])),
        ("an associative array of 4 billion", connect(vec![0x08, 0xff, 0xff, 0xff, 0xff, 0, 1, b'a', 5])),
        ("an unknown AMF type", connect(vec![0x7f; 64])),
        ("a command that ends in the middle of a string", command(0, &[vec![2, 0xff, 0xff, b'c']])),
        (
            "a message of 16 MiB before connect",
            [header(3, 20, 0, 0x00ff_ffff), noise.bytes(4_000_000)].concat(),
        ),
        ("61 chunk streams with unfinished messages", open_everywhere),
        ("a chunk size of 0", message(2, 1, 0, &[0; 4])),
        ("a chunk size of 4 GiB", message(2, 1, 0, &[0xff; 4])),
        ("media before connect", message(4, 9, 1, &noise.bytes(100_000)).repeat(4)),
        (
            "commands without end",
            command(0, &[amf::string("releaseStream"), amf::number(1.0), amf::null()]).repeat(5_000),
        ),
    ]
}

/// Everybody whose bytes come before or instead of a handshake.
fn before_the_handshake(noise: &mut Noise) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("another protocol", b"GET / HTTP/1.1\r\nHost: penstock\r\n\r\n".repeat(100)),
        ("random bytes", noise.bytes(100_000)),
        ("half a handshake", hello()[..700].to_vec()),
        ("one byte", vec![3]),
        ("nothing", Vec::new()),
    ]
}

/// Sends and then waits for the server to close.
async fn is_shown_the_door(node: &Node, name: &str, bytes: &[u8], handshake: bool) -> Result<()> {
    let mut stranger = RtmpClient::connect(node.rtmp_address()).await?;
    if handshake {
        stranger.handshake().await.with_context(|| format!("{name}: handshake"))?;
    }
    // The server may close before everything is sent: that is what it should do.
    let _ =
        timeout(PATIENCE, stranger.send(bytes)).await.with_context(|| format!("{name}: it does not read"))?;
    ensure!(stranger.await_end().await.closed, "{name}: the connection stayed open");
    Ok(())
}

/// A byte every 50 ms: each comes in time, the handshake as a whole does not.
async fn slow_sender(node: &Node) -> Result<()> {
    let mut stranger = RtmpClient::connect(node.rtmp_address()).await?;
    let drip = async {
        for byte in hello() {
            if stranger.send(&[byte]).await.is_err() {
                break;
            }
            // The slowness is the attack.
            sleep(Duration::from_millis(50)).await;
        }
    };
    // 77 s to send it all, 5 s are allowed; the close shows at one of the next bytes.
    timeout(PATIENCE, drip).await.context("a slow sender was kept")
}

async fn attack_rtmp(node: &Node, noise: &mut Noise) -> Result<()> {
    // Every reason but those of a peer that left of its own will.
    let ended = || async {
        let name = "penstock_rtmp_connections_ended_total";
        let mut sum = node.metric(name, &[]).await?;
        for gone in ["peer closed", "finished"] {
            sum -= node.metric(name, &[&format!("reason=\"{gone}\"")]).await?;
        }
        anyhow::Ok(sum)
    };
    let before = ended().await?;
    let (early, late) = (before_the_handshake(noise), after_the_handshake(noise));
    let attacks = (early.len() + late.len() + 1) as f64;
    // The slow ones wait for time limits: all at once, so that they do so together.
    let slow = futures(early.iter().map(|(name, bytes)| is_shown_the_door(node, name, bytes, false)));
    let quick = async {
        for (name, bytes) in &late {
            is_shown_the_door(node, name, bytes, true).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(slow, quick, slow_sender(node))?;
    let all =
        Node::eventually(PATIENCE, || async { ended().await.ok().filter(|&now| now >= before + attacks) });
    if all.await.is_none() {
        let counted = node.metric_lines("penstock_rtmp_").await?;
        bail!("{attacks} connections should have been ended by the node: {counted:#?}");
    }
    Ok(())
}

/// Waits for all of them; the first error wins.
async fn futures(all: impl Iterator<Item = impl Future<Output = Result<()>>>) -> Result<()> {
    futures_util::future::try_join_all(all).await.map(drop)
}

/// The media port, from the offer to a player.
async fn media_port(node: &Node) -> Result<u16> {
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    socket.send(&json!({ "command": "play", "streamId": "stream1" })).await?;
    loop {
        let message = socket.receive().await?;
        let text = message["sdp"].as_str().or(message["candidate"].as_str()).unwrap_or_default();
        // candidate:<foundation> <component> udp <priority> <address> <port> typ host
        let candidate =
            text.lines().find(|line| line.contains("candidate:") && line.to_lowercase().contains(" udp "));
        if let Some(port) = candidate.and_then(|line| line.split(' ').nth(5)) {
            return Ok(port.parse()?);
        }
    }
}

fn stun_binding(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0, 1][..], &length, &[0x21, 0x12, 0xa4, 0x42], &[7; 12], attributes].concat()
}

async fn attack_udp(node: &Node, noise: &mut Noise) -> Result<()> {
    let target = SocketAddr::from(([127, 0, 0, 1], media_port(node).await?));
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let dropped = || node.metric("penstock_shard_datagrams_dropped_total", &[]);
    let before = dropped().await?;
    // USERNAME "nobody:me", padded to 12 bytes.
    let username = [&[0, 6, 0, 9][..], b"nobody:me\0\0\0"].concat();
    // A DTLS 1.2 record with a ClientHello handshake header, and then nothing that makes sense.
    let client_hello = [
        &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48][..],
        &noise.bytes(48),
    ]
    .concat();
    let mut datagrams = vec![
        stun_binding(&[]),
        stun_binding(&username),
        stun_binding(&[&username[..], &[0, 8, 0, 20], &noise.bytes(20)].concat()),
        // A length that promises more than there is.
        [&[0, 1, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat(),
        client_hello,
        [&[0x80, 102][..], &noise.bytes(200)].concat(),
        [&[0x80, 201, 0, 7][..], &noise.bytes(28)].concat(),
        Vec::new(),
        vec![0],
        noise.bytes(1_472),
    ];
    datagrams.extend((0..300).map(|index| noise.bytes(1 + index * 4)));
    for datagram in &datagrams {
        socket.send_to(datagram, target).await?;
        // Spread out: a burst could fill the receiver's buffer, and the count below would be of what is left.
        sleep(Duration::from_millis(2)).await;
    }
    // Loopback loses a datagram only when the receiver's buffer is full, which these do not fill.
    let expected = before + datagrams.len() as f64 * 0.95;
    Node::eventually(PATIENCE, || async { dropped().await.ok().filter(|&now| now >= expected) })
        .await
        .with_context(|| format!("{} datagrams should have been counted as dropped", datagrams.len()))?;
    let mut answer = [0; 1500];
    let answered = socket.try_recv(&mut answer);
    ensure!(answered.is_err(), "a stranger was answered: {:?}", &answer[..answered.unwrap_or(0).min(32)]);
    Ok(())
}

async fn attack_signalling(node: &Node, noise: &mut Noise) -> Result<()> {
    let url = node.signalling_url("LiveApp");
    let mut socket = Signalling::open(&url).await?;
    let harmless = [
        "[".repeat(40_000),
        "{\"a\":".repeat(10_000),
        String::from_utf8_lossy(&noise.bytes(10_000)).into_owned(),
        String::new(),
        "null".to_owned(),
        "[1,2,3]".to_owned(),
        json!({ "command": 5 }).to_string(),
        json!({ "command": "takeConfiguration", "streamId": "stream1", "type": "answer", "sdp": "v=0" })
            .to_string(),
        json!({ "command": "takeCandidate", "streamId": "stream1", "label": -1, "candidate": "x" })
            .to_string(),
        json!({ "command": "toggleVideo", "streamId": "stream1", "enabled": "maybe" }).to_string(),
        json!({ "streamId": "stream1" }).to_string(),
    ];
    for text in harmless {
        socket.send_text(text).await?;
    }
    // Whatever was said to those, the socket still answers.
    socket.send(&json!({ "command": "ping" })).await?;
    socket.receive_until(|message: &Value| message["command"] == "pong").await?;

    let mut large = Signalling::open(&url).await?;
    let padding = "x".repeat(MESSAGE_BYTES_MAX);
    // The answer may be a close frame or a reset, but it is the end.
    let _ = large.send(&json!({ "command": "ping", "padding": padding })).await;
    let end = large.receive().await;
    ensure!(
        matches!(end, Err(SignallingError::Closed(_) | SignallingError::Socket(_))),
        "a message of more than {MESSAGE_BYTES_MAX} bytes was taken: {end:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_leave_and_the_stream_loses_no_frame() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=stream1")).await?;
    browser.begin_to_measure("video", PATIENCE).await?;
    // The viewer has caught up with the stream before anybody disturbs it.
    Node::eventually(PATIENCE, || async { browser.measured().await.ok().filter(|m| m.frames_seen > 30) })
        .await
        .context("the viewer saw no picture")?;

    let load = Load::watch();
    let mut noise = Noise(0x5eed_5eed_5eed_5eed);
    attack_rtmp(&node, &mut noise).await?;
    attack_udp(&node, &mut noise).await?;
    attack_signalling(&node, &mut noise).await?;
    let load = load.report();

    let measured = browser.end_measuring().await?;
    browser.close().await?;
    let published = marker.stop()?;
    note(&format!("{measured:#?}\nencoder: {published:?}\nmachine: {load}"));
    // The node took every frame that was published …
    let frames = f64::from(published.frames);
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |taken| taken == frames).await?;
    // … and the player received every one. A machine that others keep busy may hold packets up until they
    // are asked for again, and pictures until they are missed; it may not lose any.
    let lost = measured.video_counter("packetsLost");
    ensure!(lost == 0, "packetsLost is {lost}: {measured:?} ({load})");
    for counter in ["nackCount", "pliCount", "freezeCount"] {
        let count = measured.video_counter(counter);
        ensure!(count == 0 || load.excuse().is_some(), "{counter} is {count}: {measured:?} ({load})");
    }
    ensure!(measured.gaps.is_empty() || load.excuse().is_some(), "{measured:?} ({load})");
    ensure!(node.panics().is_empty(), "{:?}", node.panics());
    Ok(())
}
