//! The conformance suite over clusters of one voter and of three: by the leader, by a follower, while leadership goes
//! round, after a restart, and where answers get lost.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use base::SystemClock;
use cluster_model::testing::Unsteady;
use cluster_model::testing::conformance::Subject;
use parking_lot::RwLock;
use penstock_cluster_node::{Class, Link, Member, MemberStore, Node, NodeId, Saved};

const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ELECTION_MAX: Duration = Duration::from_secs(20);
/// How often another one leads.
const TERM: Duration = Duration::from_millis(300);

fn alone<M: cluster_model::Meta + 'static>(wrap: impl FnOnce(Node) -> M) -> Subject {
    let folder = tempfile::tempdir().expect("a folder");
    let node = Node::alone(folder.path().join("metadata.redb"), Arc::new(SystemClock)).expect("a node");
    Subject { meta: Arc::new(wrap(node)), keep: Box::new(folder) }
}

/// Of a node's second life.
fn restarted() -> Subject {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Node::alone(folder.path().join("metadata.redb"), Arc::new(SystemClock)).expect("a node");
    drop(start());
    Subject { meta: Arc::new(start()), keep: Box::new(folder) }
}

/// Messages go from node to node in this process, over nothing that could lose them.
#[derive(Default)]
struct Wire(RwLock<BTreeMap<NodeId, Weak<Node>>>);

/// A node's end of it.
struct End {
    of: NodeId,
    wire: Arc<Wire>,
}

impl Link for End {
    fn send(&self, to: NodeId, _: Class, bytes: Vec<u8>) {
        let node = self.wire.0.read().get(&to).and_then(Weak::upgrade);
        if let Some(node) = node {
            node.receive(self.of, bytes);
        }
    }
}

/// Three voters with disks of their own.
struct Cluster {
    nodes: Vec<Arc<Node>>,
    /// The place of the one that was elected first.
    leader: usize,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let wire = Arc::new(Wire::default());
        let nodes = VOTERS.map(|id| {
            let path = folder.path().join(format!("{id}.redb"));
            let (store, saved) =
                MemberStore::open(path, |state| Saved::first(VOTERS, state)).expect("a store");
            let link = Arc::new(End { of: id, wire: Arc::clone(&wire) });
            let member = Member { id, seed: 7, store, saved };
            let node = Arc::new(Node::member(member, Arc::new(SystemClock), link).expect("a node"));
            wire.0.write().insert(id, Arc::downgrade(&node));
            node
        });
        let leader = elected(&nodes);
        Self { nodes: nodes.into(), leader, _folder: folder }
    }

    /// The suite speaks to the one that is `after` the leader, and has it alone.
    fn subject(mut self, after: usize) -> Subject {
        let place = (self.leader + after) % self.nodes.len();
        let node = self.nodes.remove(place);
        Subject { meta: node, keep: Box::new(self) }
    }

    /// The same, while leadership goes from one to the next.
    fn in_turmoil(self) -> Subject {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let nodes: Vec<_> = self.nodes.iter().map(Arc::downgrade).collect();
        let thread = std::thread::spawn(move || {
            for next in VOTERS.into_iter().cycle() {
                // The rhythm of what is done to the cluster: nothing is waited for.
                if stopped.recv_timeout(TERM) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                for node in nodes.iter().filter_map(Weak::upgrade) {
                    node.transfer(next);
                }
            }
        });
        let mut subject = self.subject(0);
        let turmoil = Turmoil { stop: Some(stop), thread: Some(thread) };
        subject.keep = Box::new((turmoil, subject.keep));
        subject
    }
}

/// The place of the leader, once all know it.
fn elected(nodes: &[Arc<Node>]) -> usize {
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
    // In a thread of its own: the test's runtime has but one, and that is here.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(async { tokio::time::timeout(ELECTION_MAX, election).await })
        });
        waiting.join().expect("an election").expect("nobody was elected in time")
    })
}

struct Turmoil {
    /// Dropped, it ends the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Turmoil {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

cluster_model::meta_conformance!(alone_and_steady, || alone(|node| node));
cluster_model::meta_conformance!(alone_and_unsteady, || alone(|node| Unsteady::new(node, 3)));
cluster_model::meta_conformance!(after_a_restart, restarted);
cluster_model::meta_conformance!(three_by_the_leader, || Cluster::start().subject(0));
cluster_model::meta_conformance!(three_by_a_follower, || Cluster::start().subject(1));
cluster_model::meta_conformance!(three_while_leadership_goes_round, || Cluster::start().in_turmoil());
