//! Whatever actor of a node dies of a bug of ours, what depends on it is ended by the node and does not wait for its
//! own time to run out, everybody else goes on without losing a frame, and what died can be had again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::{Identity, Publisher, Recording, RecordingOptions, Summary, Swarm, SwarmOptions};
use serde_json::json;
use test_support::{Node, NodeOptions, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(15);
/// What the survivors are watched for while somebody else dies.
const WATCHED: Duration = Duration::from_secs(3);
const PLAYERS: usize = 6;

struct Stage {
    node: Node,
    recording: Arc<Recording>,
    identity: Arc<Identity>,
}

impl Stage {
    async fn set() -> Result<Self> {
        let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
        let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
        Ok(Self { node, recording, identity: Arc::new(Identity::new()?) })
    }

    /// Publishes a stream, and waits until its status says so and it can be played.
    async fn publish(&self, application: &str, stream: &str) -> Result<Publisher> {
        let publisher = Publisher::start(&self.recording, self.node.rtmp_address(), application, stream)?;
        self.until_status(application, stream, "broadcasting").await?;
        Ok(publisher)
    }

    async fn until_status(&self, application: &str, stream: &str, status: &str) -> Result<()> {
        self.node.until_broadcast(application, stream, PATIENCE, |it| it["status"] == status).await?;
        Ok(())
    }

    /// Players of a stream, with media.
    async fn play(&self, application: &str, stream: &str) -> Result<Swarm> {
        // The status is there a moment before the first picture.
        let played = async || {
            let options = SwarmOptions::new(self.node.signalling_url(application), stream, PLAYERS);
            let players = Swarm::start(options, Arc::clone(&self.identity));
            (players.joined(PATIENCE).await && players.has_media()).then_some(players)
        };
        Node::eventually(PATIENCE, played).await.with_context(|| format!("{stream} cannot be played"))
    }

    /// Has the newest actor of a kind panic, and sees how `survivors` fare meanwhile.
    async fn strike(&self, kind: &str, survivors: &Swarm) -> Result<Summary> {
        let strike = async {
            let answer = self.node.send("POST", &format!("/faults/{kind}"), &json!(null)).await?;
            ensure!(answer.status == 200, "{kind}: {} {}", answer.status, answer.text());
            // Of a frame that does not come there is no word: time has to pass.
            sleep(WATCHED).await;
            Ok(())
        };
        let (struck, saw) = survivors.measure(strike).await;
        struck?;
        note(&format!("{kind}: survivors {:.2} %, {} lost", saw.frames_share * 100.0, saw.frames_lost()));
        Ok(saw)
    }

    /// Waits until so many have ended as those do of whom something of ours broke.
    async fn failed(&self, of: &str, count: f64) -> Result<()> {
        self.node.until_metric(of, &["reason=\"failed\""], PATIENCE, |failed| failed == count).await?;
        Ok(())
    }
}

fn unharmed(saw: &Summary, kind: &str) -> Result<()> {
    ensure!(saw.ended.is_empty(), "{kind} took others with it: {:?}", saw.ended);
    ensure!(
        saw.frames_lost() == 0 && saw.video.lost + saw.audio.lost == 0,
        "{kind}: others lost frames: {saw:?}"
    );
    Ok(())
}

async fn all_kinds_die() -> Result<()> {
    let stage = Stage::set().await?;
    let _publisher = stage.publish("LiveApp", "lives-on").await?;
    let survivors = stage.play("LiveApp", "lives-on").await?;
    let _other = stage.publish("WebRTCAppEE", "elsewhere").await?;
    let elsewhere = stage.play("WebRTCAppEE", "elsewhere").await?;
    let struck = stage.publish("LiveApp", "struck").await?;
    let players = stage.play("LiveApp", "struck").await?;

    // A player's actor: that player ends, of all players.
    unharmed(&stage.strike("subscriber", &survivors).await?, "subscriber")?;
    let saw = players.so_far().await;
    ensure!(saw.ended.values().sum::<usize>() == 1, "one player should have ended: {:?}", saw.ended);
    stage.failed("penstock_player_ended_total", 1.0).await?;

    // A publisher's actor: its connection ends, the stream waits for it and its players stay.
    unharmed(&stage.strike("publisher", &survivors).await?, "publisher")?;
    stage.failed("penstock_publisher_ended_total", 1.0).await?;
    drop(struck);
    let again = stage.publish("LiveApp", "struck").await?;
    // A window to count frames in.
    let (_, saw) = players.measure(sleep(WATCHED)).await;
    ensure!(saw.ended.values().sum::<usize>() == 1, "players did not stay: {:?}", saw.ended);
    ensure!(saw.video.frames > 0, "the stream did not go on: {saw:?}");

    // A stream's actor: its publisher and its players end, and it can be published again.
    unharmed(&stage.strike("stream", &survivors).await?, "stream")?;
    ensure!(
        players.gone(PATIENCE).await,
        "players of a dead stream are left: {:?}",
        players.so_far().await.ended
    );
    let saw = players.so_far().await;
    let told = |end: &String| end.starts_with("play_finished") || end == "the node closed DTLS";
    ensure!(saw.ended.keys().all(told), "players of a dead stream were told nothing: {:?}", saw.ended);
    drop(again);
    let again = stage.publish("LiveApp", "struck").await?;
    drop(stage.play("LiveApp", "struck").await?);
    drop(again);

    // An application: its streams end, those of the other do not, and it is there again.
    let answer = stage.node.send("POST", "/faults/application", &json!(null)).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let (of_one, of_other) = tokio::join!(survivors.gone(WATCHED), elsewhere.gone(WATCHED));
    ensure!(of_one != of_other, "of two applications one should have ended: {of_one}, {of_other}");
    let (dead, alive) = if of_one { ("LiveApp", &elsewhere) } else { ("WebRTCAppEE", &survivors) };
    // As after each strike.
    let (_, saw) = alive.measure(sleep(WATCHED)).await;
    unharmed(&saw, "application")?;
    let _again = stage.publish(dead, "once-more").await?;
    drop(stage.play(dead, "once-more").await?);
    ensure!(stage.node.get("/readyz").await?.status == 200, "the node is not ready any more");
    Ok(())
}

#[tokio::test]
async fn what_does_not_depend_on_the_dead_goes_on() -> Result<()> {
    LocalSet::new().run_until(all_kinds_die()).await
}
