//! A player by HTTP that reads too slowly skips to newer key frames, one that reads nothing is ended as too slow, and
//! whoever reads as fast as the stream comes notices neither.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use bytes::Bytes;
use container::flv::tags;
use media::Kind;
use test_support::{Marker, MarkerOptions, Node, NodeOptions, Streaming, Turn, note};
use tokio::time::{sleep, timeout};

/// Small, so that the kernel hides little.
const WINDOW: u32 = 32 * 1024;
/// A quarter of what the stream brings.
const SLOW_BYTES: usize = 6 * 1024;
const SLOW_EVERY: Duration = Duration::from_millis(100);
const SLOW_FOR: Duration = Duration::from_secs(24);

/// The times of the pictures in a piece of a stream that begins with its header.
fn pictures(file: Vec<u8>) -> Vec<u32> {
    let file = Bytes::from(file);
    tags(&file)
        .filter(|(header, _)| header.kind == Some(Kind::Video))
        .map(|(header, _)| header.millis)
        .collect()
}

/// Reads slowly; the times of the pictures.
async fn slow(mut player: Streaming) -> Result<Vec<u32>> {
    let mut whole = Vec::new();
    let began = SystemClock.now();
    while began.elapsed() < SLOW_FOR {
        whole.extend(player.read(SLOW_BYTES).await.context("the slow player was ended")?);
        sleep(SLOW_EVERY).await;
    }
    Ok(pictures(whole))
}

async fn fast(mut player: Streaming) -> Result<Vec<u32>> {
    let (whole, ended) = player.read_for(SLOW_FOR).await;
    ensure!(ended.is_none(), "the fast player was ended: {ended:?}");
    Ok(pictures(whole))
}

/// Reads nothing until the node has ended the player; how long that took.
async fn deaf(node: &Node, mut player: Streaming) -> Result<Duration> {
    let began = SystemClock.now();
    let gone = async {
        while node.metric("penstock_player_ended_total", &["reason=\"too slow\""]).await? < 1.0 {
            sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, anyhow::Error>(began.elapsed())
    };
    let took = timeout(Duration::from_secs(20), gone).await.context("it was not ended")??;
    // What waited for it is all it gets.
    let (rest, ended) = player.read_for(Duration::from_secs(5)).await;
    ensure!(ended.is_some_and(|ended| ended.is_err()), "its connection is still open");
    ensure!(rest.len() < 1024 * 1024, "{} bytes waited for it", rest.len());
    Ok(took)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_slow_player() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let options = MarkerOptions {
        width: 640,
        height: 360,
        noise: 32,
        ..MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1"))
    };
    let marker = Marker::start(options)?;
    marker.reach(0).await.context("the encoder ended")?;
    let url = node.http_url("/LiveApp/live/stream1.flv");
    let live = async {
        loop {
            match Streaming::get(&url, WINDOW).await {
                Ok(player) => return player,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let slow_player = timeout(Duration::from_secs(20), live).await.context("it was never live")?;
    let (fast_player, deaf_player) =
        (Streaming::get(&url, 1 << 20).await?, Streaming::get(&url, WINDOW).await?);
    let (slow, fast, deaf) = tokio::join!(slow(slow_player), fast(fast_player), deaf(&node, deaf_player));
    let (slow, fast, deaf) = (slow?, fast?, deaf?);
    let gap = |times: &[u32]| times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or(0);
    note(&format!(
        "slow: {} pictures, largest gap {} ms; fast: {}, {} ms; deaf: ended after {deaf:?}",
        slow.len(),
        gap(&slow),
        fast.len(),
        gap(&fast)
    ));
    ensure!(gap(&slow) > 2_000, "it did not skip: its largest gap is {} ms", gap(&slow));
    ensure!(
        gap(&fast) <= 100 && fast.len() > 600,
        "the fast one has {} pictures and a gap of {} ms",
        fast.len(),
        gap(&fast)
    );
    ensure!(deaf > Duration::from_secs(8) && deaf < Duration::from_secs(16), "{deaf:?}");
    ensure!(node.metric("penstock_ring_skips_total", &[]).await? >= 1.0);
    Ok(())
}
