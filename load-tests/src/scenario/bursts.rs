//! Large key frames for a full shard, and somebody who plays another stream of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Goal, Outcome, Stage};
use crate::bench::{Admission, Bench};
use crate::source::{Recording, RecordingOptions};
use crate::swarm::Opening;

const BURSTS: &str = "bursts";
const OTHER: &str = "other";
const KEY_FRAME_BYTES: usize = 300_000;
/// Bits per second of the pictures between.
const BITRATE: u32 = 500_000;
/// How late sound may be, milliseconds.
const SOUND_P99_MS_MAX: f64 = 20.0;
/// How late frames of the other stream may be, milliseconds.
const OTHER_P99_MS_MAX: f64 = 50.0;

/// Who plays what.
#[derive(Clone, Copy, Debug)]
pub struct BurstsOptions {
    /// Players of the stream with large key frames.
    pub players: usize,
    /// Players of the other one, all of whom open media.
    pub others: usize,
    /// How long is measured.
    pub window: Duration,
}

/// A stream with key frames of 300 KB every 2 s and small frames between, and an ordinary stream beside it.
///
/// # Errors
/// Node or a publisher failed.
pub async fn bursts(stage: &Stage, options: BurstsOptions) -> anyhow::Result<Outcome> {
    let BurstsOptions { players, others, window } = options;
    let large = RecordingOptions {
        bitrate: BITRATE,
        key_frame_bytes: KEY_FRAME_BYTES,
        ..RecordingOptions::default()
    };
    let large = Arc::new(Recording::make(large).await?);
    let ordinary = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&stage.bench(players + others, Admission::Off)).await?;
    let mut large = bench.publish(&large, BURSTS).await?;
    let mut ordinary = bench.publish(&ordinary, OTHER).await?;
    let crowd = Bench::crowd(BURSTS, players, stage.joins, stage.profile);
    let crowd = bench.settle_crowd(crowd, Some(large.ledger())).await;
    let mut few = Bench::crowd(OTHER, others, stage.joins, stage.profile);
    few.opening = Opening { count: others, turn: 0 };
    let few = bench.settle_crowd(few, Some(ordinary.ledger())).await;

    let gauge = bench.gauge()?;
    let ((_, others_saw), bursts_saw) = crowd.measure(few.measure(sleep(window))).await;
    let used = gauge.stop()?;
    large.check()?;
    ordinary.check()?;
    drop((crowd, few, large, ordinary));
    bench.stop().await?;

    let goals = vec![
        Goal::at_least("players of the bursts that had media", bursts_saw.joined as f64, players as f64),
        Goal::at_least("players of the other stream that had media", others_saw.joined as f64, others as f64),
        Goal::at_most(
            "sound of the bursts, p99, ms",
            bursts_saw.sound_delay_ms.map(|ms| ms.p99),
            SOUND_P99_MS_MAX,
        ),
        Goal::at_most(
            "sound of the other stream, p99, ms",
            others_saw.sound_delay_ms.map(|ms| ms.p99),
            SOUND_P99_MS_MAX,
        ),
        Goal::at_most(
            "frames of the other stream, lag p99, ms",
            others_saw.lag_ms.map(|ms| ms.p99),
            OTHER_P99_MS_MAX,
        ),
    ];
    Ok(Outcome {
        scenario: "bursts",
        goals,
        excuse: Outcome::excuse_of(&used),
        details: json!({
            "players": players,
            "others": others,
            "bursts_frames_percent": bursts_saw.frames_share * 100.0,
            "others_frames_percent": others_saw.frames_share * 100.0,
            "bursts_lag_ms": bursts_saw.lag_ms,
            "others_lag_ms": others_saw.lag_ms,
            "bursts_sound_delay_ms": bursts_saw.sound_delay_ms,
            "others_sound_delay_ms": others_saw.sound_delay_ms,
            "bursts_saw": bursts_saw,
            "others_saw": others_saw,
        }),
        used,
    })
}
