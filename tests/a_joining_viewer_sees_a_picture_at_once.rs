//! A browser joins in the middle of a long group of pictures: it sees a picture at once, is live soon after
//! without ever standing still, and then has sound and picture in step. With lost packets just the same.
//!
//! In full (`TESTS_IN_FULL=1`, as the long proofs do) it joins in more places.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::{
    Browser, BrowserOptions, Line, Load, LoadReport, Marker, MarkerOptions, Measurement, Node, NodeOptions,
    Relay, RelayOptions, Turn, Verdict, in_full, note,
};

const FIRST_PICTURE_MAX_MS: f64 = 300.0;
const LIVE_MAX_MS: f64 = 2_500.0;
const FREEZE_MAX_MS: f64 = 200.0;
/// How early and how late sound may be (EBU R37). Chromium sets right what a viewer in the middle of a group begins
/// with: late by up to 60 ms, in some seconds within 40.
const SOUND_IN_STEP_MS: RangeInclusive<f64> = -40.0..=60.0;
/// Where packets are lost, a browser holds sound for as long as it takes to get them again, and pictures less:
/// acceptable is what ITU-R BT.1359 finds acceptable for early sound.
const SOUND_WITH_LOSS_MS: RangeInclusive<f64> = -90.0..=90.0;

/// Between the click that asks for the stream and the connection, more or less.
const CONNECTING: Duration = Duration::from_millis(200);
/// How far from the wanted place in the group a viewer may have joined, seconds.
const PLACE_OFF_MAX_S: f64 = 0.6;
/// From the first picture on: five flashes or more.
const WATCHED: Duration = Duration::from_millis(13_500);
const PAIRS_MIN: u32 = 4;
/// Frames after a key frame, of which one is the first that a browser shows of a replay.
const BEGINNING: u32 = 15;

struct Case {
    /// How long after the key frame the viewer joins, seconds.
    at_s: f64,
    /// Share of packets lost each way.
    loss: f64,
}

async fn join(case: &Case) -> Result<()> {
    let _turn = Turn::take().await?;
    // A relay stands before one port: one shard.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let options = MarkerOptions::long_groups_to_rtmp(node.rtmp_url("LiveApp", "stream1"));
    let (gop, fps) = (options.gop, f64::from(options.fps));
    let click_at = options.frame_in_group(Duration::from_secs_f64(case.at_s) - CONNECTING);
    let marker = Marker::start(options)?;
    let relay = if case.loss > 0.0 {
        let line = Line { loss: case.loss, ..Line::default() };
        let options = RelayOptions { to_node: line, to_viewers: line, seed: 1 };
        Some(Relay::before(&node, "LiveApp", "stream1", options).await?)
    } else {
        None
    };
    let scripts = relay.iter().map(|relay| relay.detour().script()).collect();
    let browser = Browser::start_with(BrowserOptions { scripts, ..BrowserOptions::default() }).await?;
    browser.open_player(&node.http_url("/LiveApp/play.html?id=stream1&autoplay=false")).await?;
    marker.reach(click_at).await.context("the encoder ended")?;
    let load = Load::watch();
    browser.press_play().await?;
    let measured = browser.measured_after(WATCHED).await?;
    let load = load.report();
    browser.close().await?;
    let published = marker.stop()?;
    let joined = measured.joining.live_frame.context("it never was connected")?;
    let place = joined.rem_euclid(f64::from(gop)) / fps;
    note(&format!(
        "joined {place:.2} s into the group, {} % loss: {measured:?}\nrelay: {:?}\nencoder: {published:?}\nmachine: {load}",
        case.loss * 100.0,
        relay.as_ref().map(Relay::report),
    ));
    judge(case, &measured, place, gop, &load).into_result()
}

fn judge(case: &Case, measured: &Measurement, place: f64, gop: u32, load: &LoadReport) -> Verdict {
    let joining = &measured.joining;
    let sound = &measured.sound_minus_picture;
    let in_step = if case.loss > 0.0 { SOUND_WITH_LOSS_MS } else { SOUND_IN_STEP_MS };
    let late = |ms: Option<f64>, max: f64| ms.is_none_or(|ms| ms > max);
    let freezes: Vec<_> = joining.gaps.iter().filter(|gap| gap.length_ms > FREEZE_MAX_MS).collect();
    let promises = [
        (late(joining.first_picture_ms, FIRST_PICTURE_MAX_MS), "the first picture came late"),
        (late(joining.live_ms, LIVE_MAX_MS), "it was live late"),
        (!freezes.is_empty(), "it stood still"),
        (measured.unreadable > 0, "pictures were damaged"),
        (
            sound.pairs < PAIRS_MIN || sound.median_ms.is_none_or(|ms| !in_step.contains(&ms)),
            "sound and picture are not in step",
        ),
        (
            joining.first_frame.is_none_or(|first| first % gop > BEGINNING),
            "the first picture is not of the group's beginning",
        ),
        ((place - case.at_s).abs() > PLACE_OFF_MAX_S, "it did not join where it should have"),
    ];
    Verdict::of(promises, &format!(" ({joining:?}, {sound:?}, place {place:.2} s)"), load)
}

/// Joins in the hardest place, or in all.
async fn join_everywhere(hardest_s: f64, loss: f64) -> Result<()> {
    let places = if in_full() { vec![1.0, 3.0, 5.0, 7.0] } else { vec![hardest_s] };
    let mut broken = Vec::new();
    for at_s in places {
        if let Err(error) = join(&Case { at_s, loss }).await {
            broken.push(format!("join after {at_s} s: {error:#}"));
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_seconds_into_a_group() -> Result<()> {
    join_everywhere(7.0, 0.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_percent_of_packets_lost() -> Result<()> {
    join_everywhere(5.0, 0.02).await
}
