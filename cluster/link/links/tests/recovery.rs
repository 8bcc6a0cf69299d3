//! Links that come about, break and come back.

use std::convert::Infallible;

use base::{ManualClock, WallTime};
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service as _;

use super::proxy::{Proxy, Way};
use super::*;
use crate::proto::link_server::{Link as LinkService, LinkServer};
use crate::proto::{self, Frame, Welcome};

/// Within which a silent death is noticed, and what a busy machine needs above that.
const NOTICED_MAX: Duration = Duration::from_secs(2);
const BUSY: Duration = Duration::from_secs(2);

#[tokio::test]
async fn messages_of_each_class_come_in_their_order_and_both_ways() {
    // Only one of them knows where the other is; that one learns it.
    let mut one = TestNode::alone(1);
    let mut two = TestNode::knowing(2, &[(1, &one)]);
    for class in [Class::Raft, Class::Snapshot, Class::Meta] {
        for n in 0..100 {
            two.send(1, class, &format!("{class:?} {n}"));
        }
        one.hears(2, &format!("{class:?} 99")).await;
    }
    let heard: Vec<_> = one.heard.borrow().iter().map(|(_, bytes)| bytes.clone()).collect();
    let told = [Class::Raft, Class::Snapshot, Class::Meta]
        .into_iter()
        .flat_map(|class| (0..100).map(move |n| format!("{class:?} {n}").into_bytes()));
    assert!(heard.into_iter().eq(told));
    one.send(2, Class::Raft, "and back");
    two.hears(1, "and back").await;
    // Each class has a connection of its own.
    assert_eq!(one.links.figures().connections, 3);
    assert_eq!(two.links.figures().classes[&Class::Snapshot].sent, 100);
    one.send(9, Class::Raft, "to nobody");
    assert_eq!(one.links.figures().classes[&Class::Raft].lost_nowhere, 1);
}

#[tokio::test]
async fn a_node_that_comes_back_on_another_port_is_found_by_its_hello() {
    let mut one = TestNode::alone(1);
    let two = TestNode::knowing(2, &[(1, &one)]);
    one.links.set_peer(NodeId(2), two.address()).expect("an address");
    one.sees_up(2).await;
    let before = two.address();
    two.links.close().await;
    one.sees(2, |state| !state.up).await;

    let mut two = TestNode::knowing(2, &[(1, &one)]);
    assert_ne!(two.address(), before);
    one.sees_up(2).await;
    one.send(2, Class::Raft, "found");
    two.hears(1, "found").await;
    two.send(1, Class::Raft, "back");
    one.hears(2, "back").await;
}

#[tokio::test]
async fn a_name_that_leads_nowhere_gives_way_to_the_configured_address() {
    let mut two = TestNode::alone(2);
    let one = TestNode::alone(1);
    one.links.set_peer(NodeId(2), two.address()).expect("an address");
    one.sees_up(2).await;
    // It says that it is where nobody is.
    assert!(one.links.shared.learn(NodeId(2), "127.0.0.1:1".to_owned(), 1));
    two.links.close().await;
    one.sees_error(2, "no connection").await;
    let again = TestNode::start(2, Like::default());
    one.links.set_peer(NodeId(2), again.address()).expect("an address");
    assert!(one.links.shared.learn(NodeId(2), "127.0.0.1:1".to_owned(), 2));
    two = again;
    one.send(2, Class::Raft, "there");
    two.hears(1, "there").await;
}

#[tokio::test]
async fn a_node_that_is_silently_gone_is_noticed_within_two_seconds() {
    let mut one = TestNode::alone(1);
    let proxy = Proxy::start(one.links.address()).await;
    let peers = [(NodeId(1), proxy.address.to_string())].into();
    let two = TestNode::start(2, Like { peers, ..Like::default() });
    two.sees_up(1).await;
    proxy.set(Way::Silent);
    let cut = SystemClock.now();
    two.sees(1, |state| !state.up).await;
    let noticed = cut.elapsed();
    println!("noticed after {noticed:?}");
    assert!(noticed < NOTICED_MAX + BUSY, "{noticed:?}");
    // The other side lets the connection go as well.
    until(|| one.links.figures().connections == 0).await;

    proxy.set(Way::Open);
    let healed = SystemClock.now();
    two.sees_up(1).await;
    println!("reached again after {:?}", healed.elapsed());
    two.send(1, Class::Raft, "again");
    one.hears(2, "again").await;
}

