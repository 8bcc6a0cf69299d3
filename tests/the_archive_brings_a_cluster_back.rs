//! Backups: what a node held is there again after its disk was lost, from the database or from a file, and what happened in
//! the past is read from the database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{AppName, StreamId};
use cluster_scylla::archive::{Which, read};
use cluster_scylla::testing::CqlServer;
use cluster_scylla::{Database, ScyllaOptions};
use load_tests::{Publisher, Recording, RecordingOptions};
use serde_json::json;
use test_support::{Node, NodeOptions, Plan, note, skipped};

const PATIENCE: Duration = Duration::from_secs(30);

async fn run(plan: &Plan, arguments: &[&str]) -> Result<String> {
    let output = plan.command(1, arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {said}{complained}");
    Ok(said)
}

async fn has(node: &Node, id: &str) -> Result<bool> {
    Ok(node.get(&format!("/LiveApp/rest/v2/broadcasts/{id}")).await?.json()["streamId"] == id)
}

/// What anna's sessions on a stream did, as the database has it; nothing while it is asked in vain.
async fn events(node: &Node) -> Result<Vec<String>> {
    let path = "/LiveApp/rest/v2/broadcasts/stream1/connection-events/0/10?subscriberId=anna";
    let response = node.get(path).await?;
    if response.header("penstock-partial").is_some() {
        return Ok(Vec::new());
    }
    let events = response.json();
    let kinds = events.as_array().into_iter().flatten();
    Ok(kinds.filter_map(|event| Some(event["eventType"].as_str()?.to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_database() -> Result<()> {
    let server = match tokio::task::spawn_blocking(CqlServer::start).await? {
        Ok(server) => server,
        Err(why) => {
            skipped("the archive of a cluster", &format!("no CQL server: {why}"));
            return Ok(());
        }
    };
    let (app, kept) = (AppName::new("LiveApp")?, StreamId::new("kept")?);
    let options = ScyllaOptions::new(vec![server.address().to_owned()], "penstock".to_owned());
    let mut plan = Plan::new(env!("CARGO_BIN_EXE_penstock"), 1, 1).await?;
    plan.set("PENSTOCK_SCYLLA_CONTACT_POINTS", server.address());
    plan.set("PENSTOCK_SCYLLA_REPLICATION_FACTOR", "1");
    let mut node = Node::start(plan.options(1)?).await?;
    node.create_broadcast("LiveApp", "kept").await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let publisher =
        Publisher::start(&recording, node.rtmp_address(), "LiveApp", "stream1?subscriberId=anna")?;
    node.until_broadcast("LiveApp", "stream1", PATIENCE, |stream| stream["status"] == "broadcasting").await?;
    drop(publisher);
    let both = ["connected", "disconnected"];
    let told = Node::eventually(PATIENCE, || async { (events(&node).await.ok()? == both).then_some(()) });
    told.await.with_context(|| "the session's events are not in the database")?;
    // A restore has what is in the archive, not what a metric says of the way there.
    let archived = Node::eventually(PATIENCE, || async {
        let database = Database::open(&options).await.ok()?;
        let copy = read(&database, Which::Newest).await.ok()?;
        copy.state.broadcast(&app, &kept).map(drop)
    });
    archived.await.context("the broadcast is not in the archive")?;

    node.kill9().await?;
    // With the store alone lost it would come to nothing: then the cluster of before keeps its database.
    std::fs::remove_file(plan.data_folder(1).join("metadata.redb"))?;
    let refused = run(&plan, &["cluster", "restore", "--yes"]).await.err().map(|error| error.to_string());
    ensure!(refused.as_ref().is_some_and(|said| said.contains("belongs to node 1")), "{refused:?}");
    let row = Database::open(&options).await?.cluster().await?.context("nobody's")?;
    ensure!(row.lineage.generation == 0, "it was taken over: {row:?}");
    std::fs::remove_dir_all(plan.data_folder(1))?;
    let dry = run(&plan, &["cluster", "restore"]).await?;
    ensure!(dry.contains("Nothing was done"), "{dry}");
    note(&run(&plan, &["cluster", "restore", "--yes"]).await?);
    let again = Node::start(plan.options(1)?).await?;
    ensure!(has(&again, "kept").await?, "the broadcast is gone");
    let there = Node::eventually(PATIENCE, || async { (events(&again).await.ok()? == both).then_some(()) });
    there.await.context("the history is gone")?;
    again.create_broadcast("LiveApp", "new").await?;
    ensure!(has(&again, "new").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_file_of_a_node_that_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, file) = (folder.path().join("data"), folder.path().join("copy"));
    std::fs::create_dir(&data)?;
    let binary = env!("CARGO_BIN_EXE_penstock");
    let penstock = async |arguments: &[&str]| -> Result<(bool, String)> {
        let mut command = tokio::process::Command::new(binary);
        let output = command.args(arguments).env("PENSTOCK_DATA_FOLDER", &data).output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.success(), said + &String::from_utf8_lossy(&output.stderr)))
    };
    let path = file.to_str().context("a path")?;
    let (done, said) = penstock(&["backup", path]).await?;
    ensure!(!done && said.contains("is a node running"), "{said}");
    let mut node = Node::start(NodeOptions::new(binary).data_folder(&data)).await?;
    node.create_broadcast("LiveApp", "kept").await?;
    let anna = json!({ "subscriberId": "anna", "b32Secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" });
    let subscribers = "/LiveApp/rest/v2/broadcasts/kept/subscribers";
    let put = node.send("POST", subscribers, &anna).await?;
    ensure!(put.json()["success"] == true, "{}", put.text());
    let (done, said) = penstock(&["backup", path]).await?;
    ensure!(done && said.contains("sealing.secret"), "{said}");
    let seal = std::fs::read(data.join("sealing.secret"))?;
    let (done, said) = penstock(&["backup", path]).await?;
    ensure!(!done && said.contains("cannot be made"), "a backup is not written over: {said}");
    node.create_broadcast("LiveApp", "after").await?;
    node.kill9().await?;

    let (done, said) = penstock(&["restore", path]).await?;
    ensure!(!done && said.contains("empty data folder"), "over what is there: {said}");
    std::fs::remove_dir_all(&data)?;
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = folder.path().join("damaged");
    std::fs::write(&damaged, &bytes)?;
    let (done, said) = penstock(&["restore", damaged.to_str().context("a path")?]).await?;
    ensure!(!done && said.contains("damaged"), "{said}");
    let (done, said) = penstock(&["restore", path]).await?;
    ensure!(done && said.contains("Put the sealing.secret"), "{said}");
    let code = async |node: &Node| node.get(&format!("{subscribers}/anna/totp")).await;
    // Without what opens them the settings are those of the file, and a secret of a subscriber's own makes no code.
    node.restart().await?;
    ensure!(has(&node, "kept").await?, "the data is gone");
    let refused = code(&node).await?;
    ensure!(
        refused.status == 503 && refused.text().contains("sealed"),
        "{} {}",
        refused.status,
        refused.text()
    );
    node.kill9().await?;
    std::fs::write(data.join("sealing.secret"), &seal)?;
    node.restart().await?;
    let made = code(&node).await?;
    ensure!(made.json()["success"] == true, "{} {}", made.status, made.text());
    ensure!(
        has(&node, "kept").await? && !has(&node, "after").await?,
        "what was copied is there, and no more"
    );
    Ok(())
}
