use std::net::UdpSocket as StdSocket;
use std::time::Duration;

use rtc::Transmit as ShardTransmit;

use super::super::batch::BATCH_SENDS_MAX;
use super::*;

/// A peer on loopback; what it gets comes within this, or never.
const PATIENCE: Duration = Duration::from_secs(5);

fn peer(address: &str) -> StdSocket {
    let socket = StdSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn next(peer: &StdSocket) -> (Vec<u8>, IpAddr) {
    let mut buffer = [0; 2_000];
    let (bytes, from) = peer.recv_from(&mut buffer).unwrap();
    (buffer[..bytes].to_vec(), from.ip())
}

/// Sends the whole batch; the sends that were refused.
async fn send_all(socket: &mut ShardSocket, mut batch: SendBatch) -> Vec<SocketAddr> {
    let mut refused = Vec::new();
    while let Some(to) = batch.to() {
        match socket.send(&mut batch) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable(to).await.unwrap(),
            Err(_) => {
                refused.push(to);
                batch.done(1);
            }
        }
    }
    refused
}

fn send(
    to: SocketAddr,
    from: Option<&str>,
    segment_size: Option<usize>,
    bytes: Vec<u8>,
) -> (ShardTransmit, Vec<u8>) {
    (ShardTransmit { to, from: from.map(|from| from.parse().unwrap()), segment_size }, bytes)
}

/// The datagrams that a send of `bytes` in segments of 1,000 comes as.
fn segments(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(1_000).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn every_peer_gets_its_own_datagrams_in_order_and_from_the_address_told() {
    let mut socket = ShardSocket::new(BoundPort::bind(0).unwrap()).unwrap();
    let mut families = vec![("127.0.0.1", "127.0.0.2")];
    match StdSocket::bind("[::1]:0") {
        Ok(_) if socket.v6.is_some() => families.push(("::1", "::1")),
        _ => eprintln!("SKIPPED: this machine has no IPv6"),
    }
    for (at, from) in families {
        let peers: Vec<_> = (0..40).map(|_| peer(at)).collect();
        let picture = |number: u8| -> Vec<u8> { (0..2_500_u32).map(|byte| byte as u8 ^ number).collect() };
        let to = |number: u8| peers[usize::from(number)].local_addr().unwrap();
        let sends = (0..40).flat_map(|number| {
            // Every tenth is of another shape, as a frame's last packet is, or a player behind a proxy.
            let from = if number % 10 == 9 { None } else { Some(from) };
            [
                send(to(number), from, Some(1_000), picture(number)),
                send(to(number), from, None, vec![number; 100]),
            ]
        });
        let sends: Vec<_> = sends.collect();
        for some in sends.chunks(BATCH_SENDS_MAX) {
            assert!(send_all(&mut socket, SendBatch::of(some.to_vec())).await.is_empty());
        }
        // The same in the order of a fan-out: runs of one shape.
        let (pictures, sounds): (Vec<_>, Vec<_>) =
            sends.into_iter().partition(|(transmit, _)| transmit.segment_size.is_some());
        for some in pictures.chunks(BATCH_SENDS_MAX).chain(sounds.chunks(BATCH_SENDS_MAX)) {
            assert!(send_all(&mut socket, SendBatch::of(some.to_vec())).await.is_empty());
        }
        for (number, peer) in (0..).zip(&peers) {
            for _ in 0..2 {
                let mut expected = segments(&picture(number));
                expected.push(vec![number; 100]);
                for datagram in expected {
                    let (bytes, source) = next(peer);
                    assert_eq!(bytes, datagram);
                    assert!(number % 10 == 9 || source == from.parse::<IpAddr>().unwrap(), "{source}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_sent_to_costs_the_others_nothing() {
    let mut socket = ShardSocket::new(BoundPort::bind(0).unwrap()).unwrap();
    let peers: Vec<_> = (0..6).map(|_| peer("127.0.0.1")).collect();
    // The kernel refuses to send to everybody without being told so before.
    let nobody: SocketAddr = "255.255.255.255:9".parse().unwrap();
    for place in 0..7 {
        let mut to: Vec<_> = peers.iter().map(|peer| peer.local_addr().unwrap()).collect();
        to.insert(place, nobody);
        let sends = to.into_iter().map(|to| send(to, None, Some(1_000), vec![place as u8; 1_500]));
        assert_eq!(send_all(&mut socket, SendBatch::of(sends)).await, [nobody]);
        for peer in &peers {
            for datagram in segments(&[place as u8; 1_500]) {
                assert_eq!(next(peer).0, datagram);
            }
        }
    }
}
