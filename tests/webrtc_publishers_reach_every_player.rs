//! What many publish by WebRTC comes whole to those who play it: every picture is found again in what was sent, to the
//! bit and soon. The publishers are those of the load tests, which are kept true by this.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::machine::Cores;
use load_tests::{Admission, Bench, BenchOptions, Opening, Profile, Recording, RecordingOptions};
use test_support::{Turn, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PLAYERS: usize = 2;
const WATCHED: Duration = Duration::from_secs(5);
/// Publisher to player, in half of all cases.
const LAG_P50_MS_MAX: f64 = 20.0;

async fn watch() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Recording::make(RecordingOptions::default()).await?;
    let mut bench = Bench::start(&BenchOptions {
        node: env!("CARGO_BIN_EXE_penstock").into(),
        cores: Cores::choose(1)?,
        players: 2 * PLAYERS,
        admission: Admission::Off,
        environment: Vec::new(),
    })
    .await?;
    let streams = ["one", "other"].map(str::to_owned);
    let publishers = bench.publish_by_webrtc(&recording, &streams).await?;
    let mut crowds = Vec::new();
    for (stream, ledger) in streams.iter().zip(publishers.ledgers()) {
        let mut crowd = Bench::crowd(stream, PLAYERS, 50.0, Profile::Gcm);
        crowd.opening = Opening { count: PLAYERS, turn: 0 };
        crowds.push(bench.settle_crowd(crowd, Some(ledger)).await);
    }
    let [one, other] = crowds.as_slice() else { anyhow::bail!("two streams have two crowds") };
    let gauge = bench.gauge()?;
    // A window to count in.
    let ((_, saw_other), saw_one) = one.measure(other.measure(sleep(WATCHED))).await;
    let used = gauge.stop()?;
    publishers.check()?;
    let sent = publishers.sent();
    note(&format!("{saw_one:?}\n{saw_other:?}\n{sent:?}\nmachine: {used:?}"));
    drop((crowds, publishers));
    let live =
        async || bench.node().metric("penstock_publishers", &[]).await.ok().filter(|live| *live == 0.0);
    ensure!(
        test_support::Node::eventually(WATCHED, live).await.is_some(),
        "publishers that left are still there"
    );
    bench.stop().await?;

    ensure!(sent.key_frames_asked > 0, "nobody asked for a key frame when it began");
    for saw in [saw_one, saw_other] {
        ensure!(
            saw.joined == PLAYERS && saw.ended.is_empty(),
            "{} joined; ended: {:?}",
            saw.joined,
            saw.ended
        );
        ensure!(saw.frames_unknown == 0, "{} pictures were never published", saw.frames_unknown);
        ensure!(saw.video.lost + saw.audio.lost == 0, "packets lost for good");
        ensure!(saw.audio.packets > 0, "no sound came");
        if let Some(excuse) = used.excuse() {
            note(&format!("how many and how soon is not judged: {excuse}"));
            continue;
        }
        ensure!(saw.frames_lost() == 0, "{} frames lost", saw.frames_lost());
        // One may come just before the window and one just after it.
        let due = (saw.frames_due - 2.0) * PLAYERS as f64;
        ensure!(saw.frames_known as f64 >= due, "{} known of {due}", saw.frames_known);
        let lag = saw.lag_ms.context("no lag was measured")?;
        ensure!(lag.p50 <= LAG_P50_MS_MAX, "{lag:?}");
    }
    Ok(())
}

#[tokio::test]
async fn whole_and_soon() -> Result<()> {
    LocalSet::new().run_until(watch()).await
}
