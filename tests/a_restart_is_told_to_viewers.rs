//! A node that is asked to end says so to the viewers it has, who then know that they should come back, and
//! is gone soon.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use test_support::{Node, NodeOptions, Signalling};
use tokio::time::timeout;

const END_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_viewer_hears_that_the_server_stops() -> Result<()> {
    let mut node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut waiting = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let absent = waiting.ask(&json!({ "command": "play", "streamId": "later" })).await?;
    ensure!(absent["definition"] == "no_stream_exist", "{absent}");

    let (ended, heard) = tokio::join!(timeout(END_MAX, node.terminate()), waiting.receive());
    let heard = heard.context("the viewer was told nothing")?;
    ensure!(heard == json!({ "command": "notification", "definition": "server_will_stop" }), "{heard}");
    let status = ended.with_context(|| format!("the node was still there after {END_MAX:?}"))??;
    ensure!(status.success(), "the node ended with {status}");
    Ok(())
}
