//! The clock in an encoder's messages wraps, is set back or jumps while frames go on: its viewers see every
//! frame, and none of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use futures_util::future::try_join_all;
use load_tests::{
    Identity, Manner, Opening, Publisher, Recording, RecordingOptions, Summary, Swarm, SwarmOptions,
};
use test_support::{Load, Node, NodeOptions, Turn, Verdict, note};
use tokio::task::LocalSet;
use tokio::time::sleep_until;

const PATIENCE: Duration = Duration::from_secs(20);
const PLAYERS: usize = 2;
/// When each clock does what it does, after its start. By then viewers have come to the live frames.
const STEP_MS: u64 = 8_000;
/// From when it does it at the latest, on a busy machine, to what that may do to viewers.
const AFTERWARDS: Duration = Duration::from_secs(5);
const GAP_MS_MAX: f64 = 200.0;

/// What a clock does, and what it shows so many milliseconds after its start.
type Row = (&'static str, fn(u64) -> u32);

const CLOCKS: [Row; 5] = [
    ("wraps", |ms| (u32::MAX - STEP_MS as u32).wrapping_add(ms as u32)),
    ("is-reset", |ms| if ms < STEP_MS { 90_000 + ms as u32 } else { (ms - STEP_MS) as u32 }),
    ("jumps-an-hour", |ms| ms as u32 + if ms < STEP_MS { 0 } else { 3_600_000 }),
    ("goes-back-ten-seconds", |ms| 60_000 + ms as u32 - if ms < STEP_MS { 0 } else { 10_000 }),
    ("jumps-three-seconds-at-the-wrap", |ms| {
        (u32::MAX - STEP_MS as u32).wrapping_add(ms as u32).wrapping_add(if ms < STEP_MS { 0 } else { 3_000 })
    }),
];

async fn watch(
    node: &Node,
    recording: &Arc<Recording>,
    identity: &Arc<Identity>,
    (stream, stamp): Row,
) -> Result<(&'static str, Summary)> {
    let manner = Manner { stamp, ..Manner::default() };
    // Its clock starts once it is connected: a moment later.
    let step = SystemClock.now() + Duration::from_millis(STEP_MS);
    let mut publisher = Publisher::start_as(manner, recording, node.rtmp_address(), "LiveApp", stream)?;
    node.until_broadcast("LiveApp", stream, PATIENCE, |broadcast| broadcast["width"] == 1280).await?;
    let options = SwarmOptions {
        opening: Opening { count: PLAYERS, turn: 0 },
        ledger: Some(Arc::clone(publisher.ledger())),
        ..SwarmOptions::new(node.signalling_url("LiveApp"), stream, PLAYERS)
    };
    let swarm = Swarm::start(options, Arc::clone(identity));
    let live = swarm.live(step.saturating_duration_since(SystemClock.now())).await;
    ensure!(live, "{stream}: its viewers did not come to the live frames before its clock's step");
    let (_, saw) = swarm.measure(sleep_until((step + AFTERWARDS).into())).await;
    publisher.check()?;
    Ok((stream, saw))
}

#[tokio::test]
async fn and_nobody_notices() -> Result<()> {
    LocalSet::new().run_until(play()).await
}

async fn play() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording =
        Arc::new(Recording::make(RecordingOptions { bitrate: 500_000, ..Default::default() }).await?);
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let identity = Arc::new(Identity::new()?);
    let load = Load::watch();
    let all = try_join_all(CLOCKS.map(|clock| watch(&node, &recording, &identity, clock))).await?;
    let load = load.report();
    let mut promises = Vec::new();
    for (stream, saw) in all {
        note(&format!("{stream}: {saw:?}"));
        ensure!(
            saw.joined == PLAYERS && saw.ended.is_empty(),
            "{stream}: {} joined, {:?}",
            saw.joined,
            saw.ended
        );
        ensure!(saw.frames_unknown == 0, "{stream}: {} pictures were never published", saw.frames_unknown);
        ensure!(saw.video.missed + saw.audio.missed == 0, "{stream}: {:?} {:?}", saw.video, saw.audio);
        ensure!(
            saw.frames_lost() == 0,
            "{stream}: {} frames lost, as the RTP clock has it",
            saw.frames_lost()
        );
        let gap_ms = saw.gap_ms.context("no gap was measured")?.max;
        promises.push((gap_ms > GAP_MS_MAX, format!("{stream}: {gap_ms} ms without a picture")));
    }
    Verdict::of(promises, "", &load).into_result()
}
