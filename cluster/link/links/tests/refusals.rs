//! Who is not listened to, and what becomes of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

use super::proxy::Proxy;
use super::*;
use crate::authority::{ALPN, NoClock, roots};
use crate::connect::Connection;
use crate::name::ANY_NODE;
use crate::proto::{Frame, frame};
use crate::wire::Greeting;

/// A caller that may lie in what it says, with a certificate of the right secret.
async fn caller(to: &TestNode, name: PeerName) -> Connection {
    let credentials =
        Credentials::new(&Secrets::one(secret(1)), name, &SystemRandomness).expect("a certificate");
    Connection::open(&to.address(), Arc::new(Semaphore::new(1)), credentials.client)
        .await
        .expect("a connection")
}

const TWO: PeerName = PeerName::Node { node: NodeId(2), cluster: Some(CLUSTER) };

fn hello() -> Greeting {
    Greeting { protocol: 1, cluster: CLUSTER, node: NodeId(2), address: "127.0.0.1:1".to_owned(), life: 7 }
}

fn greets(greeting: Greeting) -> Frame {
    Frame { kind: Some(frame::Kind::Hello(greeting.into())) }
}

fn says(message: &'static str) -> Frame {
    Frame { kind: Some(frame::Kind::Message(Bytes::from(message))) }
}

/// Sends frames, and gives what the node says in the end.
async fn end_of(connection: &Connection, frames: Vec<Frame>) -> Status {
    // The caller has more to say, so it is the node that ends.
    let frames =
        futures_util::StreamExt::chain(futures_util::stream::iter(frames), futures_util::stream::pending());
    let listening = async {
        let mut words = connection.client().raft(frames).await?.into_inner();
        while words.message().await?.is_some() {}
        Ok(())
    };
    timeout(SOON, listening).await.expect("an end in time").expect_err("refused")
}

#[tokio::test]
async fn a_node_with_another_secret_is_told_so_on_both_sides() {
    let one = TestNode::alone(1);
    let peers = [(NodeId(1), one.address())].into();
    let secrets = Secrets::one(secret(2));
    let two = TestNode::start(2, Like { secrets, peers, ..Like::default() });
    two.send(1, Class::Raft, "hello");
    two.sees_error(1, "of another cluster secret: give all nodes the same").await;
    one.refuses(Refusal::OtherSecret, 1).await;
    one.nothing_heard();
}

#[tokio::test]
async fn a_node_of_another_cluster_is_not_heard() {
    let one = TestNode::alone(1);
    let peers = [(NodeId(1), one.address())].into();
    let other = Some(ClusterId(5));
    let two = TestNode::start(2, Like { cluster: other, peers, ..Like::default() });
    two.sees_error(1, "of another cluster").await;
    // One that does not look, and lies.
    let lying = caller(&one, PeerName::Node { node: NodeId(2), cluster: other }).await;
    let refused = end_of(&lying, vec![greets(hello()), says("hello")]).await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(one.refused(Refusal::OtherCluster), 1);
    // And one that is none's.
    let new = caller(&one, PeerName::Node { node: NodeId(2), cluster: None }).await;
    assert_eq!(end_of(&new, vec![greets(hello())]).await.code(), Code::PermissionDenied);
    let admin = caller(&one, PeerName::Admin).await;
    assert_eq!(end_of(&admin, vec![greets(hello())]).await.code(), Code::PermissionDenied);
    one.nothing_heard();
}

#[tokio::test]
async fn a_node_that_says_it_is_another_one_is_not_heard() {
    let one = TestNode::alone(1);
    let connection = caller(&one, TWO).await;
    let refused = end_of(&connection, vec![greets(Greeting { node: NodeId(3), ..hello() }), says("x")]).await;
    assert_eq!(refused.message(), "the hello says node 3, the certificate does not");
    // Two with one number.
    let twin = caller(&one, PeerName::Node { node: NodeId(1), cluster: Some(CLUSTER) }).await;
    let refused = end_of(&twin, vec![greets(Greeting { node: NodeId(1), ..hello() })]).await;
    assert_eq!(refused.message(), "node 1 is this node: two have one id");
    assert_eq!(one.refused(Refusal::OtherNode), 2);
    one.nothing_heard();
    // The wrong node at an address.
    let three = TestNode::start(3, Like { peers: [(NodeId(2), one.address())].into(), ..Like::default() });
    three.sees_error(2, "node 1 is there, and not node 2").await;
}

