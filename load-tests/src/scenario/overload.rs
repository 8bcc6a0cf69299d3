//! Many more come than a node can carry.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Goal, Outcome, Stage, existing_stay};
use crate::bench::{Admission, Bench};
use crate::source::{Recording, RecordingOptions};

const STREAM: &str = "overload";
/// How a player is refused that the node has no room for.
const REFUSED: &str = "refused: highResourceUsage";
/// Share of their frames that those who played before must get, percent.
const FRAMES_PERCENT_MIN: f64 = 99.0;
/// After the last one came: a join may wait this long, and then some.
const AFTERWARDS: Duration = Duration::from_secs(7);

/// Who plays, and who comes.
#[derive(Clone, Copy, Debug)]
pub struct OverloadOptions {
    /// Players that are there.
    pub existing: usize,
    /// Players that come.
    pub joiners: usize,
    /// Within which time they come.
    pub within: Duration,
}

/// With admission on, many come to a node that already plays to some.
///
/// # Errors
/// Node or publisher failed.
pub async fn overload(stage: &Stage, options: OverloadOptions) -> anyhow::Result<Outcome> {
    let OverloadOptions { existing, joiners, within } = options;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&stage.bench(existing + joiners, Admission::On)).await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    let crowd = Bench::crowd(STREAM, existing, stage.joins, stage.profile);
    let players = bench.settle_crowd(crowd, Some(publisher.ledger())).await;

    let gauge = bench.gauge()?;
    let rate = joiners as f64 / within.as_secs_f64();
    let come = async {
        let crowd = Bench::crowd(STREAM, joiners, rate, stage.profile);
        let crowd = bench.start_crowd(crowd, Some(publisher.ledger()));
        let (_, saw) = crowd.measure(sleep(within + AFTERWARDS)).await;
        (crowd, saw)
    };
    let ((crowd, joiners_saw), existing_saw) = players.measure(come).await;
    let used = gauge.stop()?;
    publisher.check()?;
    drop((players, crowd, publisher));
    bench.stop().await?;

    let refused = joiners_saw.ended.get(REFUSED).copied().unwrap_or(0);
    let mut goals = existing_stay(&existing_saw, existing);
    goals.extend([
        Goal::at_least(
            "frames of those who were there, %",
            existing_saw.frames_share * 100.0,
            FRAMES_PERCENT_MIN,
        ),
        Goal::at_most(
            "players that came and neither play nor were refused by name",
            joiners.saturating_sub(joiners_saw.joined + refused) as f64,
            0.0,
        ),
    ]);
    let nobody = (refused == 0).then(|| "nobody was refused: the limit was not reached".to_owned());
    Ok(Outcome {
        scenario: "overload",
        goals,
        excuse: Outcome::excuse_of(&used).or(nobody),
        details: json!({
            "existing": existing,
            "came": joiners,
            "came_and_play": joiners_saw.joined,
            "refused": refused,
            "existing_worst_percent": existing_saw.frames_share_worst.map(|share| share * 100.0),
            "existing_frames_lost": existing_saw.frames_lost(),
            "existing_lag_ms": existing_saw.lag_ms,
            "ended": joiners_saw.ended,
            "existing_saw": existing_saw,
            "joiners_saw": joiners_saw,
        }),
        used,
    })
}
