//! `penstock cluster ...`: what an operator does with a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use base::SystemRandomness;
use clap::Subcommand;
use cluster_link::{
    CallError, ClusterSecret, Dialer, Introduction, Order, PeerName, Phase, Report, StatusReport,
};
use cluster_node::NodeId;
use config::NodeConfig;

use super::consequences::Consequences;

/// How long `bootstrap --wait` waits between two looks, and `remove` for another leader.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Looks for another leader than the one that is to be removed. More: what that one says is told.
const HAND_OVER_LOOKS_MAX: u32 = 10;

/// What can be done.
#[derive(Subcommand)]
pub enum ClusterCommand {
    /// Make a new secret. Put it into a file that only the node's user may read, and name it as cluster.secret_file on every node.
    Secret,
    /// Begin a new cluster, once all its members run; and show how far they are. If they are no new ones, and have lost
    /// their data, see "restore".
    Bootstrap {
        /// Wait until it has formed.
        #[arg(long)]
        wait: bool,
        /// Do it. Without this it is only said what would happen.
        #[arg(long)]
        yes: bool,
    },
    /// Show the cluster as each of its members sees it.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the members.
    Members,
    /// Let a node in that was started with cluster.role = "join".
    Join {
        /// The number of the node; never one that was used before.
        #[arg(long)]
        node: u64,
        /// The number of a member that is lost, which goes in the same step.
        #[arg(long)]
        replaces: Option<u64>,
        /// Do it, where a member goes. Without this it is only said what would happen.
        #[arg(long)]
        yes: bool,
    },
    /// Have a member leave for good. Its number is never used again.
    Remove {
        /// The number of the member.
        node: u64,
        /// Do it. Without this it is only said what would happen.
        #[arg(long)]
        yes: bool,
    },
    /// Have another member lead.
    Transfer {
        /// The number of the member.
        node: u64,
    },
    /// When all members are lost for good: begin a new cluster with what the archive in the database has, or with a
    /// file that "penstock backup" made. Run it with the configuration of the node that is to be its first member.
    Restore {
        /// The file; else the archive.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Another snapshot of the archive than the newest: when that one is damaged.
        #[arg(long, conflicts_with = "from")]
        snapshot: Option<String>,
        /// Do it. Without this it is only said what would happen.
        #[arg(long)]
        yes: bool,
    },
    /// When most members are lost for good: make a new cluster of this node's data, with this node as its only member.
    Recover {
        /// Do it. Without this it is only said what would happen.
        #[arg(long)]
        yes: bool,
    },
}

/// What a command says.
pub struct Said {
    /// For who reads it.
    pub text: String,
    /// Why it counts as failed all the same.
    pub complaint: Option<String>,
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        Self { text, complaint: None }
    }
}

/// Runs a command; what it says is returned.
pub fn run(command: &ClusterCommand, config: &NodeConfig) -> anyhow::Result<Said> {
    if let ClusterCommand::Secret = command {
        let secret = ClusterSecret::generate(&SystemRandomness).text();
        return Ok(format!("{}\n", secret.expose()).into());
    }
    anyhow::ensure!(
        config.cluster.enabled,
        "cluster.enabled is false in this configuration: run the command with the configuration of a node of the cluster (--config)"
    );
    if let ClusterCommand::Recover { yes } = command {
        return super::copies::recover(config, *yes).map(Said::from);
    }
    if let ClusterCommand::Restore { from, snapshot, yes } = command {
        let said = match from {
            Some(file) if *yes => super::copies::restore(config, file),
            Some(file) => super::copies::what_is_in(config, file),
            None => super::copies::restore_from_archive(config, snapshot.as_deref(), *yes),
        };
        return said.map(Said::from);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Operator::new(config)?.carry_out(command))
}

struct Operator {
    dialer: Dialer,
    /// The members that the configuration lists.
    members: BTreeMap<NodeId, String>,
}

/// How the cluster is seen from outside.
struct View {
    /// As who knows most sees it.
    status: StatusReport,
    /// Members that do not answer.
    silent: BTreeSet<NodeId>,
}

impl Operator {
    fn new(config: &NodeConfig) -> anyhow::Result<Self> {
        let secrets = super::secrets(&config.cluster)?;
        let dialer = Dialer::new(&secrets, PeerName::Admin, &SystemRandomness)?;
        Ok(Self { dialer, members: super::members(&config.cluster)? })
    }

