//! Whether players cost the same whichever way their stream came in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::time::sleep;

use super::{Goal, Outcome, Stage};
use crate::bench::{Admission, Bench};
use crate::machine::Used;
use crate::source::{Publisher, Recording, RecordingOptions, WebRtcPublishers};
use crate::swarm::Summary;

const STREAM: &str = "source";
/// The node's time under players of a WebRTC publisher, against that under as many of an RTMP one.
const COST_RATIO_MAX: f64 = 1.1;

/// Who plays, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SourcesOptions {
    /// Players.
    pub players: usize,
    /// How often each way is measured, in turn.
    pub turns: usize,
    /// How long is measured each time.
    pub window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Rtmp,
    WebRtc,
}

/// One node under players of one source.
#[derive(Clone, Debug, serde::Serialize)]
struct Run {
    source: Source,
    us_per_packet: f64,
    used: Used,
    saw: Summary,
}

/// Held for as long as it publishes.
enum Publishing {
    Rtmp(Publisher),
    WebRtc(WebRtcPublishers),
}

/// The same recording by RTMP and by WebRTC in turn, each time with a node of its own.
///
/// # Errors
/// Node or publisher failed.
pub async fn sources(stage: &Stage, options: SourcesOptions) -> anyhow::Result<Outcome> {
    let SourcesOptions { players, turns, window } = options;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut runs = Vec::new();
    for _ in 0..turns {
        for source in [Source::Rtmp, Source::WebRtc] {
            runs.push(run(stage, source, &recording, players, window).await?);
        }
    }

    let cost = |source| -> f64 {
        let of_source = runs.iter().filter(|run| run.source == source);
        of_source.map(|run| run.used.server_cpu_percent).sum::<f64>() / turns as f64
    };
    let (rtmp, webrtc) = (cost(Source::Rtmp), cost(Source::WebRtc));
    let least = runs.iter().map(|run| run.saw.joined).min().context("nothing was measured")?;
    let lost: u64 = runs.iter().map(|run| run.saw.frames_lost()).sum();
    let goals = vec![
        Goal::at_least("players that had media each time", least as f64, players as f64),
        Goal::at_most(
            "the node's time with a WebRTC publisher / with an RTMP one",
            webrtc / rtmp,
            COST_RATIO_MAX,
        ),
        Goal::at_most("frames lost", lost as f64, 0.0),
    ];
    let per_packet = |source| -> Vec<f64> {
        runs.iter().filter(|run| run.source == source).map(|run| run.us_per_packet).collect()
    };
    let used = runs.last().context("nothing was measured")?.used;
    Ok(Outcome {
        scenario: "sources",
        goals,
        excuse: runs.iter().find_map(|run| Outcome::excuse_of(&run.used)),
        details: json!({
            "players": players,
            "node_percent_rtmp": rtmp,
            "node_percent_webrtc": webrtc,
            "us_per_packet_rtmp": per_packet(Source::Rtmp),
            "us_per_packet_webrtc": per_packet(Source::WebRtc),
            "runs": runs,
        }),
        used,
    })
}

async fn run(
    stage: &Stage,
    source: Source,
    recording: &Arc<Recording>,
    players: usize,
    window: Duration,
) -> anyhow::Result<Run> {
    let mut bench = Bench::start(&stage.bench(players, Admission::Off)).await?;
    let mut publishing = match source {
        Source::Rtmp => Publishing::Rtmp(bench.publish(recording, STREAM).await?),
        Source::WebRtc => {
            let streams = [STREAM.to_owned()];
            Publishing::WebRtc(bench.publish_by_webrtc(recording, &streams).await?)
        }
    };
    let crowd = Bench::crowd(STREAM, players, stage.joins, stage.profile);
    let crowd = bench.settle_crowd(crowd, None).await;
    let gauge = bench.gauge()?;
    let (_, saw) = crowd.measure(sleep(window)).await;
    let used = gauge.stop()?;
    match &mut publishing {
        Publishing::Rtmp(publisher) => publisher.check()?,
        Publishing::WebRtc(publishers) => publishers.check()?,
    }
    drop((crowd, publishing));
    bench.stop().await?;
    let packets = saw.video.packets + saw.audio.packets;
    Ok(Run { source, us_per_packet: used.server_cpu_seconds() * 1e6 / packets as f64, used, saw })
}