/// Welcomes, and takes nothing after that.
struct Deaf;

type Welcomes = futures_util::stream::BoxStream<'static, Result<Welcome, Status>>;

impl Deaf {
    fn welcome(frames: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        use futures_util::{StreamExt, stream};
        let frames = frames.into_inner();
        let never = stream::once(async move {
            let _held = frames;
            std::future::pending::<Result<Welcome, Status>>().await
        });
        let welcome = Welcome { protocol: 1, node: 2, life: 1 };
        Ok(Response::new(stream::iter([Ok(welcome)]).chain(never).boxed()))
    }
}

#[async_trait]
impl LinkService for Deaf {
    type RaftStream = Welcomes;
    type SnapshotStream = Welcomes;
    type MetaStream = Welcomes;

    async fn raft(&self, frames: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        Self::welcome(frames)
    }

    async fn snapshot(&self, frames: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        Self::welcome(frames)
    }

    async fn meta(&self, frames: Request<Streaming<Frame>>) -> Result<Response<Welcomes>, Status> {
        Self::welcome(frames)
    }

    async fn introduce(
        &self,
        _: Request<proto::Introduction>,
    ) -> Result<Response<proto::Introduction>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn operate(&self, _: Request<proto::Order>) -> Result<Response<proto::Report>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A node 2 that answers probes, and reads no message.
async fn deaf_node() -> SocketAddr {
    let name = PeerName::Node { node: NodeId(2), cluster: Some(CLUSTER) };
    let credentials =
        Credentials::new(&Secrets::one(secret(1)), name, &SystemRandomness).expect("a certificate");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&credentials.server));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(socket).await else { return };
                let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let answer = LinkServer::new(Deaf).call(request);
                    async move { Ok::<_, Infallible>(answer.await.expect("infallible")) }
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_node_that_takes_nothing_costs_a_bounded_queue_and_holds_up_nobody() {
    let mut three = TestNode::alone(3);
    let peers = [(NodeId(2), deaf_node().await.to_string()), (NodeId(3), three.address())].into();
    let one = TestNode::start(1, Like { peers, ..Like::default() });
    one.sees_up(2).await;
    let message = vec![7; 1024 * 1024];
    for _ in 0..200 {
        one.links.send(NodeId(2), Class::Raft, message.clone());
    }
    one.send(3, Class::Raft, "meanwhile");
    three.hears(1, "meanwhile").await;
    let queue = Arc::clone(&one.links.shared.peers.get(NodeId(2)).expect("a peer").lane(Class::Raft).queue);
    let (messages, bytes) = queue.len();
    assert!(bytes <= limits::CLUSTER_QUEUE_BYTES_MAX && messages > 0, "{messages} messages, {bytes} bytes");
    let figures = one.links.figures().classes[&Class::Raft];
    println!("of 200 MiB {} were lost, {} sent, {messages} wait", figures.lost_full, figures.sent);
    assert!(figures.lost_full > 100, "{figures:?}");
    // It answers probes, so it is there.
    one.sees_up(2).await;
}

#[tokio::test]
async fn a_connection_that_is_not_needed_is_let_go_unless_it_is_to_a_configured_node() {
    let clock = Arc::new(ManualClock::new(WallTime(0)));
    let one = TestNode::start(1, Like { clock: Arc::clone(&clock) as _, ..Like::default() });
    let mut two = TestNode::knowing(2, &[(1, &one)]);
    two.sees_up(1).await;
    // The hello told the other side where we are; it connects when it has something to say.
    until(|| one.links.shared.peers.get(NodeId(2)).is_some()).await;
    assert!(!one.links.states().borrow()[&NodeId(2)].up);
    one.send(2, Class::Meta, "something");
    two.hears(1, "something").await;
    clock.advance(limits::CLUSTER_IDLE_MAX + Duration::from_secs(1));
    let state = one.sees(2, |state| !state.up).await;
    assert_eq!(state.last_error, None);
    two.sees_up(1).await;
    one.send(2, Class::Meta, "again");
    two.hears(1, "again").await;
}

#[tokio::test]
async fn after_close_nobody_is_heard_and_the_port_is_free() {
    let mut one = TestNode::alone(1);
    let two = TestNode::knowing(2, &[(1, &one)]);
    two.send(1, Class::Raft, "before");
    one.hears(2, "before").await;
    one.links.close().await;
    one.links.close().await;
    two.sees(1, |state| !state.up).await;
    TcpListener::bind(one.links.address()).expect("the port is free");
}
