//! Many come at once late in a long group of pictures.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use base::{Clock, SystemClock};
use serde_json::json;
use tokio::time::{Instant as TimerInstant, sleep, sleep_until};

use super::{Goal, Outcome, Stage, existing_stay};
use crate::bench::{Admission, Bench};
use crate::source::{FPS, Ledger, Recording, RecordingOptions};
use crate::swarm::Opening;

const STREAM: &str = "rejoin";
/// 8.3 s: a common setting of encoders, 250 frames, and the nearest that goes on without a step in the sound.
const GOP_FRAMES: u32 = 248;
/// How far into the group they come.
const INTO_GOP: Duration = Duration::from_secs(7);
/// How long is measured from then on.
const WINDOW: Duration = Duration::from_secs(6);
/// As good as at once.
const AT_ONCE: f64 = 10_000.0;

/// Who plays, and who comes.
#[derive(Clone, Copy, Debug)]
pub struct RejoinOptions {
    /// Players that are there.
    pub existing: usize,
    /// Players that come, all of whom open media.
    pub joiners: usize,
}

/// Players come at once 7 s into a group of pictures of 8.3 s: each is sent all of it in fast motion.
///
/// # Errors
/// Node or publisher failed.
pub async fn rejoin(stage: &Stage, options: RejoinOptions) -> anyhow::Result<Outcome> {
    let RejoinOptions { existing, joiners } = options;
    let recording = RecordingOptions { gop_frames: GOP_FRAMES, ..RecordingOptions::default() };
    let recording = Arc::new(Recording::make(recording).await?);
    let mut bench = Bench::start(&stage.bench(existing + joiners, Admission::Off)).await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    let crowd = Bench::crowd(STREAM, existing, stage.joins, stage.profile);
    let players = bench.settle_crowd(crowd, Some(publisher.ledger())).await;
    // The last ones to come may be replayed a whole group.
    sleep(Duration::from_secs(u64::from(GOP_FRAMES / FPS) / 2)).await;

    let joined_at = wait_into_gop(publisher.ledger()).await?;
    let gauge = bench.gauge()?;
    let come = async {
        let mut crowd = Bench::crowd(STREAM, joiners, AT_ONCE, stage.profile);
        crowd.opening = Opening { count: joiners, turn: 0 };
        let crowd = bench.start_crowd(crowd, Some(publisher.ledger()));
        let (_, saw) = crowd.measure(sleep(WINDOW)).await;
        (crowd, saw)
    };
    let ((crowd, joiners_saw), existing_saw) = players.measure(come).await;
    let used = gauge.stop()?;
    publisher.check()?;
    drop((players, crowd, publisher));
    bench.stop().await?;

    let mut goals = existing_stay(&existing_saw, existing);
    goals.extend([
        Goal::at_most("frames lost by those who were there", existing_saw.frames_lost() as f64, 0.0),
        Goal::at_least("players that came and are live", joiners_saw.live_players as f64, joiners as f64),
    ]);
    Ok(Outcome {
        scenario: "rejoin",
        goals,
        excuse: Outcome::excuse_of(&used),
        details: json!({
            "existing": existing,
            "joiners": joiners,
            "seconds_into_group": joined_at.as_secs_f64(),
            "joiners_live_ms": joiners_saw.live_ms,
            "joiners_first_frame_ms": joiners_saw.first_frame_ms,
            "joiners_join_ms": joiners_saw.join_ms,
            "existing_frames_percent": existing_saw.frames_share * 100.0,
            "existing_lag_ms": existing_saw.lag_ms,
            "ended": joiners_saw.ended,
            "existing_saw": existing_saw,
            "joiners_saw": joiners_saw,
        }),
        used,
    })
}

/// Waits for the moment; how far into the group it is.
async fn wait_into_gop(ledger: &Ledger) -> anyhow::Result<Duration> {
    let gop = Duration::from_secs(GOP_FRAMES.into()) / FPS;
    let key_frame = ledger.key_frame_sent_at().context("no key frame was sent")?;
    let mut due = key_frame + INTO_GOP;
    if due < SystemClock.now() {
        due += gop;
    }
    sleep_until(TimerInstant::from_std(due)).await;
    let key_frame = ledger.key_frame_sent_at().context("no key frame was sent")?;
    let into = SystemClock.now() - key_frame;
    ensure!(into >= INTO_GOP && into < gop, "{into:?} into the group");
    Ok(into)
}
