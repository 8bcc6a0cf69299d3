//! Whoever drags things out on a TCP port is shown the door after a time that has a name, and the reason is
//! counted.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, limits};
use futures_util::future::try_join_all;
use test_support::rtmp_client::{amf, command, header, hello, message};
use test_support::{Doors, Duplex, Node, NodeOptions, RtmpClient, Turn, note};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// How early and how late a limit may act: a second's dribble, a check every 5 s, a loaded machine.
const EARLY_MAX: Duration = Duration::from_secs(1);
const LATE_MAX: Duration = Duration::from_secs(8);
const SOON: Duration = Duration::from_secs(3);
/// The shortest a node may be told to wait for a silent publisher.
const RTMP_SILENCE: Duration = Duration::from_secs(5);

/// A line that somebody drags out.
type AnyLine = Box<dyn Duplex>;

/// Sends a byte a second, and reads what comes, until the other side closes.
async fn dribbled(line: AnyLine, bytes: Vec<u8>) {
    let (mut from, mut to) = tokio::io::split(line);
    let drip = async move {
        for byte in bytes {
            if to.write_all(&[byte]).await.is_err() {
                break;
            }
            // The slowness is the attack.
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let read = async move {
        let mut sink = vec![0; 4_096];
        while from.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! { () = drip => {}, () = read => {} }
}

/// Sends this at once and then nothing.
async fn left(mut line: AnyLine, bytes: &[u8]) -> Result<()> {
    line.write_all(bytes).await?;
    dribbled(line, Vec::new()).await;
    Ok(())
}

/// Sends the same again and again and reads nothing.
async fn never_reads(mut socket: TcpStream, again: &[u8]) -> Result<()> {
    while socket.write_all(again).await.is_ok() {
        // Below the limit on messages per second.
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A connection on whose side little waits to be read.
async fn with_little_room(door: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    Ok(socket.connect(door.parse()?).await?)
}

fn request(head: &str) -> Vec<u8> {
    format!("{head}\r\nHost: localhost\r\n").into_bytes()
}

/// A whole request for a page that is never answered with `Connection: close`.
fn whole_request() -> Vec<u8> {
    [request("GET /readyz HTTP/1.1"), b"\r\n".to_vec()].concat()
}

fn upgrade() -> Vec<u8> {
    upgrade_with("")
}

fn upgrade_with(header: &str) -> Vec<u8> {
    let mut head = request("GET /LiveApp/websocket HTTP/1.1");
    head.extend_from_slice(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    head.extend_from_slice(format!("{header}\r\n").as_bytes());
    head
}

/// An upgrade with a body, the body's end, and then a request that never ends.
async fn upgrade_with_a_body(mut line: AnyLine) -> Result<()> {
    line.write_all(&upgrade_with("Transfer-Encoding: chunked\r\n")).await?;
    let mut status = [0; 12];
    line.read_exact(&mut status).await?;
    ensure!(&status == b"HTTP/1.1 400", "{}", String::from_utf8_lossy(&status));
    dribbled(line, [b"0\r\n\r\n".to_vec(), endless_head()].concat()).await;
    Ok(())
}

/// A head, and no end of it.
fn endless_head() -> Vec<u8> {
    [request("GET / HTTP/1.1"), b"X-Slow: ".to_vec(), vec![b'a'; 600]].concat()
}

/// A head at once, and a body byte by byte.
async fn dribbled_body(mut line: AnyLine) -> Result<()> {
    let mut head = request("POST /LiveApp/rest/v2/broadcasts/create HTTP/1.1");
    head.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n");
    line.write_all(&head).await?;
    dribbled(line, vec![b' '; 600]).await;
    Ok(())
}

/// Where the reason of a case is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted(&'static str, &'static str);

const RTMP: &str = "penstock_rtmp_connections_ended_total";
const HTTP: &str = "penstock_http_connections_ended_total";
const SIGNALLING: &str = "penstock_signalling_refused_total";

type Dragging<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

struct Case<'a> {
    name: &'static str,
    after: Duration,
    counted: Counted,
    dragging: Dragging<'a>,
}

fn case<'a>(
    name: &'static str,
    after: Duration,
    counted: Counted,
    dragging: impl Future<Output = Result<()>> + 'a,
) -> Case<'a> {
    Case { name, after, counted, dragging: Box::pin(dragging) }
}

fn on_rtmp(doors: &Doors) -> Vec<Case<'_>> {
    let handshake = Counted(RTMP, "handshake timeout");
    let publish = Counted(RTMP, "publish timeout");
    let silent = Counted(RTMP, "silent");
    let connect = || {
        let object = amf::object(&[("app", amf::string("LiveApp"))]);
        command(0, &[amf::string("connect"), amf::number(1.0), object])
    };
    vec![
        case("RTMP: nothing", limits::RTMP_HANDSHAKE_MAX, handshake, async move {
            left(Doors::raw(&doors.rtmp).await?, &[]).await
        }),
        case("RTMP: a handshake byte by byte", limits::RTMP_HANDSHAKE_MAX, handshake, async move {
            dribbled(Doors::raw(&doors.rtmp).await?, hello()).await;
            Ok(())
        }),
        case("RTMP: half a handshake", limits::RTMP_HANDSHAKE_MAX, handshake, async move {
            left(Doors::raw(&doors.rtmp).await?, &hello()).await
        }),
        case("RTMP: a handshake and nothing", limits::RTMP_PUBLISH_WAIT_MAX, publish, async move {
            left(doors.rtmp(None).await?, &[]).await
        }),
        case("RTMP: half a chunk", limits::RTMP_PUBLISH_WAIT_MAX, publish, async move {
            left(doors.rtmp(None).await?, &connect()[..20]).await
        }),
        case("RTMP: connect byte by byte", limits::RTMP_PUBLISH_WAIT_MAX, publish, async move {
            dribbled(doors.rtmp(None).await?, connect()).await;
            Ok(())
        }),
        case("RTMP: connect and nothing", limits::RTMP_PUBLISH_WAIT_MAX, publish, async move {
            left(doors.rtmp(None).await?, &connect()).await
        }),
        case("RTMP: publishing nothing", RTMP_SILENCE, silent, async move {
            left(doors.rtmp(Some("nothing")).await?, &[]).await
        }),
        case("RTMP: a picture that never ends", RTMP_SILENCE, silent, async move {
            let picture = [header(6, 9, 1, 100_000), vec![0x17; 60]].concat();
            dribbled(doors.rtmp(Some("endless")).await?, picture).await;
            Ok(())
        }),
    ]
}

fn on_http<'a>(doors: &'a Doors, secure: bool) -> Vec<Case<'a>> {
    let line = async move || if secure { doors.https().await } else { doors.http().await };
    let slow = Counted(HTTP, "slow request");
    let idle = Counted(HTTP, "idle");
    vec![
        case("HTTP: nothing", limits::HTTP_IDLE_MAX, idle, async move { left(line().await?, &[]).await }),
        case("HTTP: a head byte by byte", limits::HTTP_REQUEST_MAX, slow, async move {
            dribbled(line().await?, endless_head()).await;
            Ok(())
        }),
        case("HTTP: half a head", limits::HTTP_REQUEST_MAX, slow, async move {
            left(line().await?, &endless_head()).await
        }),
        case("HTTP: a body byte by byte", limits::HTTP_BODY_WAIT_MAX, slow, async move {
            dribbled_body(line().await?).await
        }),
        case("HTTP: one request and nothing", limits::HTTP_IDLE_MAX, idle, async move {
            left(line().await?, &whole_request()).await
        }),
    ]
}

