//! The conformance suite over three voters that are linked by real sockets, by a follower; and after the
//! way between the leader and a follower was cut and healed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use base::{AppName, Clock, SeededRandomness, StreamId, SystemClock, SystemRandomness};
use cluster_model::testing::conformance::Subject;
use cluster_model::{Command, Meta, Outcome, Proposal, RequestId};
use cluster_node::{Member, MemberStore, Node, Saved, Tuning};
use parking_lot::Mutex;
use penstock_cluster_link::{
    Class, ClusterId, ClusterSecret, Introduction, LinkOptions, Links, Local, NodeId, Order, Report, Secrets,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

mod proxy;

use proxy::{Proxy, Way};

const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ELECTION_MAX: Duration = Duration::from_secs(30);

/// What the link hands to a node.
struct Mouth {
    node: NodeId,
    to: Weak<Node>,
}

#[async_trait]
impl Local for Mouth {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.to.upgrade().is_some_and(|node| node.receive(from, bytes))
    }

    async fn introduce(&self, theirs: Introduction) -> Introduction {
        Introduction { node: Some(self.node), ..theirs }
    }

    async fn operate(&self, _: Order) -> Result<Report, String> {
        Err("this is a test".to_owned())
    }
}

/// Three voters, each with a disk and a link of its own. The ways between them go through proxies.
struct Cluster {
    nodes: Vec<Arc<Node>>,
    links: Vec<Arc<Links>>,
    /// By who calls and who is called.
    ways: Mutex<BTreeMap<(NodeId, NodeId), Proxy>>,
    /// The place of the one that was elected first.
    leader: usize,
    /// Where the proxies live. `None` while it is dropped.
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let secret = ClusterSecret::generate(&SeededRandomness::new(1));
        let listeners = VOTERS.map(|_| TcpListener::bind("127.0.0.1:0").expect("a listener"));
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("an address"));
        let mut ways = BTreeMap::new();
        for caller in VOTERS {
            for (called, address) in VOTERS.into_iter().zip(addresses) {
                ways.insert((caller, called), wait(&runtime, Proxy::start(address)));
            }
        }
        let mut links = Vec::new();
        let mut nodes = Vec::new();
        for (id, listener) in VOTERS.into_iter().zip(listeners) {
            let peers = VOTERS.map(|other| (other, ways[&(id, other)].address.to_string())).into();
            let options = LinkOptions {
                node: id,
                cluster: Some(ClusterId(7)),
                secrets: Secrets::one(secret.clone()),
                listeners: vec![listener],
                // Where nobody is, so that all calls go by the proxies.
                advertised: "127.0.0.1:1".to_owned(),
                peers,
                clock: Arc::new(SystemClock),
                randomness: Arc::new(SystemRandomness),
            };
            let link = Links::start(options).expect("a link");
            let path = folder.path().join(format!("{id}.redb"));
            let (store, saved) =
                MemberStore::open(path, |state| Saved::first(VOTERS, state)).expect("a store");
            let member = Member { id, seed: 7, store, saved, tuning: Tuning::default() };
            let node = Arc::new(
                Node::member(member, Arc::new(SystemClock), Arc::clone(&link) as _).expect("a node"),
            );
            link.serve(Arc::new(Mouth { node: id, to: Arc::downgrade(&node) }));
            links.push(link);
            nodes.push(node);
        }
        let leader = wait(&runtime, elected(&nodes));
        Self { nodes, links, ways: Mutex::new(ways), leader, runtime: Some(runtime), _folder: folder }
    }

    /// The suite speaks to the one that is `after` the leader, and has it alone.
    fn subject(mut self, after: usize) -> Subject {
        let place = (self.leader + after) % self.nodes.len();
        let meta = self.nodes.remove(place);
        Subject { meta, keep: Box::new(self) }
    }

    /// Between two nodes, both ways.
    fn set(&self, one: NodeId, other: NodeId, way: Way) {
        let ways = self.ways.lock();
        ways[&(one, other)].set(way);
        ways[&(other, one)].set(way);
    }

    /// Cuts the leader off a follower until both have noticed, has the others write meanwhile, and heals. Gives how long
    /// it took to notice, and to reach each other again.
    fn cut_and_heal(&self) -> (Duration, Duration) {
        let (leader, follower) = (self.leader, (self.leader + 1) % VOTERS.len());
        let runtime = self.runtime.as_ref().expect("it lives");
        let (one, other) = (VOTERS[leader], VOTERS[follower]);
        wait(runtime, async {
            self.reached(leader, other, true).await;
            self.reached(follower, one, true).await;
            self.set(one, other, Way::Silent);
            let cut = SystemClock.now();
            self.reached(leader, other, false).await;
            self.reached(follower, one, false).await;
            let noticed = cut.elapsed();
            // A majority is left, with whoever leads it now.
            self.write("during", &[leader, (leader + 2) % VOTERS.len()]).await;
            self.set(one, other, Way::Open);
            let healed = SystemClock.now();
            self.reached(leader, other, true).await;
            self.reached(follower, one, true).await;
            let reached = healed.elapsed();
            // The follower has what it missed.
            self.write("after", &[follower]).await;
            (noticed, reached)
        })
    }

    /// Waits until one node sees another one reached, or not.
    async fn reached(&self, place: usize, other: NodeId, up: bool) {
        let mut states = self.links[place].states();
        let seen = states.wait_for(|states| states.get(&other).is_some_and(|state| state.up == up));
        timeout(ELECTION_MAX, seen).await.expect("in time").expect("a link");
    }

    /// Has something written by one of some nodes.
    async fn write(&self, stream: &str, places: &[usize]) {
        let request = RequestId::random(&SystemRandomness);
        let command = Command::CreateBroadcast {
            app: AppName::new("Cut").expect("a name"),
            stream: StreamId::new(stream).expect("a name"),
            broadcast: Box::default(),
        };
        let until = SystemClock.now() + ELECTION_MAX;
        for place in places.iter().cycle() {
            let deadline = SystemClock.now() + Duration::from_secs(3);
            let proposal = self.nodes[*place].propose(request, command.clone(), deadline).await;
            if matches!(proposal, Proposal::Applied { outcome: Outcome::Done, .. }) {
                return;
            }
            assert!(SystemClock.now() < until, "{proposal:?}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            wait(&runtime, async {
                for node in &self.nodes {
                    node.close().await;
                }
                for links in &self.links {
                    links.close().await;
                }
            });
            runtime.shutdown_background();
        }
    }
}

