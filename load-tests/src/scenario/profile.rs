//! Where a node's time goes.

use std::fmt;
use std::sync::Arc;

use super::Stage;
use crate::bench::{Admission, Bench};
use crate::link::Profile;
use crate::machine::{Samples, Used};
use crate::source::{Recording, RecordingOptions};

const STREAM: &str = "profile";

/// What was sampled, and under what.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TimeProfile {
    /// What players offered.
    pub profile: Profile,
    /// How many there were.
    pub players: usize,
    /// What node and players used meanwhile, sampling with it.
    pub used: Used,
    /// Where the node was.
    pub samples: Samples,
}

/// Samples a node that plays the ordinary stream to so many.
///
/// # Errors
/// Node, publisher or `perf` failed.
pub async fn profile(stage: &Stage, players: usize, seconds: u64) -> anyhow::Result<TimeProfile> {
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut bench = Bench::start(&stage.bench(players, Admission::Off)).await?;
    let mut publisher = bench.publish(&recording, STREAM).await?;
    let crowd = Bench::crowd(STREAM, players, stage.joins, stage.profile);
    let swarm = bench.settle_crowd(crowd, None).await;
    let gauge = bench.gauge()?;
    let samples = Samples::record(bench.node().pid(), seconds).await?;
    let used = gauge.stop()?;
    publisher.check()?;
    drop((swarm, publisher));
    bench.stop().await?;
    Ok(TimeProfile { profile: stage.profile, players, used, samples })
}

impl fmt::Display for TimeProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, players, used, samples } = self;
        writeln!(
            f,
            "{profile}, {players} players: node {:.1} % of a core, foreign {:.1} %, {} samples\n",
            used.server_cpu_percent,
            used.foreign_share * 100.0,
            samples.count
        )?;
        writeln!(f, "| part | % of the node's time |\n|---|---|")?;
        samples
            .parts
            .iter()
            .try_for_each(|(part, percent)| writeln!(f, "| {} | {percent:.1} |", part.name()))?;
        writeln!(f, "\n| function | % |\n|---|---|")?;
        samples.functions.iter().try_for_each(|(name, percent)| writeln!(f, "| `{name}` | {percent:.1} |"))
    }
}
