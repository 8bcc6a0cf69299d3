//! A node without a vote and without data of its own serves what the others know, has streams that the others see, and
//! outlives the death of whichever member it asks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use futures_util::future::try_join_all;
use load_tests::{Publisher, Recording, RecordingOptions};
use serde_json::Value;
use test_support::{Cluster, Node, NodeError, NodeOptions, Plan, Starting, note};

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");
const VOTERS: usize = 3;
/// The number of the node without a vote.
const CLIENT: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);
/// Enough that a whole copy takes many pages.
const BROADCASTS: usize = 600;

fn client(plan: &Plan) -> Result<NodeOptions, NodeError> {
    Ok(plan.options(CLIENT)?.environment("PENSTOCK_CLUSTER_ROLE", "client"))
}

async fn count(node: &Node) -> Result<u64> {
    let answer = node.get("/LiveApp/rest/v2/broadcasts/count").await?;
    answer.json()["number"].as_u64().with_context(|| format!("{} {}", answer.status, answer.text()))
}

fn is_live(broadcast: &Value) -> bool {
    broadcast["status"] == "broadcasting"
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_it_has_a_whole_copy() -> Result<()> {
    let plan = Plan::new(BINARY, VOTERS, CLIENT).await?;
    let waiting = Starting::spawn(client(&plan)?)?;
    let advice = "no member of the cluster that is to be joined answers";
    let told = waiting.wait_for_log(PATIENCE, |line| line.contains(advice)).await;
    ensure!(told.is_some(), "{:#?}", waiting.log_lines());
    let members: Vec<_> = plan.voters().map(|number| plan.options(number)).collect::<Result<_, _>>()?;
    let members = try_join_all(members.into_iter().map(Node::start)).await?;
    let mut first = waiting.ready().await?;
    let ids: Vec<_> = (0..BROADCASTS).map(|number| format!("s{number}")).collect();
    for (turn, ids) in ids.chunks(20).enumerate() {
        try_join_all(ids.iter().map(|id| members[turn % VOTERS].create_broadcast("LiveApp", id))).await?;
    }
    first.kill9().await?;
    // Its next life has nothing of the first one.
    let began = SystemClock.now();
    first.restart().await?;
    let has = count(&first).await?;
    note(&format!(
        "a node without data had {has} broadcasts {:?} after its start",
        (SystemClock.now() - began)
    ));
    ensure!(has == BROADCASTS as u64, "it was ready with {has} of {BROADCASTS}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_writes_and_publishes_whoever_dies() -> Result<()> {
    let mut cluster = Cluster::start(BINARY, VOTERS).await?;
    cluster.node(1).create_broadcast("LiveApp", "kept").await?;
    let options = client(cluster.plan())?;
    let node = cluster.add(CLIENT, options).await?;
    ensure!(node.broadcast("LiveApp", "kept").await?["streamId"] == "kept");
    let nodes = cluster.node(1).get("/rest/v2/cluster/node-count").await?.json();
    ensure!(nodes["number"] == CLIENT, "{nodes}");

    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let address = cluster.node(CLIENT).rtmp_address();
    let mut publisher = Publisher::start(&recording, address, "LiveApp", "stream1")?;
    for number in 1..=VOTERS {
        cluster.node(number).until_broadcast("LiveApp", "stream1", PATIENCE, is_live).await?;
    }
    let second = Publisher::start(&recording, cluster.node(2).rtmp_address(), "LiveApp", "stream1")?;
    let refused = cluster.node(2).wait_for_log(PATIENCE, |line| line.contains("another node has the stream"));
    ensure!(refused.await.is_some(), "a second publisher was taken");
    // It ends, and takes nothing with it.
    let ended =
        cluster.node(2).wait_for_log(PATIENCE, |line| line.contains("the publish was refused: in use"));
    ensure!(ended.await.is_some(), "the second publisher was kept waiting");
    drop(second);
    cluster.node(3).until_broadcast("LiveApp", "stream1", PATIENCE, is_live).await?;

    for dead in 1..=VOTERS {
        cluster.node_mut(dead).kill9().await?;
        let killed = SystemClock.now();
        let id = format!("without{dead}");
        let wrote = Node::eventually(PATIENCE, || async {
            cluster.node(CLIENT).create_broadcast("LiveApp", &id).await.ok()
        });
        wrote.await.with_context(|| format!("it could not write without node {dead}"))?;
        note(&format!(
            "node {dead} is dead: written by the node without a vote after {:?}",
            (SystemClock.now() - killed)
        ));
        publisher.check()?;
        cluster.node_mut(dead).restart().await?;
        ensure!(cluster.node(dead).broadcast("LiveApp", &id).await?["streamId"] == id.as_str());
        let live = cluster.node(dead).until_broadcast("LiveApp", "stream1", PATIENCE, is_live).await;
        live.with_context(|| {
            let (back, publishing) = (cluster.node(dead).log_lines(), cluster.node(CLIENT).log_lines());
            format!("after the death of node {dead}: {back:#?} {publishing:#?}")
        })?;
    }
    publisher.check()?;
    drop(publisher);
    for number in 1..=VOTERS {
        cluster.node(number).until_broadcast("LiveApp", "stream1", PATIENCE, Value::is_null).await?;
        // It was heard all the time, whoever led.
        let said = cluster.node(number).log_lines();
        let of_it = |line: &&String| {
            line.contains("taken for dead") && line.contains(&format!("\"node\":\"{CLIENT}\""))
        };
        ensure!(!said.iter().any(|line| of_it(&line)), "{said:#?}");
    }
    Ok(())
}
