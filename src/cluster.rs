//! This node's place in the metadata plane: alone, a member of a cluster, or a client of one.

mod commands;
mod consequences;
mod copies;
mod database;
mod forming;
mod identity;
mod local;
mod place;
mod sealing;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base::{Clock, Randomness, limits};
use cluster_link::{ClusterId, Dialer, LinkOptions, Links, PeerName, Phase, Secrets};
use cluster_model::{Consistency, Filter, Meta, Query, Revision, Seals, WatchEvent};
use cluster_node::{Class, Envelope, Member, MemberStore, Node, NodeId, Saved, Tuning};
use config::{ClusterBootstrap, ClusterConfig, ClusterRole, NodeConfig};
use observe::{Metrics, metric};

use crate::listeners::port;

pub use commands::{ClusterCommand, Said, run as command};
pub use copies::{backup, restore};
pub use database::use_database;
use identity::Identity;
use local::Here;

/// The file with all that this node has to remember.
const STORE: &str = "metadata.redb";

/// The metadata plane, as this node takes part in it. Clones are the same.
#[derive(Clone)]
pub struct Plane {
    /// This node's number.
    pub id: NodeId,
    /// The plane.
    pub node: Arc<Node>,
    /// What secrets are sealed with where they are stored.
    pub seals: Arc<Seals>,
    /// The way to the other nodes; `None`: it is alone.
    links: Option<Arc<Links>>,
    /// What it answers them.
    here: Option<Arc<Here>>,
    /// That nobody else has its data folder.
    _folder: Option<Arc<File>>,
}

impl Plane {
    /// A node that is alone.
    pub fn alone(folder: &Path, clock: Arc<dyn Clock>, randomness: &dyn Randomness) -> anyhow::Result<Self> {
        let identity = Identity::load(folder)?;
        if let Some(identity) = identity {
            bail!(
                "data.folder {} belongs to node {} of a cluster, and cluster.enabled is false: switch it on, or use another folder",
                folder.display(),
                identity.node
            );
        }
        let seals = sealing::alone(folder, randomness)?;
        let node = Arc::new(Node::alone(folder.join(STORE), clock)?);
        Ok(Self { id: NodeId(1), node, seals, links: None, here: None, _folder: None })
    }

    /// A node of a cluster. Waits until the cluster is formed, or this node is let in.
    pub async fn join(
        config: &NodeConfig,
        listeners: Vec<TcpListener>,
        host: &str,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> anyhow::Result<Self> {
        let cluster = &config.cluster;
        let folder = &config.data.folder;
        let id = NodeId(cluster.node);
        let members = members(cluster)?;
        let held = identity::hold(folder)?;
        let identity = Identity::load(folder)?;
        let identity = agreed(cluster, folder, &members, identity)?;
        let port = port(&listeners);
        let secrets = secrets(cluster)?;
        let seals = sealing::of_cluster(folder, &secrets)?;
        let links = Links::start(LinkOptions {
            node: id,
            cluster: identity.as_ref().and_then(|identity| identity.cluster),
            secrets: secrets.clone(),
            listeners,
            advertised: format!("{host}:{port}"),
            peers: members.clone(),
            clock: Arc::clone(&clock),
            randomness: Arc::clone(&randomness),
        })?;
        // Who was alone before has data, and is no member that lost it.
        let new = cluster.bootstrap == ClusterBootstrap::New || folder.join(STORE).exists();
        let voters = members.keys().copied().collect();
        let here = Here::new(id, voters, new, Arc::clone(&links), Arc::clone(&clock));
        here.stand(identity.as_ref(), cluster.role);
        links.serve(Arc::clone(&here) as Arc<dyn cluster_link::Local>);
        let forming = forming::Forming {
            folder,
            here: &here,
            members: &members,
            operator: Dialer::new(&secrets, PeerName::Admin, &*randomness)?,
            randomness: &*randomness,
        };
        let tuning = Tuning { authority_lease: cluster.authority_lease(), ..Tuning::default() };
        let node = match cluster.role {
            ClusterRole::Client => {
                let found = forming.follow().await;
                here.is_of(found);
                links.enter(found)?;
                let known = members.keys().copied().collect();
                let link = Arc::clone(&links) as Arc<dyn cluster_node::Link>;
                Node::client(id, known, tuning, &*randomness, Arc::clone(&clock), link)?
            }
            ClusterRole::Member | ClusterRole::Join => {
                let identity = match identity.filter(|identity| identity.phase == Phase::Begun) {
                    Some(identity) => identity,
                    None if cluster.role == ClusterRole::Join => forming.join().await?,
                    None => forming.form().await?,
                };
                if let Some(cluster) = identity.cluster {
                    links.enter(cluster)?;
                }
                let seed = randomness.next_u64();
                let (store, saved) = MemberStore::open_begun(folder.join(STORE))?;
                let member = Member { id, seed, store, saved, tuning };
                let link = Arc::clone(&links) as Arc<dyn cluster_node::Link>;
                Node::member(member, Arc::clone(&clock), link)?
            }
        };
        let node = Arc::new(node);
        here.take_part(Arc::clone(&node));
        if cluster.role == ClusterRole::Join {
            tokio::spawn(knock(Arc::clone(&node), Arc::clone(&links), members.into_keys().collect()));
        }
        Ok(Self { id, node, seals, links: Some(links), here: Some(here), _folder: Some(Arc::new(held)) })
    }

    /// The cluster; `None`: this node is alone.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.here.as_ref()?.standing().cluster
    }

