//! The disk of the data folder is full: whoever publishes and plays goes on, REST says what it cannot do and
//! the log says what helps, and once there is room all goes on without a restart. What was acknowledged is
//! kept, also over `kill -9` on the full disk; a node that cannot start there says why.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock, limits};
use load_tests::{Identity, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions};
use serde_json::{Value, json};
use test_support::{
    Load, Node, NodeError, NodeOptions, RtmpClient, SmallDisk, Starting, Turn, note, skipped,
};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const STREAM: &str = "goes-on";
const VIEWERS: usize = 3;
const WATCHED: Duration = Duration::from_secs(3);
/// Room for the store as it is at first, its certificate and some rows.
const DISK_MIB: u32 = 12;
/// Requests until one must have failed: each is a row of 40 kB.
const REQUESTS_MAX: usize = 400;
const ROW_BYTES: usize = 40_000;
/// The metadata plane's time for an answer, and some for the way.
const ANSWER_MAX: Duration = limits::META_ANSWER_MAX.saturating_add(Duration::from_secs(1));

/// A node on a small disk and what it has acknowledged.
struct Scene {
    disk: SmallDisk,
    node: Node,
    kept: Vec<String>,
    asked: usize,
}

impl Scene {
    /// Asks for one more broadcast; whether it was acknowledged.
    async fn create(&mut self) -> Result<bool> {
        self.asked += 1;
        let id = format!("kept-{}", self.asked);
        let body = json!({ "streamId": id, "name": id, "description": "x".repeat(ROW_BYTES) });
        let began = SystemClock.now();
        let answer = self.node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &body).await?;
        let took = SystemClock.now() - began;
        ensure!(took < ANSWER_MAX, "the answer took {took:?}");
        if answer.status == 200 {
            self.kept.push(id);
            return Ok(true);
        }
        ensure!(answer.status == 503, "{} {}", answer.status, answer.text());
        ensure!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        let said = answer.json();
        ensure!(said["success"] == false && said["message"].is_string(), "{said}");
        Ok(false)
    }

    /// Fills the disk and asks until the store has used up the room in its own file.
    async fn fill(&mut self) -> Result<()> {
        self.disk.fill()?;
        for _ in 0..REQUESTS_MAX {
            if !self.create().await? {
                return Ok(());
            }
        }
        bail!("{REQUESTS_MAX} broadcasts of {ROW_BYTES} bytes went onto a full disk")
    }

    /// Everything acknowledged is there.
    async fn all_kept(&self) -> Result<()> {
        for id in &self.kept {
            let answer = self.node.get(&format!("/LiveApp/rest/v2/broadcasts/{id}")).await?;
            ensure!(answer.status == 200, "{id} is gone: {} {}", answer.status, answer.text());
            ensure!(
                answer.json()["description"].as_str().map(str::len) == Some(ROW_BYTES),
                "{id} is changed"
            );
        }
        Ok(())
    }

    async fn log_says(&self, words: &str) -> Result<()> {
        let line = self.node.wait_for_log(PATIENCE, |line| line.contains(words)).await;
        line.map(|_| ()).with_context(|| format!("the log does not say \"{words}\""))
    }
}

fn live(broadcast: &Value) -> bool {
    broadcast["status"] == "broadcasting"
}

/// The viewers miss nothing for a while.
async fn nobody_misses_anything(name: &str, viewers: &Swarm) -> Result<()> {
    let load = Load::watch();
    // What is missed shows only in time.
    let ((), seen) = viewers.measure(sleep(WATCHED)).await;
    let load = load.report();
    note(&format!("{name}: frames {:.2} %, {} lost; {load}", seen.frames_share * 100.0, seen.video.lost));
    ensure!(seen.ended.is_empty() && seen.joined == VIEWERS, "{name}: {seen:?}");
    // A frame may fall on either side of each edge of the window.
    let whole = seen.frames_share >= 0.99 - 2.0 / seen.frames_due;
    ensure!(whole || load.excuse().is_some(), "{name}: {seen:?} ({load})");
    Ok(())
}

#[tokio::test]
async fn and_once_there_is_room_all_goes_on() -> Result<()> {
    LocalSet::new().run_until(full()).await
}

