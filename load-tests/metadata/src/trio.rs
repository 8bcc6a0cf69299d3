//! Three voters in this process, each with a file and a link of its own.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use base::{SystemClock, SystemRandomness};
use cluster_link::{
    ClusterId, ClusterSecret, Introduction, LinkOptions, Links, Local, Order, Report, Secrets,
};
use cluster_model::Meta;
use cluster_node::{Class, Link, Member, MemberStore, Node, NodeId, Saved, Tuning};
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::timeout;

const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ELECTION_MAX: Duration = Duration::from_secs(30);

/// How the voters reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By the cluster's real link: gRPC over mutual TLS on loopback.
    Links,
    /// By a call into the other node's queue, so that what remains is consensus and disk.
    Memory,
}

/// Three voters, one of which leads.
pub struct Trio {
    nodes: Vec<Arc<Node>>,
    links: Vec<Arc<Links>>,
    leader: usize,
    _folder: TempDir,
}

/// What comes from a link goes into a node's queue.
struct Ear {
    node: NodeId,
    to: Weak<Node>,
}

#[async_trait]
impl Local for Ear {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.to.upgrade().is_some_and(|node| node.receive(from, bytes))
    }

    async fn introduce(&self, theirs: Introduction) -> Introduction {
        Introduction { node: Some(self.node), ..theirs }
    }

    async fn operate(&self, _: Order) -> Result<Report, String> {
        Err("nothing is to be done here".to_owned())
    }
}

/// The three nodes, once they are made.
type Table = Arc<OnceLock<Vec<Weak<Node>>>>;

struct Call {
    from: NodeId,
    table: Table,
}

impl Link for Call {
    fn send(&self, to: NodeId, _: Class, bytes: Vec<u8>) {
        let place = VOTERS.iter().position(|voter| *voter == to);
        let node = place.and_then(|place| self.table.get()?.get(place)?.upgrade());
        // What there is no room for is lost, as by any link.
        let _ = node.is_some_and(|node| node.receive(self.from, bytes));
    }
}

impl Trio {
    /// Makes them in a new folder of `folder`, and waits until one leads.
    ///
    /// # Errors
    /// A file, a socket or a thread is not to be had, or nobody is elected.
    pub async fn start(way: Way, folder: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(folder).context("no folder for the stores")?;
        let (nodes, links) = match way {
            Way::Links => linked(folder.path())?,
            Way::Memory => (called(folder.path())?, Vec::new()),
        };
        let leader = timeout(ELECTION_MAX, elected(&nodes)).await.context("nobody was elected")??;
        Ok(Self { nodes, links, leader, _folder: folder })
    }

    /// The one that leads.
    pub fn leader(&self) -> Arc<dyn Meta> {
        Arc::clone(&self.nodes[self.leader]) as _
    }

    /// All three: what is asked of two of them is handed on.
    pub fn all(&self) -> Vec<Arc<dyn Meta>> {
        self.nodes.iter().map(|node| Arc::clone(node) as _).collect()
    }

    /// Closes files and sockets.
    pub async fn close(self) {
        for node in &self.nodes {
            node.close().await;
        }
        for links in &self.links {
            links.close().await;
        }
    }
}

fn member(id: NodeId, folder: &Path, link: Arc<dyn Link>) -> anyhow::Result<Arc<Node>> {
    let path = folder.join(format!("{id}.redb"));
    let (store, saved) = MemberStore::open(path, |state| Saved::first(VOTERS, state))?;
    let member = Member { id, seed: 7, store, saved, tuning: Tuning::default() };
    Ok(Arc::new(Node::member(member, Arc::new(SystemClock), link)?))
}

fn called(folder: &Path) -> anyhow::Result<Vec<Arc<Node>>> {
    let table = Table::default();
    let nodes: Vec<_> = VOTERS
        .into_iter()
        .map(|from| member(from, folder, Arc::new(Call { from, table: Arc::clone(&table) })))
        .collect::<Result<_, _>>()?;
    let _ = table.set(nodes.iter().map(Arc::downgrade).collect());
    Ok(nodes)
}

type Linked = (Vec<Arc<Node>>, Vec<Arc<Links>>);

fn linked(folder: &Path) -> anyhow::Result<Linked> {
    let secret = ClusterSecret::generate(&SystemRandomness);
    let listeners: Vec<_> =
        VOTERS.into_iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let addresses: Vec<_> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.to_string()))
        .collect::<std::io::Result<_>>()?;
    let (mut nodes, mut all) = (Vec::new(), Vec::new());
    for ((node, listener), advertised) in VOTERS.into_iter().zip(listeners).zip(&addresses) {
        let options = LinkOptions {
            node,
            cluster: Some(ClusterId(7)),
            secrets: Secrets::one(secret.clone()),
            listeners: vec![listener],
            advertised: advertised.clone(),
            peers: VOTERS.into_iter().zip(addresses.iter().cloned()).collect(),
            clock: Arc::new(SystemClock),
            randomness: Arc::new(SystemRandomness),
        };
        let links = Links::start(options)?;
        let member = member(node, folder, Arc::clone(&links) as _)?;
        links.serve(Arc::new(Ear { node, to: Arc::downgrade(&member) }));
        nodes.push(member);
        all.push(links);
    }
    Ok((nodes, all))
}

/// The place of the leader, once all know it.
async fn elected(nodes: &[Arc<Node>]) -> anyhow::Result<usize> {
    let mut leader = None;
    for node in nodes {
        let mut status = node.status();
        leader = status.wait_for(|status| status.leader.is_some()).await.context("a node ended")?.leader;
    }
    let place = VOTERS.iter().position(|voter| Some(*voter) == leader).context("a stranger leads")?;
    let mut status = nodes[place].status();
    status.wait_for(|status| status.leads).await.context("the leader ended")?;
    Ok(place)
}
