//! Whose path it is: STUN without proof, DTLS from where no check came, and after the end.

use std::net::SocketAddr;

use base::{ExitReason, limits};

use super::lives_undisturbed;
use crate::PlayerEvent;
use crate::tests::client::Manner;
use crate::tests::world::{World, next_send};

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const REQUEST: u16 = 0x0001;

fn stranger() -> SocketAddr {
    "203.0.113.66:6666".parse().unwrap()
}

/// A message whose attributes are what they say, but for their claimed lengths where given.
fn stun(kind: u16, attributes: &[(u16, &[u8], Option<u16>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value, claimed) in attributes {
        body.extend_from_slice(&name.to_be_bytes());
        body.extend_from_slice(&claimed.unwrap_or(value.len() as u16).to_be_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = kind.to_be_bytes().to_vec();
    message.extend_from_slice(&(body.len() as u16).to_be_bytes());
    message.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    message.extend_from_slice(&[5; 12]);
    message.extend_from_slice(&body);
    message
}

/// The name a check of client 0 has.
fn name(world: &mut World) -> Vec<u8> {
    let check = world.clients[0].check(true);
    let length = usize::from(u16::from_be_bytes([check[22], check[23]]));
    check[24..24 + length].to_vec()
}

/// Nothing was sent to anybody but the player's own client.
fn nothing_goes_to_a_stranger(world: &mut World) {
    world.shard.handle_media(world.now);
    while let Some((transmit, _)) = next_send(&mut world.shard, world.now) {
        assert_ne!(transmit.to, stranger());
    }
}

#[test]
fn stun_without_proof_is_dropped_without_an_answer() {
    let mut world = World::new();
    world.play(Manner::default());
    let name = name(&mut world);
    let foreign = [b"somebody".as_slice(), &name[8..]].concat();
    let priority: (u16, &[u8], Option<u16>) = (PRIORITY, &[0, 0, 0, 1], None);
    let integrity: (u16, &[u8], Option<u16>) = (MESSAGE_INTEGRITY, &[9; 20], None);
    let before = world.shard.counters();
    for message in [
        stun(REQUEST, &[]),
        stun(REQUEST, &[(USERNAME, &name, None), priority]),
        stun(REQUEST, &[(USERNAME, &name, None), priority, integrity]),
        stun(REQUEST, &[(USERNAME, &foreign, None), priority, integrity]),
        stun(REQUEST, &[integrity, (USERNAME, &name, None)]),
        // An indication, an answer and an error (RFC 8489 5), and a method nobody knows.
        stun(0x0011, &[(USERNAME, &name, None), integrity]),
        stun(0x0101, &[(USERNAME, &name, None), integrity]),
        stun(0x0111, &[(USERNAME, &name, None), integrity]),
        stun(0x0003, &[(USERNAME, &name, None), integrity]),
    ] {
        world.deliver_from(stranger(), message);
    }
    let counters = world.shard.counters();
    let dropped = counters.stun_rejected + counters.stun_unknown - before.stun_rejected - before.stun_unknown;
    assert_eq!(dropped, 9);
    nothing_goes_to_a_stranger(&mut world);
    lives_undisturbed(&mut world);
}

#[test]
fn stun_that_lies_about_its_lengths_is_dropped() {
    let mut world = World::new();
    world.play(Manner::default());
    let name = name(&mut world);
    let long = vec![b'x'; limits::SHARD_DATAGRAM_BYTES_MAX - 28];
    let most: Vec<(u16, &[u8], Option<u16>)> = vec![(0x8022, &[], None); 500];
    let mut messages = vec![
        stun(REQUEST, &most),
        stun(REQUEST, &[(0x8022, &long, None)]),
        stun(REQUEST, &[(USERNAME, &long, None)]),
        stun(REQUEST, &[(USERNAME, &name, Some(u16::MAX))]),
        stun(REQUEST, &[(USERNAME, &name, Some(0))]),
        stun(REQUEST, &[(USERNAME, &[0xff; 600], None), (MESSAGE_INTEGRITY, &[9; 20], None)]),
    ];
    // An integrity of every size, and one that says it has another.
    for size in 0..64_u16 {
        let value = vec![9; usize::from(size)];
        messages.push(stun(REQUEST, &[(USERNAME, &name, None), (MESSAGE_INTEGRITY, &value, None)]));
        messages.push(stun(REQUEST, &[(USERNAME, &name, None), (MESSAGE_INTEGRITY, &[9; 20], Some(size))]));
    }
    // The length of the message itself.
    for length in [0, 1, 3, 4, 2_000, u16::MAX] {
        let mut message = stun(REQUEST, &[(USERNAME, &name, None)]);
        message[2..4].copy_from_slice(&length.to_be_bytes());
        messages.push(message);
    }
    let larger = vec![0; limits::SHARD_DATAGRAM_BYTES_MAX + 1];
    messages.push(larger);
    for message in messages {
        world.deliver_from(stranger(), message);
    }
    nothing_goes_to_a_stranger(&mut world);
    lives_undisturbed(&mut world);
}

#[test]
fn a_hello_from_where_no_check_came_disturbs_no_handshake_and_no_player() {
    for playing in [false, true] {
        let mut world = World::new();
        world.answered(Manner::default());
        world.check(0);
        if playing {
            let now = world.now;
            world.clients[0].connect(now);
            world.settle();
        }
        // Somebody else's handshake, from elsewhere, before the client's own.
        let (_, offer) = world.add();
        let address = world.clients[0].address;
        let mut racer = crate::tests::client::Client::new(
            &offer.sdp,
            crate::tests::world::SERVER.parse().unwrap(),
            Manner::default(),
        );
        racer.connect(world.now);
        let hello = racer.poll_dtls().unwrap();
        let before = world.shard.counters().datagrams_strange;
        for _ in 0..100 {
            world.deliver_from(stranger(), hello.clone());
            world.deliver_from(SocketAddr::new(address.ip(), address.port() ^ 1), hello.clone());
        }
        assert_eq!(world.shard.counters().datagrams_strange - before, 200);
        nothing_goes_to_a_stranger(&mut world);
        if !playing {
            let now = world.now;
            world.clients[0].connect(now);
        }
        lives_undisturbed(&mut world);
    }
}

#[test]
fn a_hello_sent_again_to_a_player_disturbs_nobody_and_is_hardly_answered() {
    let mut world = World::new();
    world.answered(Manner::default());
    world.check(0);
    let now = world.now;
    world.clients[0].connect(now);
    let first = world.clients[0].poll_dtls().unwrap();
    world.deliver(0, first.clone());
    // The one with the cookie is the last thing that looks like a new client.
    let kept = std::rc::Rc::new(std::cell::RefCell::new(vec![first]));
    let keep = std::rc::Rc::clone(&kept);
    world.mangle = Box::new(move |datagram| keep.borrow_mut().push(datagram.clone()));
    world.settle();
    assert!(world.clients[0].is_connected());
    let recorded: Vec<_> = kept.borrow().clone();
    world.mangle = Box::new(|_| {});
    let mut answers = 0;
    for _ in 0..200 {
        for datagram in &recorded {
            world.deliver(0, datagram.clone());
        }
        while let Some((_, contents)) = next_send(&mut world.shard, world.now) {
            answers += usize::from(contents[0] < 64);
        }
    }
    assert!(answers <= 32, "{answers} answers to {} datagrams", 200 * recorded.len());
    lives_undisturbed(&mut world);
}

#[test]
fn what_comes_after_the_end_is_nobodys() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    let check = world.clients[0].check(true);
    let report = world.clients[0].seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
    let data = world.clients[0].write(b"late", world.now);
    // The next player may get the place of the first; nothing of the first may reach it.
    world.shard.remove(player, ExitReason::Kicked, world.now);
    let next = world.add().0;
    assert_ne!(player, next);
    let before = world.shard.counters();
    for datagram in [check, report, data] {
        world.deliver(0, datagram);
    }
    world.shard.remove(player, ExitReason::Kicked, world.now);
    let counters = world.shard.counters();
    assert_eq!(counters.stun_unknown - before.stun_unknown, 1);
    assert_eq!(counters.datagrams_strange - before.datagrams_strange, 2);
    assert_eq!(counters.players, 1, "the next one stands");
    assert!(!world.events.contains(&(next, PlayerEvent::Started)));
}
