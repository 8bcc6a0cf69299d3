//! A node of a cluster that lives in the test's own process.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use base::{Clock, SystemClock, SystemRandomness};
use cluster_link::{
    ClusterId, Dialer, Introduction, LinkOptions, Links, Local, Order, PeerName, Phase, Report, Secrets,
};
use cluster_model::{Consistency, Meta, Query};
use cluster_node::NodeId;

use crate::cluster::Plan;
use crate::node::Node;

/// Time to find the cluster, and to have a whole copy of what it knows.
const COPY_MAX: Duration = Duration::from_secs(20);

/// A node without a vote inside the test: a [`cluster_model::Meta`] whose every command and every decision goes over the
/// wire to real members.
pub struct ClusterClient {
    /// Its face.
    pub meta: Arc<cluster_node::Node>,
    links: Arc<Links>,
}

/// What the link hands to the node.
struct Mouth {
    id: NodeId,
    to: Weak<cluster_node::Node>,
}

#[async_trait]
impl Local for Mouth {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.to.upgrade().is_some_and(|node| node.receive(from, bytes))
    }

    async fn introduce(&self, theirs: Introduction) -> Introduction {
        Introduction { node: Some(self.id), ..theirs }
    }

    async fn operate(&self, _: Order) -> Result<Report, String> {
        Err("this node is a test".to_owned())
    }
}

impl ClusterClient {
    /// Takes part as node `number` of the plan, and waits until it has a whole copy.
    ///
    /// # Errors
    /// No member answers, or the copy did not come in time.
    pub async fn start(plan: &Plan, number: usize) -> anyhow::Result<Self> {
        let secrets = Secrets::parse(&std::fs::read_to_string(plan.secret_file())?)?;
        let cluster = find(plan, &secrets).await?;
        let id = NodeId(number as u64);
        let peers = plan.voters().map(|voter| (NodeId(voter as u64), plan.address(voter)));
        let clock = Arc::new(SystemClock);
        let links = Links::start(LinkOptions {
            node: id,
            cluster: Some(cluster),
            secrets,
            listeners: vec![TcpListener::bind(plan.address(number))?],
            advertised: plan.address(number),
            peers: peers.clone().collect(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            randomness: Arc::new(SystemRandomness),
        })?;
        let members = peers.map(|(node, _)| node).collect();
        let link = Arc::clone(&links) as Arc<dyn cluster_node::Link>;
        let meta = Arc::new(cluster_node::Node::client(id, members, &SystemRandomness, clock, link)?);
        links.serve(Arc::new(Mouth { id, to: Arc::downgrade(&meta) }));
        let client = Self { meta, links };
        client.has_a_copy().await?;
        Ok(client)
    }

    async fn has_a_copy(&self) -> anyhow::Result<()> {
        let copied = Node::eventually(COPY_MAX, || async {
            let deadline = SystemClock.now() + COPY_MAX;
            self.meta.read(Query::Nodes, Consistency::Local, deadline).await.ok()
        });
        let states = || self.links.states().borrow().clone();
        copied.await.map(drop).with_context(|| format!("no copy came within {COPY_MAX:?}: {:?}", states()))
    }
}

/// The cluster that the voters of a plan have formed.
async fn find(plan: &Plan, secrets: &Secrets) -> anyhow::Result<ClusterId> {
    let dialer = Dialer::new(secrets, PeerName::Admin, &SystemRandomness)?;
    let ours = Introduction {
        node: None,
        cluster: None,
        phase: Phase::Empty,
        voters: BTreeSet::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    for voter in plan.voters() {
        if let Ok(theirs) = dialer.introduce(&plan.address(voter), ours.clone()).await
            && let Some(cluster) = theirs.cluster.filter(|_| theirs.phase == Phase::Begun)
        {
            return Ok(cluster);
        }
    }
    bail!("no member of the cluster answers")
}
