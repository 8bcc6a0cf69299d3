//! Introductions and orders.

use super::*;
use crate::CallError;

fn dialer(secrets: &Secrets, name: PeerName) -> Dialer {
    Dialer::new(secrets, name, &SystemRandomness).expect("a dialer")
}

fn said(node: Option<u64>) -> Introduction {
    Introduction {
        node: node.map(NodeId),
        cluster: None,
        phase: Phase::Empty,
        voters: [1, 2].map(NodeId).into(),
        version: "0.1.0".to_owned(),
    }
}

#[tokio::test]
async fn nodes_without_a_cluster_introduce_themselves_and_enter_it() {
    let mut one = TestNode::start(1, Like { cluster: None, ..Like::default() });
    let two = TestNode::start(2, Like { cluster: None, ..Like::default() });
    let theirs = two.links.dialer().introduce(&one.address(), said(Some(2))).await.expect("an answer");
    assert_eq!((theirs.node, theirs.version.as_str()), (Some(NodeId(1)), "heard 0.1.0"));
    assert_eq!(theirs.voters, said(None).voters);

    // Nothing is carried before both are in it.
    two.links.set_peer(NodeId(1), one.address()).expect("an address");
    two.links.enter(CLUSTER).expect("a certificate");
    two.sees_error(1, "in no cluster yet").await;
    one.nothing_heard();
    one.links.enter(CLUSTER).expect("a certificate");
    two.sees_up(1).await;
    two.send(1, Class::Meta, "now");
    one.hears(2, "now").await;
}

#[tokio::test]
async fn an_introduction_is_of_who_the_certificate_names() {
    let one = TestNode::alone(1);
    let two = dialer(&Secrets::one(secret(1)), PeerName::Node { node: NodeId(2), cluster: None });
    let refused = two.introduce(&one.address(), said(Some(3))).await.expect_err("refused");
    assert!(matches!(refused, CallError::Refused(_)), "{refused}");
    assert_eq!(one.refused(Refusal::OtherNode), 1);
}

#[tokio::test]
async fn the_command_line_gives_orders_and_is_told_in_words_what_is_refused() {
    let one = TestNode::alone(1);
    let admin = dialer(&Secrets::one(secret(1)), PeerName::Admin);
    let report = admin.operate(&one.address(), Order::Transfer { to: NodeId(2) }).await;
    assert_eq!(report, Ok(Report::Done));
    let report = admin.operate(&one.address(), Order::Status).await;
    assert!(matches!(report, Ok(Report::Status(status)) if status.node == NodeId(1)));
    let refused = admin.operate(&one.address(), Order::Remove { node: NodeId(7) }).await;
    assert_eq!(refused, Err(CallError::Refused("node 7 is no member".to_owned())));

    let stranger = dialer(&Secrets::one(secret(2)), PeerName::Admin);
    let refused = stranger.operate(&one.address(), Order::Status).await.expect_err("refused");
    assert!(refused.to_string().contains("give all nodes the same"), "{refused}");
    let nobody = admin.operate("127.0.0.1:1", Order::Status).await.expect_err("nobody is there");
    assert!(nobody.to_string().starts_with("127.0.0.1:1: no connection"), "{nobody}");
}

#[tokio::test]
async fn a_node_of_another_cluster_gives_no_orders() {
    let one = TestNode::alone(1);
    let cluster = Some(ClusterId(5));
    let other = dialer(&Secrets::one(secret(1)), PeerName::Node { node: NodeId(2), cluster });
    let refused = other.operate(&one.address(), Order::Transfer { to: NodeId(2) }).await;
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
    assert_eq!(one.refused(Refusal::OtherCluster), 1);
}

#[tokio::test]
async fn the_command_line_cannot_be_called() {
    // What shows an administrator's certificate as a server is no node.
    let credentials = Credentials::new(&Secrets::one(secret(1)), PeerName::Admin, &SystemRandomness)
        .expect("a certificate");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    let acceptor = tokio_rustls::TlsAcceptor::from(credentials.server);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = acceptor.accept(socket).await;
        }
    });
    let admin = dialer(&Secrets::one(secret(1)), PeerName::Admin);
    let refused = admin.operate(&address, Order::Status).await.expect_err("refused");
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused}");
}
