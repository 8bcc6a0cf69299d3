use prost::Message;

use super::*;
use crate::proto::{Frame, Hello, frame};

fn introduction() -> Introduction {
    Introduction {
        node: Some(NodeId(3)),
        cluster: Some(ClusterId(9)),
        phase: Phase::Prepared,
        voters: [1, 2, 3].map(NodeId).into(),
        version: "0.1.0".to_owned(),
    }
}

#[test]
fn an_introduction_comes_back() {
    let admin = Introduction { node: None, cluster: None, phase: Phase::Empty, ..introduction() };
    for said in [introduction(), admin] {
        let sent = proto::Introduction::from(said.clone());
        assert_eq!(Introduction::try_from(sent), Ok(said));
    }
}

#[test]
fn orders_and_reports_come_back() {
    let (node, replaces) = (NodeId(4), Some(NodeId(1)));
    for order in [
        Order::Status,
        Order::Bootstrap,
        Order::Add { node, replaces },
        Order::Add { node, replaces: None },
        Order::Remove { node },
        Order::Transfer { to: node },
    ] {
        assert_eq!(Order::try_from(proto::Order::from(order)), Ok(order));
    }
    let progress = MemberProgress { matched: 7, active: true, snapshot: true };
    let link = LinkReport { up: false, since: Duration::from_millis(9), error: Some("gone".to_owned()) };
    let status = StatusReport {
        node,
        cluster: Some(ClusterId(u128::MAX)),
        term: 5,
        leader: replaces,
        voters: [1, 4].map(NodeId).into(),
        learners: [6].map(NodeId).into(),
        commit: 10,
        applied: 9,
        last: 11,
        compacted: 2,
        level: 3,
        progress: [(NodeId(1), progress)].into(),
        links: [(NodeId(1), link)].into(),
        age: Some(Duration::from_millis(20)),
    };
    for report in [Report::Done, Report::Status(Box::default()), Report::Status(Box::new(status))] {
        let sent = proto::Report::from(report.clone());
        let read = Report::try_from(sent);
        if matches!(&report, Report::Status(status) if status.node == NodeId(0)) {
            assert_eq!(read, Err(Senseless("a node's number")));
        } else {
            assert_eq!(read, Ok(report));
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let said = |change: fn(&mut proto::Introduction)| {
        let mut sent = introduction().into();
        change(&mut sent);
        Introduction::try_from(sent).err()
    };
    assert_eq!(said(|sent| sent.phase = 77), Some(Senseless("the phase")));
    assert_eq!(said(|sent| sent.cluster = vec![0; 15]), Some(Senseless("the cluster's id")));
    assert_eq!(said(|sent| sent.voters.push(0)), Some(Senseless("a node's number")));
    assert_eq!(said(|sent| sent.voters = vec![1; 100_000]), Some(Senseless("a list of nodes")));
    assert_eq!(Order::try_from(proto::Order::default()), Err(Senseless("the order")));
    assert_eq!(Report::try_from(proto::Report::default()), Err(Senseless("the report")));
    assert_eq!(Greeting::try_from(Hello::default()), Err(Senseless("the cluster's id")));
    let nowhere = Hello { cluster: vec![1; 16], node: 3, address: "node3".to_owned(), ..Hello::default() };
    assert_eq!(Greeting::try_from(nowhere), Err(Senseless("the address")));
}

#[test]
fn an_address_is_host_and_port_and_breaks_no_log_line() {
    for address in ["node3:5075", "10.0.0.1:1", "[2001:db8::1]:65535"] {
        assert!(is_address(address), "{address}");
    }
    for text in ["", "node3", ":5075", "node3:0", "node3:65536", "no de:1", "node\n:1", "node3:"] {
        assert!(!is_address(text), "{text:?}");
    }
    assert!(!is_address(&format!("{}:5075", "x".repeat(300))));
}

#[test]
fn words_of_others_move_no_cursor() {
    assert_eq!(tame("a\u{1b}[2J\nb"), "a [2J b");
    assert_eq!(tame(&"x".repeat(10_000)).len(), limits::CLUSTER_TEXT_CHARS_MAX);
}

/// What the first version sends, for ever.
#[test]
fn a_hello_and_a_message_look_like_this() {
    let greeting =
        Greeting { protocol: 1, cluster: ClusterId(2), node: NodeId(3), address: "a:4".to_owned(), life: 5 };
    let hello = Frame { kind: Some(frame::Kind::Hello(greeting.into())) };
    let mut golden = vec![0x0a, 29, 0x08, 1, 0x12, 16];
    golden.extend([0; 15]);
    golden.extend([2, 0x18, 3, 0x22, 3, b'a', b':', b'4', 0x28, 5]);
    assert_eq!(hello.encode_to_vec(), golden);
    let message = Frame { kind: Some(frame::Kind::Message(vec![7, 8].into())) };
    assert_eq!(message.encode_to_vec(), [0x12, 2, 7, 8]);
}
