//! A signalling peer that asks and never reads the answers is dropped after a bounded number of them;
//! one that asks too often is dropped too; nobody else notices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::limits;
use serde_json::json;
use test_support::{Node, NodeOptions, Signalling};

const SOON: Duration = Duration::from_secs(10);

async fn dropped_as(node: &Node, reason: &str) -> Result<()> {
    let label = format!("reason=\"{reason}\"");
    Node::eventually(SOON, async || {
        let dropped = node.metric("penstock_signalling_refused_total", &[&label]).await.ok()?;
        (dropped >= 1.0).then_some(())
    })
    .await
    .with_context(|| format!("nobody was dropped as {reason}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_and_nobody_else() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let ping = json!({ "command": "ping" });
    let mut reader = Signalling::open(&node.signalling_url("LiveApp")).await?;

    let mut deaf = Signalling::open(&node.signalling_url("LiveApp")).await?;
    for _ in 0..limits::SIGNALLING_SEND_QUEUE_MAX + 50 {
        if deaf.send(&ping).await.is_err() {
            break;
        }
    }
    dropped_as(&node, "too slow").await?;

    let mut chatty = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let refused = async {
        for _ in 0..10_000 {
            chatty.ask(&ping).await?;
        }
        anyhow::Ok(())
    };
    ensure!(tokio::time::timeout(SOON, refused).await?.is_err(), "ten thousand questions were answered");
    dropped_as(&node, "limit exceeded").await?;

    ensure!(reader.ask(&ping).await? == json!({ "command": "pong" }));
    Ok(())
}
