//! What a peer may not do: be slow, flood, send garbage or nothing.

use super::*;

#[test]
fn a_peer_that_does_not_read_is_too_slow() {
    let mut peer = Peer::publishing();
    let pings = message(0, 4, &[0, 6, 1, 2, 3, 4]).repeat(100);
    for _ in 0..200 {
        peer.session.handle(&pings, peer.start);
    }
    peer.drain();
    assert_eq!(peer.reason(), Some(&CloseReason::TooSlow));
}

#[test]
fn messages_out_of_order_end_the_connection() {
    for (bytes, reason) in [
        (create_stream("s"), "a command came before connect"),
        (publish("s"), "a command came before connect"),
        ([connect("LiveApp"), publish("s")].concat(), "publish came before createStream"),
        ([connect("LiveApp"), connect("LiveApp")].concat(), "connect came twice"),
    ] {
        let mut peer = Peer::new();
        peer.send(&bytes);
        assert_eq!(peer.reason().unwrap().to_string(), reason);
    }
}

#[test]
fn floods_before_the_stream_end_the_connection() {
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    peer.send(&command(0, Writer::command("x", 0.0)).repeat(limits::RTMP_COMMANDS_BEFORE_PUBLISH_MAX + 1));
    assert_eq!(peer.reason(), Some(&CloseReason::TooManyCommands));

    for (mut peer, flood) in [(Peer::new(), true), (Peer::new(), false)] {
        if !flood {
            peer.send(&connect("LiveApp"));
        }
        for _ in 0..3 {
            peer.send(&message(0, 18, &[0; 60_000]));
        }
        assert_eq!(peer.reason(), Some(&CloseReason::TooManyBytes));
    }

    let mut peer = Peer::publishing();
    peer.send(&message(1, 9, &[]).repeat(limits::RTMP_MESSAGES_PER_SECOND_MAX as usize));
    assert_eq!(peer.reason(), Some(&CloseReason::TooManyMessages));
    assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::LimitExceeded);
    assert!(peer.outputs.len() <= limits::RTMP_MESSAGES_PER_SECOND_MAX as usize);
}

#[test]
fn a_stranger_cannot_send_large_messages_and_a_publisher_can() {
    let large = chunks(4, 0, 9, &vec![0x27; 3_000_000], 128);
    let mut peer = Peer::publishing();
    peer.send(&large);
    assert!(matches!(&peer.outputs[..], [Output::Video { body, .. }] if body.len() == 3_000_000));
    peer.send(&command(1, Writer::command("closeStream", 0.0).null()));
    peer.send(&large);
    assert_eq!(peer.reason().unwrap().label(), "chunk limit");
}

#[test]
fn garbage_is_no_handshake() {
    let start = now();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0", b"\x06"] {
        let mut session = Session::new(knows, start);
        session.handle(garbage, start);
        assert_eq!(session.poll(), Some(Output::Close(CloseReason::BadHandshake)));
        assert_eq!(session.poll(), None);
        session.handle(garbage, start);
        assert_eq!((session.poll(), session.poll_timeout()), (None, None));
    }
}

#[test]
fn every_wait_has_its_deadline() {
    let start = now();
    let mut session = Session::new(knows, start);
    let late = start + limits::RTMP_HANDSHAKE_MAX;
    session.handle(&[3; 100], start + Duration::from_secs(1));
    assert!(matches!(session.poll(), Some(Output::Send(_))));
    session.handle_timeout(late - Duration::from_millis(1));
    assert_eq!((session.poll(), session.poll_timeout()), (None, Some(late)));
    session.handle_timeout(late);
    assert_eq!(session.poll(), Some(Output::Close(CloseReason::HandshakeTimeout)));

    // One byte now and then does not make the wait for `publish` longer.
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    peer.session.handle(&create_stream("s"), peer.start + Duration::from_secs(9));
    peer.session.handle_timeout(peer.start + limits::RTMP_PUBLISH_WAIT_MAX);
    peer.drain();
    assert_eq!(peer.reason(), Some(&CloseReason::PublishTimeout));
    assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::TimedOut);

    let mut peer = Peer::publishing();
    let spoke = peer.start + Duration::from_secs(30);
    peer.session.handle(&message(1, 9, &[0x27]), spoke);
    assert_eq!(peer.session.poll_timeout(), Some(spoke + limits::RTMP_SILENCE_MAX));
    peer.session.handle_timeout(spoke + limits::RTMP_SILENCE_MAX);
    peer.drain();
    assert_eq!(peer.reason(), Some(&CloseReason::Silent));
}
