//! Three real processes with a secret between them: what one knows all know, and a stream is published on one.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Publisher, Recording, RecordingOptions};
use serde_json::{Value, json};
use test_support::{Cluster, Node, Signalling, note};

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(count: usize) -> Result<Cluster> {
    Ok(Cluster::start(env!("CARGO_BIN_EXE_penstock"), count).await?)
}

async fn ask(node: &Node, path: &str) -> Result<Value> {
    Ok(node.get(path).await?.json())
}

/// The number of the leader, as a node knows it.
async fn leader(cluster: &Cluster, of: usize) -> Result<usize> {
    let known = Node::eventually(PATIENCE, || async {
        ask(cluster.node(of), "/rest/v2/cluster/status").await.ok()?["leader"].as_u64()
    });
    Ok(usize::try_from(known.await.context("no leader in time")?)?)
}

async fn command(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = cluster.plan().command(1, arguments).await?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{arguments:?}: {said}{complained}");
    Ok(said.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_on_one_is_read_on_all_at_once() -> Result<()> {
    let cluster = start(3).await?;
    for round in 0..30 {
        let (writer, id) = (round % 3 + 1, format!("stream{round}"));
        cluster.node(writer).create_broadcast("LiveApp", &id).await?;
        for reader in 1..=3 {
            let read = ask(cluster.node(reader), &format!("/LiveApp/rest/v2/broadcasts/{id}")).await?;
            ensure!(read["streamId"] == id.as_str(), "node {reader} after node {writer}: {read}");
        }
    }
    for node in 1..=3 {
        let list = ask(cluster.node(node), "/rest/v2/cluster/nodes/0/10").await?;
        let rows = list.as_array().context("a list")?;
        ensure!(rows.len() == 3 && rows.iter().all(|row| row["status"] == "alive"), "{list}");
        ensure!(ask(cluster.node(node), "/rest/v2/cluster/node-count").await?["number"] == 3);
        ensure!(ask(cluster.node(node), "/rest/v2/cluster-mode-status").await?["success"] == true);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_one_nodes_and_the_others_say_whose() -> Result<()> {
    let cluster = start(3).await?;
    let recording = std::sync::Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut publisher = Publisher::start(&recording, cluster.node(1).rtmp_address(), "LiveApp", "stream1")?;
    for node in 1..=3 {
        let is_live = |stream: &Value| stream["status"] == "broadcasting";
        cluster.node(node).until_broadcast("LiveApp", "stream1", PATIENCE, is_live).await?;
    }
    // A player elsewhere is told where it is.
    let mut viewer = Signalling::open(&cluster.node(2).signalling_url("LiveApp")).await?;
    viewer.send(&json!({ "command": "play", "streamId": "stream1" })).await?;
    let answer = viewer.receive().await?;
    ensure!(answer["definition"] == "no_stream_exist", "{answer}");
    let information = answer["information"].as_str().unwrap_or_default();
    ensure!(information.contains("published on another node: node 1 (127."), "{answer}");
    // A second publisher is refused, wherever it comes.
    let second = Publisher::start(&recording, cluster.node(3).rtmp_address(), "LiveApp", "stream1")?;
    let refused = cluster.node(3).wait_for_log(PATIENCE, |line| line.contains("another node has the stream"));
    ensure!(refused.await.is_some(), "node 3 took a second publisher");
    drop(second);
    publisher.check()?;
    drop(publisher);
    for node in 1..=3 {
        cluster.node(node).until_broadcast("LiveApp", "stream1", PATIENCE, Value::is_null).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_seen_changed_and_deleted_over_any_node() -> Result<()> {
    const STREAM: &str = "/LiveApp/rest/v2/broadcasts/stream1";
    let cluster = start(3).await?;
    cluster.node(1).create_broadcast("LiveApp", "stream1").await?;
    let recording = std::sync::Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut publisher = Publisher::start(&recording, cluster.node(1).rtmp_address(), "LiveApp", "stream1")?;
    let is_live = |stream: &Value| stream["status"] == "broadcasting";
    for node in 1..=3 {
        cluster.node(node).until_broadcast("LiveApp", "stream1", PATIENCE, is_live).await?;
    }
    // A change over another node than the one that has it stands on all, and ends nothing.
    let changed = cluster.node(2).send("PUT", STREAM, &json!({ "name": "renamed" })).await?;
    ensure!(changed.status == 200 && changed.json()["success"] == true, "{}", changed.text());
    for node in 1..=3 {
        let stream = ask(cluster.node(node), STREAM).await?;
        ensure!(stream["name"] == "renamed" && is_live(&stream), "node {node}: {stream}");
    }
    // What its node told of it is seen elsewhere, with the first report.
    let size = Node::eventually(PATIENCE, || async {
        let info = ask(cluster.node(2), &format!("{STREAM}/stream-info")).await.ok()?;
        (info[0]["videoHeight"].as_u64()? > 0).then_some(info)
    });
    size.await.context("node 2 does not know the size of the picture")?;
    let viewers = ask(cluster.node(3), &format!("{STREAM}/broadcast-statistics")).await?;
    ensure!(viewers["totalRTMPWatchersCount"] == 0, "{viewers}");
    // A message is for its node, and the others say which that is.
    let said = cluster.node(2).send("POST", &format!("{STREAM}/data"), &json!("hello")).await?.json();
    let why = said["message"].as_str().unwrap_or_default();
    ensure!(said["success"] == false && why.contains("node 1 (127."), "{said}");
    publisher.check()?;
    // A delete over a third one ends its publisher.
    let deleted = cluster.node(3).send("DELETE", STREAM, &json!({})).await?;
    let answer = deleted.json();
    let done = "broadcast is deleted and stopped successfully";
    ensure!(deleted.status == 200 && answer["success"] == true && answer["message"] == done, "{answer}");
    let ended = Node::eventually(PATIENCE, || {
        let ended = publisher.check().is_err();
        async move { ended.then_some(()) }
    });
    ended.await.context("its publisher goes on")?;
    cluster.node(1).until_metric("penstock_streams", &[], PATIENCE, |live| live == 0.0).await?;
    for node in 1..=3 {
        cluster.node(node).until_broadcast("LiveApp", "stream1", PATIENCE, Value::is_null).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_costs_seconds_and_nothing_else() -> Result<()> {
    let mut cluster = start(3).await?;
    let leads = leader(&cluster, 1).await?;
    let asked = leads % 3 + 1;
    cluster.node(asked).create_broadcast("LiveApp", "before").await?;
    cluster.node_mut(leads).kill9().await?;
    let killed = SystemClock.now();
    let wrote = Node::eventually(PATIENCE, || async {
        cluster.node(asked).create_broadcast("LiveApp", "after").await.ok()
    });
    wrote.await.context("nothing could be written without the leader")?;
    let took = SystemClock.now() - killed;
    note(&format!("written {took:?} after the leader was killed"));
    ensure!(took < Duration::from_secs(8), "it took {took:?}");
    cluster.node_mut(leads).restart().await?;
    for id in ["before", "after"] {
        let read = ask(cluster.node(leads), &format!("/LiveApp/rest/v2/broadcasts/{id}")).await?;
        ensure!(read["streamId"] == id, "{read}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_by_the_command_line() -> Result<()> {
    let mut cluster = start(3).await?;
    cluster.node(1).create_broadcast("LiveApp", "kept").await?;
    let members = command(&cluster, &["cluster", "members"]).await?;
    ensure!(members.lines().count() == 3 && members.matches("leads").count() == 1, "{members}");

    // The node is ready once it is let in: nobody waits for the other.
    let options = cluster.plan().options(4)?;
    let joining = tokio::spawn(async move { Node::start(options).await });
    let dry = command(&cluster, &["cluster", "join", "--node", "4", "--replaces", "3"]).await?;
    ensure!(dry.contains("remove node 3 for good") && dry.contains("Nothing was done"), "{dry}");
    let refused = Mutex::new(String::new());
    let joined = Node::eventually(PATIENCE, || async {
        let said = command(&cluster, &["cluster", "join", "--node", "4", "--replaces", "3", "--yes"]).await;
        said.map_err(|error| *refused.lock().unwrap() = error.to_string()).ok()
    });
    joined.await.with_context(|| format!("node 4 was not let in: {}", refused.lock().unwrap()))?;
    let fourth = joining.await??;
    let replaced = Node::eventually(PATIENCE, || async {
        let members = command(&cluster, &["cluster", "members"]).await.ok()?;
        (members.contains("node 4") && !members.contains("node 3 ") && !members.contains("is being sent"))
            .then_some(members)
    });
    replaced.await.context("node 4 did not take the place of node 3")?;
    let read = ask(&fourth, "/LiveApp/rest/v2/broadcasts/kept").await?;
    ensure!(read["streamId"] == "kept", "{read}");

    let leads = leader(&cluster, 1).await?;
    let other = if leads == 1 { 2 } else { 1 };
    command(&cluster, &["cluster", "transfer", &other.to_string()]).await?;
    let moved =
        Node::eventually(PATIENCE, || async { (leader(&cluster, 1).await.ok()? == other).then_some(()) });
    moved.await.context("leadership did not go over")?;
    let dry = command(&cluster, &["cluster", "remove", "4"]).await?;
    ensure!(dry.contains("Nothing was done"), "{dry}");
    command(&cluster, &["cluster", "remove", "4", "--yes"]).await?;
    let removed = Node::eventually(PATIENCE, || async {
        let members = command(&cluster, &["cluster", "members"]).await.ok()?;
        (!members.contains("node 4")).then_some(())
    });
    removed.await.context("node 4 did not leave")?;
    let status = command(&cluster, &["cluster", "status"]).await?;
    ensure!(status.contains("it leads"), "{status}");
    drop(cluster.node_mut(3).kill9().await);
    Ok(())
}
