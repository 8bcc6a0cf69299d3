//! Players are spread over the shards, each with a port of its own; when all are full the next one is
//! told so by name, and let in once there is room again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use test_support::{Marker, MarkerOptions, Node, NodeOptions, Signalling};

const SOON: Duration = Duration::from_secs(20);

enum Answer {
    /// The port that the offer names.
    Port(String),
    Refused(String),
}

/// Plays, as soon as the stream has begun.
async fn play(node: &Node) -> Result<(Signalling, Answer)> {
    let play = json!({ "command": "play", "streamId": "s" });
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    socket.send(&play).await?;
    loop {
        let message = socket.receive_within(SOON).await?;
        let text = |key: &str| message[key].as_str().map(str::to_owned);
        match message["command"].as_str() {
            Some("takeConfiguration") => {
                let sdp = text("sdp").context("an offer without SDP")?;
                let line =
                    sdp.lines().find(|line| line.starts_with("a=candidate:")).context("no candidate")?;
                let port = line.split(' ').nth(5).context("a candidate without a port")?.to_owned();
                return Ok((socket, Answer::Port(port)));
            }
            Some("notification") if message["definition"] == "streaming_started" => {
                socket.send(&play).await?
            }
            Some("error") if message["definition"] == "no_stream_exist" => {}
            Some("error") => {
                let definition = text("definition").context("an error without a definition")?;
                return Ok((socket, Answer::Refused(definition)));
            }
            _ => {}
        }
    }
}

async fn players_of(node: &Node, shard: usize) -> Result<f64> {
    Ok(node.metric("penstock_shard_players", &[&format!("shard=\"{shard}\"")]).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn evenly_and_up_to_their_limit() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_WEBRTC_SHARDS", "2")
        .environment("PENSTOCK_LIMITS_PLAYERS_PER_SHARD", "3");
    let node = Node::start(options).await?;
    let _marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "s")))?;
    let mut sockets = Vec::new();
    let mut ports: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..6 {
        let (socket, answer) = play(&node).await?;
        let port = match answer {
            Answer::Port(port) => port,
            Answer::Refused(definition) => {
                let why = node.metric_lines("penstock_admissions_refused_total").await?;
                bail!("{definition} before the shards were full: {why:?}")
            }
        };
        *ports.entry(port).or_default() += 1;
        sockets.push(socket);
    }
    ensure!(ports.values().eq([3, 3].iter()), "players by port: {ports:?}");
    for shard in 0..2 {
        // A shard tells how many it has at the end of a turn; who asked may have its answer before.
        let label = format!("shard=\"{shard}\"");
        let three = |players: f64| players == 3.0;
        node.until_metric("penstock_shard_players", &[&label], SOON, three).await.context(label)?;
    }

    let (_socket, answer) = play(&node).await?;
    ensure!(matches!(&answer, Answer::Refused(definition) if definition == "highResourceUsage"));
    let labels = ["kind=\"play\"", "reason=\"players of the shard\""];
    ensure!(node.metric("penstock_admissions_refused_total", &labels).await? == 1.0, "the metric says why");

    drop(sockets.pop());
    Node::eventually(SOON, async || {
        let both = players_of(&node, 0).await.ok()? + players_of(&node, 1).await.ok()?;
        (both < 6.0).then_some(())
    })
    .await
    .context("the seat of who left was not freed")?;
    ensure!(matches!(play(&node).await?.1, Answer::Port(_)), "there is room again");
    Ok(())
}
