//! Many who publish by WebRTC.

use std::time::Duration;

use base::limits;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use super::{Goal, Outcome, Stage};
use crate::bench::{Admission, Bench, Crowd, SETTLING};
use crate::machine;
use crate::source::{Recording, RecordingOptions};
use crate::swarm::{Opening, Pace, Summary};

/// What the node may take of its core, percent: with more it would have no room for an uneven moment.
const NODE_PERCENT_MAX: f64 = 90.0;
/// Of the frames due to each player, so many come; those at the edges of the measurement may not.
const FRAMES_SHARE_MIN: f64 = 0.97;

/// How many publish, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PublishersOptions {
    /// Publishers of 2 Mbit/s, each with a stream.
    pub publishers: usize,
    /// How long is measured, without players and with one on each stream.
    pub window: Duration,
}

/// Publishers alone, for what they cost; then one player on each stream, who knows every picture again.
///
/// # Errors
/// Node or a publisher failed.
pub async fn publishers(stage: &Stage, options: PublishersOptions) -> anyhow::Result<Outcome> {
    let PublishersOptions { publishers: count, window } = options;
    let recording = Recording::make(RecordingOptions::default()).await?;
    let mut bench = Bench::start(&stage.bench(count, Admission::Off)).await?;
    let empty = machine::usage(bench.node().pid())?;
    let streams: Vec<String> = (0..count).map(|number| format!("publisher-{number}")).collect();
    let publishers = bench.publish_by_webrtc(&recording, &streams).await?;
    sleep(limits::RING_DURATION_MAX + SETTLING).await;
    let (sent_before, gauge) = (publishers.sent(), bench.gauge()?);
    sleep(window).await;
    let alone = gauge.stop()?;
    let packets = publishers.sent().packets - sent_before.packets;
    let held = bench.node().metric("penstock_media_held_bytes", &[]).await?;
    publishers.check()?;

    let crowds = streams.iter().zip(publishers.ledgers()).map(|(stream, ledger)| {
        let crowd = Crowd {
            stream: stream.clone(),
            players: 1,
            pace: Pace::PerSecond(1.0),
            profile: stage.profile,
            opening: Opening { count: 1, turn: 0 },
            listening: None,
        };
        bench.settle_crowd(crowd, Some(ledger))
    });
    let crowds = join_all(crowds).await;
    let gauge = bench.gauge()?;
    let saw = join_all(crowds.iter().map(|crowd| crowd.measure(sleep(window)))).await;
    let used = gauge.stop()?;
    let saw: Vec<Summary> = saw.into_iter().map(|(_, saw)| saw).collect();
    publishers.check()?;
    let sent = publishers.sent();
    drop((crowds, publishers));
    bench.stop().await?;

    let sum = |of: fn(&Summary) -> u64| saw.iter().map(of).sum::<u64>() as f64;
    let worst = saw.iter().map(|saw| saw.frames_share).min_by(f64::total_cmp);
    let late = saw.iter().filter_map(|saw| saw.lag_ms).map(|ms| ms.p99).max_by(f64::total_cmp);
    let middle = middle(saw.iter().filter_map(|saw| saw.lag_ms).map(|ms| ms.p50).collect());
    let grown = alone.server_bytes as f64 - empty.resident_bytes as f64;
    let joined = sum(|saw| saw.joined as u64);
    let goals = vec![
        Goal::at_least("players, one for each publisher, that had media", joined, count as f64),
        Goal::at_most(
            "the publishers' share of the node's core, %",
            alone.server_cpu_percent,
            NODE_PERCENT_MAX,
        ),
        Goal::at_most("frames lost", sum(Summary::frames_lost), 0.0),
        Goal::at_most("pictures that were never sent", sum(|saw| saw.frames_unknown), 0.0),
        Goal::at_least("share of its frames that the worst player had", worst, FRAMES_SHARE_MIN),
    ];
    Ok(Outcome {
        scenario: "publishers",
        goals,
        excuse: alone.excuse().or_else(|| Outcome::excuse_of(&used)),
        details: json!({
            "publishers": count,
            "packets_per_second": packets as f64 / alone.seconds,
            "node_us_per_packet": alone.server_cpu_seconds() * 1e6 / packets as f64,
            "kb_per_publisher": grown / count as f64 / 1024.0,
            "kb_per_publisher_without_media": (grown - held) / count as f64 / 1024.0,
            "kb_per_first_player": (used.server_bytes as f64 - alone.server_bytes as f64) / count as f64 / 1024.0,
            "pictures_known": sum(|saw| saw.frames_known),
            "lag_ms_p50_of_the_middle_stream": middle,
            "lag_ms_p99_of_the_worst_stream": late,
            "sent": sent,
            "without_players": alone,
            "saw": saw,
        }),
        used,
    })
}

fn middle(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
