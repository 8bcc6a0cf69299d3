//! A new cluster comes into being, or this node finds the one it belongs to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use base::Randomness;
use cluster_link::{ClusterId, Dialer, Introduction, Order, Phase, Report, Standing, Step, next_step};
use cluster_node::NodeId;
use config::ClusterRole;

use super::identity::Identity;
use super::local::Here;

/// Between two looks at the others.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Looks between two lines in the log that say the same.
const SAID_EVERY: u32 = 60;

/// Says what is waited for, once and then now and then.
#[derive(Default)]
struct Telling {
    said: String,
    looks: u32,
}

impl Telling {
    fn tell(&mut self, waits_for: String) {
        if self.said != waits_for || self.looks >= SAID_EVERY {
            tracing::info!("the node waits: {waits_for}");
            (self.said, self.looks) = (waits_for, 0);
        }
        self.looks += 1;
    }
}

/// What forming works with.
pub(super) struct Forming<'a> {
    pub(super) folder: &'a Path,
    pub(super) here: &'a Here,
    pub(super) members: &'a BTreeMap<NodeId, String>,
    /// Asks as the command line does: a node of no cluster is told nothing of one.
    pub(super) operator: Dialer,
    pub(super) randomness: &'a dyn Randomness,
}

impl Forming<'_> {
    /// The members of a new cluster agree on it. Ends when it has begun.
    pub(super) async fn form(&self) -> anyhow::Result<Identity> {
        let mut telling = Telling::default();
        loop {
            let (others, unheard) = self.look().await;
            let fresh = self.here.is_new().then(|| ClusterId::random(self.randomness));
            match next_step(self.here.id(), &self.here.standing(), &others, fresh) {
                Step::Prepare(cluster) => {
                    self.write_down(Phase::Prepared, cluster)?;
                    tracing::info!(%cluster, "this node agrees to a new cluster");
                    // The others need not wait for the next look.
                    continue;
                }
                Step::Begin(cluster) => {
                    let begun = self.begin(cluster)?;
                    tracing::info!(%cluster, "the cluster has begun");
                    return Ok(begun);
                }
                Step::Wiped(cluster) => {
                    let node = self.here.id();
                    telling.tell(format!(
                        "it was node {node} of cluster {cluster} and has lost its data, so it must not vote under this number again. Give it a new cluster.node with cluster.role = \"join\", start it, and run \"penstock cluster join --node <new number> --replaces {node}\""
                    ));
                }
                Step::Wait(why) => telling.tell(format!("{why}{unheard}")),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A cluster that is there is found. Being let in is the operator's business.
    pub(super) async fn join(&self) -> anyhow::Result<Identity> {
        let cluster = self.find().await;
        let id = self.here.id();
        self.until_unused(&format!(
            "; if it is that node and has lost its data, let it in by \"penstock cluster join --node <new number> --replaces {id}\""
        ))
        .await;
        let identity = self.write_down(Phase::Joining, cluster)?;
        super::make(self.folder, &identity)?;
        // From here on its data is what it remembers, and to lose it is to lose its number.
        let identity = self.write_down(Phase::Begun, cluster)?;
        tracing::info!(%cluster, "found the cluster: run \"penstock cluster join --node {id}\" to let this node in");
        Ok(identity)
    }

    /// The cluster that a node without a vote is to be of, in which no member has its number: the two would end each other's life.
    pub(super) async fn follow(&self) -> ClusterId {
        let cluster = self.find().await;
        self.until_unused("").await;
        cluster
    }

    /// The cluster that the listed members are of.
    async fn find(&self) -> ClusterId {
        let mut telling = Telling::default();
        loop {
            let (others, unheard) = self.look().await;
            let begun = others.values().flatten().find(|said| said.phase == Phase::Begun);
            if let Some(cluster) = begun.and_then(|said| said.cluster) {
                return cluster;
            }
            telling.tell(format!("no member of the cluster that is to be joined answers{unheard}"));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits while a member has this node's number; what the log says then ends in `hint`.
    async fn until_unused(&self, hint: &str) {
        let mut telling = Telling::default();
        while let Err(why) = self.is_unused(self.here.id(), hint).await {
            telling.tell(why);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether the number may still be given, by the members' word.
    async fn is_unused(&self, id: NodeId, hint: &str) -> Result<(), String> {
        let mut unheard = String::new();
        for address in self.members.values() {
            let status = match self.operator.operate(address, Order::Status).await {
                Ok(Report::Status(status)) => status,
                Ok(Report::Done) => continue,
                Err(error) => {
                    unheard.push_str(&format!("; {error}"));
                    continue;
                }
            };
            return if status.voters.contains(&id) || status.learners.contains(&id) {
                Err(format!("the cluster has a node {id} already. Give this one a new cluster.node{hint}"))
            } else {
                Ok(())
            };
        }
        Err(format!("no member of the cluster says who its members are{unheard}"))
    }

    fn begin(&self, cluster: ClusterId) -> anyhow::Result<Identity> {
        // Not over somebody else's.
        let identity = self.write_down(Phase::Prepared, cluster)?;
        let identity = Identity { phase: Phase::Begun, ..identity };
        // The data first: a node that says it has begun and has none was wiped.
        super::make(self.folder, &identity)?;
        self.write_down(Phase::Begun, cluster)
    }

    fn identity(&self, phase: Phase, cluster: ClusterId) -> Identity {
        let voters = self.here.standing().voters;
        Identity { node: self.here.id(), cluster: Some(cluster), phase, voters }
    }

    fn write_down(&self, phase: Phase, cluster: ClusterId) -> anyhow::Result<Identity> {
        let identity = self.identity(phase, cluster);
        // Nobody may write there but this process; who did all the same made a cluster of its own, and two of one id would be two
        // truths.
        if let Some(found) = Identity::load(self.folder)?.filter(|found| found.phase == Phase::Begun)
            && found.cluster != Some(cluster)
        {
            bail!("data.folder was given data of another cluster while this node waited: start it again");
        }
        identity.store(self.folder)?;
        self.here.stand(Some(&identity), ClusterRole::Member);
        Ok(identity)
    }

    fn dialer(&self) -> Option<Dialer> {
        self.here.links().map(|links| links.dialer())
    }

    /// What all others that are listed say of themselves, and why some say nothing.
    async fn look(&self) -> (BTreeMap<NodeId, Option<Standing>>, String) {
        let Some(dialer) = self.dialer() else { return (BTreeMap::new(), String::new()) };
        let own = self.here.id();
        let ours = self.here.introduction();
        let asked = self.members.iter().filter(|(node, _)| **node != own).map(|(node, address)| {
            let (dialer, ours) = (dialer.clone(), ours.clone());
            async move { (*node, dialer.introduce(address, ours).await) }
        });
        let mut others = BTreeMap::new();
        let mut unheard = String::new();
        for (node, answer) in futures_util::future::join_all(asked).await {
            let said = match answer {
                Ok(Introduction { node: said, .. }) if said != Some(node) => {
                    let said = said.map_or_else(|| "nobody".to_owned(), |said| format!("node {said}"));
                    unheard.push_str(&format!("; at the address of node {node} is {said}"));
                    None
                }
                Ok(Introduction { phase, cluster, voters, .. }) => Some(Standing { phase, cluster, voters }),
                Err(error) => {
                    unheard.push_str(&format!("; {error}"));
                    None
                }
            };
            others.insert(node, said);
        }
        (others, unheard)
    }
}
