//! The conformance suite over clusters of one voter and of three: by the leader, by a follower, while leadership goes
//! round, after a restart, and where answers get lost.

#![expect(clippy::panic, reason = "a test: a panic is how it fails")]

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use base::{Clock, SystemClock};
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
        let cluster = Self { nodes: nodes.into(), _folder: folder };
        cluster.leader();
        cluster
    }

    /// The place of the one that leads and is known to lead.
    fn leader(&self) -> usize {
        let deadline = SystemClock.now() + ELECTION_MAX;
        while SystemClock.now() < deadline {
            let leads = |node: &Arc<Node>| node.status().leads;
            let agreed = self.nodes.iter().all(|node| node.status().leader.is_some());
            if let Some(leader) = self.nodes.iter().position(leads).filter(|_| agreed) {
                return leader;
            }
            // What is waited for is another thread's doing, and tells nobody.
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("nobody was elected: {:?}", self.nodes.iter().map(|node| node.status()).collect::<Vec<_>>());
    }

    /// The suite speaks to the one that is `after` the leader, and has it alone.
    fn subject(mut self, after: usize) -> Subject {
        let place = (self.leader() + after) % self.nodes.len();
        let node = self.nodes.remove(place);
        Subject { meta: Arc::new(Of(node)), keep: Box::new(self) }
    }

    /// The same, while leadership goes from one to the next.
    fn in_turmoil(self) -> Subject {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, nodes) = (Arc::clone(&stop), self.nodes.iter().map(Arc::downgrade).collect::<Vec<_>>());
        let thread = std::thread::spawn(move || {
            for turn in 0.. {
                std::thread::sleep(TERM);
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                for node in nodes.iter().filter_map(Weak::upgrade) {
                    node.transfer(VOTERS[turn % VOTERS.len()]);
                }
            }
        });
        let mut subject = self.subject(0);
        let turmoil: Box<dyn Any + Send> = Box::new((Turmoil { stop, thread: Some(thread) }, subject.keep));
        subject.keep = turmoil;
        subject
    }
}

struct Turmoil {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Turmoil {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A node that others know.
struct Of(Arc<Node>);

#[async_trait::async_trait]
impl cluster_model::Meta for Of {
    async fn propose(
        &self,
        request: cluster_model::RequestId,
        command: cluster_model::Command,
        deadline: std::time::Instant,
    ) -> cluster_model::Proposal {
        self.0.propose(request, command, deadline).await
    }

    async fn read(
        &self,
        query: cluster_model::Query,
        consistency: cluster_model::Consistency,
        deadline: std::time::Instant,
    ) -> Result<cluster_model::Reading, cluster_model::ReadFailed> {
        self.0.read(query, consistency, deadline).await
    }

    fn watch(&self, filter: cluster_model::Filter, from: cluster_model::Revision) -> cluster_model::Watch {
        self.0.watch(filter, from)
    }
}

cluster_model::meta_conformance!(alone_and_steady, || alone(|node| node));
cluster_model::meta_conformance!(alone_and_unsteady, || alone(|node| Unsteady::new(node, 3)));
cluster_model::meta_conformance!(after_a_restart, restarted);
cluster_model::meta_conformance!(three_by_the_leader, || Cluster::start().subject(0));
cluster_model::meta_conformance!(three_by_a_follower, || Cluster::start().subject(1));
cluster_model::meta_conformance!(three_while_leadership_goes_round, || Cluster::start().in_turmoil());
