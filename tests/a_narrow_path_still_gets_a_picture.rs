//! Behind 5 Mbit/s and a quarter of a megabyte of buffer a browser that joins late in a group of 2 Mbit/s sees
//! a picture within a second, and never stands still for more than two.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::{
    Bottleneck, Browser, BrowserOptions, Load, LoadReport, Marker, MarkerOptions, Measurement, NarrowNetwork,
    Node, NodeOptions, Turn, Verdict, in_full, note, picture_size, skipped,
};

const FIRST_PICTURE_MAX_MS: f64 = 1_000.0;
const FREEZE_MAX_MS: f64 = 2_000.0;

/// Into a buffer of 0.4 s.
const BOTTLENECK: Bottleneck<'static> = Bottleneck { rate: "5mbit", burst: "16kb", limit: "256kb" };
/// Between the click that asks for the stream and the connection, more or less.
const CONNECTING: Duration = Duration::from_millis(200);
const WATCHED: Duration = Duration::from_secs(20);
/// Pictures a second that are worth the name, over all that was watched.
const PICTURES_MIN: u32 = 10 * 20;

#[tokio::test(flavor = "multi_thread")]
async fn of_five_megabits_per_second() -> Result<()> {
    // Until the next key frame comes by itself, it takes longer than a freeze may.
    let places: &[f64] = if in_full() { &[1.0, 3.0, 5.0, 7.0] } else { &[5.0] };
    let mut broken = Vec::new();
    for &at_s in places {
        if let Err(error) = join(at_s).await {
            broken.push(format!("join after {at_s} s: {error:#}"));
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

async fn join(at_s: f64) -> Result<()> {
    let network = match NarrowNetwork::new(BOTTLENECK) {
        Ok(network) => network,
        Err(error) => {
            skipped("a_narrow_path_still_gets_a_picture", &error.to_string());
            return Ok(());
        }
    };
    let _turn = Turn::take().await?;
    let address = network.outside().to_string();
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", &address);
    let node = Node::start(options).await?;
    let options = MarkerOptions::long_groups_to_rtmp(node.rtmp_url("LiveApp", "stream1"));
    let asked_at = options.frame_in_group(Duration::from_secs_f64(at_s) - CONNECTING);
    let marker = Marker::start(options)?;
    let options = BrowserOptions { launcher: network.launcher(), ..BrowserOptions::default() };
    let browser = Browser::start_with(options).await?;
    let page = node.http_url("/LiveApp/play.html?id=stream1&autoplay=false");
    browser.open_player(&page.replacen("127.0.0.1", &address, 1)).await?;
    marker.reach(asked_at).await.context("the encoder ended")?;
    let load = Load::watch();
    browser.press_play().await?;
    let measured = browser.measured_after(WATCHED).await?;
    let load = load.report();
    browser.close().await?;
    marker.stop()?;
    note(&format!(
        "join after {at_s} s: {measured:?}\n{}{:?}\n{:?}\nmachine: {load}",
        network.traffic()?,
        node.metric_lines("penstock_replays_total").await?,
        node.metric_lines("penstock_nack").await?,
    ));
    ensure!(measured.video_size == picture_size(), "{:?}", measured.video_size);
    judge(&measured, &load).into_result()
}

fn judge(measured: &Measurement, load: &LoadReport) -> Verdict {
    let joining = &measured.joining;
    let freezes: Vec<_> = joining.gaps.iter().filter(|gap| gap.length_ms > FREEZE_MAX_MS).collect();
    let promises = [
        (joining.first_picture_ms.is_none_or(|ms| ms > FIRST_PICTURE_MAX_MS), "the first picture came late"),
        (!freezes.is_empty(), "it stood still"),
        (measured.presented < PICTURES_MIN, "there were few pictures"),
        (measured.unreadable > 0, "pictures were damaged"),
    ];
    Verdict::of(promises, &format!(" ({} pictures, {joining:?})", measured.presented), load)
}
