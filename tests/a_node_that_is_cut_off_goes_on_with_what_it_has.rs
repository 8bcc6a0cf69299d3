//! A member that the others cannot reach goes on with the streams it has and takes no new ones; when the way heals it has
//! its claim again, unless another node was given the stream in the meantime.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Publisher, Recording, RecordingOptions};
use serde_json::{Value, json};
use test_support::{Cluster, Node, Plan, RtmpClient, Signalling, Turn, note};

const VOTERS: usize = 3;
/// The one that is cut off.
const ALONE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// For a publisher to be let in or refused.
const ANSWER_MAX: Duration = Duration::from_secs(8);

fn is_live(broadcast: &Value) -> bool {
    broadcast["status"] == "broadcasting"
}

/// Waits for the next line that says something, behind those that are there already.
async fn says(node: &Node, before: usize, words: &str) -> Result<()> {
    let is_said =
        async || node.log_lines().into_iter().skip(before).any(|line| line.contains(words)).then_some(());
    Node::eventually(PATIENCE, is_said).await.with_context(|| {
        let said: Vec<_> = node.log_lines().into_iter().skip(before).collect();
        format!("the node did not say {words:?}: {said:#?}")
    })
}

async fn an_encoder_is_refused(node: &Node) -> Result<()> {
    let refused = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "new").await?.await_end().await;
    ensure!(refused.refused("NetStream.Failed"), "{refused:?}");
    ensure!(refused.said("Try again in some seconds"), "{refused:?}");
    Ok(())
}

async fn a_page_is_refused(node: &Node) -> Result<()> {
    let mut page = Signalling::open(&node.signalling_url("LiveApp")).await?;
    page.send(&json!({ "command": "publish", "streamId": "other", "video": true, "audio": true })).await?;
    let answer = page.receive().await?;
    ensure!(answer["definition"] == "data_store_not_available", "{answer}");
    Ok(())
}

async fn a_write_is_refused(node: &Node) -> Result<()> {
    let path = "/LiveApp/rest/v2/broadcasts/create";
    let created = node.send("POST", path, &json!({ "streamId": "written" })).await?;
    ensure!(created.status == 503, "{} {}", created.status, created.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_on_and_new_ones_wait_until_it_is_healed() -> Result<()> {
    let _turn = Turn::take().await?;
    let plan = Plan::new(env!("CARGO_BIN_EXE_penstock"), VOTERS, VOTERS).await?.over_ways().await?;
    let cluster = Cluster::of(plan).await?;
    let (alone, other) = (cluster.node(ALONE), cluster.node(1));
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut publisher = Publisher::start(&recording, alone.rtmp_address(), "LiveApp", "running")?;
    other.until_broadcast("LiveApp", "running", PATIENCE, is_live).await?;

    // Cut off, with nobody who wants the stream: it goes on, and has it again afterwards.
    let before = alone.log_lines().len();
    let cut = SystemClock.now();
    cluster.plan().cut_off(ALONE);
    says(alone, before, "the metadata plane does not answer: the node's streams go on").await?;
    note(&format!("it took itself for cut off after {:?}", SystemClock.now() - cut));
    // At once: a claim that lapsed is kept for its node for 20 s.
    tokio::try_join!(an_encoder_is_refused(alone), a_page_is_refused(alone), a_write_is_refused(alone))?;
    publisher.check()?;
    // What it knows it shows, and says how old that may be.
    let shown = alone.get("/LiveApp/rest/v2/broadcasts/running").await?;
    ensure!(shown.status == 200 && shown.json()["streamId"] == "running", "{}", shown.text());
    let age = shown.header("penstock-age-ms").and_then(|age| age.parse::<u64>().ok());
    let max = u64::try_from((SystemClock.now() - cut).as_millis())?;
    ensure!(age.is_some_and(|age| (2_000..=max + 2_000).contains(&age)), "{age:?} of {max}");
    ensure!(alone.metric("penstock_streams", &[]).await? == 1.0);
    // The others have a majority.
    other.create_broadcast("LiveApp", "meanwhile").await?;
    cluster.plan().heal(ALONE);
    let healed = SystemClock.now();
    says(alone, before, "the metadata plane answers again, all claims are renewed").await?;
    note(&format!("its claims were renewed {:?} after the way was healed", SystemClock.now() - healed));
    alone.until_broadcast("LiveApp", "meanwhile", PATIENCE, |read| read["streamId"] == "meanwhile").await?;
    other.until_broadcast("LiveApp", "running", PATIENCE, is_live).await?;
    publisher.check()?;

    // Cut off again, and meanwhile its stream is published elsewhere.
    let before = alone.log_lines().len();
    cluster.plan().cut_off(ALONE);
    let taken = Node::eventually(PATIENCE, || async {
        let mut second = Publisher::start(&recording, other.rtmp_address(), "LiveApp", "running").ok()?;
        // It sends nothing before it is told that it may.
        let sends = Node::eventually(ANSWER_MAX, || {
            let ended = second.check().is_err();
            let sends = second.ledger().key_frame_sent_at().is_some();
            async move { (ended || sends).then_some(sends) }
        });
        sends.await.filter(|sends| *sends)?;
        Some(second)
    });
    let mut second = taken.await.context("nobody could take over the stream of a node that is cut off")?;
    publisher.check()?;
    cluster.plan().heal(ALONE);
    says(alone, before, "another node publishes the stream: it ends here").await?;
    alone.until_metric("penstock_streams", &[], PATIENCE, |live| live == 0.0).await?;
    for number in [1, 2] {
        cluster.node(number).until_broadcast("LiveApp", "running", PATIENCE, is_live).await?;
    }
    second.check()
}
