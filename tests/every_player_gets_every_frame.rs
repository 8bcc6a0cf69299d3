//! A crowd of WebRTC players gets every frame that was published, to the bit and soon, whichever cipher its
//! members know: eight of them decrypt all of it and find each picture again in what the encoder sent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::machine::Cores;
use load_tests::{Admission, Bench, BenchOptions, Profile, Recording, RecordingOptions};
use test_support::{Turn, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PLAYERS: usize = 16;
const OPENING: f64 = 8.0;
const WATCHED: Duration = Duration::from_secs(5);
/// Publisher to player, in 99 of 100 cases.
const LAG_P99_MS_MAX: f64 = 60.0;

async fn watch(profile: Profile) -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&BenchOptions {
        node: env!("CARGO_BIN_EXE_penstock").into(),
        cores: Cores::choose(1)?,
        players: PLAYERS,
        admission: Admission::Off,
        environment: Vec::new(),
    })
    .await?;
    let mut publisher = bench.publish(&recording, "crowd").await?;
    let crowd = Bench::crowd("crowd", PLAYERS, 50.0, profile);
    let players = bench.settle_crowd(crowd, Some(publisher.ledger())).await;
    let gauge = bench.gauge()?;
    let (_, saw) = players.measure(sleep(WATCHED)).await;
    let used = gauge.stop()?;
    publisher.check()?;
    drop((players, publisher));
    bench.stop().await?;
    note(&format!("{profile}: {saw:?}\nmachine: {used:?}"));

    ensure!(saw.joined == PLAYERS && saw.ended.is_empty(), "{} joined; ended: {:?}", saw.joined, saw.ended);
    ensure!(saw.frames_unknown == 0, "{} pictures were never published", saw.frames_unknown);
    ensure!(saw.opened > saw.frames_known, "nothing was decrypted");
    ensure!(saw.video.lost + saw.audio.lost == 0, "packets lost for good");
    if let Some(excuse) = used.excuse() {
        note(&format!("{profile}: how many and how soon is not judged: {excuse}"));
        return Ok(());
    }
    ensure!(saw.frames_lost() == 0, "{} frames lost", saw.frames_lost());
    // One may come just before the window and one just after it.
    ensure!(saw.frames_known as f64 >= (saw.frames_due - 2.0) * OPENING, "{} known", saw.frames_known);
    ensure!(
        saw.video.frames_filled() >= (saw.frames_due - 2.0) * PLAYERS as f64,
        "{} whole",
        saw.video.frames
    );
    let lag = saw.lag_ms.context("no lag was measured")?;
    ensure!(lag.p99 <= LAG_P99_MS_MAX, "{lag:?}");
    Ok(())
}

#[tokio::test]
async fn sealed_with_gcm() -> Result<()> {
    LocalSet::new().run_until(watch(Profile::Gcm)).await
}

#[tokio::test]
async fn sealed_with_cm() -> Result<()> {
    LocalSet::new().run_until(watch(Profile::Cm)).await
}