fn on_the_rest(doors: &Doors) -> Vec<Case<'_>> {
    let tls = Counted(HTTP, "slow tls handshake");
    let silence = Counted(SIGNALLING, "timed out");
    let closed = Counted(HTTP, "closed");
    // A ClientHello of 512 bytes that never becomes whole.
    let client_hello = || [vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], vec![7; 500]].concat();
    vec![
        case("HTTPS: no handshake", limits::HTTPS_HANDSHAKE_MAX, tls, async move {
            left(Doors::raw(&doors.https).await?, &[]).await
        }),
        case("HTTPS: a handshake byte by byte", limits::HTTPS_HANDSHAKE_MAX, tls, async move {
            dribbled(Doors::raw(&doors.https).await?, client_hello()).await;
            Ok(())
        }),
        case("WebSocket: an upgrade and nothing", limits::SIGNALLING_SILENCE_MAX, silence, async move {
            left(doors.http().await?, &upgrade()).await
        }),
        case("WebSocket: an upgrade with a body", limits::HTTP_GOODBYE_MAX, closed, async move {
            upgrade_with_a_body(doors.http().await?).await
        }),
        case("WebSocket: a goodbye and nothing", limits::HTTP_GOODBYE_MAX, closed, async move {
            // A masked close without a reason.
            left(doors.http().await?, &[upgrade(), vec![0x88, 0x80, 1, 2, 3, 4]].concat()).await
        }),
        case("WebSocket: a frame that never ends", limits::SIGNALLING_SILENCE_MAX, silence, async move {
            let mut line = doors.http().await?;
            line.write_all(&upgrade()).await?;
            // A masked text of 8,000 bytes.
            dribbled(line, [vec![0x81, 0xfe, 0x1f, 0x40, 1, 2, 3, 4], vec![b'{'; 600]].concat()).await;
            Ok(())
        }),
    ]
}

