//! HTTP-FLV brings what was published: every numbered frame, with its sound, from the newest key frame on, to a hundred
//! players at once, from encoders and from browsers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, FrameType, VideoBody, VideoTag, tags};
use media::{Codec, Kind};
use test_support::{
    Load, Marker, MarkerOptions, Node, NodeOptions, Picture, Streaming, Turn, note, skipped, whip_ffmpeg,
};
use tokio::process::Command;
use tokio::time::timeout;

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
const WINDOW: u32 = 1024 * 1024;
const PLAYERS: usize = 100;
const FIRST_PICTURE_MAX: Duration = Duration::from_millis(500);

async fn node() -> Result<Node> {
    Ok(Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?)
}

fn small(url: String) -> MarkerOptions {
    MarkerOptions { width: WIDTH, height: HEIGHT, video_bitrate: 600_000, ..MarkerOptions::to_rtmp(url) }
}

/// Waits until a stream can be played.
async fn live(node: &Node, stream: &str) -> Result<()> {
    let url = node.http_url(&format!("/LiveApp/live/{stream}.flv"));
    let is_live = async || Streaming::get(&url, WINDOW).await.ok();
    Node::eventually(Duration::from_secs(20), is_live).await.context("the stream did not begin")?;
    // Who tried is gone before anybody is counted.
    node.until_metric("penstock_players", &["protocol=\"flv\""], Duration::from_secs(5), |now| now == 0.0)
        .await?;
    Ok(())
}

