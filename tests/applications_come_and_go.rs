//! Applications are made and deleted over REST while nodes run, as with Ant Media Server: one that was made can be published to
//! and played from when REST has answered, on the other nodes of the cluster within two seconds; one that was deleted is gone,
//! its streams ended and its files out of the way, and stays so over restarts and for nodes that were down meanwhile.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use test_support::{
    Cluster, Marker, MarkerOptions, Node, NodeOptions, Response, Signalling, Streaming, Turn, ask, note,
};

const APP: &str = "Made-1";
const PATIENCE: Duration = Duration::from_secs(20);
/// From the answer of REST to what other nodes do.
const ELSEWHERE_MAX: Duration = Duration::from_secs(2);
/// From the answer of REST to what a publisher notices.
const ENDS_MAX: Duration = Duration::from_secs(2);

async fn node() -> Result<Node> {
    Ok(Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?)
}

/// What REST says to the making or deleting of an application: whether it was done, and the words.
async fn manage(node: &Node, verb: &str, rest: &str) -> Result<(bool, String)> {
    let answer = ask(verb, &node.http_url(&format!("/rest/v2/applications/{rest}")), &[], "").await?;
    ensure!(answer.status == 200, "{verb} {rest}: {} {}", answer.status, answer.text());
    let answer = answer.json();
    let (success, message) = (answer["success"].as_bool(), answer["message"].as_str());
    Ok((success.context("no success")?, message.context("no message")?.to_owned()))
}

async fn done(node: &Node, verb: &str, rest: &str) -> Result<()> {
    let (success, message) = manage(node, verb, rest).await?;
    ensure!(success, "{verb} {rest}: {message}");
    Ok(())
}

async fn names(node: &Node) -> Result<Vec<String>> {
    let answer = node.get("/rest/v2/applications").await?.json();
    Ok(serde_json::from_value(answer["applications"].clone())?)
}

async fn secret(node: &Node, app: &str) -> Result<Value> {
    let settings = node.get(&format!("/rest/v2/applications/settings/{app}")).await?;
    ensure!(settings.status == 200, "{}", settings.status);
    let secret = settings.json()["tokenHashSecret"].clone();
    ensure!(secret.as_str().is_some_and(|text| text.len() >= 16), "{secret}");
    Ok(secret)
}

/// Its REST.
async fn rest(node: &Node, app: &str) -> Result<Response> {
    Ok(node.get(&format!("/{app}/rest/v2/version")).await?)
}

/// Whether pages of other origins may read what it answers; its REST they may not ask from here.
async fn is_open_to_pages(node: &Node, app: &str) -> Result<bool> {
    let url = node.http_url(&format!("/{app}/rest/v2/version"));
    let answer = ask("GET", &url, &[("Origin", "https://page.example")], "").await?;
    Ok(answer.header("access-control-allow-origin") == Some("*"))
}

fn folder(node: &Node, app: &str) -> Result<PathBuf> {
    Ok(node.properties(app).parent().and_then(|web_inf| web_inf.parent()).context("no folder")?.to_owned())
}

/// The folders that deleted applications of this name lie in.
fn aside(node: &Node, app: &str) -> Result<Vec<PathBuf>> {
    let webapps = folder(node, app)?.parent().context("no webapps")?.to_owned();
    let is_it = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!(".deleted-{app}-")))
    };
    let mut found: Vec<_> =
        std::fs::read_dir(webapps)?.flatten().map(|entry| entry.path()).filter(is_it).collect();
    // By when they were moved.
    found.sort();
    Ok(found)
}

fn picture(node: &Node, app: &str) -> Result<Marker> {
    let url = node.rtmp_url(app, "stream1");
    let options =
        MarkerOptions { width: 640, height: 360, video_bitrate: 600_000, ..MarkerOptions::to_rtmp(url) };
    Ok(Marker::start(options)?)
}

/// Somebody plays by FLV, and somebody else is offered WebRTC.
async fn play(node: &Node, app: &str) -> Result<(Streaming, Signalling)> {
    let url = node.http_url(&format!("/{app}/live/stream1.flv"));
    let opened = async || Streaming::get(&url, 1 << 20).await.ok();
    let mut player = Node::eventually(PATIENCE, opened).await.context("the stream did not begin")?;
    ensure!(player.read(64 * 1024).await?.starts_with(b"FLV"), "no FLV");
    let mut socket = Signalling::open(&node.signalling_url(app)).await?;
    let answer = socket.play("stream1", PATIENCE).await?;
    ensure!(answer["command"] == "takeConfiguration", "{answer}");
    Ok((player, socket))
}

