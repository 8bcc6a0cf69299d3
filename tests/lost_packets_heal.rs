//! Thirty packets of video in a row never arrive, however often they are sent: the picture goes on within
//! half a second, and what is shown then is whole.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::{
    Browser, BrowserOptions, Load, LoadReport, Marker, MarkerOptions, Measurement, Node, NodeOptions, Relay,
    RelayOptions, Turn, Verdict, note,
};

const LOST: u32 = 30;
const HEALED_MAX_MS: f64 = 500.0;

/// Where in the group of pictures the packets are lost: the replay then has 4 s to show.
const LOST_AT: Duration = Duration::from_secs(4);
/// From the first picture to the loss at least: the viewer is live by then.
const SETTLING: Duration = Duration::from_secs(3);
/// From the loss on: more than a browser waits until it asks for a key frame by itself (3 s).
const WATCHED: Duration = Duration::from_secs(8);
/// The frame at the encoder is at most this far from the one the browser shows, and from the first lost one.
const NEAR: u32 = 10;
/// Frames after a key frame, of which one is the first that a browser shows of a replay.
const BEGINNING: u32 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn within_half_a_second() -> Result<()> {
    let _turn = Turn::take().await?;
    // A relay stands before one port: one shard.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let options = MarkerOptions::long_groups_to_rtmp(node.rtmp_url("LiveApp", "stream1"));
    let (gop, lost_at) = (options.gop, options.frame_in_group(LOST_AT));
    let marker = Marker::start(options)?;
    let relay = Relay::before(&node, "LiveApp", "stream1", RelayOptions::default()).await?;
    let scripts = vec![relay.detour().script()];
    let browser = Browser::start_with(BrowserOptions { scripts, ..BrowserOptions::default() }).await?;
    browser.open_player(&node.http_url("/LiveApp/play.html?id=stream1&autoplay=false")).await?;
    browser.press_play().await?;
    // Nothing tells that what it joined with is over.
    tokio::time::sleep(SETTLING).await;
    let ssrc = relay.busiest_track().context("the relay saw no media")?;
    let begun = marker.reach(lost_at).await.context("the encoder ended")?;
    let load = Load::watch();
    relay.lose_for_good(ssrc, LOST);
    let measured = browser.measured_after(WATCHED).await?;
    let load = load.report();
    browser.close().await?;
    let replays = node.metric_lines("penstock_replays_total").await?;
    marker.stop()?;
    let report = relay.report();
    note(&format!(
        "lost from frame {begun} on: {measured:?}\nrelay: {report:?}\n{replays:?}\nmachine: {load}"
    ));
    ensure!(report.to_viewers.lost_for_good >= u64::from(LOST), "the packets were not lost: {report:?}");
    judge(&measured, begun, gop, &load).into_result()
}

fn judge(measured: &Measurement, begun: u32, gop: u32, load: &LoadReport) -> Verdict {
    let gaps: Vec<_> = measured.joining.gaps.iter().filter(|gap| gap.before >= Some(begun - NEAR)).collect();
    let longest = gaps.iter().map(|gap| gap.length_ms).fold(0.0, f64::max);
    // Only a key frame and what follows it is whole, so the group begins anew, and before it does nothing is
    // shown of what was lost or came after.
    let healed = measured.returns.iter().find(|of| of.before + NEAR >= begun);
    let torn = healed.is_none_or(|of| of.after % gop > BEGINNING || of.before > begun + NEAR);
    let promises = [
        (longest > HEALED_MAX_MS, "the picture stood still for too long"),
        (torn, "it did not begin anew with the group"),
        (measured.unreadable > 0, "pictures were damaged"),
    ];
    Verdict::of(promises, &format!(" ({gaps:?}, {:?})", measured.returns), load)
}
