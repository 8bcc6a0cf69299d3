//! What the node has said yes to outlives `kill -9`; what was live at that moment is not live afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use test_support::{Marker, MarkerOptions, Node, NodeOptions, RtmpClient};

const PATIENCE: Duration = Duration::from_secs(15);
const BROADCASTS: usize = 25;

async fn until_status(node: &Node, id: &str, status: &str) -> Result<()> {
    node.until_broadcast("LiveApp", id, PATIENCE, |broadcast| broadcast["status"] == status).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcasts_are_kept_and_none_is_still_broadcasting() -> Result<()> {
    let mut node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let mut created = Vec::new();
    for number in 0..BROADCASTS {
        let body = json!({ "streamId": format!("kept-{number}"), "name": format!("Name {number}"), "description": "ä \"quoted\"" });
        let answer = node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &body).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        created.push(answer.json());
    }
    let live = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "kept-0")))?;
    let undefined = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "passing-by")))?;
    until_status(&node, "kept-0", "broadcasting").await?;
    until_status(&node, "passing-by", "broadcasting").await?;

    // The last yes is killed in the very moment it is said.
    let body = json!({ "streamId": "last", "name": "Last" });
    let last = node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &body).await?;
    node.kill9().await?;
    ensure!(last.status == 200, "{} {}", last.status, last.text());
    created.push(last.json());
    drop((live, undefined));
    node.restart().await?;

    for before in &created {
        let id = before["streamId"].as_str().context("no streamId")?;
        let after = node.broadcast("LiveApp", id).await?;
        for key in ["streamId", "name", "description", "type", "date"] {
            ensure!(after[key] == before[key], "{id}: {key} was {} and is {}", before[key], after[key]);
        }
        ensure!(after["status"] != "broadcasting", "{id} is broadcasting without a publisher: {after}");
    }
    // A stream nobody registered lives as long as it is published.
    let passing = node.broadcast("LiveApp", "passing-by").await?;
    ensure!(passing["status"] != "broadcasting", "{passing}");

    // And the one that was live can be published again.
    let again = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "kept-0")))?;
    until_status(&node, "kept-0", "broadcasting").await?;
    again.stop()?;
    until_status(&node, "kept-0", "finished").await
}

async fn undefined_is_refused(node: &Node) -> Result<bool> {
    let publisher = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "undefined").await?;
    Ok(publisher.await_end().await.refused("NetStream.Publish.BadName"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_outlives_the_file_that_brought_it() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).setting(
        "LiveApp",
        "settings.acceptOnlyStreamsInDataStore",
        "true",
    );
    let mut node = Node::start(options).await?;
    ensure!(undefined_is_refused(&node).await?, "the setting has no effect");
    node.kill9().await?;
    // At every start the node takes what the file says if that is not what is stored; without a file what
    // is stored stays.
    std::fs::remove_file(node.properties("LiveApp"))?;
    node.restart().await?;
    ensure!(undefined_is_refused(&node).await?, "the setting was lost");
    Ok(())
}