/// The numbers in the pictures that a real ffmpeg decodes.
async fn numbers(ffmpeg: &Path, url: &str, seconds: u32) -> Result<Vec<u32>> {
    let mut ffmpeg = Command::new(ffmpeg);
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-i", url, "-t", &seconds.to_string(), "-an"]);
    ffmpeg.args(["-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-"]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(40), ffmpeg.output()).await.context("ffmpeg did not end")??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pictures = output.stdout.chunks_exact(WIDTH * HEIGHT);
    pictures
        .map(|luma| Picture::read(WIDTH, luma).map(|read| read.frame).context("an unreadable picture"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_numbered_frame_of_an_encoder_arrives() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = node().await?;
    let marker = Marker::start(small(node.rtmp_url("LiveApp", "stream1")))?;
    live(&node, "stream1").await?;
    let numbers = numbers(Path::new("ffmpeg"), &node.http_url("/LiveApp/live/stream1.flv"), 5).await?;
    let published = marker.stop()?;
    note(&format!("{} pictures from {:?} on; {published:?}", numbers.len(), numbers.first()));
    ensure!(numbers.len() > 120, "{} pictures of 5 s", numbers.len());
    ensure!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "not each is the next: {numbers:?}");
    ensure!(numbers[0] % 60 == 0, "it begins with a key frame, and not {}", numbers[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_joiner_is_sent_a_picture_at_once() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = node().await?;
    let options = MarkerOptions {
        width: WIDTH,
        height: HEIGHT,
        video_bitrate: 800_000,
        ..MarkerOptions::long_groups_to_rtmp(node.rtmp_url("LiveApp", "stream1"))
    };
    let marker = Marker::start(options)?;
    live(&node, "stream1").await?;
    marker.reach(200).await.context("the encoder ended")?;
    let load = Load::watch();
    let asked = SystemClock.now();
    let mut player = Streaming::get(&node.http_url("/LiveApp/live/stream1.flv"), WINDOW).await?;
    let mut whole = Vec::new();
    let first = loop {
        whole.extend(player.read(64 * 1024).await?);
        let file = Bytes::copy_from_slice(&whole);
        let picture = tags(&file).filter(|(header, _)| header.kind == Some(Kind::Video)).nth(1);
        if let Some((_, body)) = picture {
            break VideoTag::parse(&body)?;
        }
    };
    let took = asked.elapsed();
    note(&format!("the first picture after {took:?}; machine: {}", load.report()));
    ensure!(first.frame_type == FrameType::Key, "{:?}", first.frame_type);
    ensure!(took < FIRST_PICTURE_MAX, "it came after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_players_are_sent_all_of_it() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = node().await?;
    let _marker = Marker::start(small(node.rtmp_url("LiveApp", "stream1")))?;
    live(&node, "stream1").await?;
    let url = node.http_url("/LiveApp/live/stream1.flv?subscriberId=crowd");
    let mut players = Vec::new();
    for _ in 0..PLAYERS {
        players.push(Streaming::get(&url, WINDOW).await?);
    }
    let counted = async {
        loop {
            let shown = node.get("/LiveApp/rest/v2/broadcasts/stream1").await?.json();
            if shown["rtmpViewerCount"] == PLAYERS && shown["webRTCViewerCount"] == 0 {
                return Ok::<_, anyhow::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(5), counted).await.context("the players are not counted")??;
    ensure!(node.metric("penstock_players", &["protocol=\"flv\""]).await? == PLAYERS as f64);
    let watching = players.into_iter().map(|mut player| {
        tokio::spawn(async move {
            let (bytes, ended) = player.read_for(Duration::from_secs(6)).await;
            (Bytes::from(bytes), ended.is_some())
        })
    });
    let mut fewest = usize::MAX;
    for watched in watching.collect::<Vec<_>>() {
        let (file, ended) = watched.await?;
        ensure!(!ended, "a player was ended");
        let mut pictures = Vec::new();
        let mut sounds = 0;
        for (header, body) in tags(&file) {
            match header.kind {
                Some(Kind::Video) if matches!(VideoTag::parse(&body)?.body, VideoBody::Frame { .. }) => {
                    pictures.push(header.millis);
                }
                Some(Kind::Audio)
                    if matches!(AudioTag::parse(&body)?.body, AudioBody::Raw(Codec::Aac, _)) =>
                {
                    sounds += 1
                }
                _ => {}
            }
        }
        let gap = pictures.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u32::MAX);
        ensure!(gap <= 34, "a gap of {gap} ms");
        ensure!(sounds > 200, "{sounds} frames of sound");
        fewest = fewest.min(pictures.len());
    }
    ensure!(fewest > 150, "{fewest} pictures in 6 s");
    ensure!(node.metric("penstock_ring_skips_total", &[]).await? == 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_webrtc_goes_out_as_flv() -> Result<()> {
    let ffmpeg = match whip_ffmpeg() {
        Ok(ffmpeg) => ffmpeg,
        Err(why) => {
            skipped("WebRTC publishers by FLV", &why);
            return Ok(());
        }
    };
    let _turn = Turn::take().await?;
    let node = node().await?;
    let url = node.http_url("/LiveApp/whip/stream1");
    let options = MarkerOptions {
        width: WIDTH,
        height: HEIGHT,
        video_bitrate: 600_000,
        gop: 30,
        ..MarkerOptions::to_whip(ffmpeg.clone(), url)
    };
    let marker = Marker::start(options)?;
    live(&node, "stream1").await?;
    let url = node.http_url("/LiveApp/live/stream1.flv");
    let mut player = Streaming::get(&url, WINDOW).await?;
    let (bytes, _) = player.read_for(Duration::from_secs(3)).await;
    let file = Bytes::from(bytes);
    let opus = tags(&file).filter(|(header, body)| {
        header.kind == Some(Kind::Audio)
            && AudioTag::parse(body).is_ok_and(|tag| matches!(tag.body, AudioBody::Raw(Codec::Opus, _)))
    });
    let opus = opus.count();
    ensure!(opus > 100, "{opus} packets of sound");
    // An ffmpeg that knows no Opus in FLV looks for it for 90 s.
    let numbers = numbers(&ffmpeg, &url, 4).await?;
    note(&format!("{} pictures from {:?} on; {:?}", numbers.len(), numbers.first(), marker.stop()?));
    ensure!(numbers.len() > 90, "{} pictures of 4 s", numbers.len());
    ensure!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "not each is the next: {numbers:?}");
    Ok(())
}
