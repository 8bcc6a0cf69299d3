//! Before a cluster is formed, and without a majority of its members, it takes nobody in. Who asks such a node is told that it is not ready, at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Plan, Starting};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");
const PATIENCE: Duration = Duration::from_secs(20);
/// What may be asked is answered within this, however long the cluster is away.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn port_of(node: &Starting, name: &str) -> Result<u64> {
    let line = node.wait_for_log(PATIENCE, |line| line.contains("until the cluster has taken this node in"));
    let line: Value = serde_json::from_str(&line.await.context("it says nothing")?)?;
    line[name].as_u64().with_context(|| format!("no port in {line}"))
}

async fn ask(port: u64, path: &str) -> Result<(u16, String)> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = timeout(AT_ONCE, test_support::ask("GET", &url, &[], "")).await.context("no answer")??;
    Ok((answer.status, answer.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_says_that_it_is_not_ready_and_serves_when_the_others_come() -> Result<()> {
    let plan = Plan::new(BINARY, 3, 3).await?;
    let first = Starting::spawn(plan.options(1)?)?;
    let (http, rtmp) = (port_of(&first, "http").await?, port_of(&first, "rtmp").await?);

    ensure!(ask(http, "/livez").await?.0 == 200, "it takes itself for dead");
    let (status, body) = ask(http, "/readyz").await?;
    ensure!(status == 503 && body.contains("not ready"), "{status} {body}");
    for path in ["/LiveApp/rest/v2/broadcasts/list/0/10", "/rest/v2/version", "/LiveApp/websocket", "/"] {
        let (status, body) = ask(http, path).await?;
        ensure!(status == 503 && body.contains("Server is getting initialized."), "{path}: {status} {body}");
    }
    // An encoder is not left waiting for a handshake that never comes.
    let mut encoder = TcpStream::connect(("127.0.0.1", u16::try_from(rtmp)?)).await?;
    let read = timeout(AT_ONCE, encoder.read(&mut [0; 1])).await.context("RTMP hangs")?;
    ensure!(matches!(read, Ok(0) | Err(_)), "{read:?}");

    // To form a cluster takes all of them; later, two are enough.
    let (second, third) = (Starting::spawn(plan.options(2)?)?, Starting::spawn(plan.options(3)?)?);
    let (first, second, _third) = tokio::try_join!(first.ready(), second.ready(), third.ready())?;
    first.create_broadcast("LiveApp", "made").await?;
    ensure!(second.broadcast("LiveApp", "made").await?["streamId"] == "made", "they are not one cluster");
    Ok(())
}
