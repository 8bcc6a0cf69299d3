//! The conformance suite over clusters of one voter and of three: by the leader, by a follower, by a node that is no
//! member, while leadership goes round, after a restart, after a restore, and where answers get lost.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use base::{AppName, Clock, StreamId, SystemClock, SystemRandomness};
use cluster_model::testing::Unsteady;
use cluster_model::testing::conformance::Subject;
use cluster_model::{Command, Consistency, Filter, Meta, Proposal, Query, RequestId, Revision, WatchEvent};
use parking_lot::RwLock;
use penstock_cluster_node::{Backup, Class, Link, Member, MemberStore, Node, NodeId, Saved, Tuning};

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

/// Of a copy of another node's data, which has what others wrote.
fn restored() -> Subject {
    let (before, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let node = Node::alone(before.path().join("metadata.redb"), Arc::new(SystemClock)).expect("a node");
    let app = AppName::new("before").expect("a name");
    let create = |stream| {
        let stream = StreamId::new(stream).expect("a name");
        Command::CreateBroadcast { app: app.clone(), stream, broadcast: Box::default() }
    };
    let copied = async {
        for command in [create("s"), create("t"), create("s")] {
            let request = RequestId::random(&SystemRandomness);
            let proposal = node.propose(request, command, SystemClock.now() + ELECTION_MAX).await;
            assert!(matches!(proposal, Proposal::Applied { .. }), "{proposal:?}");
        }
        node.copy().await.expect("a copy").encode().expect("its bytes")
    };
    let copy = Backup::decode(&in_time(copied)).expect("a copy");
    let path = folder.path().join("metadata.redb");
    MemberStore::restore(&path, copy, [NodeId(1)], None).expect("it is restored");
    let node = Node::alone(path, Arc::new(SystemClock)).expect("a node");
    assert_eq!(node.generation(), Some(1));
    Subject { meta: Arc::new(node), keep: Box::new(folder) }
}

/// Messages go from node to node in this process, over nothing that could lose them.
#[derive(Default)]
struct Wire(RwLock<BTreeMap<NodeId, Weak<Node>>>);

/// Who asks members.
const CLIENT: NodeId = NodeId(100);

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
    wire: Arc<Wire>,
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
            let member = Member { id, seed: 7, store, saved, tuning: Tuning::default() };
            let node = Arc::new(Node::member(member, Arc::new(SystemClock), link).expect("a node"));
            wire.0.write().insert(id, Arc::downgrade(&node));
            node
        });
        let leader = elected(&nodes);
        Self { wire, nodes: nodes.into(), leader, _folder: folder }
    }

    /// The suite speaks to a node that is no member, once it has a copy of the state.
    fn by_a_client(self) -> Subject {
        let link = Arc::new(End { of: CLIENT, wire: Arc::clone(&self.wire) });
        let clock = Arc::new(SystemClock);
        let client = Node::client(CLIENT, VOTERS.to_vec(), Tuning::default(), &SystemRandomness, clock, link)
            .expect("a node");
        let client = Arc::new(client);
        self.wire.0.write().insert(CLIENT, Arc::downgrade(&client));
        let copied = async {
            let mut watch = client.watch(Filter::All, Revision::ZERO);
            let deadline = SystemClock.now() + ELECTION_MAX;
            let here = client.read(Query::Nodes, Consistency::Local, deadline).await;
            // A first copy is a state that nobody has seen.
            here.is_ok() || watch.next().await == WatchEvent::Relist
        };
        assert!(in_time(copied), "the client has a copy");
        Subject { meta: client, keep: Box::new(self) }
    }

    /// The suite speaks to the one that is `after` the leader, and has it alone.
    fn subject(mut self, after: usize) -> Subject {
        let place = (self.leader + after) % self.nodes.len();
        let node = self.nodes.remove(place);
        Subject { meta: node, keep: Box::new(self) }
    }

    /// The same, while leadership goes from one to the next.
    fn in_turmoil(self, subject: impl FnOnce(Self) -> Subject) -> Subject {
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
        let mut subject = subject(self);
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
    in_time(election)
}

/// Waits in a thread of its own: the test's runtime has but one, and that is here.
fn in_time<T: Send>(what: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            runtime.block_on(async { tokio::time::timeout(ELECTION_MAX, what).await })
        });
        waiting.join().expect("a thread").expect("it did not happen in time")
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
cluster_model::meta_conformance!(after_a_restore, restored);
cluster_model::meta_conformance!(three_by_the_leader, || Cluster::start().subject(0));
cluster_model::meta_conformance!(three_by_a_follower, || Cluster::start().subject(1));
cluster_model::meta_conformance!(three_while_leadership_goes_round, || {
    Cluster::start().in_turmoil(|cluster| cluster.subject(0))
});
cluster_model::meta_conformance!(three_by_a_client, || Cluster::start().by_a_client());
cluster_model::meta_conformance!(three_by_a_client_while_leadership_goes_round, || {
    Cluster::start().in_turmoil(Cluster::by_a_client)
});
