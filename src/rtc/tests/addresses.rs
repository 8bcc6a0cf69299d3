//! Whose address it is, and where media goes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base::{ExitReason, limits};
use rtc_rtcp::receiver_report::ReceiverReport;

use super::client::Manner;
use super::world::{World, next_send};
use crate::{Datagram, PlayerEvent, demux};

const THEIRS: &str = "198.51.100.8:5555";

fn other() -> Manner {
    Manner { address: THEIRS, ..Manner::default() }
}

fn elsewhere() -> SocketAddr {
    "203.0.113.9:6666".parse().unwrap()
}

/// Writes a frame; the addresses that media of it goes to.
fn media_goes_to(world: &mut World) -> BTreeSet<SocketAddr> {
    world.write_video(true, 1_000);
    world.shard.handle_media(world.now);
    let mut to = BTreeSet::new();
    while let Some((transmit, contents)) = next_send(&mut world.shard, world.now) {
        if matches!(demux(&contents), Datagram::SrtpOrSrtcp) {
            to.insert(transmit.to);
        }
    }
    to
}

/// A report of a client, as it comes from `from`.
fn report(world: &mut World, client: usize, from: SocketAddr) {
    let report = ReceiverReport { ssrc: 1, ..ReceiverReport::default() };
    let sealed = world.clients[client].feedback(&report);
    world.deliver_from(from, sealed);
}

/// A check of a client that chooses `from`.
fn check(world: &mut World, client: usize, from: SocketAddr) {
    let check = world.clients[client].check(true);
    world.deliver_from(from, check);
}

#[test]
fn a_check_with_a_forged_source_takes_no_address_from_another_player() {
    let mut world = World::new();
    world.play(Manner::default());
    let victim = world.play(other());
    let (theirs, answers) = (world.clients[1].address, world.clients[1].stun_answers);
    check(&mut world, 0, theirs);
    world.settle();
    assert_eq!(world.shard.counters().addresses_held, 1);
    assert_eq!(world.clients[1].stun_answers, answers);
    report(&mut world, 1, theirs);
    assert_eq!(world.shard.counters().srtp_rejected, 0);
    let now = world.now;
    world.clients[1].close(now);
    world.settle();
    assert!(world.events.contains(&(victim, PlayerEvent::Ended(ExitReason::PeerClosed))));
}

#[test]
fn a_check_with_a_forged_source_disturbs_no_handshake() {
    let mut world = World::new();
    world.play(Manner::default());
    let victim = world.answered(other());
    world.check(1);
    let theirs = world.clients[1].address;
    check(&mut world, 0, theirs);
    let now = world.now;
    world.clients[1].connect(now);
    world.settle();
    assert!(world.events.contains(&(victim, PlayerEvent::Started)));
}

#[test]
fn an_address_gone_silent_may_be_another_players() {
    let mut world = World::new();
    world.play(other());
    world.now += limits::PLAYER_ADDRESS_SILENCE_MAX;
    let heir = world.answered(Manner::default());
    let theirs = world.clients[0].address;
    world.clients.remove(0);
    world.clients[0].address = theirs;
    world.check(0);
    assert_eq!(world.shard.counters().addresses_held, 0);
    let now = world.now;
    world.clients[0].connect(now);
    // What still goes to who had it is not for this client to read.
    world.lose = Box::new(|_, datagram| matches!(demux(datagram), Datagram::SrtpOrSrtcp));
    world.settle();
    assert!(world.events.contains(&(heir, PlayerEvent::Started)));
}

#[test]
fn a_player_keeps_no_address_from_others_but_the_one_its_media_goes_to() {
    let mut world = World::new();
    world.play(Manner::default());
    world.answered(other());
    let theirs = world.clients[1].address;
    check(&mut world, 0, theirs);
    world.check(1);
    assert_eq!(world.shard.counters().addresses_held, 0);
    let now = world.now;
    world.clients[1].connect(now);
    world.settle();
    assert!(world.clients[1].is_connected());
}

#[test]
fn a_check_sent_again_from_elsewhere_moves_no_media() {
    let mut world = World::new();
    world.play(Manner::default());
    let home = world.clients[0].address;
    check(&mut world, 0, elsewhere());
    assert_eq!(media_goes_to(&mut world), [home].into());
}

#[test]
fn media_moves_with_a_check_and_a_report_from_the_new_address() {
    let mut world = World::new();
    world.play(Manner::default());
    let home = world.clients[0].address;
    let check_only = world.clients[0].check(false);
    world.deliver_from(elsewhere(), check_only);
    report(&mut world, 0, elsewhere());
    assert_eq!(media_goes_to(&mut world), [home].into(), "not chosen");
    check(&mut world, 0, elsewhere());
    report(&mut world, 0, home);
    assert_eq!(media_goes_to(&mut world), [home].into(), "not from there");
    report(&mut world, 0, elsewhere());
    assert_eq!(media_goes_to(&mut world), [elsewhere()].into());
}

#[test]
fn media_moves_with_a_check_alone_once_the_old_address_is_silent() {
    let mut world = World::new();
    world.play(Manner::default());
    let home = world.clients[0].address;
    world.now += limits::PLAYER_ADDRESS_SILENCE_MAX - Duration::from_millis(1);
    check(&mut world, 0, elsewhere());
    assert_eq!(media_goes_to(&mut world), [home].into());
    world.now += Duration::from_millis(1);
    check(&mut world, 0, elsewhere());
    assert_eq!(media_goes_to(&mut world), [elsewhere()].into());
}

#[test]
fn until_it_has_started_a_player_may_choose_again_and_again() {
    let mut world = World::new();
    world.answered(Manner::default());
    for _ in 0..2 {
        check(&mut world, 0, elsewhere());
        world.check(0);
    }
    // The answers to `elsewhere` are for nobody here.
    while next_send(&mut world.shard, world.now).is_some() {}
    let now = world.now;
    world.clients[0].connect(now);
    world.settle();
    let home = world.clients[0].address;
    assert_eq!(media_goes_to(&mut world), [home].into());
}