async fn full() -> Result<()> {
    let disk = match SmallDisk::new(DISK_MIB) {
        Ok(disk) => disk,
        Err(error) => {
            skipped("a full disk", &format!("no disk of our own could be mounted: {error}"));
            return Ok(());
        }
    };
    let _turn = Turn::take().await?;
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).data_folder(disk.path());
    let node = Node::start(options.clone()).await?;
    let mut encoder = Publisher::start(&recording, node.rtmp_address(), "LiveApp", STREAM)?;
    let passing = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "passing-by")?;
    for id in [STREAM, "passing-by"] {
        node.until_broadcast("LiveApp", id, PATIENCE, live).await?;
    }
    let viewers = SwarmOptions::new(node.signalling_url("LiveApp"), STREAM, VIEWERS);
    let viewers = Swarm::start(viewers, Arc::new(Identity::new()?));
    ensure!(viewers.joined(PATIENCE).await, "the viewers did not join");
    let mut scene = Scene { disk, node, kept: Vec::new(), asked: 0 };
    ensure!(scene.create().await?, "there is room, and it was refused");
    nobody_misses_anything("with room", &viewers).await?;

    scene.fill().await?;
    scene.log_says("free space on its file system").await?;
    nobody_misses_anything("full", &viewers).await?;
    scene.all_kept().await?;
    ensure!(live(&scene.node.broadcast("LiveApp", STREAM).await?), "it is shown as over");
    // Nobody can begin, and is told so as soon as REST says it.
    let newcomer = RtmpClient::publishing(scene.node.rtmp_address(), "LiveApp", "newcomer").await?;
    let ended = timeout(ANSWER_MAX, newcomer.await_end()).await.context("a newcomer was told nothing")?;
    ensure!(ended.refused("NetStream.Failed"), "{ended:?}");
    // One that ends meanwhile is not live afterwards.
    drop(passing);
    encoder.check()?;

    scene.disk.free()?;
    let room = json!({ "streamId": "room" });
    let stored = async || {
        let answer = scene.node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &room).await.ok()?;
        (answer.status == 200).then_some(())
    };
    Node::eventually(PATIENCE, stored).await.context("there is room again, and nothing is stored")?;
    scene.log_says("has room again").await?;
    ensure!(scene.create().await?, "it stores one and not the next");
    let over = scene.node.until_broadcast("LiveApp", "passing-by", PATIENCE, |broadcast| !live(broadcast));
    over.await.context("a stream that ended on the full disk is still live")?;
    let again = Publisher::start(&recording, scene.node.rtmp_address(), "LiveApp", "passing-by")?;
    let begun = scene.node.until_broadcast("LiveApp", "passing-by", PATIENCE, live);
    begun.await.context("nobody can publish again")?;
    nobody_misses_anything("with room again", &viewers).await?;
    encoder.check()?;

    // Killed on a full disk.
    scene.fill().await?;
    scene.node.kill9().await?;
    drop((again, viewers, encoder));
    let starting = Starting::spawn(options.clone())?;
    // By what room is left in its own file it starts, or waits until it can note that it is there, or ends.
    let told = |line: &str| ["ready: open", "space"].iter().any(|words| line.contains(words));
    let told = starting.wait_for_log(PATIENCE, told).await;
    note(&format!("on the full disk: {}", told.context("it did not say why it does not start")?));
    scene.disk.free()?;
    scene.node = match starting.ready().await {
        Err(NodeError::Died { .. }) => {
            Starting::spawn(options)?.ready().await.context("there is room again, and it does not start")?
        }
        waited => waited.context("there is room again, and it does not go on")?,
    };
    scene.all_kept().await?;
    for id in [STREAM, "passing-by"] {
        ensure!(!live(&scene.node.broadcast("LiveApp", id).await?), "{id} has no publisher");
    }
    ensure!(scene.node.panics().is_empty(), "{:?}", scene.node.panics());
    Ok(())
}

#[tokio::test]
async fn a_store_that_cannot_go_on_makes_the_node_unready_by_name() -> Result<()> {
    let _turn = Turn::take().await?;
    let disk = match SmallDisk::new(DISK_MIB) {
        Ok(disk) => disk,
        Err(error) => {
            skipped("a full disk", &format!("no disk of our own could be mounted: {error}"));
            return Ok(());
        }
    };
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).data_folder(disk.path());
    let node = Node::start(options).await?;
    let mut scene = Scene { disk, node, kept: Vec::new(), asked: 0 };
    scene.fill().await?;
    ensure!(scene.node.get("/readyz").await?.status == 200, "a full disk gets room again");
    // The file is closed meanwhile; what is opened again is another one.
    std::fs::write(scene.disk.path().join("metadata.redb"), b"junk")?;
    let unready = async || {
        scene.node.send("POST", "/LiveApp/rest/v2/broadcasts/create", &json!({})).await.ok()?;
        let answer = scene.node.get("/readyz").await.ok()?;
        (answer.status == 503).then(|| answer.json())
    };
    let said = Node::eventually(PATIENCE, unready).await.context("the node is still ready")?;
    ensure!(said["missing"][0]["component"] == "store", "{said}");
    Ok(())
}

#[tokio::test]
async fn a_first_start_on_a_full_disk_says_why_and_the_next_one_works() -> Result<()> {
    let _turn = Turn::take().await?;
    let disk = match SmallDisk::new(DISK_MIB) {
        Ok(disk) => disk,
        Err(error) => {
            skipped("a full disk", &format!("no disk of our own could be mounted: {error}"));
            return Ok(());
        }
    };
    disk.fill()?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).data_folder(disk.path());
    match Node::start(options.clone()).await {
        Err(NodeError::Died { last_lines, .. }) => {
            let clear = last_lines.iter().any(|line| line.contains("no space is left"));
            ensure!(clear, "it did not say why it does not start: {last_lines:#?}");
        }
        Err(other) => return Err(other.into()),
        Ok(_) => bail!("it started without a byte to write to"),
    }
    disk.free()?;
    Node::start(options).await.context("there is room, and it does not start")?;
    Ok(())
}
