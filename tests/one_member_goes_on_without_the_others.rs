//! When most members are lost for good, one goes on as a new cluster with what it has, or the first one of a new cluster begins
//! with a backup; members of the cluster of before are none of the new one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_support::{Cluster, Node, Plan, Starting, note};

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");
const VOTERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// What is there before anything is lost.
const BROADCASTS: usize = 5;

async fn has_all(node: &Node) -> Result<()> {
    for number in 0..BROADCASTS {
        let id = format!("kept{number}");
        ensure!(node.broadcast("LiveApp", &id).await?["streamId"] == id.as_str(), "{id} is gone");
    }
    Ok(())
}

/// Runs a command for node 1; what it says, and whether it did it.
async fn run(plan: &Plan, arguments: &[&str]) -> Result<(bool, String)> {
    let output = plan.command(1, arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success(), said + &String::from_utf8_lossy(&output.stderr)))
}

fn cluster_of(folder: &Path) -> Result<Value> {
    Ok(serde_json::from_slice::<Value>(&std::fs::read(folder.join("cluster.json"))?)?["cluster"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_goes_on_when_two_are_lost() -> Result<()> {
    let mut cluster = Cluster::start(BINARY, VOTERS).await?;
    for number in 0..BROADCASTS {
        cluster.node(number % VOTERS + 1).create_broadcast("LiveApp", &format!("kept{number}")).await?;
    }
    // An entry that it has and has not applied yet is not lost with the others.
    let there = Node::eventually(PATIENCE, || async { has_all(cluster.node(1)).await.ok() });
    there.await.context("node 1 does not have everything")?;
    for number in 1..=VOTERS {
        cluster.node_mut(number).kill9().await?;
    }
    let (plan, folder) = (cluster.plan(), cluster.plan().data_folder(1));
    let before = cluster_of(&folder)?;
    let kept = folder.join("metadata.redb.before-recover");

    let (done, said) = run(plan, &["cluster", "recover"]).await?;
    ensure!(done && said.contains("Nothing was done") && said.contains("members 2, 3"), "{said}");
    ensure!(cluster_of(&folder)? == before && !kept.exists(), "it did something");
    // What an earlier try may have left.
    std::fs::write(folder.join("metadata.redb.recovered"), "half a store")?;
    let (done, said) = run(plan, &["cluster", "recover", "--yes"]).await?;
    ensure!(done && kept.exists(), "{said}");
    note(&said);
    ensure!(cluster_of(&folder)? != before, "it is the same cluster still");
    ensure!(!folder.join("metadata.redb.recovered").exists(), "what was made is in its place");
    let (done, said) = run(plan, &["cluster", "recover", "--yes"]).await?;
    ensure!(!done && said.contains("from an earlier try"), "{said}");

    cluster.node_mut(1).restart().await?;
    has_all(cluster.node(1)).await?;
    cluster.node(1).create_broadcast("LiveApp", "after").await?;
    // One that was thought lost comes back with what it had.
    let old = Starting::spawn(cluster.plan().options(2)?)?;
    let told = old.wait_for_log(PATIENCE, |line| line.contains("it is of another cluster")).await;
    ensure!(told.is_some(), "{:#?}", old.log_lines());
    cluster.node(1).create_broadcast("LiveApp", "with_the_other_one_there").await?;
    let status = cluster.node(1).get("/rest/v2/cluster/status").await?.json();
    ensure!(status["leader"] == 1, "{status}");
    old.kill9().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_begins_with_a_backup() -> Result<()> {
    let plan = Plan::new(BINARY, 1, 1).await?;
    let folder = plan.data_folder(1);
    let mut node = Node::start(plan.options(1)?).await?;
    for number in 0..BROADCASTS {
        node.create_broadcast("LiveApp", &format!("kept{number}")).await?;
    }
    let room = tempfile::tempdir()?;
    let file = room.path().join("copy");
    let file = file.to_str().context("a path")?;
    let (done, said) = run(&plan, &["backup", file]).await?;
    ensure!(done, "{said}");
    let before = cluster_of(&folder)?;
    node.kill9().await?;
    let restore = ["cluster", "restore", "--from", file, "--yes"];
    let (done, said) = run(&plan, &restore).await?;
    ensure!(!done && said.contains("restore into an empty folder"), "{said}");

    std::fs::remove_dir_all(&folder)?;
    let (done, said) = run(&plan, &restore[..4]).await?;
    ensure!(done && said.contains("Nothing was done") && !folder.exists(), "{said}");
    let (done, said) = run(&plan, &restore).await?;
    ensure!(done && said.contains("Start node 1"), "{said}");
    ensure!(cluster_of(&folder)? != before, "it is the same cluster still");
    node.restart().await?;
    has_all(&node).await?;
    node.create_broadcast("LiveApp", "after").await?;

    // Nor into the folder of a node that waits for its cluster: it would begin another one over what was brought back.
    let waiting = Plan::new(BINARY, VOTERS, VOTERS).await?;
    let waits = Starting::spawn(waiting.options(1)?)?;
    let told = waits.wait_for_log(PATIENCE, |line| line.contains("the node waits: ")).await;
    ensure!(told.is_some(), "{:#?}", waits.log_lines());
    let (done, said) = run(&waiting, &restore).await?;
    ensure!(!done && said.contains("waits there for its cluster. Stop it first"), "{said}");
    waits.kill9().await?;

    // With the store alone lost it still belongs to a cluster: nothing is begun, and nothing taken over.
    node.kill9().await?;
    std::fs::remove_file(folder.join("metadata.redb"))?;
    let (done, said) = run(&plan, &restore).await?;
    ensure!(!done && said.contains("belongs to node 1 of a cluster"), "{said}");
    Ok(())
}
