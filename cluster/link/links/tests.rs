//! Real sockets on loopback.

use std::time::Duration;

use base::{SeededRandomness, SystemClock, SystemRandomness};
use cluster_node::Link as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::{ClusterSecret, Phase, Refusal, StatusReport};

#[path = "../tests/proxy/mod.rs"]
mod proxy;

mod calls;
mod recovery;
mod refusals;
mod rotation;

/// Time for what needs a moment; on a busy machine a long one.
const SOON: Duration = Duration::from_secs(30);
const CLUSTER: ClusterId = ClusterId(0xc1);

fn secret(seed: u64) -> ClusterSecret {
    ClusterSecret::generate(&SeededRandomness::new(seed))
}

/// A node that keeps what it hears.
struct Heard {
    node: NodeId,
    messages: watch::Sender<Vec<(NodeId, Vec<u8>)>>,
}

#[async_trait]
impl Local for Heard {
    fn receive(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.messages.send_modify(|messages| messages.push((from, bytes)));
        true
    }

    async fn introduce(&self, theirs: Introduction) -> Introduction {
        Introduction { node: Some(self.node), version: format!("heard {}", theirs.version), ..theirs }
    }

    async fn operate(&self, order: Order) -> Result<Report, String> {
        match order {
            Order::Status => {
                Ok(Report::Status(Box::new(StatusReport { node: self.node, ..StatusReport::default() })))
            }
            Order::Remove { node } => Err(format!("node {node} is no member")),
            _ => Ok(Report::Done),
        }
    }
}

struct TestNode {
    links: Arc<Links>,
    heard: watch::Receiver<Vec<(NodeId, Vec<u8>)>>,
}

/// What a test node is, where it is not as all others are.
struct Like {
    secrets: Secrets,
    cluster: Option<ClusterId>,
    peers: BTreeMap<NodeId, String>,
    serves: bool,
    clock: Arc<dyn Clock>,
}

impl Default for Like {
    fn default() -> Self {
        Self {
            secrets: Secrets::one(secret(1)),
            cluster: Some(CLUSTER),
            peers: BTreeMap::new(),
            serves: true,
            clock: Arc::new(SystemClock),
        }
    }
}

impl TestNode {
    fn start(n: u64, like: Like) -> Self {
        let node = NodeId(n);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let advertised = listener.local_addr().expect("an address").to_string();
        let Like { secrets, cluster, peers, serves, clock } = like;
        let options = LinkOptions {
            node,
            cluster,
            secrets,
            listeners: vec![listener],
            advertised,
            peers,
            clock,
            randomness: Arc::new(SystemRandomness),
        };
        let links = Links::start(options).expect("a link");
        let messages = watch::Sender::new(Vec::new());
        let heard = messages.subscribe();
        if serves {
            links.serve(Arc::new(Heard { node, messages }));
        }
        Self { links, heard }
    }

    fn alone(n: u64) -> Self {
        Self::start(n, Like::default())
    }

    /// Knows where the others are.
    fn knowing(n: u64, others: &[(u64, &Self)]) -> Self {
        let peers = others.iter().map(|(n, other)| (NodeId(*n), other.address())).collect();
        Self::start(n, Like { peers, ..Like::default() })
    }

    fn address(&self) -> String {
        self.links.address().to_string()
    }

    fn send(&self, to: u64, class: Class, message: &str) {
        self.links.send(NodeId(to), class, message.as_bytes().to_vec());
    }

    /// Waits until that was heard.
    async fn hears(&mut self, from: u64, message: &str) {
        let wanted = (NodeId(from), message.as_bytes().to_vec());
        let heard = self.heard.wait_for(|messages| messages.contains(&wanted));
        timeout(SOON, heard).await.expect("it is heard in time").expect("a node");
    }

    /// Waits until the state of another node is as wanted.
    async fn sees(&self, other: u64, wanted: impl Fn(&PeerState) -> bool) -> PeerState {
        let mut states = self.links.states();
        let seen = states.wait_for(|states| states.get(&NodeId(other)).is_some_and(&wanted));
        let seen = timeout(SOON, seen).await.expect("it is seen in time").expect("a node").clone();
        seen[&NodeId(other)].clone()
    }

    async fn sees_up(&self, other: u64) {
        self.sees(other, |state| state.up).await;
    }

    /// Waits until the other node is out of reach for a reason.
    async fn sees_error(&self, other: u64, part: &str) {
        let about = |state: &PeerState| state.last_error.as_ref().is_some_and(|error| error.contains(part));
        let state = self.sees(other, about).await;
        assert!(!state.up, "{state:?}");
    }

    fn refused(&self, why: Refusal) -> u64 {
        self.links.figures().refused[&why]
    }

    /// Waits until so many were refused.
    async fn refuses(&self, why: Refusal, count: u64) {
        until(|| self.refused(why) >= count).await;
    }

    fn nothing_heard(&self) {
        assert_eq!(*self.heard.borrow(), []);
    }
}

/// Waits for what nobody tells: it is looked at now and then.
async fn until(holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            // Counters tell nobody, and what they count is real sockets: time cannot be virtual.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, looking).await.expect("it comes true in time");
}

#[test]
fn an_address_that_is_none_is_refused() {
    let links = TestNode::alone(1).links;
    assert!(matches!(links.set_peer(NodeId(2), "node2".to_owned()), Err(LinkError::Address(_))));
}
