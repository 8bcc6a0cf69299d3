//! Who guesses a subscriber's codes is locked by what he tried at all nodes of a cluster together, and the subscriber itself,
//! which comes from elsewhere, gets in at each of them meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use base::{Clock, SystemClock, WallTime, limits};
use security::credential::totp;
use serde_json::json;
use test_support::{Cluster, Node, Plan, Turn, ask, in_full, note};
use tokio::time::{interval, sleep};

const APP: &str = "LiveApp";
const STREAM: &str = "stream1";
const SECRET: &str = "mysecret";
const VOTERS: usize = 3;
/// Where the guesses come from, and where the subscriber is.
const GUESSER: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.7";
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two guesses at one node: 3,000 in a minute at three of them.
const GUESSED_EVERY: Duration = Duration::from_millis(60);
const LOOKED_AT: &str = "the code is wrong or too old";
const LOCKED: &str = "too many wrong codes were shown";

fn code_at(seconds: u64) -> String {
    totp::code(&totp::key_of_base32(SECRET).expect("a secret"), 60, WallTime(seconds * 1_000))
}

fn right_code() -> String {
    code_at(SystemClock.wall().as_millis() / 1_000)
}

/// One that is wrong for minutes.
fn wrong_code(number: usize) -> String {
    let now = SystemClock.wall().as_millis() / 1_000;
    let right = [now - 60, now, now + 60].map(code_at);
    let guess = |number: usize| format!("{:06}", number * 7_919 % 1_000_000);
    let mut guesses = (number..).map(guess);
    guesses.find(|guess| !right.contains(guess)).unwrap_or_default()
}

/// Whether a viewer is let in: nobody publishes the stream, and only who is let in is told that.
async fn gets_in(node: &Node, from: &str, subscriber: &str, code: &str) -> Result<bool> {
    let path = format!("/{APP}/whep/{STREAM}?subscriberId={subscriber}&subscriberCode={code}");
    let answer = ask("POST", &node.http_url(&path), &[("X-Forwarded-For", from)], "").await?;
    match answer.status {
        404 => Ok(true),
        401 | 403 => Ok(false),
        status => anyhow::bail!("{status} {}", answer.text()),
    }
}

/// A cluster in which the stream is played by codes.
async fn start() -> Result<Cluster> {
    let mut plan = Plan::new(env!("CARGO_BIN_EXE_penstock"), VOTERS, VOTERS + 1).await?;
    plan.set("PENSTOCK_HTTP_TRUSTED_PROXIES", "127.0.0.1");
    let cluster = Cluster::of(plan).await?;
    let changes = json!({ "enableTimeTokenForPlay": true });
    let path = format!("/rest/v2/applications/settings/{APP}");
    let answer = cluster.node(1).send("PATCH", &path, &changes).await?;
    ensure!(answer.status == 200 && answer.json()["success"] != false, "{}", answer.text());
    Ok(cluster)
}

/// Registers a subscriber, and waits until it gets in at all nodes.
async fn register(cluster: &Cluster, subscriber: &str) -> Result<()> {
    let body = json!({ "subscriberId": subscriber, "b32Secret": SECRET, "concurrentConnectionsLimit": 100 });
    let path = format!("/{APP}/rest/v2/broadcasts/{STREAM}/subscribers");
    let answer = cluster.node(1).send("POST", &path, &body).await?;
    ensure!(answer.json()["success"] == true, "{}", answer.text());
    for number in 1..=VOTERS {
        let there = async || {
            let codes = [right_code(), wrong_code(0)];
            // The settings have come when a wrong code is refused.
            let right = gets_in(cluster.node(number), ELSEWHERE, subscriber, &codes[0]).await.ok()?;
            let wrong = gets_in(cluster.node(number), ELSEWHERE, subscriber, &codes[1]).await.ok()?;
            (right && !wrong).then_some(())
        };
        let came = Node::eventually(PATIENCE, there).await;
        ensure!(came.is_some(), "{subscriber} does not get in at node {number}");
        // And what was wrong meanwhile is forgiven.
        ensure!(gets_in(cluster.node(number), ELSEWHERE, subscriber, &right_code()).await?);
    }
    Ok(())
}

fn lines(node: &Node, words: &str) -> usize {
    node.log_lines().iter().filter(|line| line.contains(words)).count()
}

fn looked_at(cluster: &Cluster) -> usize {
    (1..=VOTERS).map(|number| lines(cluster.node(number), LOOKED_AT)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_at_one_node_counts_at_the_others() -> Result<()> {
    let most = limits::GUESSES_PER_NETWORK_MAX as usize;
    let _turn = Turn::take().await?;
    let cluster = start().await?;
    register(&cluster, "sub1").await?;
    for n in 1..=most {
        ensure!(!gets_in(cluster.node(1), GUESSER, "sub1", &wrong_code(n)).await?, "guess {n}");
    }
    for number in 2..=VOTERS {
        // Few enough that this node alone would not lock.
        let mut own = 0;
        while lines(cluster.node(number), LOCKED) == 0 {
            own += 1;
            ensure!(own < most, "node {number} is not told");
            sleep(2 * limits::CODES_TOLD_EVERY).await;
            ensure!(!gets_in(cluster.node(number), GUESSER, "sub1", &wrong_code(own)).await?);
        }
        note(&format!("node {number} looked at {} of the guesses", own - 1));
    }
    for number in 1..=VOTERS {
        let node = cluster.node(number);
        ensure!(!gets_in(node, GUESSER, "sub1", &right_code()).await?, "node {number} still looks");
        ensure!(
            gets_in(node, ELSEWHERE, "sub1", &right_code()).await?,
            "node {number} locked the subscriber"
        );
        ensure!(node.panics().is_empty(), "{:?}", node.panics());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_guesses_in_a_minute_are_locked_at_the_limit() -> Result<()> {
    let guesses = if in_full() { 1_000 } else { 300 };
    let _turn = Turn::take().await?;
    let cluster = start().await?;
    register(&cluster, "sub1").await?;
    let before = looked_at(&cluster);
    let guess = async |number: usize| {
        let mut pace = interval(GUESSED_EVERY);
        for n in 0..guesses {
            pace.tick().await;
            let code = wrong_code(number * guesses + n);
            ensure!(!gets_in(cluster.node(number), GUESSER, "sub1", &code).await?, "{code} let in");
        }
        anyhow::Ok(())
    };
    let subscriber = async {
        let mut pace = interval(Duration::from_secs(1));
        for n in 0..guesses / 17 {
            pace.tick().await;
            let node = cluster.node(n % VOTERS + 1);
            ensure!(gets_in(node, ELSEWHERE, "sub1", &right_code()).await?, "the subscriber is kept out");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(guess(1), guess(2), guess(3), subscriber)?;
    let seen = looked_at(&cluster) - before;
    let most = limits::GUESSES_PER_NETWORK_MAX as usize;
    note(&format!("of {} guesses at three nodes {seen} were looked at", VOTERS * guesses));
    ensure!((most..=VOTERS * most).contains(&seen), "{seen} were looked at");
    for number in 1..=VOTERS {
        let node = cluster.node(number);
        ensure!(!gets_in(node, GUESSER, "sub1", &right_code()).await?, "node {number} still looks");
        ensure!(node.panics().is_empty(), "{:?}", node.panics());
    }
    Ok(())
}