async fn until_ended(marker: &mut Marker, since: Instant) -> Result<Duration> {
    // An encoder that was sent away fails at its next write, and says so by no event.
    while marker.failure().is_none() {
        ensure!(SystemClock.now() - since < PATIENCE, "the publisher goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(SystemClock.now() - since)
}

async fn is_gone(node: &Node, app: &str) -> bool {
    rest(node, app).await.is_ok_and(|answer| answer.status == 404)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_made_works_at_once_and_one_that_is_deleted_is_gone() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut node = node().await?;
    ensure!(is_gone(&node, APP).await, "it is there before it is made");
    done(&node, "POST", APP).await?;
    // Nothing of this waits for anything.
    ensure!(names(&node).await?.contains(&APP.to_owned()));
    let answer = rest(&node, APP).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    ensure!(is_open_to_pages(&node, APP).await?, "its web.xml is not read");
    let page = node.get(&format!("/{APP}/play.html")).await?;
    ensure!(page.status == 200, "no page: {}", page.status);
    let first = secret(&node, APP).await?;
    let text = std::fs::read_to_string(node.properties(APP))?;
    ensure!(text.contains(first.as_str().unwrap_or("?")), "the file does not say the settings: {text}");
    let mut marker = picture(&node, APP)?;
    let (mut player, mut socket) = play(&node, APP).await?;
    node.create_broadcast(APP, "stored").await?;

    let (success, message) = manage(&node, "POST", APP).await?;
    ensure!(!success && message == "Application with the same name already exists", "{message}");
    for (bad, words) in [
        ("a.b", "not alphanumeric"),
        ("a%2Fb", "not alphanumeric"),
        ("root", "own addresses"),
        ("metrics", "own addresses"),
        ("panel", "own addresses"),
    ] {
        let (success, message) = manage(&node, "POST", bad).await?;
        ensure!(!success && message.contains(words), "{bad}: {message}");
    }
    std::fs::create_dir(folder(&node, "Plain")?)?;
    let (success, message) = manage(&node, "POST", "Plain").await?;
    ensure!(!success && message.contains("something else"), "{message}");

    std::fs::write(folder(&node, APP)?.join("mine.html"), "mine")?;
    let (success, _) = manage(&node, "DELETE", "made-1").await?;
    ensure!(!success, "names are case-sensitive");
    done(&node, "DELETE", APP).await?;
    let since = SystemClock.now();
    ensure!(is_gone(&node, APP).await, "REST of it answers");
    ensure!(!names(&node).await?.contains(&APP.to_owned()));
    ensure!(!folder(&node, APP)?.exists(), "the folder is there");
    let kept = aside(&node, APP)?;
    ensure!(kept.len() == 1 && std::fs::read_to_string(kept[0].join("mine.html"))? == "mine", "{kept:?}");
    while !player.read(64 * 1024).await.unwrap_or_default().is_empty() {}
    note(&format!("the player's picture ended after {:?}", SystemClock.now() - since));
    let ended = until_ended(&mut marker, since).await?;
    note(&format!("the publisher was gone after {ended:?}"));
    ensure!(ended < ENDS_MAX, "{ended:?}");
    let finished = socket.receive_until(|message| message["definition"] == "play_finished").await?;
    note(&finished.to_string());
    let refused = socket.ask(&json!({ "command": "play", "streamId": "stream1" })).await;
    ensure!(refused.as_ref().map_or(true, |said| said["command"] != "takeConfiguration"), "{refused:?}");
    ensure!(Signalling::open(&node.signalling_url(APP)).await.is_err(), "a socket of it opens");

    // Made anew it has its broadcasts, but not its settings nor its pages.
    done(&node, "POST", APP).await?;
    let second = secret(&node, APP).await?;
    ensure!(first != second, "the settings are those of before");
    ensure!(node.broadcast(APP, "stored").await?["streamId"] == "stored", "the broadcast is gone");
    ensure!(node.broadcast(APP, "stream1").await?.is_null(), "the ended stream is still there");
    ensure!(node.get(&format!("/{APP}/mine.html")).await?.status == 404);
    let _marker = picture(&node, APP)?;
    play(&node, APP).await?;

    // Settings of it act as those of others, and stay over a restart.
    let path = format!("/rest/v2/applications/settings/{APP}");
    let patched = node.send("PATCH", &path, &json!({ "acceptOnlyStreamsInDataStore": true })).await?;
    ensure!(patched.status == 200, "{}", patched.text());
    done(&node, "POST", "Other").await?;
    done(&node, "DELETE", "Other").await?;
    node.terminate().await?;
    node.restart().await?;
    ensure!(secret(&node, APP).await? == second, "other settings after a restart");
    ensure!(node.get(&path).await?.json()["acceptOnlyStreamsInDataStore"] == true);
    ensure!(!names(&node).await?.contains(&"Other".to_owned()) && is_gone(&node, "Other").await);
    ensure!(rest(&node, APP).await?.status == 200 && is_open_to_pages(&node, APP).await?);

    done(&node, "DELETE", &format!("{APP}?deleteDB=true")).await?;
    done(&node, "POST", APP).await?;
    ensure!(node.broadcast(APP, "stored").await?.is_null(), "the broadcast was to be deleted");
    ensure!(node.panics().is_empty(), "{:?}", node.panics());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_any_starts_and_makes_one() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut node = node().await?;
    for app in names(&node).await? {
        done(&node, "DELETE", &app).await?;
    }
    ensure!(names(&node).await?.is_empty());
    node.kill9().await?;
    node.restart().await?;
    ensure!(names(&node).await?.is_empty(), "a deleted one came back");
    done(&node, "POST", "LiveApp").await?;
    ensure!(rest(&node, "LiveApp").await?.status == 200);
    // Who puts the folder of a deleted one back wants it back.
    done(&node, "DELETE", "LiveApp").await?;
    node.terminate().await?;
    std::fs::rename(aside(&node, "LiveApp")?.last().context("no folder")?, folder(&node, "LiveApp")?)?;
    node.restart().await?;
    ensure!(names(&node).await? == ["LiveApp"]);
    secret(&node, "LiveApp").await?;
    Ok(())
}

/// How long until every node of these is as wanted.
async fn within(nodes: &[&Node], what: &str, wanted: impl AsyncFn(&Node) -> bool) -> Result<()> {
    let since = SystemClock.now();
    for node in nodes {
        let is_so = async || wanted(node).await.then_some(());
        Node::eventually(PATIENCE, is_so).await.with_context(|| format!("not {what}"))?;
    }
    let took = SystemClock.now() - since;
    note(&format!("{what} after {took:?}"));
    ensure!(took < ELSEWHERE_MAX, "{what} after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_have_what_one_made_and_none_has_what_one_deleted() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), 3).await?;
    let serves = async |node: &Node| rest(node, APP).await.is_ok_and(|answer| answer.status == 200);
    let lost = async |node: &Node| is_gone(node, APP).await;
    done(cluster.node(1), "POST", APP).await?;
    within(&[cluster.node(2), cluster.node(3)], "made on all", serves).await?;
    let (made_on, used_on) = (cluster.node(1), cluster.node(2));
    ensure!(secret(made_on, APP).await? == secret(used_on, APP).await?, "each has its own secret");
    let text = std::fs::read_to_string(used_on.properties(APP))?;
    ensure!(text.contains(secret(used_on, APP).await?.as_str().unwrap_or("?")), "{text}");
    let mut marker = picture(used_on, APP)?;
    play(used_on, APP).await?;
    let (success, message) = manage(used_on, "POST", APP).await?;
    ensure!(!success && message.contains("already exists"), "{message}");

    // Deleted on a third node, which does not serve the stream.
    done(cluster.node(3), "DELETE", APP).await?;
    let since = SystemClock.now();
    within(&[cluster.node(1), cluster.node(2), cluster.node(3)], "gone from all", lost).await?;
    let ended = until_ended(&mut marker, since).await?;
    ensure!(ended < ELSEWHERE_MAX + ENDS_MAX, "{ended:?}");
    for number in 1..=3 {
        let node = cluster.node(number);
        let moved = async || (!folder(node, APP).ok()?.exists()).then_some(());
        Node::eventually(PATIENCE, moved).await.context("the folder stays")?;
        ensure!(aside(node, APP)?.len() == 1, "{:?}", aside(node, APP)?);
    }

    // Two that make it at the same time: one does, and both have it.
    let both = [manage(cluster.node(1), "POST", APP), manage(cluster.node(2), "POST", APP)];
    let both = futures_util::future::try_join_all(both).await?;
    ensure!(both.iter().filter(|(success, _)| *success).count() == 1, "{both:?}");
    within(&[cluster.node(1), cluster.node(2), cluster.node(3)], "made anew on all", serves).await?;

    // Who was down learns it at its start: of one that was made, and of one that was deleted.
    cluster.node_mut(3).terminate().await?;
    done(cluster.node(1), "POST", "Other").await?;
    done(cluster.node(1), "DELETE", APP).await?;
    cluster.node_mut(3).restart().await?;
    let node = cluster.node(3);
    ensure!(is_gone(node, APP).await && aside(node, APP)?.len() == 2, "it is served by who was down");
    within(&[node], "made while it was down", async |node| {
        rest(node, "Other").await.is_ok_and(|answer| answer.status == 200)
    })
    .await?;
    for number in 1..=3 {
        let node = cluster.node(number);
        if !node.panics().is_empty() {
            bail!("{:?}", node.panics());
        }
        ensure!(is_gone(node, APP).await, "it came back");
    }
    Ok(())
}
