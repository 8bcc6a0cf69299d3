use super::*;

/// A node that sends back what it gets, and how many addresses it saw.
async fn echo() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 2_000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let mut answer = buffer[..length].to_vec();
            answer.extend(from.port().to_be_bytes());
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (address, task)
}

async fn ask(socket: &UdpSocket, text: &[u8]) -> Vec<u8> {
    socket.send(text).await.unwrap();
    let mut buffer = [0; 2_000];
    let length = socket.recv(&mut buffer).await.unwrap();
    buffer[..length].to_vec()
}

#[tokio::test]
async fn viewers_are_told_apart_and_both_ways_are_counted() {
    let (node, _task) = echo().await;
    let line = Line { delay: Duration::from_millis(20), ..Line::default() };
    let options = RelayOptions { to_node: line, to_viewers: line, seed: 1 };
    let relay = Relay::start(node, options).unwrap();
    let offer = format!("a=candidate:1 1 udp 5 127.0.0.1 {} typ host\r\n", node.port());
    let rewritten = relay.rewrite(&offer);
    let port: u16 = rewritten.split(' ').nth(5).unwrap().parse().unwrap();
    assert_ne!(port, node.port());
    let mut seen = Vec::new();
    for name in [b"one", b"two"] {
        let viewer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        viewer.connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let asked = SystemClock.now();
        let first = ask(&viewer, name).await;
        assert!(SystemClock.now() - asked >= Duration::from_millis(40), "both ways take their time");
        assert_eq!(first[..3], name[..]);
        assert_eq!(ask(&viewer, name).await, first, "from the same address each time");
        seen.push(first[3..].to_vec());
    }
    assert_ne!(seen[0], seen[1]);
    let report = relay.report();
    assert_eq!((report.viewers, report.to_node.passed, report.to_viewers.passed), (2, 4, 4));
}

#[tokio::test]
async fn a_line_can_be_cut_and_mended() {
    let (node, _task) = echo().await;
    let relay = Relay::start(node, RelayOptions::default()).unwrap();
    let viewer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    viewer.connect(relay.detour().relay).await.unwrap();
    assert_eq!(ask(&viewer, b"a").await[0], b'a');
    relay.change(Line { loss: 1.0, ..Line::default() }, Line::default());
    viewer.send(b"b").await.unwrap();
    while relay.report().to_node.lost == 0 {
        tokio::task::yield_now().await;
    }
    relay.change(Line::default(), Line::default());
    assert_eq!(ask(&viewer, b"c").await[0], b'c');
}
