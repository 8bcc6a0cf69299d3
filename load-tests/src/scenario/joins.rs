//! How long a join takes, and how many a core takes on.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, SystemClock};
use serde_json::json;

use super::{Goal, Outcome, Stage};
use crate::bench::{Admission, Bench, Crowd};
use crate::source::{Recording, RecordingOptions};
use crate::swarm::{Opening, Pace};

const STREAM: &str = "joins";
/// From the first answered check to the first RTP packet on an idle node, milliseconds.
const HANDSHAKE_P50_MS_MAX: f64 = 30.0;
/// Time for all of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many join.
#[derive(Clone, Copy, Debug)]
pub struct JoinsOptions {
    /// One after the other.
    pub single: usize,
    /// As fast as they can.
    pub many: usize,
    /// So many of those at a time.
    pub at_once: usize,
}

/// Players join an idle node one after the other, then many at a time; each leaves when it has media.
///
/// # Errors
/// Node or publisher failed.
pub async fn joins(stage: &Stage, options: JoinsOptions) -> anyhow::Result<Outcome> {
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&stage.bench(options.single + options.many, Admission::Off)).await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    // The first player's cost for all is paid before.
    bench.usage_of_one(STREAM, stage.profile).await?;
    let crowd = |players, at_once| Crowd {
        stream: STREAM.to_owned(),
        players,
        pace: Pace::Turns(at_once),
        profile: stage.profile,
        opening: Opening { count: 0, turn: 0 },
        listening: None,
    };

    let gauge = bench.gauge()?;
    let single = bench.start_crowd(crowd(options.single, 1), None);
    let (_, single) = single.measure(single.joined(PATIENCE)).await;
    let idle = gauge.stop()?;

    let gauge = bench.gauge()?;
    let start = SystemClock.now();
    let many = bench.start_crowd(crowd(options.many, options.at_once), None);
    let (_, many) = many.measure(many.joined(PATIENCE)).await;
    let seconds = (SystemClock.now() - start).as_secs_f64();
    let used = gauge.stop()?;
    publisher.check()?;
    drop(publisher);
    bench.stop().await?;

    let goals = vec![
        Goal::at_most(
            "handshake to first packet, p50 of joins one by one, ms",
            single.handshake_ms.map(|ms| ms.p50),
            HANDSHAKE_P50_MS_MAX,
        ),
        Goal::at_least("joins one by one that had media", single.joined as f64, options.single as f64),
        Goal::at_least("joins at full speed that had media", many.joined as f64, options.many as f64),
    ];
    Ok(Outcome {
        scenario: "joins",
        goals,
        // What is asked for is asked of the idle node; at full speed the players' core is the first to be full.
        excuse: Outcome::excuse_of(&idle).or_else(|| used.excuse()),
        details: json!({
            "joins_per_second": many.joined as f64 / seconds,
            "joins_per_second_of_the_nodes_core": many.joined as f64 / used.server_cpu_seconds(),
            "handshake_ms_one_by_one": single.handshake_ms,
            "join_ms_one_by_one": single.join_ms,
            "handshake_ms_at_full_speed": many.handshake_ms,
            "join_ms_at_full_speed": many.join_ms,
            "one_by_one": single,
            "at_full_speed": many,
        }),
        used,
    })
}