    async fn carry_out(&self, command: &ClusterCommand) -> anyhow::Result<Said> {
        let text = match command {
            ClusterCommand::Status { json } => return self.status(*json).await,
            ClusterCommand::Bootstrap { wait, yes } => self.bootstrap(*wait, *yes).await,
            ClusterCommand::Members => self.list().await,
            ClusterCommand::Join { node, replaces, yes } => {
                self.join(NodeId(*node), replaces.map(NodeId), *yes).await
            }
            ClusterCommand::Remove { node, yes } => self.remove(NodeId(*node), *yes).await,
            ClusterCommand::Transfer { node } => {
                let node = NodeId(*node);
                self.tell_leader(Order::Transfer { to: node }).await?;
                Ok(format!("node {node} is asked to lead: \"penstock cluster members\" shows when it does\n"))
            }
            ClusterCommand::Secret | ClusterCommand::Recover { .. } | ClusterCommand::Restore { .. } => {
                bail!("needs no other node")
            }
        };
        text.map(Said::from)
    }

    async fn bootstrap(&self, wait: bool, yes: bool) -> anyhow::Result<String> {
        let mut said = String::new();
        loop {
            let mut text = String::new();
            let (mut begun, mut empty) = (0, 0);
            for (node, address) in &self.members {
                let ours = Introduction {
                    node: None,
                    cluster: None,
                    phase: Phase::Empty,
                    voters: std::collections::BTreeSet::new(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                };
                let said = match self.dialer.introduce(address, ours).await {
                    Ok(theirs) if theirs.node != Some(*node) => {
                        "another node answers at this address".to_owned()
                    }
                    Ok(theirs)
                        if theirs.phase != Phase::Begun
                            && theirs.voters != self.members.keys().copied().collect() =>
                    {
                        "has another list of members: make cluster.members the same on all of them".to_owned()
                    }
                    Ok(theirs) => {
                        begun += usize::from(theirs.phase == Phase::Begun);
                        empty += usize::from(theirs.phase == Phase::Empty);
                        let cluster = theirs
                            .cluster
                            .map(|cluster| format!(" of cluster {cluster}"))
                            .unwrap_or_default();
                        match theirs.phase {
                            Phase::Empty => "is ready to form a cluster".to_owned(),
                            Phase::Prepared => format!("has agreed to be{cluster}"),
                            Phase::Begun => format!("is a member{cluster}"),
                            Phase::Joining => "waits to be let into a cluster".to_owned(),
                        }
                    }
                    Err(error) => format!("does not answer: {error}"),
                };
                let _ = writeln!(text, "node {node} at {address}: {said}");
            }
            if empty == self.members.len() && !yes {
                text.push_str(
                    "this would begin a new cluster of them, without any data. If they had some and have lost it, all of them, \"penstock cluster restore\" brings back what a copy or the archive has. Nothing was done; say --yes to do it\n",
                );
                return Ok(text);
            }
            if let Some(first) = self.members.values().next().filter(|_| empty == self.members.len()) {
                self.dialer.operate(first, Order::Bootstrap).await?;
                text.push_str("they begin a new cluster\n");
            }
            if begun == self.members.len() || !wait && (empty == self.members.len() || !yes) {
                return Ok(text);
            }
            if !wait {
                bail!(
                    "{text}nothing was begun: all members must run, be new, and have the same cluster.members"
                );
            }
            if text != said {
                // Whom nobody listens to goes on all the same.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
                said = text;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How each member that the configuration lists sees the cluster.
    async fn look(&self) -> BTreeMap<NodeId, Result<StatusReport, CallError>> {
        let asked = self.members.iter().map(|(node, address)| async move {
            let said = match self.dialer.operate(address, Order::Status).await {
                Ok(Report::Status(status)) => Ok(*status),
                Ok(Report::Done) => Ok(StatusReport::default()),
                Err(error) => Err(error),
            };
            (*node, said)
        });
        futures_util::future::join_all(asked).await.into_iter().collect()
    }

    async fn status(&self, json: bool) -> anyhow::Result<Said> {
        let seen = self.look().await;
        let complaint = seen
            .values()
            .all(Result::is_err)
            .then(|| "none of the members in cluster.members answers".to_owned());
        if json {
            let rows: Vec<_> = seen.iter().map(|(node, said)| shown(*node, said)).collect();
            let text = format!("{}\n", serde_json::to_string_pretty(&rows)?);
            return Ok(Said { text, complaint });
        }
        let mut text = String::new();
        for (node, said) in &seen {
            let status = match said {
                Ok(status) => status,
                Err(error) => {
                    let _ = writeln!(text, "node {node} does not answer: {error}");
                    continue;
                }
            };
            let leader = match status.leader {
                Some(leader) if leader == *node => "it leads".to_owned(),
                Some(leader) => format!("node {leader} leads"),
                None => "it knows no leader".to_owned(),
            };
            let age = status.age.map_or_else(
                || "it has never known what is true now".to_owned(),
                |age| format!("what it knows is {:.1} s old at most", age.as_secs_f64()),
            );
            let _ = writeln!(
                text,
                "node {node}: {leader} in term {}, entry {} of {} is applied, {age}",
                status.term, status.applied, status.last
            );
            for (other, progress) in &status.progress {
                let lag = status.last.saturating_sub(progress.matched);
                let how = if progress.snapshot {
                    "is sent the data as a whole".to_owned()
                } else if progress.active {
                    format!("is {lag} entries behind")
                } else {
                    format!("is not heard, {lag} entries behind")
                };
                let _ = writeln!(text, "  node {other} {how}");
            }
            for (other, link) in status.links.iter().filter(|(_, link)| !link.up) {
                let why = link.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  node {other} is not reached for {:.0} s{why}",
                    link.since.as_secs_f64()
                );
            }
        }
        Ok(Said { text, complaint })
    }

    /// The newest view of the members.
    async fn newest(&self) -> anyhow::Result<View> {
        let seen = self.look().await;
        let silent = seen.iter().filter(|(_, said)| said.is_err()).map(|(node, _)| *node).collect();
        let why = seen.values().find_map(|said| said.as_ref().err()).map(ToString::to_string);
        let known =
            seen.into_values().filter_map(Result::ok).max_by_key(|status| (status.term, status.applied));
        let status = known.with_context(|| {
            format!("none of the members in cluster.members answers: {}", why.unwrap_or_default())
        })?;
        Ok(View { status, silent })
    }

    async fn list(&self) -> anyhow::Result<String> {
        let View { status, .. } = self.newest().await?;
        let mut text = String::new();
        for node in &status.voters {
            let leads = if status.leader == Some(*node) { ", leads" } else { "" };
            let address = self.members.get(node).map_or("not in this configuration", String::as_str);
            let _ = writeln!(text, "node {node} ({address}): votes{leads}");
        }
        for node in &status.learners {
            let _ = writeln!(text, "node {node}: is being sent the data, then it votes");
        }
        Ok(text)
    }

    async fn join(&self, node: NodeId, replaces: Option<NodeId>, yes: bool) -> anyhow::Result<String> {
        if let Some(old) = replaces.filter(|_| !yes) {
            let View { status, silent } = self.newest().await?;
            let then = Consequences::of_replacement(&status, &silent, old)?;
            return Ok(format!(
                "this would send node {node} the data and, once it has all of it, remove node {old} for good: {} would vote, {then}. Nothing was done; say --yes to do it\n",
                then.votes()
            ));
        }
        self.tell_leader(Order::Add { node, replaces }).await?;
        let gone = replaces.map(|node| format!("; node {node} goes when it does")).unwrap_or_default();
        Ok(format!(
            "node {node} is being sent the data, and votes once it has all of it{gone}: \"penstock cluster members\" shows when\n"
        ))
    }

    async fn remove(&self, node: NodeId, yes: bool) -> anyhow::Result<String> {
        let View { status, silent } = self.newest().await?;
        let then = Consequences::of_removal(&status, &silent, node)?;
        let votes = then.votes();
        if !yes {
            return Ok(format!(
                "this would remove node {node} for good: {votes} would vote, {then}. Nothing was done; say --yes to do it\n"
            ));
        }
        let leaves = format!(
            "node {node} leaves: {votes} vote then, {then}. Stop it, and empty its data folder before it is used again under another number\n"
        );
        // A leader has another member lead first; that one removes it.
        let looks = if status.leader == Some(node) { HAND_OVER_LOOKS_MAX } else { 0 };
        for _ in 0..looks {
            if self.tell_leader(Order::Remove { node }).await.is_ok() {
                return Ok(leaves);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.tell_leader(Order::Remove { node }).await?;
        Ok(leaves)
    }

    /// Has the leader do something. Who leads is asked first, and once more if that changed meanwhile.
    async fn tell_leader(&self, order: Order) -> anyhow::Result<()> {
        let leader = self.newest().await?.status.leader.context(
            "no member leads at the moment: a majority of them must run and reach each other (\"penstock cluster status\")",
        )?;
        let address = self.members.get(&leader).with_context(|| {
            format!("node {leader} leads, and this configuration does not say where it is: add it to cluster.members")
        })?;
        self.dialer.operate(address, order).await.map(drop).map_err(|error| match error {
            CallError::Refused(why) => anyhow::anyhow!("node {leader} refuses: {why}"),
            error => error.into(),
        })
    }
}

/// One member's view as JSON: for scripts.
fn shown(node: NodeId, said: &Result<StatusReport, CallError>) -> serde_json::Value {
    match said {
        Ok(status) => serde_json::json!({
            "node": node,
            "cluster": status.cluster.map(|cluster| cluster.to_string()),
            "term": status.term,
            "leader": status.leader,
            "voters": status.voters,
            "learners": status.learners,
            "commit": status.commit,
            "applied": status.applied,
            "last": status.last,
            "ageMs": status.age.map(|age| age.as_millis() as u64),
        }),
        Err(error) => serde_json::json!({ "node": node, "error": error.to_string() }),
    }
}