    /// Shows on `/metrics` what nodes say to each other.
    pub fn show_link(&self, metrics: &Metrics) {
        let Some(links) = self.links.clone() else { return };
        metrics.follow(move || {
            let figures = links.figures();
            metric::cluster_connections().set(figures.connections as f64);
            for (class, carried) in figures.classes {
                let class = format!("{class:?}").to_lowercase();
                metric::cluster_messages(class.clone()).absolute(carried.sent);
                metric::cluster_bytes(class.clone()).absolute(carried.sent_bytes);
                let lost = [carried.lost_full, carried.lost_old, carried.lost_large, carried.lost_nowhere];
                let lost = lost.into_iter().chain([carried.no_room]).sum();
                metric::cluster_messages_lost(class).absolute(lost);
            }
            for (refusal, count) in figures.refused {
                metric::cluster_refused(refusal.label()).absolute(count);
            }
        });
    }

    /// Whether there are no other nodes.
    pub const fn is_alone(&self) -> bool {
        self.links.is_none()
    }

    /// Waits until this node can be read from: a member at once, any other one when it has a whole copy.
    pub async fn can_be_read(&self, clock: &dyn Clock) {
        let mut watch = self.node.watch(Filter::Nodes, Revision::ZERO);
        // Local reads know no deadline.
        while self.node.read(Query::Nodes, Consistency::Local, clock.now()).await.is_err() {
            if watch.next().await == WatchEvent::Closed {
                // It ends.
                return std::future::pending().await;
            }
        }
    }

    /// For how long no message of another node has come; `None`: none ever came.
    pub fn silent_for(&self, node: NodeId) -> Option<Duration> {
        self.here.as_ref()?.silent_for(node)
    }

    /// Takes no further part.
    pub async fn close(&self) {
        self.node.close().await;
        if let Some(links) = &self.links {
            links.close().await;
        }
    }
}

/// Lets the members know that this node is there, and where, until one of them leads it.
async fn knock(node: Arc<Node>, links: Arc<Links>, members: Vec<NodeId>) {
    // A question that asks for nothing.
    let sign = Envelope::Read { id: 0, query: Vec::new() }.encode();
    while node.status().borrow().leader.is_none() {
        for member in &members {
            cluster_node::Link::send(&*links, *member, Class::Meta, sign.clone());
        }
        tokio::time::sleep(limits::META_ALIVE_EVERY).await;
    }
}

fn members(cluster: &ClusterConfig) -> anyhow::Result<BTreeMap<NodeId, String>> {
    let members = cluster.members_by_number().map_err(anyhow::Error::msg)?;
    Ok(members.into_iter().map(|(number, address)| (NodeId(number), address)).collect())
}

/// What stands in a small file of the data folder; `None`: there is none.
fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

fn secrets(cluster: &ClusterConfig) -> anyhow::Result<Secrets> {
    Secrets::parse(cluster.secret.expose()).context("cluster.secret cannot be used")
}

/// What is on the disk, if it fits the configuration.
fn agreed(
    cluster: &ClusterConfig,
    folder: &Path,
    members: &BTreeMap<NodeId, String>,
    identity: Option<Identity>,
) -> anyhow::Result<Option<Identity>> {
    let id = NodeId(cluster.node);
    let has_store = folder.join(STORE).exists();
    let shown = folder.display();
    match &identity {
        Some(identity) if identity.node != id => {
            bail!(
                "data.folder {shown} belongs to node {}, and cluster.node is {id}: set one of them right",
                identity.node
            )
        }
        Some(_) if cluster.role == ClusterRole::Client => bail!(
            "data.folder {shown} belongs to a member of a cluster, and cluster.role is \"client\": remove the member by \"penstock cluster remove {id}\" and use an empty folder under a new number"
        ),
        Some(identity) if identity.phase == Phase::Begun && !has_store => bail!(
            "data.folder {shown} has lost its file {STORE}: this node must not vote again under its number. Empty the folder, give the node a new number with cluster.role = \"join\", start it, and run \"penstock cluster join --node <new number> --replaces {id}\". If all members have lost theirs, run \"penstock cluster restore\" on one of them"
        ),
        // A standalone node is a cluster of one voter already.
        None if has_store && cluster.role == ClusterRole::Member => {
            if id != NodeId(1) || members.len() > 1 {
                bail!(
                    "data.folder {shown} holds the data of a node that was alone. To begin a cluster with it, start it as cluster.node = 1 with itself as the only one of cluster.members, then start the others with cluster.role = \"join\" and let them in by \"penstock cluster join\""
                );
            }
            Ok(identity)
        }
        None if has_store && cluster.role == ClusterRole::Join => {
            bail!("data.folder {shown} holds data of its own: a node that joins begins with an empty folder")
        }
        _ => Ok(identity),
    }
}

/// Makes the file of a member that is about to begin, unless a start before this one did. Once it has begun
/// ([`Phase::Begun`]) nothing is made any more.
fn make(folder: &Path, identity: &Identity) -> anyhow::Result<()> {
    let first = |state| match identity.phase {
        Phase::Joining => Saved::joining(),
        _ => Saved::first(identity.voters.iter().copied(), state),
    };
    MemberStore::open(folder.join(STORE), first)?;
    Ok(())
}
