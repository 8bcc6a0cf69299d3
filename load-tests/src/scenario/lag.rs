//! How late the node makes what goes from WebRTC to WebRTC.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Goal, Outcome, Stage, existing_stay};
use crate::bench::{Admission, Bench};
use crate::source::{Recording, RecordingOptions};
use crate::swarm::Opening;

const STREAM: &str = "lag";
/// From the publisher's send of a picture's last packet until a player has all of it, milliseconds.
const LAG_P50_MS_MAX: f64 = 5.0;

/// Who plays, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct LagOptions {
    /// Players, all of whom open media.
    pub players: usize,
    /// How long is measured.
    pub window: Duration,
}

/// One publishes by WebRTC, a few play by WebRTC, all in this process: both ends of a picture's way are read from one
/// clock.
///
/// # Errors
/// Node or publisher failed.
pub async fn lag(stage: &Stage, options: LagOptions) -> anyhow::Result<Outcome> {
    let LagOptions { players, window } = options;
    let recording = Recording::make(RecordingOptions::default()).await?;
    let mut bench = Bench::start(&stage.bench(players, Admission::Off)).await?;
    let publisher = bench.publish_by_webrtc(&recording, &[STREAM.to_owned()]).await?;
    let mut crowd = Bench::crowd(STREAM, players, stage.joins, stage.profile);
    crowd.opening = Opening { count: players, turn: 0 };
    let crowd = bench.settle_crowd(crowd, publisher.ledgers().first()).await;
    let gauge = bench.gauge()?;
    let (_, saw) = crowd.measure(sleep(window)).await;
    let used = gauge.stop()?;
    publisher.check()?;
    let sent = publisher.sent();
    drop((crowd, publisher));
    bench.stop().await?;

    let mut goals = existing_stay(&saw, players);
    goals.extend([
        Goal::at_most("WebRTC to WebRTC, lag p50, ms", saw.lag_ms.map(|ms| ms.p50), LAG_P50_MS_MAX),
        Goal::at_most("frames lost", saw.frames_lost() as f64, 0.0),
        Goal::at_most("pictures that were never sent", saw.frames_unknown as f64, 0.0),
    ]);
    Ok(Outcome {
        scenario: "lag",
        goals,
        excuse: Outcome::excuse_of(&used),
        details: json!({
            "players": players,
            "pictures_known": saw.frames_known,
            "lag_ms": saw.lag_ms,
            "fanout_ms": saw.fanout_ms,
            "sound_delay_ms": saw.sound_delay_ms,
            "sent": sent,
            "saw": saw,
        }),
        used,
    })
}
