//! Killed again and again while it has a publisher, players and writers, a node has afterwards everything it said
//! yes to, the settings it had, and no stream that is live without a publisher.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Randomness, SeededRandomness};
use futures_util::future::try_join_all;
use load_tests::{Identity, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions};
use serde_json::json;
use test_support::{Node, NodeOptions, RtmpClient, end_tree, in_full, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(15);
const WRITERS: usize = 4;
const PLAYERS: usize = 8;
/// The moments of the kills come from here.
const SEED: u64 = 5;
const BROADCASTS: &str = "/LiveApp/rest/v2/broadcasts";

/// What a writer knows of one of its broadcasts: the names it may have, and whether it may be gone.
#[derive(Clone, Debug, Default)]
struct Known {
    names: Vec<String>,
    may_be_gone: bool,
}

type Book = RefCell<BTreeMap<String, Known>>;

/// Creates, renames and deletes broadcasts until the node does not answer any more. What was asked last and not
/// answered may have happened or not.
async fn write(node: &Node, book: &Book, writer: usize, round: usize) -> Result<()> {
    for number in 0.. {
        let id = format!("w{writer}-r{round}-{number}");
        let path = format!("{BROADCASTS}/{id}");
        let names = [format!("{id} first"), format!("{id} second")];
        let steps = [
            ("POST", format!("{BROADCASTS}/create"), json!({ "streamId": id, "name": names[0] })),
            ("PUT", path.clone(), json!({ "name": names[1] })),
            ("DELETE", path, json!(null)),
        ];
        // Every third stays as created, every third renamed.
        for (step, (method, path, body)) in steps.into_iter().enumerate().take(number % 3 + 1) {
            let before = book.borrow().get(&id).cloned();
            let mut doubtful = before.unwrap_or(Known { names: Vec::new(), may_be_gone: true });
            doubtful.names.extend(names.get(step).cloned());
            doubtful.may_be_gone |= step == 2;
            book.borrow_mut().insert(id.clone(), doubtful);
            let Ok(answer) = node.send(method, &path, &body).await else { return Ok(()) };
            ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
            let refused = answer.json()["success"] == false;
            ensure!(!refused, "{method} {path}: {}", answer.text());
            let sure =
                Known { names: names.get(step).cloned().into_iter().collect(), may_be_gone: step == 2 };
            book.borrow_mut().insert(id.clone(), sure);
        }
    }
    Ok(())
}

/// Every broadcast is as its writer knows it. Afterwards nothing is in doubt.
async fn check(node: &Node, book: &Book) -> Result<()> {
    let known = book.borrow().clone();
    for (id, known) in known {
        let answer = node.get(&format!("{BROADCASTS}/{id}")).await?;
        let found = match answer.status {
            404 => {
                ensure!(known.may_be_gone, "{id} was lost: {known:?}");
                book.borrow_mut().remove(&id);
                continue;
            }
            200 => answer.json(),
            status => bail!("{id}: {status} {}", answer.text()),
        };
        let name = found["name"].as_str().unwrap_or_default().to_owned();
        ensure!(known.names.contains(&name), "{id} is called {name}: {known:?}");
        book.borrow_mut().insert(id, Known { names: vec![name], may_be_gone: false });
    }
    Ok(())
}

/// Only streams that were created may be published: the setting that the file brought once.
async fn the_setting_holds(node: &Node) -> Result<()> {
    let stranger = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "undefined").await?;
    let ended = stranger.await_end().await;
    ensure!(ended.refused("NetStream.Publish.BadName"), "the setting was lost: {ended:?}");
    Ok(())
}

async fn nothing_is_live(node: &Node) -> Result<()> {
    let answer = node.get(&format!("{BROADCASTS}/live")).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    ensure!(answer.json()["status"] != "broadcasting", "live without a publisher: {}", answer.text());
    let count = node.get(&format!("{BROADCASTS}/active-live-stream-count")).await?;
    ensure!(count.json()["number"] == 0, "{}", count.text());
    Ok(())
}

/// Publishes, plays and writes until the node is killed, `after` it is under load.
async fn load_until_killed(
    node: &mut Node,
    recording: &Arc<Recording>,
    identity: &Arc<Identity>,
    book: &Book,
    round: usize,
    after: Duration,
) -> Result<()> {
    let publisher = Publisher::start(recording, node.rtmp_address(), "LiveApp", "live")?;
    // A stream is there a moment before it can be played.
    node.until_broadcast("LiveApp", "live", PATIENCE, |broadcast| broadcast["status"] == "broadcasting")
        .await?;
    let options = SwarmOptions::new(node.signalling_url("LiveApp"), "live", PLAYERS);
    let players = Swarm::start(options, Arc::clone(identity));
    ensure!(players.joined(PATIENCE).await && players.has_media(), "{:?}", players.so_far().await.ended);
    let pid = node.pid();
    let writers = (0..WRITERS).map(|writer| write(node, book, writer, round));
    let kill = async {
        // Any moment will do: the writers are in the middle of something at each.
        sleep(after).await;
        end_tree(pid);
        Ok(())
    };
    tokio::try_join!(try_join_all(writers), kill)?;
    drop((players, publisher));
    node.kill9().await?;
    Ok(())
}

async fn kill_again_and_again(rounds: usize) -> Result<()> {
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let identity = Arc::new(Identity::new()?);
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .setting("LiveApp", "settings.acceptOnlyStreamsInDataStore", "true")
        .environment("PENSTOCK_LIMITS_SHARD_BUSY_PERCENT", "100");
    let mut node = Node::start(options).await?;
    std::fs::remove_file(node.properties("LiveApp"))?;
    let created = node.send("POST", &format!("{BROADCASTS}/create"), &json!({ "streamId": "live" })).await?;
    ensure!(created.status == 200, "{} {}", created.status, created.text());
    let book = Book::default();
    let randomness = SeededRandomness::new(SEED);
    for round in 1..=rounds {
        let after = Duration::from_millis(randomness.next_u64() % 400);
        load_until_killed(&mut node, &recording, &identity, &book, round, after).await?;
        node.restart().await?;
        let judged = async {
            nothing_is_live(&node).await?;
            check(&node, &book).await?;
            the_setting_holds(&node).await
        };
        judged.await.with_context(|| format!("after kill {round}, seed {SEED}"))?;
        if round % 10 == 0 {
            note(&format!("{round} of {rounds} kills; {} broadcasts", book.borrow().len()));
        }
    }
    note(&format!("{rounds} kills: {} broadcasts as they were answered for", book.borrow().len()));
    Ok(())
}

#[tokio::test]
async fn what_was_answered_for_is_there_after_every_kill() -> Result<()> {
    let rounds = if in_full() { 100 } else { 3 };
    LocalSet::new().run_until(kill_again_and_again(rounds)).await
}
