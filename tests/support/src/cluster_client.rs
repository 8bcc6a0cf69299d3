//! A node of a cluster that lives in the test's own process.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use base::{Clock, Randomness, SeededRandomness, SystemClock, SystemRandomness};
use cluster_link::{
    ClusterId, Dialer, Introduction, LinkOptions, Links, Local, Order, PeerName, Phase, Report, Secrets,
};
use cluster_model::{Consistency, Meta, Query};
use cluster_node::{Envelope, NodeId};

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

/// A way from the members to a client on which some of what they say is lost, by a seed.
pub struct Loss {
    of_thousand: u64,
    dice: SeededRandomness,
    answers: AtomicU64,
    answers_lost: AtomicU64,
}

impl Loss {
    /// Of a thousand messages so many do not come.
    pub fn of_thousand(of_thousand: u64, seed: u64) -> Arc<Self> {
        let (answers, answers_lost) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { of_thousand, dice: SeededRandomness::new(seed), answers, answers_lost })
    }

    /// What members said of commands that were proposed: all of it, and what of it was lost.
    pub fn answers(&self) -> (u64, u64) {
        (self.answers.load(Ordering::Relaxed), self.answers_lost.load(Ordering::Relaxed))
    }

    fn takes(&self, bytes: &[u8]) -> bool {
        let is_lost = self.dice.next_u64() % 1_000 < self.of_thousand;
        if matches!(Envelope::decode(bytes), Ok(Envelope::Answer { .. })) {
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.answers_lost.fetch_add(is_lost.into(), Ordering::Relaxed);
        }
        is_lost
    }
}

/// What the link hands to the node.
struct Mouth {
    id: NodeId,
    to: Weak<cluster_node::Node>,
    loss: Option<Arc<Loss>>,
}

#[async_trait]
impl Local for Mouth {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        // Nobody is told of what a network loses.
        self.loss.as_ref().is_some_and(|loss| loss.takes(&bytes))
            || self.to.upgrade().is_some_and(|node| node.receive(from, bytes))
    }

    async fn introduce(&self, theirs: Introduction) -> Introduction {
        Introduction { node: Some(self.id), ..theirs }
    }

    async fn operate(&self, _: Order) -> Result<Report, String> {
        Err("this node is a test".to_owned())
    }
}

impl ClusterClient {
    /// Takes part as node `number` of the plan, over a way that loses what `loss` says, and waits until it has a whole copy.
    ///
    /// # Errors
    /// No member answers, or the copy did not come in time.
    pub async fn start(plan: &Plan, number: usize, loss: Option<Arc<Loss>>) -> anyhow::Result<Self> {
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
        let tuning = cluster_node::Tuning::default();
        let client = cluster_node::Node::client(id, members, tuning, &SystemRandomness, clock, link)?;
        let meta = Arc::new(client);
        links.serve(Arc::new(Mouth { id, to: Arc::downgrade(&meta), loss }));
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
