//! Whoever is no node of the cluster is not listened to on its port, takes nothing from those who are, and the log says
//! what to do about it without giving the secret away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, Randomness, SeededRandomness, SystemClock, limits};
use futures_util::future::{join_all, try_join_all};
use test_support::{Cluster, Node, Plan, Starting, Turn, note};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");
const VOTERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that say nothing.
const SILENT: usize = 2_000;
/// Where strangers come from: not the address that nodes of this machine call from.
const STRANGERS_ADDRESS: &str = "127.0.0.3";
/// One write while all that goes on. Slower: somebody was held up.
const WRITE_MAX: Duration = Duration::from_secs(3);
/// How late a connection that is given up may be closed, on a loaded machine.
const LATE_MAX: Duration = Duration::from_secs(5);

/// Writes by each of the nodes in turn until it is told to stop; how often, and how long it took at most.
async fn write(cluster: &Cluster, what: &str, stop: &AtomicBool) -> Result<(usize, Duration)> {
    let names = what.replace([' ', ','], "-");
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        if stop.load(Ordering::Acquire) {
            return Ok((number, slowest));
        }
        let began = SystemClock.now();
        let node = cluster.node(number % VOTERS + 1);
        node.create_broadcast("LiveApp", &format!("{names}{number}")).await?;
        slowest = slowest.max(SystemClock.now() - began);
    }
    Ok((0, slowest))
}

/// Does something while all members are written to, which none of them may notice.
async fn unnoticed<T>(cluster: &Cluster, what: &str, strange: impl Future<Output = Result<T>>) -> Result<T> {
    let stop = AtomicBool::new(false);
    let done = async {
        let done = strange.await;
        stop.store(true, Ordering::Release);
        done
    };
    let (done, written) = tokio::join!(done, write(cluster, what, &stop));
    let (writes, slowest) = written.with_context(|| what.to_owned())?;
    note(&format!("{what}: {writes} writes meanwhile, the slowest in {slowest:?}"));
    ensure!(slowest < WRITE_MAX, "{what}: a write took {slowest:?}");
    for number in cluster.plan().voters() {
        ensure!(cluster.node(number).panics().is_empty(), "{:?}", cluster.node(number).panics());
    }
    done.with_context(|| what.to_owned())
}

/// What a node says, by itself.
async fn told(node: &Starting, words: &str) -> Result<()> {
    let told = node.wait_for_log(PATIENCE, |line| line.contains(words)).await;
    told.map(drop).with_context(|| format!("it did not say {words:?}: {:#?}", node.log_lines()))
}

/// What one of the members says.
async fn a_member_tells(cluster: &Cluster, words: &str) -> Result<()> {
    let said = Node::eventually(PATIENCE, || async {
        let is_it = |number| cluster.node(number).log_lines().iter().any(|line| line.contains(words));
        cluster.plan().voters().any(is_it).then_some(())
    });
    said.await.with_context(|| format!("no member said {words:?}"))
}

/// How often members did not listen to a node of another secret.
async fn of_another_secret(cluster: &Cluster) -> Result<f64> {
    let count =
        |number| cluster.node(number).metric("penstock_cluster_refused_total", &["reason=\"other_secret\""]);
    Ok(try_join_all(cluster.plan().voters().map(count)).await?.into_iter().sum())
}

/// Waits until they did not so often.
async fn refused(cluster: &Cluster, count: f64) -> Result<()> {
    let counted = async || of_another_secret(cluster).await.ok().filter(|now| *now >= count);
    Node::eventually(PATIENCE, counted).await.map(drop).context("nobody of another secret was refused")
}

/// Nothing that anybody logged has a part of a secret in it.
fn no_secret_in(lines: &[String], plan: &Plan) -> Result<()> {
    let secret = std::fs::read_to_string(plan.secret_file())?;
    let words: Vec<_> = secret.split_whitespace().filter(|word| word.len() >= 16).collect();
    ensure!(!words.is_empty(), "there is no secret");
    for word in words {
        for at in 0..=word.len() - 16 {
            ensure!(
                !lines.iter().any(|line| line.contains(&word[at..at + 16])),
                "a line has the secret in it"
            );
        }
    }
    Ok(())
}

fn logs(cluster: &Cluster) -> Vec<String> {
    cluster.plan().voters().flat_map(|number| cluster.node(number).log_lines()).collect()
}

async fn stranger(door: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(STRANGERS_ADDRESS.parse()?, 0))?;
    Ok(socket.connect(door.parse()?).await?)
}