/// Those that ask and never read. What they are sent fills the kernel's buffers first, so that they are judged
/// by the reason alone and by an end.
fn that_never_read(doors: &Doors) -> Vec<Case<'_>> {
    let (http, rtmp) = (Counted(HTTP, "too slow"), Counted(RTMP, "too slow"));
    vec![
        case("HTTP: answers that nobody reads", limits::HTTP_WRITE_STALL_MAX, http, async {
            never_reads(with_little_room(&doors.http).await?, &whole_request().repeat(50)).await
        }),
        case("RTMP: answers that nobody reads", limits::RTMP_WRITE_STALL_MAX, rtmp, async {
            let mut client = RtmpClient::over(with_little_room(&doors.rtmp).await?)?;
            client.handshake().await?;
            client.publish("LiveApp", "deaf").await?;
            // Each is answered with as much again (user control: ping).
            let pings = message(2, 4, 0, &[0, 6, 0, 0, 0, 1]).repeat(60);
            never_reads(client.into_stream(), &pings).await
        }),
    ]
}

#[tokio::test]
async fn each_is_shown_the_door_with_a_reason() -> Result<()> {
    let _turn = Turn::take().await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_RTMP_SILENCE_S", &RTMP_SILENCE.as_secs().to_string());
    let node = Node::start(options).await?;
    let doors = Doors::of(&node)?;
    let timed = on_rtmp(&doors).into_iter().chain(on_http(&doors, false)).chain(on_http(&doors, true));
    let timed: Vec<_> = timed.chain(on_the_rest(&doors)).collect();
    let deaf = that_never_read(&doors);
    let reasons: Vec<Counted> = timed.iter().chain(&deaf).map(|case| case.counted).collect();
    let timed = try_join_all(timed.into_iter().map(async |case| {
        let began = SystemClock.now();
        let ended = timeout(case.after + LATE_MAX, case.dragging).await;
        ended.with_context(|| format!("{}: it is still there", case.name))??;
        let took = SystemClock.now() - began;
        ensure!(took + EARLY_MAX >= case.after, "{}: ended after {took:?}", case.name);
        anyhow::Ok(format!("{} {:.1} s", case.name, took.as_secs_f64()))
    }));
    let deaf = try_join_all(deaf.into_iter().map(async |case| {
        let ended = timeout(case.after + Duration::from_secs(20), case.dragging).await;
        ended.with_context(|| format!("{}: it is still there", case.name))??;
        anyhow::Ok(())
    }));
    let (timed, _) = tokio::try_join!(timed, deaf)?;
    note(&timed.join(", "));

    for reason in &reasons {
        let Counted(metric, label) = *reason;
        let expected = reasons.iter().filter(|other| *other == reason).count() as f64;
        let label = format!("reason=\"{label}\"");
        node.until_metric(metric, &[&label], SOON, |counted| counted >= expected).await?;
    }
    Ok(())
}