#[tokio::test]
async fn what_is_no_hello_and_no_message_is_refused() {
    let mut one = TestNode::alone(1);
    let connection = caller(&one, TWO).await;
    let refused = end_of(&connection, vec![says("no hello")]).await;
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "the first message is no hello"));
    let refused = end_of(&connection, vec![greets(Greeting { protocol: 2, ..hello() })]).await;
    assert_eq!(refused.message(), "this node speaks version 1, and not 2");
    let nowhere = Greeting { address: "no address".to_owned(), ..hello() };
    assert_eq!(end_of(&connection, vec![greets(nowhere)]).await.message(), "the address makes no sense");
    // What came before the fault is heard.
    let refused = end_of(&connection, vec![greets(hello()), says("heard"), greets(hello())]).await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    one.hears(2, "heard").await;
    let refused = end_of(&connection, vec![greets(hello()), Frame { kind: None }]).await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!((one.refused(Refusal::Malformed), one.refused(Refusal::OtherProtocol)), (4, 1));
    // One that says nothing at all.
    assert_eq!(end_of(&connection, vec![]).await.message(), "no hello came");
}

/// A body of some bytes, and then silence.
struct Begun(Option<Bytes>);

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// Calls with a body made by hand, and gives the status the answer begins with.
async fn call(connection: &Connection, path: &str, body: &[u8]) -> http::HeaderMap {
    let request = http::Request::post(format!("https://node.penstock.internal{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Begun(Some(Bytes::copy_from_slice(body)))))
        .expect("a request");
    let answer = timeout(SOON, tower_service::Service::call(&mut connection.channel(), request))
        .await
        .expect("an answer in time");
    answer.expect("an answer").headers().clone()
}

#[tokio::test]
async fn a_message_that_claims_a_gibibyte_is_refused_by_its_first_bytes() {
    let one = TestNode::alone(1);
    let connection = caller(&one, TWO).await;
    let status = [("Raft", "3"), ("Snapshot", "3"), ("Meta", "3"), ("Introduce", "11"), ("Operate", "11")];
    for (path, status) in status {
        let path = format!("/penstock.cluster.v1.Link/{path}");
        let answer = call(&connection, &path, &[0, 0x40, 0, 0, 0, 1, 2, 3]).await;
        assert_eq!(answer["grpc-status"], status, "{path}: {answer:?}");
    }
    assert_eq!(one.refused(Refusal::Malformed), 3);
    one.nothing_heard();
}

#[tokio::test]
async fn a_call_that_there_is_not_is_refused() {
    let one = TestNode::alone(1);
    let connection = caller(&one, TWO).await;
    for path in ["/penstock.cluster.v1.Link/Rewind", "/grpc.health.v1.Health/Check", "/"] {
        let answer = call(&connection, path, &[]).await;
        assert_eq!(answer["grpc-status"], "12", "{path}: {answer:?}");
    }
    assert_eq!(one.refused(Refusal::UnknownCall), 3);
}

#[tokio::test]
async fn nobody_is_heard_before_the_node_serves() {
    let one = TestNode::start(1, Like { serves: false, ..Like::default() });
    let two = TestNode::knowing(2, &[(1, &one)]);
    two.sees_error(1, "the node is starting, or stopping").await;
    let (messages, mut heard) = watch::channel(Vec::new());
    one.links.serve(Arc::new(Heard { node: NodeId(1), messages }));
    two.sees_up(1).await;
    two.send(1, Class::Raft, "now");
    timeout(SOON, heard.wait_for(|heard| !heard.is_empty())).await.expect("in time").expect("a node");
}

#[tokio::test]
async fn plain_http_is_refused() {
    let one = TestNode::alone(1);
    let mut socket = TcpStream::connect(one.links.address()).await.expect("a connection");
    socket.write_all(b"GET / HTTP/1.1\r\nHost: node1\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    // An alert may come, or a reset; no answer does.
    let _ = timeout(SOON, socket.read_to_end(&mut answer)).await.expect("an end");
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    one.refuses(Refusal::NotTls, 1).await;
}

/// A TLS client that is no node: of a version of TLS, without a certificate or with one of the right secret.
async fn other_tls(to: &TestNode, version: &'static SupportedProtocolVersion, certified: bool) {
    let secrets = Secrets::one(secret(1));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(NoClock))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots(&secrets).expect("roots"));
    let mut config = if certified {
        let own = Credentials::new(&secrets, TWO, &SystemRandomness).expect("a certificate").client;
        builder.with_client_cert_resolver(Arc::clone(&own.client_auth_cert_resolver))
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    let socket = TcpStream::connect(to.links.address()).await.expect("a connection");
    let name = ServerName::try_from(ANY_NODE).expect("a name");
    // In TLS 1.3 the client is through before the node has looked at it.
    if let Ok(mut tls) = TlsConnector::from(Arc::new(config)).connect(name, socket).await {
        let mut answer = Vec::new();
        let _ = tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let end = timeout(SOON, tls.read_to_end(&mut answer)).await.expect("an end in time");
        assert!(end.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let one = TestNode::alone(1);
    other_tls(&one, &rustls::version::TLS13, false).await;
    one.refuses(Refusal::NoCertificate, 1).await;
}

#[tokio::test]
async fn an_older_tls_is_refused_even_with_the_secret() {
    let one = TestNode::alone(1);
    other_tls(&one, &rustls::version::TLS12, true).await;
    one.refuses(Refusal::OtherTls, 1).await;
}

#[tokio::test]
async fn what_was_overheard_is_worth_nothing_when_it_is_sent_again() {
    let mut one = TestNode::alone(1);
    let proxy = Proxy::start(one.links.address()).await;
    let peers = [(NodeId(1), proxy.address.to_string())].into();
    let two = TestNode::start(2, Like { peers, ..Like::default() });
    two.send(1, Class::Raft, "spend the token");
    one.hears(2, "spend the token").await;
    two.links.close().await;
    let overheard = proxy.recorded();
    assert!(overheard[0].len() > 500, "{}", overheard[0].len());
    for (said, n) in overheard.iter().zip(1..) {
        let mut socket = TcpStream::connect(one.links.address()).await.expect("a connection");
        socket.write_all(said).await.expect("sent");
        let mut answer = Vec::new();
        // The node draws a new key for each handshake: what was sealed for the old one does not open.
        let _ = timeout(SOON, socket.read_to_end(&mut answer)).await.expect("an end in time");
        one.refuses(Refusal::Handshake, n).await;
    }
    assert_eq!(one.heard.borrow().len(), 1);
}

#[tokio::test]
async fn a_flood_of_connections_that_never_speak_keeps_no_node_out() {
    let mut one = TestNode::alone(1);
    let mut flood = Vec::new();
    let count = limits::CLUSTER_STRANGERS_PER_ADDRESS_MAX + 10;
    for _ in 0..count {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
        flood.push(socket.connect(one.links.address()).await.expect("a connection"));
    }
    one.refuses(Refusal::TooManyOfAddress, 10).await;
    let two = TestNode::knowing(2, &[(1, &one)]);
    two.send(1, Class::Raft, "through");
    one.hears(2, "through").await;
    // All are let go in the end.
    one.refuses(Refusal::Slow, limits::CLUSTER_STRANGERS_PER_ADDRESS_MAX as u64).await;
    for mut socket in flood {
        let _ = timeout(SOON, socket.read_u8()).await.expect("an end in time").expect_err("nothing is said");
    }
}

#[tokio::test]
async fn who_has_the_secret_and_asks_for_nothing_is_let_go() {
    let one = TestNode::alone(1);
    let connection = caller(&one, TWO).await;
    one.refuses(Refusal::Silent, 1).await;
    until(|| one.links.figures().connections == 0).await;
    drop(connection);
}
