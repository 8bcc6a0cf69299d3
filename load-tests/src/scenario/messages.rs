//! Messages to many, one of whom takes none.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use base::{Clock, SystemClock};
use serde_json::json;
use tokio::time::{Instant as TimerInstant, sleep, sleep_until};

use super::{Goal, Outcome, Stage, existing_stay};
use crate::bench::{Admission, Bench};
use crate::source::{Recording, RecordingOptions};
use crate::swarm::{Listening, Swarm};

const STREAM: &str = "messages";
/// Between two messages: a lively chat. Not the 200 ms after which players acknowledge (RFC 9260 6.2): each message would
/// meet what a thousand say of the one before, which no two messages of people do.
const EVERY: Duration = Duration::from_millis(270);
/// Of the pictures that are played meanwhile, bits per second.
const BITRATE: u32 = 100_000;
/// From the moment REST is asked to the arrival at a player, milliseconds.
const MESSAGE_P99_MS_MAX: f64 = 50.0;
/// Of what is said to so many, this may come after the end of the measurement.
const HEARD_SHARE_MIN: f64 = 0.999;
/// Time for a stream of pictures alone to be shown.
const SHOWN_MAX: Duration = Duration::from_millis(1_500);
/// Time for the last message to arrive.
const LAST_MAX: Duration = Duration::from_secs(2);

/// Who listens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct MessagesOptions {
    /// Players with data channels.
    pub players: usize,
    /// Those of them that acknowledge nothing.
    pub deaf: usize,
    /// How long something is said.
    pub window: Duration,
}

/// Players of one stream are told something every now and then by REST, while some of them take nothing.
///
/// # Errors
/// Node or publisher failed, or REST refused.
pub async fn messages(stage: &Stage, options: MessagesOptions) -> anyhow::Result<Outcome> {
    let MessagesOptions { players, deaf, window } = options;
    // Messages are what is asked about: 80 packets a second for each of a thousand players are as much as one core of
    // players takes, and what stands in their own queues would be taken for the node's.
    let recording = RecordingOptions { bitrate: BITRATE, ..RecordingOptions::default() };
    let recording = Arc::new(Recording::make(recording).await?.without_sound());
    let mut bench = Bench::start(&stage.bench(players, Admission::Off)).await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    // A stream without sound is shown when none came for a second.
    sleep(SHOWN_MAX).await;
    let mut crowd = Bench::crowd(STREAM, players, stage.joins, stage.profile);
    crowd.listening = Some(Listening { deaf });
    let swarm = bench.settle_crowd(crowd, Some(publisher.ledger())).await;
    let gauge = bench.gauge()?;
    let (said, saw) = swarm.measure(speak(&bench, &swarm, window)).await;
    let used = gauge.stop()?;
    let said = said?;
    let skipped = bench.node().metric("penstock_data_messages_dropped_total", &[]).await?;
    publisher.check()?;
    drop((swarm, publisher));
    bench.stop().await?;

    let due = (players - deaf) as f64 * said as f64;
    let mut goals = existing_stay(&saw, players);
    goals.extend([
        Goal::at_least("share of messages that came", saw.messages as f64 / due, HEARD_SHARE_MIN),
        Goal::at_most(
            "a message's way from REST to a player that takes it, p99, ms",
            saw.message_ms.map(|ms| ms.p99),
            MESSAGE_P99_MS_MAX,
        ),
        Goal::at_most("frames lost", saw.frames_lost() as f64, 0.0),
    ]);
    Ok(Outcome {
        scenario: "messages",
        goals,
        excuse: Outcome::excuse_of(&used),
        details: json!({
            "players": players,
            "deaf": deaf,
            "said": said,
            "message_ms": saw.message_ms,
            "not_handed_on": skipped,
            "frames_percent": saw.frames_share * 100.0,
            "lag_ms": saw.lag_ms,
            "saw": saw,
        }),
        used,
    })
}

/// Says something every so often, and waits until it should have arrived; how many times.
async fn speak(bench: &Bench, swarm: &Swarm, window: Duration) -> anyhow::Result<u64> {
    let path = format!("/LiveApp/rest/v2/broadcasts/{STREAM}/data");
    let start = SystemClock.now();
    let mut said = 0;
    while SystemClock.now() < start + window {
        let number = swarm.say(SystemClock.now());
        let answer = bench.node().send("POST", &path, &json!(number)).await?.json();
        ensure!(answer["success"] == true, "REST refused a message: {answer}");
        said += 1;
        sleep_until(TimerInstant::from_std(start + EVERY * said)).await;
    }
    sleep(LAST_MAX).await;
    Ok(said.into())
}
