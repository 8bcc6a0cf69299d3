//! A publisher's machine is gone without a word: no FIN, no reset, only silence. Its connection is closed
//! after the silence limit and its stream ends with that reason.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use serde_json::Value;
use test_support::{Bottleneck, NarrowNetwork, Node, NodeOptions, note, skipped};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(20);
/// The shortest a node may be told to wait.
const SILENCE: Duration = Duration::from_secs(5);
/// For a packet under way when the line went, and for noticing.
const LATE_MAX: Duration = Duration::from_secs(3);
/// A wide line: it only has to be one that can be cut.
const LINE: Bottleneck<'_> = Bottleneck { rate: "100mbit", burst: "256kb", limit: "1mb" };

#[tokio::test]
async fn after_the_silence_limit_and_with_its_reason() -> Result<()> {
    let network = match NarrowNetwork::new(LINE) {
        Ok(network) => network,
        Err(error) => {
            skipped("a vanished publisher", &error.to_string());
            return Ok(());
        }
    };
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_RTMP_SILENCE_S", &SILENCE.as_secs().to_string());
    let node = Node::start(options).await?;
    let port = node.rtmp_address().rsplit(':').next().context("no port")?;
    let url = format!("rtmp://{}:{port}/LiveApp/vanishing", network.outside());
    let mut words = network.launcher();
    words
        .extend("ffmpeg -v error -re -f lavfi -i testsrc=size=320x180:rate=30".split(' ').map(str::to_owned));
    words.extend("-c:v libx264 -preset ultrafast -bf 0 -g 30 -f flv".split(' ').map(str::to_owned));
    words.push(url);
    let (program, arguments) = words.split_first().context("no launcher")?;
    let mut encoder =
        Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let live = |stream: &Value| stream["status"] == "broadcasting";
    node.until_broadcast("LiveApp", "vanishing", PATIENCE, live).await?;
    ensure!(node.metric("penstock_rtmp_connections", &[]).await? == 1.0);

    network.cut()?;
    let began = SystemClock.now();
    let closed = async || {
        let silent =
            node.metric("penstock_rtmp_connections_ended_total", &["reason=\"silent\""]).await.ok()?;
        let open = node.metric("penstock_rtmp_connections", &[]).await.ok()?;
        (silent == 1.0 && open == 0.0).then_some(())
    };
    Node::eventually(SILENCE + LATE_MAX, closed).await.context("nobody noticed")?;
    let took = SystemClock.now() - began;
    note(&format!("the vanished publisher was noticed after {:.1} s", took.as_secs_f64()));
    ensure!(took + Duration::from_secs(1) >= SILENCE, "noticed after {took:?}: it was not gone yet");
    let (name, reason) = ("penstock_publisher_ended_total", "reason=\"timed out\"");
    node.until_metric(name, &[reason], PATIENCE, |ended| ended == 1.0).await?;
    node.until_broadcast("LiveApp", "vanishing", PATIENCE, |stream| !live(stream)).await?;
    encoder.kill().await?;
    Ok(())
}
