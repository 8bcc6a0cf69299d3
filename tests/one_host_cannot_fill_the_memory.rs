//! One host opens many streams and floods them, and begins messages it never ends: the node's memory stays
//! within its media budget, a stream that was there before loses nothing, new publishers are refused by
//! name, and are let in again once the flood is over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::{FPS, Identity, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions, machine};
use test_support::rtmp_client::{header, message};
use test_support::{Load, Node, NodeOptions, RtmpClient, Turn, note};
use tokio::task::{JoinSet, LocalSet};

const PATIENCE: Duration = Duration::from_secs(20);
const MIB: u64 = 1024 * 1024;
/// The node's media budget.
const BUDGET_MIB: u64 = 64;
/// Streams that are flooded. Without the budget their rings would hold 16 MiB each.
const FLOODERS: usize = 40;
/// A flooder's picture. One that is not whole yet is less than a flooder's part of what such may hold.
const PICTURE_BYTES: usize = 200_000;
/// Pictures that each flooder sends: 30 MB.
const PICTURES: usize = 150;
/// Connections that hold messages of 8 MiB which miss their last bytes.
const HOARDERS: usize = 16;
/// What the node may take beside its budget while it is flooded: a read buffer and a message under way per
/// connection, and what the allocator keeps of what was freed.
const BESIDE_MIB: u64 = 64;

/// A sequence header of baseline 320 x 180, as an FLV body.
fn sequence_header() -> Vec<u8> {
    let sps = [
        0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
        0x03, 0x03, 0xc0, 0xf1, 0x42, 0xa4, 0x80,
    ];
    let pps = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
    [
        &[0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, sps.len() as u8][..],
        &sps,
        &[1, 0, pps.len() as u8],
        &pps,
    ]
    .concat()
}

/// A key frame whose one NAL unit has that many bytes, as an FLV body.
fn picture(bytes: usize) -> Vec<u8> {
    let mut body = vec![0x17, 1, 0, 0, 0];
    body.extend(u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes());
    body.push(0x65);
    body.resize(body.len() + bytes - 1, 0x5a);
    body
}

/// The bytes of a video message in one chunk; the chunk size must have been raised.
fn whole(body: &[u8]) -> Vec<u8> {
    [&header(4, 9, 1, u32::try_from(body.len()).unwrap_or(u32::MAX)), body].concat()
}

/// A publisher whose stream is there but for its pictures.
async fn publisher(node: &Node, stream: &str) -> Result<RtmpClient> {
    let mut client = RtmpClient::publishing(node.rtmp_address(), "LiveApp", stream).await?;
    client.send(&message(2, 1, 0, &0x00ff_ffff_u32.to_be_bytes())).await?;
    client.send(&whole(&sequence_header())).await?;
    Ok(client)
}

async fn publishers_are(node: &Node, count: usize) -> Result<()> {
    node.until_metric("penstock_publishers", &[], PATIENCE, |now| now == count as f64).await?;
    Ok(())
}

/// Waits until the node has taken so many pictures.
async fn pictures_are(node: &Node, count: f64) -> Result<()> {
    node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |taken| taken >= count).await?;
    Ok(())
}

