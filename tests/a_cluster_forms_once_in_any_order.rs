//! However members are started, and whichever of them dies on the way, they form one cluster and only one; whoever has
//! lost its data or has other data is kept out, and told what to do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Randomness, SeededRandomness};
use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use serde_json::Value;
use test_support::{Cluster, Node, NodeError, NodeOptions, Plan, Starting, Turn, in_full, note};
use tokio::time::sleep;

const BINARY: &str = env!("CARGO_BIN_EXE_penstock");
const VOTERS: usize = 3;
/// Clusters that form at one time: they mostly wait.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(20);
/// The orders come from here.
const SEED: u64 = 7;

/// What is done to one node before it is left alone.
#[derive(Clone, Debug)]
struct Fate {
    /// Before its first start.
    pause: Duration,
    /// How long it lives each time until it is killed, and how long it is away then.
    deaths: Vec<(Duration, Duration)>,
}

impl Fate {
    fn drawn(dice: &SeededRandomness) -> Self {
        let within = |max_ms: u64| Duration::from_millis(dice.next_u64() % max_ms);
        let pause = within(1_500);
        // Forming takes about a second: every moment of it is one in which somebody dies.
        let deaths = (0..dice.next_u64() % 3).map(|_| (within(1_500), within(800))).collect();
        Self { pause, deaths }
    }

    async fn carry_out(&self, plan: &Plan, number: usize) -> Result<Node> {
        // The order is made of these pauses: what happens meanwhile is of no account.
        sleep(self.pause).await;
        for (life, away) in &self.deaths {
            let node = Starting::spawn(plan.options(number)?)?;
            sleep(*life).await;
            node.kill9().await?;
            sleep(*away).await;
        }
        Ok(Starting::spawn(plan.options(number)?)?.ready().await?)
    }
}

fn identity(plan: &Plan, number: usize) -> Result<Value> {
    let file = plan.data_folder(number).join("cluster.json");
    Ok(serde_json::from_slice(&std::fs::read(&file).with_context(|| file.display().to_string())?)?)
}

/// All have one cluster's id, and what one writes all read.
async fn are_one(plan: &Plan, nodes: &[Node]) -> Result<()> {
    let first = identity(plan, 1)?;
    for number in plan.voters() {
        let its = identity(plan, number)?;
        ensure!(its["phase"] == "begun" && its["node"] == number, "{its}");
        ensure!(its["cluster"].is_string() && its["cluster"] == first["cluster"], "{its} and {first}");
    }
    for (place, node) in nodes.iter().enumerate() {
        let id = format!("by{place}");
        node.create_broadcast("LiveApp", &id).await?;
        for other in nodes {
            let read = other.broadcast("LiveApp", &id).await?;
            ensure!(read["streamId"] == id.as_str(), "{read}");
        }
    }
    Ok(())
}

