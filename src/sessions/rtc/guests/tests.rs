use std::io::IoSliceMut;
use std::task::{Context, Poll, Waker};

use base::{Clock, Secret, SystemClock};
use webrtc::runtime::{AsyncUdpSocket, RecvMeta};
use webrtc_core::crypto::RTCCryptoProvider;
use webrtc_core::crypto::providers::RingProvider;
use webrtc_core::stun::attributes::ATTR_USERNAME;
use webrtc_core::stun::fingerprint::FINGERPRINT;
use webrtc_core::stun::integrity::MessageIntegrity;
use webrtc_core::stun::message::{BINDING_REQUEST, Message, TransactionId};
use webrtc_core::stun::textattrs::TextAttribute;

use super::super::socket::BoundPort;
use super::*;

const DTLS: &[u8] = &[22, 254, 253, 0];

fn port() -> Arc<GuestPort> {
    let bound = BoundPort::bind(0).unwrap();
    GuestPort::new(0, bound.sender().unwrap(), TcpPeers::new(media::Bell::new()), bound.port())
}

fn credentials(ufrag: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), password: Secret::new("p".repeat(32)) }
}

fn check(ufrag: &str, password: &str) -> Vec<u8> {
    let ring = RingProvider::new();
    let name = TextAttribute::new(ATTR_USERNAME, format!("{ufrag}:them"));
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), ring.crypto());
    let mut message = Message::new();
    message
        .build(&[
            Box::new(TransactionId([7; 12])),
            Box::new(BINDING_REQUEST),
            Box::new(name),
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])
        .unwrap();
    message.raw
}

fn now() -> Instant {
    SystemClock.now()
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], number))
}

/// What a guest's socket has, datagram by datagram.
fn received(stay: &Stay) -> Vec<Vec<u8>> {
    let socket = GuestSocket::new(Arc::clone(stay.guest()), SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 2_048];
        let mut metas = [RecvMeta::default()];
        let polled = socket.poll_recv(
            &mut Context::from_waker(Waker::noop()),
            &mut [IoSliceMut::new(&mut buffer)],
            &mut metas,
        );
        match polled {
            Poll::Ready(read) => {
                assert_eq!(read.unwrap(), 1);
                assert_eq!(metas[0].addr, THE_PEER);
                all.push(buffer[..metas[0].len].to_vec());
            }
            Poll::Pending => return all,
        }
    }
}

#[tokio::test]
async fn only_who_has_proven_itself_is_heard() {
    let port = port();
    let password = "p".repeat(32);
    assert!(!port.take(address(1), None, &check("anna", &password), now()), "nobody is there");
    let anna = port.admit(credentials("anna"), credentials("them"));
    assert!(
        !port.take(address(1), None, &check("otto", &password), now()),
        "not anna's: the shard's, perhaps"
    );
    assert!(!port.take(address(1), None, DTLS, now()));

    assert!(port.take(address(1), None, &check("anna", "wrong"), now()));
    assert!(!port.take(address(1), None, DTLS, now()), "a forged check opens nothing");
    assert!(received(&anna).is_empty());

    let good = check("anna", &password);
    assert!(port.take(address(1), None, &good, now()));
    assert!(port.take(address(1), None, DTLS, now()));
    assert_eq!(received(&anna), [good, DTLS.to_vec()]);
}

#[tokio::test]
async fn an_address_is_one_guests_until_it_leaves() {
    let port = port();
    let password = "p".repeat(32);
    let anna = port.admit(credentials("anna"), credentials("them"));
    let otto = port.admit(credentials("otto"), credentials("them"));
    assert!(port.take(address(1), None, &check("anna", &password), now()));
    assert!(port.take(address(1), None, &check("otto", &password), now()));
    assert!(received(&otto).is_empty());
    drop(anna);
    assert_eq!(port.count(), 1);
    assert!(!port.take(address(1), None, DTLS, now()));
    assert!(port.take(address(1), None, &check("otto", &password), now()));
    assert_eq!(received(&otto).len(), 1);
}

