//! Who is in and may not be any more notices: a blocked viewer's picture stops and comes back on the same connection when
//! the block is lifted, a blocked publisher ends, a revoked token and a kick end their session, also when REST is asked on
//! another node than the one that serves the session. Each within a second of the answer of REST.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use load_tests::{Hostile, Identity};
use serde_json::{Value, json};
use test_support::{Cluster, Marker, MarkerOptions, Node, NodeOptions, RtmpClient, Turn, in_full, note};

const APP: &str = "LiveApp";
const STREAM: &str = "stream1";
const PATIENCE: Duration = Duration::from_secs(20);
/// From the answer of REST to what the client sees of it.
const REACHED_MAX: Duration = Duration::from_secs(1);
/// What comes when nothing may come any more was on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

fn trials() -> usize {
    if in_full() { 200 } else { 5 }
}

async fn rest(node: &Node, method: &str, path: &str, body: Value) -> Result<Value> {
    let answer = node.send(method, &format!("/{APP}/rest/v2/broadcasts/{STREAM}{path}"), &body).await?;
    ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
    Ok(answer.json())
}

async fn block(node: &Node, kind: &str, seconds: u32) -> Result<Instant> {
    rest(node, "PUT", &format!("/subscribers/sub1/block/{seconds}/{kind}"), Value::Null).await?;
    Ok(SystemClock.now())
}

async fn live(node: &Node) -> Result<Marker> {
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url(APP, STREAM)))?;
    node.until_broadcast(APP, STREAM, PATIENCE, |broadcast| broadcast["status"] == "broadcasting").await?;
    Ok(marker)
}

/// A player with media, once the stream can be played.
async fn player(node: &Node, identity: &Arc<Identity>, more: Value) -> Result<Hostile> {
    let asked = async || {
        let mut message = json!({ "command": "play", "streamId": STREAM, "subscriberId": "sub1" });
        for (key, value) in more.as_object().into_iter().flatten() {
            message[key] = value.clone();
        }
        Hostile::ask_with(&node.signalling_url(APP), message, identity).await.ok()?.ok()
    };
    let mut player = Node::eventually(PATIENCE, asked).await.context("nobody may play")?;
    player.answer().await?;
    player.behave_until(|receiver| receiver.first_media_at().is_some()).await?;
    Ok(player)
}

fn packets(player: &mut Hostile) -> u64 {
    player.receiver().tracks().iter().map(|track| track.counts().packets).sum()
}

/// How long after `since` the last packet came, once none has come for a while; an ordinary player meanwhile.
async fn falls_silent(player: &mut Hostile, since: Instant) -> Result<Duration> {
    let (mut seen, mut last) = (packets(player), since);
    while SystemClock.now() - last < REACHED_MAX {
        let until = SystemClock.now() + Duration::from_millis(20);
        player.behave_until(|_| SystemClock.now() >= until).await?;
        let now = packets(player);
        if now != seen {
            (seen, last) = (now, SystemClock.now());
        }
        ensure!(SystemClock.now() - since < PATIENCE, "media goes on");
    }
    Ok(last - since)
}

/// How long after `since` media comes again.
async fn is_heard(player: &mut Hostile, since: Instant) -> Result<Duration> {
    let before = packets(player);
    while packets(player) == before {
        let until = SystemClock.now() + Duration::from_millis(5);
        player.behave_until(|_| SystemClock.now() >= until).await?;
        ensure!(SystemClock.now() - since < PATIENCE, "media does not come back");
    }
    Ok(SystemClock.now() - since)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_viewer_pauses_and_goes_on_on_the_same_connection() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = live(&node).await?;
    let identity = Arc::new(Identity::new()?);
    let mut player = player(&node, &identity, json!({})).await?;
    let (mut paused, mut resumed) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..trials() {
        let answered = block(&node, "play", 600).await?;
        paused = paused.max(falls_silent(&mut player, answered).await?);
        let sessions = node.get(&format!("/{APP}/rest/v2/broadcasts/{STREAM}/sessions/0/50")).await?.json();
        let state = |session: &Value| session["direction"] == "play" && session["state"] == "suspended";
        ensure!(sessions.as_array().is_some_and(|all| all.iter().any(state)), "{sessions}");
        let answered = block(&node, "play", 0).await?;
        resumed = resumed.max(is_heard(&mut player, answered).await?);
    }
    note(&format!(
        "of {} blocks the worst paused after {paused:?} and was lifted after {resumed:?}",
        trials()
    ));
    ensure!(paused <= REACHED_MAX + ON_ITS_WAY && resumed <= REACHED_MAX, "{paused:?}, {resumed:?}");
    marker.stop()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_publisher_ends_and_is_told_so_when_it_comes_again() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let name = format!("{STREAM}?subscriberId=sub1");
    let mut worst = Duration::ZERO;
    for _ in 0..trials() {
        let publisher = RtmpClient::publishing(node.rtmp_address(), APP, &name).await?;
        node.until_broadcast(APP, STREAM, PATIENCE, |broadcast| broadcast["status"] == "broadcasting")
            .await?;
        let answered = block(&node, "publish", 600).await?;
        let ended = publisher.await_end().await;
        ensure!(ended.closed && ended.said("NetStream.Publish.Start"), "{ended:?}");
        worst = worst.max(SystemClock.now() - answered);
        let again = RtmpClient::publishing(node.rtmp_address(), APP, &name).await?.await_end().await;
        ensure!(again.refused("Subscriber sub1 is blocked to publish stream."), "{again:?}");
        block(&node, "publish", 0).await?;
    }
    note(&format!("of {} blocked publishers the last ended after {worst:?}", trials()));
    // The goodbye, which the encoder may read, is a second of its own.
    ensure!(worst <= 2 * REACHED_MAX, "{worst:?}");
    Ok(())
}

