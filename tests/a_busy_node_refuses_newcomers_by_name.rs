//! A node that has as much to do as it may lets nobody more in and says so by name; who plays loses
//! nothing, who asks for a stream that is not there waits as on an idle node, and once there is room
//! again the next one gets in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use load_tests::machine::Cores;
use load_tests::{Admission, Bench, BenchOptions, Profile, Recording, RecordingOptions, Swarm};
use serde_json::json;
use test_support::{Node, Signalling, Turn, note};
use tokio::task::LocalSet;

const STREAM: &str = "busy";
/// Percent of a shard's time, so low that a few dozen players of a debug build reach it.
const BUSY: &str = "12";
/// Those who are in before, and come so slowly that a slow machine has time for each: joins cost more than playing.
const FIRST: usize = 5;
const FIRST_PER_SECOND: f64 = 3.0;
/// Those who come until somebody is refused.
const AT_A_TIME: usize = 20;
const JOINS_PER_SECOND: f64 = 20.0;
const PLAYERS_MAX: usize = 200;
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn and_those_who_play_lose_nothing() -> Result<()> {
    LocalSet::new().run_until(crowd()).await
}

async fn crowd() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&BenchOptions {
        node: env!("CARGO_BIN_EXE_penstock").into(),
        cores: Cores::choose(1)?,
        players: PLAYERS_MAX,
        admission: Admission::On,
        environment: vec![("PENSTOCK_LIMITS_SHARD_BUSY_PERCENT".to_owned(), BUSY.to_owned())],
    })
    .await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    let come = async |count, per_second| {
        bench.settle_crowd(Bench::crowd(STREAM, count, per_second, Profile::Gcm), None).await
    };

    let first = come(FIRST, FIRST_PER_SECOND).await;
    let before = first.so_far().await;
    ensure!(before.joined == FIRST && before.ended.is_empty(), "{:?}", before.ended);
    let until_refused = async {
        let mut others: Vec<Swarm> = Vec::new();
        loop {
            let more = come(AT_A_TIME, JOINS_PER_SECOND).await;
            let ended = more.so_far().await.ended;
            others.push(more);
            if !ended.is_empty() {
                return Ok((others, ended));
            }
            ensure!(
                others.len() * AT_A_TIME < PLAYERS_MAX,
                "{PLAYERS_MAX} players are not {BUSY} % of a core"
            );
        }
    };
    let (came, saw) = first.measure(until_refused).await;
    let (others, refused) = came?;
    ensure!(refused.keys().all(|why| why == "refused: highResourceUsage"), "{refused:?}");
    let labels = ["kind=\"play\"", "reason=\"shard busy\""];
    // The last of a crowd are still on their way when the first are told.
    let agrees = async || {
        let counted = bench.node().metric("penstock_admissions_refused_total", &labels).await.ok()?;
        let mut told = 0;
        for crowd in &others {
            told += crowd.so_far().await.ended.values().sum::<usize>();
        }
        (counted == told as f64).then_some(())
    };
    Node::eventually(SOON, agrees).await.context("the node counts others than were told")?;

    // No room, and no need of any: it is told when the stream begins.
    let mut early = Signalling::open(&bench.node().signalling_url("LiveApp")).await?;
    let answer = early.ask(&json!({ "command": "play", "streamId": "later" })).await?;
    ensure!(answer["definition"] == "no_stream_exist", "{answer}");

    note(&format!("{} came, {refused:?}; the first {FIRST}: {saw:?}", FIRST + others.len() * AT_A_TIME));
    ensure!(saw.ended.is_empty(), "{:?}", saw.ended);
    ensure!(saw.video.lost == 0 && saw.frames_lost() == 0, "{} frames lost", saw.frames_lost());

    drop(others);
    let let_in = Node::eventually(SOON, async || come(1, JOINS_PER_SECOND).await.has_media().then_some(()));
    if let_in.await.is_none() {
        bail!("nobody got in after most had left");
    }
    publisher.check()?;
    drop((first, publisher));
    bench.stop().await
}