#[tokio::test]
async fn what_is_not_taken_in_time_is_bounded() {
    let port = port();
    let anna = port.admit(credentials("anna"), credentials("them"));
    let good = check("anna", &"p".repeat(32));
    for _ in 0..limits::GUEST_DATAGRAMS_MAX + 10 {
        assert!(port.take(address(1), None, &good, now()));
    }
    assert!(port.take(address(1), None, &vec![22; limits::GUEST_DATAGRAM_BYTES_MAX + 1], now()));
    assert_eq!(received(&anna).len(), limits::GUEST_DATAGRAMS_MAX);
    // The oldest of many addresses is forgotten.
    for number in 2..2 + limits::PLAYER_ADDRESSES_MAX as u16 {
        assert!(port.take(address(number), None, &good, now()));
    }
    assert!(!port.take(address(1), None, DTLS, now()));
    assert!(port.take(address(2), None, DTLS, now()));
}

#[tokio::test]
async fn what_a_connection_keeps_of_sources_is_bounded() {
    let port = port();
    let anna = port.admit(credentials("anna"), credentials("them"));
    assert!(port.take(address(1), None, &check("anna", &"p".repeat(32)), now()));
    let (rtp, rtcp) = (
        |source: u32| [&[0x80, 96, 0, 1, 0, 0, 0, 0][..], &source.to_be_bytes()].concat(),
        |source: u32| [&[0x80, 200, 0, 1][..], &source.to_be_bytes()].concat(),
    );
    for source in 0..2 * limits::GUEST_SOURCES_MAX as u32 {
        assert!(port.take(address(1), None, &rtp(source), now()));
    }
    assert!(port.take(address(1), None, &rtcp(u32::MAX), now()));
    assert!(port.take(address(1), None, &[0x80, 96], now()), "without a name");
    assert_eq!(received(&anna).len(), 1 + limits::GUEST_SOURCES_MAX);
    // Those that are known go on.
    assert!(port.take(address(1), None, &rtp(0), now()) && port.take(address(1), None, &rtcp(0), now()));
    assert_eq!(received(&anna), [rtp(0), rtcp(0)]);
}

#[tokio::test]
async fn a_new_ice_session_moves_the_way_at_once_and_its_connection_hears_of_the_first_alone() {
    let port = port();
    let anna = port.admit(credentials("anna"), credentials("them"));
    let restarts = anna.restarts();
    let old = check("anna", &"p".repeat(32));
    let way = || anna.guest().route.lock().map(|route| route.to);
    assert!(port.take(address(1), None, &old, now()));
    *anna.guest().nomination.lock() = Some(b"the first nomination".to_vec());
    anna.guest().heard(address(1), None, Some(0), true, now());
    assert_eq!((way(), received(&anna).len()), (Some(address(1)), 1));

    let randomness = base::SystemRandomness;
    let first = restarts.begin(&randomness).unwrap();
    assert!(first.ufrag.starts_with(&port.prefix()));
    let by = |credentials: &IceCredentials| check(&credentials.ufrag, credentials.password.expose());
    assert!(port.take(address(2), None, &by(&first), now()));
    assert_eq!(way(), Some(address(1)), "it is not nominated");
    assert_eq!(received(&anna), [b"the first nomination"]);
    anna.guest().heard(address(2), None, Some(1), true, now());
    assert_eq!(way(), Some(address(2)));
    anna.guest().heard(address(1), None, Some(0), true, now());
    assert_eq!(way(), Some(address(2)), "not back again");

    // Only the newest counts besides the first.
    let second = restarts.begin(&randomness).unwrap();
    assert!(!port.take(address(3), None, &by(&first), now()));
    assert!(port.take(address(3), None, &by(&second), now()));
    assert_eq!(port.count(), 1);
    drop(anna);
    assert_eq!(port.count(), 0);
    assert!(!port.take(address(3), None, &by(&second), now()));
    assert!(port.names.lock().by_ufrag.is_empty() && port.names.lock().by_address.is_empty());
    assert!(restarts.begin(&randomness).is_none());
}