/// The place of the leader, once all know it.
async fn elected(nodes: &[Arc<Node>]) -> usize {
    let election = async {
        let mut leader = None;
        for node in nodes {
            let mut status = node.status();
            leader = status.wait_for(|status| status.leader.is_some()).await.expect("a node").leader;
        }
        let place = VOTERS.iter().position(|voter| Some(*voter) == leader).expect("a voter leads");
        nodes[place].status().wait_for(|status| status.leads).await.expect("a node");
        place
    };
    timeout(ELECTION_MAX, election).await.expect("nobody was elected in time")
}

/// Waits in a thread of its own: the test's runtime has but one, and that is here.
fn wait<T: Send>(runtime: &Runtime, what: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| runtime.block_on(what)).join().expect("no panic"))
}

// Whoever asks a follower asks the leader too. By the leader itself they run without a wire, in `cluster/node`.
cluster_model::meta_conformance!(three_by_a_follower, || Cluster::start().subject(1));

/// What a healed follower says is what the others agreed on, and it can take part again.
#[test]
fn a_follower_that_was_cut_off_catches_up_when_the_way_heals() {
    let cluster = Cluster::start();
    let (noticed, reached) = cluster.cut_and_heal();
    println!("noticed by both after {noticed:?}, reached again after {reached:?}");
    let runtime = cluster.runtime.as_ref().expect("it lives");
    let newest = wait(runtime, async {
        let leader = elected(&cluster.nodes).await;
        let commit = cluster.nodes[leader].status().borrow().commit;
        for node in &cluster.nodes {
            let caught_up = async { node.status().wait_for(|status| status.applied >= commit).await.is_ok() };
            assert!(timeout(ELECTION_MAX, caught_up).await.expect("in time"));
        }
        commit
    });
    println!("all have applied up to {newest}");
    let carried = cluster.links.iter().map(|links| links.figures().classes[&Class::Raft].received);
    assert!(carried.clone().all(|received| received > 0), "{:?}", carried.collect::<Vec<_>>());
}