/// Watches the node until dropped: the most memory it was seen with.
async fn highest(node: &Node, most: &std::cell::Cell<(u64, f64)>) -> Result<()> {
    loop {
        let resident = machine::usage(node.pid())?.resident_bytes;
        let held = node.metric("penstock_media_held_bytes", &[]).await?;
        let (most_resident, most_held) = most.get();
        most.set((most_resident.max(resident), most_held.max(held)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn floods_stay_within_the_budget() -> Result<()> {
    LocalSet::new().run_until(flooded()).await
}

async fn flooded() -> Result<()> {
    let _turn = Turn::take().await?;
    let options = RecordingOptions { bitrate: 500_000, ..RecordingOptions::default() };
    let recording = Arc::new(Recording::make(options).await?);
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LIMITS_MEDIA_MEMORY_MB", &BUDGET_MIB.to_string());
    let node = Node::start(options).await?;
    let _encoder = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "modest")?;
    pictures_are(&node, f64::from(FPS)).await.context("the stream did not begin")?;
    let viewers = Swarm::start(
        SwarmOptions::new(node.signalling_url("LiveApp"), "modest", 3),
        Arc::new(Identity::new()?),
    );
    ensure!(viewers.joined(PATIENCE).await, "the viewers did not join");

    let mut flooders = Vec::new();
    for index in 0..FLOODERS {
        flooders.push(publisher(&node, &format!("flood-{index}")).await?);
    }
    let mut hoarders = Vec::new();
    for index in 0..HOARDERS {
        hoarders.push(publisher(&node, &format!("hoard-{index}")).await?);
    }
    publishers_are(&node, 1 + FLOODERS + HOARDERS).await?;

    let load = Load::watch();
    let before = machine::usage(node.pid())?.resident_bytes;
    let most = std::cell::Cell::new((0, 0.0));
    let pictures = (FLOODERS * PICTURES) as f64;
    let flood = async {
        let floods = async {
            let mut floods = JoinSet::new();
            let frame: Arc<[u8]> = whole(&picture(PICTURE_BYTES)).into();
            for mut flooder in flooders {
                let frame = Arc::clone(&frame);
                floods.spawn(async move {
                    for _ in 0..PICTURES {
                        flooder.send(&frame).await.context("a flooder was ended")?;
                    }
                    anyhow::Ok(Some(flooder))
                });
            }
            let unfinished: Arc<[u8]> = whole(&picture(7 * MIB as usize)).into();
            for mut hoarder in hoarders {
                let unfinished = Arc::clone(&unfinished);
                floods.spawn(async move {
                    // The node may end it meanwhile; that is counted below.
                    let sent = hoarder.send(&unfinished[..unfinished.len() - 1]).await;
                    anyhow::Ok(sent.is_ok().then_some(hoarder))
                });
            }
            floods.join_all().await.into_iter().collect::<Result<Vec<_>>>()
        };
        let survivors = tokio::select! {
            failed = highest(&node, &most) => failed.map(|()| Vec::new())?,
            survivors = floods => survivors?,
        };

        // Everything sent was taken, but what the hoarders keep back.
        pictures_are(&node, pictures).await.context("the flood was not taken")?;
        // The rings are full: a new publisher is refused, and told why.
        let refused = publisher(&node, "late").await?.await_end().await;
        ensure!(refused.refused("current system resources not enough"), "{refused:?}");
        let labels = ["kind=\"publish\"", "reason=\"media budget\""];
        let counted = node.metric("penstock_admissions_refused_total", &labels).await?;
        ensure!(counted == 1.0, "{counted} refusals were counted");
        let held = node.metric("penstock_media_held_bytes", &[]).await?;
        let shed = node.metric("penstock_media_shed_total", &[]).await?;
        let (name, reason) = ("penstock_rtmp_connections_ended_total", "reason=\"media budget\"");
        let ended = node
            .until_metric(name, &[reason], PATIENCE, |ended| ended >= 1.0)
            .await
            .context("no hoarder was ended")?;

        // What the flood did to the viewers may show only now.
        tokio::time::sleep(Duration::from_secs(2)).await;
        anyhow::Ok((survivors, held, shed, ended))
    };
    let (flooded, seen) = viewers.measure(flood).await;
    let (survivors, held, shed, ended) = flooded?;
    let (most_resident, most_held) = most.get();
    let load = load.report();
    note(&format!(
        "RSS {} MiB before, at most {} MiB under the flood, budget {BUDGET_MIB} MiB; media held at most {:.1} MiB, \
         then {:.1} MiB; {shed} frames shed, {ended} hoarders ended; viewers {:.2} % of frames, {} lost; {load}",
        before / MIB,
        most_resident / MIB,
        most_held / MIB as f64,
        held / MIB as f64,
        seen.frames_share * 100.0,
        seen.video.lost + seen.audio.lost,
    ));
    let budget = (BUDGET_MIB * MIB) as f64;
    // The sum may be read while a picture is being written, by each of the threads that serve publishers, of which there is
    // one per core: it counts as the message that it was and as the unit that it becomes. What a write brings over the
    // budget is taken back before the write is over.
    let under_way = std::thread::available_parallelism()?.get() * 2 * PICTURE_BYTES;
    ensure!(most_held <= budget + under_way as f64, "the budget of {budget} bytes was overrun: {most_held}");
    ensure!(held <= budget, "more than the budget of {budget} bytes is kept: {held}");
    ensure!(held >= 0.8 * budget, "the flood did not fill the budget: {held}");
    // What fits of all those pictures is all that is left of them.
    let kept = budget / PICTURE_BYTES as f64;
    ensure!(shed >= pictures - kept, "{shed} frames were shed");
    ensure!(
        most_resident <= before + (BUDGET_MIB + BESIDE_MIB) * MIB,
        "RSS grew from {before} to {most_resident} bytes"
    );
    // The modest stream was there before, and holds less than its part.
    ensure!(seen.video.lost + seen.audio.lost == 0, "{seen:?}");
    ensure!(seen.ended.is_empty(), "{seen:?}");
    ensure!(seen.frames_share >= 0.99 || load.excuse().is_some(), "{seen:?} ({load})");

    drop(survivors);
    publishers_are(&node, 1).await?;
    let _late = publisher(&node, "late").await?;
    publishers_are(&node, 2).await?;
    let held = node.metric("penstock_media_held_bytes", &[]).await?;
    ensure!(held < 0.1 * budget, "{held} bytes are held by streams that are gone");
    Ok(())
}
