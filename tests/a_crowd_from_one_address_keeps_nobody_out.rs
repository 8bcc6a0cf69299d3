//! A crowd comes from one address to every TCP port: as many of it as may stay, the others are closed at once and
//! counted, who comes from elsewhere gets in meanwhile, and in the end nobody of the crowd is left.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use base::{Clock, SystemClock, limits};
use futures_util::future::join_all;
use test_support::{Doors, Duplex, Node, NodeOptions, Turn, note};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(3);
/// How late a limit may act: a check every 5 s, a loaded machine.
const LATE_MAX: Duration = Duration::from_secs(8);
/// Connections one address may have on each kind of port.
const PER_ADDRESS: usize = 40;
/// Connections to each port.
const CROWD: usize = 100;
const CROWD_ADDRESS: &str = "127.0.0.3";

/// Connects from an address of the crowd's.
async fn from_the_crowd(door: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(CROWD_ADDRESS.parse()?, 0))?;
    Ok(socket.connect(door.parse()?).await?)
}

/// Those of the crowd that were closed.
async fn closed(crowd: &mut [TcpStream]) -> usize {
    let mut closed = 0;
    for socket in crowd {
        // Whatever was said before, or a reset: it is over.
        let over = timeout(Duration::from_millis(5), socket.read_to_end(&mut Vec::new())).await;
        closed += usize::from(over.is_ok());
    }
    closed
}

/// Waits for the server to say that a publish begins.
async fn publishes(line: &mut dyn Duplex) -> Result<()> {
    let said = async {
        let mut bytes = Vec::new();
        while line.read_buf(&mut bytes).await? > 0 {
            if String::from_utf8_lossy(&bytes).contains("NetStream.Publish.Start") {
                return Ok(());
            }
        }
        bail!("the publisher was refused")
    };
    timeout(SOON, said).await?
}

/// Gets in by every door; how long it took.
async fn others_get_in(node: &Node, doors: &Doors) -> Result<Duration> {
    let began = SystemClock.now();
    ensure!(node.get("/readyz").await?.status == 200);
    let mut secure = doors.https().await?;
    secure.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut status = [0; 12];
    timeout(SOON, secure.read_exact(&mut status)).await??;
    ensure!(&status == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&status));
    let mut publisher = doors.rtmp(Some("from-elsewhere")).await?;
    publishes(&mut publisher).await?;
    Ok(SystemClock.now() - began)
}

#[tokio::test]
async fn as_many_as_may_stay_and_then_none() -> Result<()> {
    let _turn = Turn::take().await?;
    let per_address = PER_ADDRESS.to_string();
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_RTMP_CONNECTIONS_PER_ADDRESS", &per_address)
        .environment("PENSTOCK_LIMITS_HTTP_CONNECTIONS_PER_ADDRESS", &per_address);
    let node = Node::start(options).await?;
    let doors = Doors::of(&node)?;
    let mut crowd = Vec::new();
    for door in [&doors.rtmp, &doors.http, &doors.https] {
        for socket in join_all((0..CROWD).map(|_| from_the_crowd(door))).await {
            crowd.push(socket?);
        }
    }
    let label = "reason=\"too many from one address\"";
    // HTTP and HTTPS have one limit.
    for (name, refused) in [
        ("penstock_rtmp_refused_total", CROWD - PER_ADDRESS),
        ("penstock_http_refused_total", 2 * CROWD - PER_ADDRESS),
    ] {
        node.until_metric(name, &[label], SOON, |counted| counted == refused as f64).await?;
    }
    let refused = closed(&mut crowd).await;
    ensure!(refused >= 3 * CROWD - 2 * PER_ADDRESS, "{refused} were closed");
    let took = others_get_in(&node, &doors).await?;
    ensure!(took < SOON, "it took {took:?} to get in");
    note(&format!("{refused} of {} were refused; others were in after {took:?}", 3 * CROWD));

    // Those that stayed say nothing: their time runs out.
    let patience = limits::HTTP_IDLE_MAX.max(limits::RTMP_HANDSHAKE_MAX) + LATE_MAX;
    node.until_metric("penstock_rtmp_connections", &[], patience, |left| left == 0.0).await?;
    // The one that asks.
    node.until_metric("penstock_http_connections", &[], patience, |left| left <= 1.0).await?;
    let all = closed(&mut crowd).await;
    ensure!(all == crowd.len(), "{all} of {} were closed", crowd.len());
    Ok(())
}