/// Three nodes: whoever is asked, the one that serves the session hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn whichever_node_is_asked() -> Result<()> {
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), 3).await?;
    let (serving, asked) = (cluster.node(1), cluster.node(2));
    let marker = live(serving).await?;
    let identity = Arc::new(Identity::new()?);
    let mut worst = Duration::ZERO;
    for _ in 0..trials().div_ceil(2) {
        let mut paused = player(serving, &identity, json!({})).await?;
        let answered = block(asked, "play", 600).await?;
        worst = worst.max(falls_silent(&mut paused, answered).await?);
        let answered = block(asked, "play", 0).await?;
        worst = worst.max(is_heard(&mut paused, answered).await?);
        drop(paused);

        let mut kicked = player(serving, &identity, json!({ "subscriberId": "sub2" })).await?;
        let sessions = rest(serving, "GET", "/sessions/0/50", Value::Null).await?;
        let of_sub2 = |session: &&Value| session["subscriberId"] == "sub2";
        let session = sessions.as_array().and_then(|all| all.iter().find(of_sub2)).context("no session")?;
        let session = session["session"].as_str().context("no name")?.to_owned();
        rest(asked, "DELETE", &format!("/sessions/{session}"), Value::Null).await?;
        let answered = SystemClock.now();
        kicked.is_told_the_end().await?;
        worst = worst.max(SystemClock.now() - answered);
    }
    note(&format!("asked of another node, the worst took {worst:?}"));
    ensure!(worst <= REACHED_MAX + ON_ITS_WAY, "{worst:?}");
    marker.stop()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_and_a_rotated_secret_end_who_came_by_them() -> Result<()> {
    let _turn = Turn::take().await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let node = Node::start(options).await?;
    let marker = live(&node).await?;
    let identity = Arc::new(Identity::new()?);
    let settings = async |changes: Value| {
        let answer = node.send("PATCH", &format!("/rest/v2/applications/settings/{APP}"), &changes).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        anyhow::Ok(())
    };
    // There is a picture: nobody spends a token on a stream that cannot be played yet.
    player(&node, &identity, json!({})).await?;
    settings(json!({ "playTokenControlEnabled": true })).await?;
    let mut worst = Duration::ZERO;
    for _ in 0..trials() {
        let path = "/token?expireDate=4102444800&type=play";
        let token = rest(&node, "GET", path, Value::Null).await?["tokenId"].clone();
        let mut player = player(&node, &identity, json!({ "token": token })).await?;
        rest(&node, "DELETE", "/tokens", Value::Null).await?;
        let answered = SystemClock.now();
        player.is_told_the_end().await?;
        worst = worst.max(SystemClock.now() - answered);
    }
    note(&format!("of {} revoked tokens the last session ended after {worst:?}", trials()));
    ensure!(worst <= REACHED_MAX, "{worst:?}");

    let key = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
    settings(json!({ "playTokenControlEnabled": false })).await?;
    settings(json!({ "playJwtControlEnabled": true, "jwtStreamSecretKey": key })).await?;
    let path = "/jwt-token?expireDate=4102444800&type=play";
    let jwt = rest(&node, "GET", path, Value::Null).await?["tokenId"].clone();
    let mut player = player(&node, &identity, json!({ "token": jwt })).await?;
    settings(json!({ "jwtStreamSecretKey": key.to_lowercase() })).await?;
    let answered = SystemClock.now();
    player.is_told_the_end().await?;
    let took = SystemClock.now() - answered;
    note(&format!("a rotated secret ended who rested on it after {took:?}"));
    ensure!(took <= 2 * REACHED_MAX, "{took:?}");
    marker.stop()?;
    Ok(())
}