/// Says something, and gives how many bytes came back until the node hung up.
async fn says(door: &str, words: &[u8]) -> Result<usize> {
    let mut line = stranger(door).await?;
    // It may have hung up already.
    let _ = line.write_all(words).await;
    let mut answer = Vec::new();
    let ended = timeout(limits::CLUSTER_HANDSHAKE_MAX + LATE_MAX, line.read_to_end(&mut answer)).await;
    ensure!(ended.is_ok(), "the node did not hang up");
    Ok(answer.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_another_secret_and_of_another_cluster() -> Result<()> {
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(BINARY, VOTERS).await?;
    let plan = cluster.plan();

    let elsewhere = Plan::new(BINARY, 1, 1).await?;
    let secret = elsewhere.secret_file().display().to_string();
    for role in ["join", "client"] {
        let options = plan
            .options(4)?
            .environment("PENSTOCK_CLUSTER_SECRET_FILE", &secret)
            .environment("PENSTOCK_CLUSTER_ROLE", role);
        let before = of_another_secret(&cluster).await?;
        let foreigner = Starting::spawn(options)?;
        let advice = "of another cluster secret: give all nodes the same";
        unnoticed(&cluster, &format!("another secret, {role}"), told(&foreigner, advice)).await?;
        // Twice: one may be on its way when they are counted.
        refused(&cluster, before + 2.0).await?;
        no_secret_in(&foreigner.log_lines(), &elsewhere)?;
        foreigner.kill9().await?;
    }
    a_member_tells(&cluster, "a node has another cluster secret: give all nodes the same").await?;

    // It has formed one of its own, by the right secret, and then is told of the others.
    let own = format!("5@{}", plan.address(5));
    let others = plan.voters().map(|number| format!("{number}@{}", plan.address(number)));
    let all = others.chain([own.clone()]).collect::<Vec<_>>().join(",");
    let options = plan
        .options(5)?
        .environment("PENSTOCK_CLUSTER_ROLE", "member")
        .environment("PENSTOCK_CLUSTER_MEMBERS", &own);
    Node::start(options.clone()).await?.kill9().await?;
    let foreigner = Node::start(options.environment("PENSTOCK_CLUSTER_MEMBERS", &all)).await?;
    unnoticed(&cluster, "another cluster", async {
        // Nothing it writes is for the others.
        foreigner.create_broadcast("LiveApp", "foreign").await?;
        let advice = "it is of another cluster";
        let told = foreigner.wait_for_log(PATIENCE, |line| line.contains(advice)).await;
        told.map(drop).with_context(|| format!("it did not say {advice:?}: {:#?}", foreigner.log_lines()))
    })
    .await?;
    ensure!(cluster.node(1).broadcast("LiveApp", "foreign").await?.is_null(), "it was heard");
    no_secret_in(&logs(&cluster), plan)?;
    no_secret_in(&foreigner.log_lines(), plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_http_or_garbage_and_who_says_nothing() -> Result<()> {
    rlimit::increase_nofile_limit(4 * SILENT as u64)?;
    let _turn = Turn::take().await?;
    let mut cluster = Cluster::start(BINARY, VOTERS).await?;
    let door = cluster.plan().address(1);

    unnoticed(&cluster, "plain HTTP", async {
        for _ in 0..20 {
            says(&door, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        }
        a_member_tells(&cluster, "without TLS").await
    })
    .await?;
    unnoticed(&cluster, "garbage", async {
        let dice = SeededRandomness::new(3);
        for round in 0..50 {
            let mut bytes = vec![0; 1 + (dice.next_u64() % 40_000) as usize];
            dice.fill(&mut bytes);
            if round % 2 == 0 {
                // A handshake of TLS, as far as its first bytes tell.
                bytes.splice(0..0, [22, 3, 1, 0x3f, 0xff, 1]);
            }
            says(&door, &bytes).await?;
        }
        Ok(())
    })
    .await?;

    let mut crowd = Vec::new();
    unnoticed(&cluster, "a silent crowd", async {
        for socket in join_all((0..SILENT).map(|_| stranger(&door))).await {
            crowd.push(socket?);
        }
        a_member_tells(&cluster, "connections to the cluster's port").await
    })
    .await?;
    // The others can lose their connections and come back while it is there.
    cluster.node_mut(2).kill9().await?;
    cluster.node_mut(2).restart().await?;
    let closed = join_all(crowd.iter_mut().map(|socket| async {
        // A reset is an end, too.
        timeout(limits::CLUSTER_HANDSHAKE_MAX + LATE_MAX, socket.read_to_end(&mut Vec::new())).await.is_ok()
    }));
    let closed = closed.await.into_iter().filter(|closed| *closed).count();
    ensure!(closed == SILENT, "{closed} of {SILENT} were closed");
    no_secret_in(&logs(&cluster), cluster.plan())
}