/// One order; how many died in it.
async fn forms(seed: u64) -> Result<usize> {
    let dice = SeededRandomness::new(seed);
    let plan = Plan::new(BINARY, VOTERS, VOTERS).await?;
    let fates: Vec<_> = plan.voters().map(|_| Fate::drawn(&dice)).collect();
    let nodes = fates.iter().zip(plan.voters()).map(|(fate, number)| fate.carry_out(&plan, number));
    let formed = async { are_one(&plan, &try_join_all(nodes).await?).await };
    formed.await.with_context(|| format!("seed {seed}: {fates:#?}"))?;
    Ok(fates.iter().map(|fate| fate.deaths.len()).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_comes_of_every_order() -> Result<()> {
    let _turn = Turn::take().await?;
    let orders = if in_full() { 50 } else { 6 };
    let seeds = iter((0..orders).map(|order| SEED + order));
    let deaths: Vec<_> = seeds.map(forms).buffer_unordered(AT_ONCE).try_collect().await?;
    note(&format!("{orders} orders, {} deaths: one cluster each", deaths.iter().sum::<usize>()));
    Ok(())
}

/// What a node says that does not start.
async fn complaint(options: NodeOptions) -> Result<String> {
    match Node::start(options).await {
        Err(NodeError::Died { last_lines, .. }) => Ok(last_lines.join("\n")),
        Err(error) => Err(error.into()),
        Ok(_) => bail!("it started"),
    }
}

fn empty(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder)?;
    Ok(std::fs::create_dir(folder)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_member_waits_and_says_what_heals_the_cluster() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut cluster = Cluster::start(BINARY, VOTERS).await?;
    cluster.node(1).create_broadcast("LiveApp", "kept").await?;
    cluster.node_mut(3).kill9().await?;
    empty(&cluster.plan().data_folder(3))?;
    let wiped = Starting::spawn(cluster.plan().options(3)?)?;
    let advice = "penstock cluster join --node <new number> --replaces 3";
    let told = wiped.wait_for_log(PATIENCE, |line| line.contains(advice)).await;
    ensure!(told.is_some(), "{:#?}", wiped.log_lines());
    // The others go on meanwhile.
    cluster.node(2).create_broadcast("LiveApp", "meanwhile").await?;
    wiped.kill9().await?;

    let joining = Starting::spawn(cluster.plan().options(4)?)?;
    let advice = "penstock cluster join --node 4";
    let told = joining.wait_for_log(PATIENCE, |line| line.contains(advice)).await;
    ensure!(told.is_some(), "{:#?}", joining.log_lines());
    let join = ["cluster", "join", "--node", "4", "--replaces", "3", "--yes"];
    let joined = Node::eventually(PATIENCE, || async {
        let said = cluster.plan().command(1, &join).await.ok()?;
        said.status.success().then_some(())
    });
    joined.await.context("node 4 was not let in")?;
    let fourth = joining.ready().await?;
    for id in ["kept", "meanwhile"] {
        ensure!(fourth.broadcast("LiveApp", id).await?["streamId"] == id);
    }
    let whole = Node::eventually(PATIENCE, || async {
        let said = cluster.plan().command(1, &["cluster", "members"]).await.ok()?;
        let members = String::from_utf8_lossy(&said.stdout).into_owned();
        (members.contains("node 4")
            && !members.contains("node 3 ")
            && members.matches("votes").count() == VOTERS)
            .then_some(())
    });
    whole.await.context("node 4 did not take the place of node 3")?;
    // It is whole again: another one may die.
    cluster.node_mut(2).kill9().await?;
    let wrote =
        Node::eventually(PATIENCE, || async { fourth.create_broadcast("LiveApp", "after").await.ok() });
    wrote.await.with_context(|| {
        let (first, fourth) = (cluster.node(1).log_lines(), fourth.log_lines());
        format!("the healed cluster did not outlive a death: {first:#?} {fourth:#?}")
    })
}

/// They wait, and each of them names what there is to be done.
async fn all_name_the_commands(nodes: &[Starting]) -> Result<()> {
    for node in nodes {
        for command in ["penstock cluster bootstrap", "penstock cluster restore"] {
            let told = node.wait_for_log(PATIENCE, |line| line.contains(command)).await;
            ensure!(told.is_some(), "{command}: {:#?}", node.log_lines());
        }
        ensure!(!node.log_lines().iter().any(|line| line.contains("the cluster has begun")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_have_all_lost_their_data_form_nothing_until_they_are_told_to() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut plan = Plan::new(BINARY, VOTERS, VOTERS).await?;
    plan.set("PENSTOCK_CLUSTER_BOOTSTRAP", "wait");
    let spawn = |plan: &Plan| {
        plan.voters().map(|number| Ok(Starting::spawn(plan.options(number)?)?)).collect::<Result<Vec<_>>>()
    };
    let begin = async |plan: &Plan, nodes: Vec<Starting>| {
        all_name_the_commands(&nodes).await?;
        // Without a word that they are new it is only told what would be.
        let dry = plan.command(2, &["cluster", "bootstrap", "--wait"]).await?;
        let dry = String::from_utf8_lossy(&dry.stdout).into_owned();
        ensure!(dry.contains("would begin a new cluster") && dry.contains("Nothing was done"), "{dry}");
        let said = plan.command(2, &["cluster", "bootstrap", "--wait", "--yes"]).await?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        anyhow::Ok(try_join_all(nodes.into_iter().map(Starting::ready)).await?)
    };
    let nodes = begin(&plan, spawn(&plan)?).await?;
    are_one(&plan, &nodes).await?;
    let said = plan.command(1, &["cluster", "bootstrap"]).await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.matches("is a member of cluster").count() == VOTERS, "{said}");
    let first = identity(&plan, 1)?;
    for mut node in nodes {
        node.kill9().await?;
    }
    // A script is told as well that nobody is there.
    let status = plan.command(1, &["cluster", "status"]).await?;
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(!status.status.success() && said.matches("does not answer").count() == VOTERS, "{said}");
    for number in plan.voters() {
        empty(&plan.data_folder(number))?;
    }

    let again = begin(&plan, spawn(&plan)?).await?;
    are_one(&plan, &again).await?;
    ensure!(identity(&plan, 1)?["cluster"] != first["cluster"], "{first}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_not_its_own_is_refused_by_name() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut cluster = Cluster::start(BINARY, VOTERS).await?;
    cluster.node(1).create_broadcast("LiveApp", "kept").await?;
    for number in 1..=VOTERS {
        cluster.node_mut(number).kill9().await?;
    }
    let (plan, one, two) = (cluster.plan(), cluster.plan().data_folder(1), cluster.plan().data_folder(2));
    let (options, second) = (plan.options(1)?, plan.options(2)?);

    // The folder of another node.
    let said = complaint(second.clone().data_folder(&one)).await?;
    ensure!(said.contains("belongs to node 1") && said.contains("cluster.node is 2"), "{said}");
    // A node of a cluster that is told that it is alone.
    let said = complaint(options.clone().environment("PENSTOCK_CLUSTER_ENABLED", "false")).await?;
    ensure!(said.contains("belongs to node 1 of a cluster"), "{said}");
    // One that is told to have no vote, while it is listed and when it is no more.
    let client = options.clone().environment("PENSTOCK_CLUSTER_ROLE", "client");
    let said = complaint(client.clone()).await?;
    ensure!(
        said.contains("cluster.members lists node 1") && said.contains("penstock cluster remove 1"),
        "{said}"
    );
    let others = format!("2@{},3@{}", plan.address(2), plan.address(3));
    let said = complaint(client.environment("PENSTOCK_CLUSTER_MEMBERS", &others)).await?;
    ensure!(said.contains("penstock cluster remove 1") && !said.contains("cluster.members lists"), "{said}");
    // One that has lost what it knew.
    std::fs::remove_file(one.join("metadata.redb"))?;
    let said = complaint(options).await?;
    ensure!(said.contains("has lost its file metadata.redb") && said.contains("--replaces 1"), "{said}");
    // One that was alone before.
    empty(&two)?;
    let mut alone = Node::start(NodeOptions::new(BINARY).data_folder(&two)).await?;
    alone.terminate().await?;
    let said = complaint(second).await?;
    ensure!(said.contains("the data of a node that was alone"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_list_others_form_nothing_until_they_agree() -> Result<()> {
    let _turn = Turn::take().await?;
    let plan = Plan::new(BINARY, VOTERS, VOTERS).await?;
    let two_only = format!("1@{},3@{}", plan.address(1), plan.address(3));
    let other = plan.options(3)?.environment("PENSTOCK_CLUSTER_MEMBERS", &two_only);
    let (first, second) = (Starting::spawn(plan.options(1)?)?, Starting::spawn(plan.options(2)?)?);
    let third = Starting::spawn(other)?;
    let advice = "make cluster.members the same on all of them";
    for node in [&first, &third] {
        let told = node.wait_for_log(PATIENCE, |line| line.contains(advice)).await;
        ensure!(told.is_some(), "{:#?}", node.log_lines());
    }
    let said = plan.command(1, &["cluster", "bootstrap"]).await?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("node 3") && said.contains(advice), "{said}");
    third.kill9().await?;
    let third = Starting::spawn(plan.options(3)?)?;
    let nodes = try_join_all([first, second, third].map(Starting::ready)).await?;
    are_one(&plan, &nodes).await
}
