//! Handshakes and records that are not what they seem.

use std::time::{Duration, Instant};

use base::{ExitReason, limits};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Srtp;

use super::lives_undisturbed;
use crate::tests::client::Manner;
use crate::tests::forger::Forger;
use crate::tests::world::{World, next_send};
use crate::{Datagram, PlayerEvent, demux};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_VERIFY: u8 = 15;
/// Where the content type, the epoch, the length and the body of a record are (RFC 6347 4.1).
const EPOCH_AT: usize = 3;
const LENGTH_AT: usize = 11;
const BODY_AT: usize = 13;

fn record(content: u8, epoch: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content, 0xfe, 0xfd];
    record.extend_from_slice(&epoch.to_be_bytes());
    record.extend_from_slice(&[0, 0]);
    record.extend_from_slice(&sequence.to_be_bytes());
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// A handshake fragment that says it is `size` bytes at `offset` of `length`, and has `body`.
fn fragment(kind: u8, number: u16, [length, offset, size]: [u32; 3], body: &[u8]) -> Vec<u8> {
    let mut fragment = vec![kind];
    fragment.extend_from_slice(&length.to_be_bytes()[1..]);
    fragment.extend_from_slice(&number.to_be_bytes());
    fragment.extend_from_slice(&offset.to_be_bytes()[1..]);
    fragment.extend_from_slice(&size.to_be_bytes()[1..]);
    fragment.extend_from_slice(body);
    fragment
}

/// Splits a datagram into its records.
fn records(mut datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !datagram.is_empty() {
        let length = usize::from(u16::from_be_bytes([datagram[LENGTH_AT], datagram[LENGTH_AT + 1]]));
        let (record, rest) = datagram.split_at(BODY_AT + length);
        records.push(record.to_vec());
        datagram = rest;
    }
    records
}

/// Where a handshake stands when an attack comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// The path works, nothing else came.
    Checked,
    /// The ClientHello came.
    Begun,
    /// Media flows.
    Playing,
}

const STAGES: [Stage; 3] = [Stage::Checked, Stage::Begun, Stage::Playing];

fn world_at(stage: Stage) -> World {
    let mut world = World::new();
    if stage == Stage::Playing {
        world.play(Manner::default());
        return world;
    }
    world.answered(Manner::default());
    world.check(0);
    if stage == Stage::Begun {
        let now = world.now;
        world.clients[0].connect(now);
        let hello = world.clients[0].poll_dtls().unwrap();
        world.deliver(0, hello);
    }
    world
}

/// Lets the honest client go on from where it is.
fn go_on(world: &mut World, stage: Stage) {
    if stage == Stage::Checked {
        let now = world.now;
        world.clients[0].connect(now);
    }
    world.run(Duration::from_millis(100));
}

fn ended(world: &mut World) -> Vec<ExitReason> {
    while let Some(event) = world.shard.poll_event() {
        world.events.push(event);
    }
    let reason = |event: &(_, PlayerEvent)| match event.1 {
        PlayerEvent::Ended(reason) => Some(reason),
        PlayerEvent::Started => None,
    };
    world.events.iter().filter_map(reason).collect()
}

#[test]
fn fragments_that_lie_about_where_they_are_disturb_no_handshake() {
    let lies: [(&str, [u32; 3], usize); 8] = [
        ("ends beyond the message", [100, 90, 64], 64),
        ("more than came", [1_000, 0, 1_000], 64),
        ("less than came", [100, 0, 64], 100),
        ("the largest numbers there are", [0xff_ffff, 0xff_ffff, 0xff_ffff], 64),
        ("nothing of something", [100, 0, 0], 0),
        ("nothing in the middle", [100, 64, 0], 0),
        ("a crumb", [100, 0, 1], 1),
        ("nothing, behind all", [0, 100, 0], 0),
    ];
    for stage in STAGES {
        let mut world = world_at(stage);
        let mut sequence = 1_000;
        for kind in [CLIENT_HELLO, CERTIFICATE, 0xff] {
            for number in [0, 1, 2, u16::MAX] {
                for (_, numbers, bytes) in lies {
                    sequence += 1;
                    let body = fragment(kind, number, numbers, &vec![7; bytes]);
                    world.deliver(0, record(HANDSHAKE, 0, sequence, &body));
                }
            }
        }
        go_on(&mut world, stage);
        assert!(world.clients[0].is_connected(), "{stage:?}");
        lives_undisturbed(&mut world);
    }
}

#[test]
fn a_record_that_holds_no_whole_header_is_dropped() {
    for stage in STAGES {
        let mut world = world_at(stage);
        for bytes in 0..25 {
            world.deliver(0, record(HANDSHAKE, 0, 2_000 + bytes as u32, &vec![1; bytes]));
            let mut cut = record(HANDSHAKE, 0, 3_000, &[1; 24]);
            cut.truncate(bytes);
            world.deliver(0, cut);
        }
        go_on(&mut world, stage);
        lives_undisturbed(&mut world);
    }
}

#[test]
fn ten_thousand_fragments_take_no_more_than_a_handshake_may() {
    for stage in STAGES {
        let mut world = world_at(stage);
        let body = [7; limits::DTLS_FRAGMENT_BYTES_MIN];
        for count in 0..10_000_u32 {
            // Overlapping by half, of messages that never become whole.
            let numbers = [60_000, count % 900 * 32, body.len() as u32];
            let fragment = fragment(CERTIFICATE, (2 + count / 900) as u16, numbers, &body);
            world.deliver(0, record(HANDSHAKE, 0, 1_000 + count, &fragment));
        }
        if stage == Stage::Playing {
            lives_undisturbed(&mut world);
        } else {
            assert_eq!(ended(&mut world), [ExitReason::LimitExceeded], "{stage:?}");
        }
    }
}

#[test]
fn a_hello_whose_pieces_overlap_and_differ_is_read_as_one_or_not_at_all() {
    let mut world = world_at(Stage::Checked);
    let now = world.now;
    world.clients[0].connect(now);
    let hello = world.clients[0].poll_dtls().unwrap();
    let body = &hello[BODY_AT + 12..];
    let (whole, half) = (body.len() as u32, body.len() / 2);
    // The second half first, with other bytes in it; then the whole.
    let forged =
        fragment(CLIENT_HELLO, 0, [whole, half as u32, whole - half as u32], &vec![7; body.len() - half]);
    world.deliver(0, record(HANDSHAKE, 0, 500, &forged));
    world.deliver(0, hello);
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.counters().started, u64::from(world.clients[0].is_connected()));
    world.run_with(limits::PLAY_CONNECT_MAX + limits::PLAYER_SILENCE_MAX, false);
    assert_eq!(world.shard.counters().players, 0, "nothing is stuck");
}

#[test]
fn application_data_in_the_clear_is_dropped_before_and_after_the_handshake() {
    for stage in STAGES {
        let mut world = world_at(stage);
        for sequence in 0..20 {
            world.deliver(0, record(APPLICATION_DATA, 0, 1_000 + sequence, b"as if it were protected"));
        }
        go_on(&mut world, stage);
        lives_undisturbed(&mut world);
    }
}

#[test]
fn what_is_no_record_of_a_handshake_is_dropped_in_the_clear() {
    for stage in STAGES {
        let mut world = world_at(stage);
        let junk: [(u8, &[u8]); 6] = [
            (CHANGE_CIPHER_SPEC, &[2]),
            (CHANGE_CIPHER_SPEC, &[1, 1]),
            (ALERT, &[2]),
            (ALERT, &[1, 0, 0]),
            (24, &[1, 0, 200]),
            (63, &[0; 40]),
        ];
        for (sequence, (content, body)) in (1_000..).zip(junk) {
            world.deliver(0, record(content, 0, sequence, body));
        }
        go_on(&mut world, stage);
        lives_undisturbed(&mut world);
    }
}

#[test]
fn alerts_in_the_clear_end_nobody_who_has_keys() {
    let mut world = world_at(Stage::Playing);
    for (sequence, alert) in (1_000..).zip([[1, 0], [2, 0], [2, 40], [2, 80], [1, 90], [2, 255]]) {
        world.deliver(0, record(ALERT, 0, sequence, &alert));
        world.deliver(0, record(ALERT, 1, sequence, &alert));
    }
    lives_undisturbed(&mut world);
}

#[test]
fn a_certificate_without_its_proof_connects_nobody() {
    let play = |proof: bool| {
        let (provider, forgery) = Forger::with_forgery();
        let mut world = World::new();
        if !proof {
            forgery.leave_out_one_message();
            world.mangle = Box::new(|datagram| {
                let is_proof = |record: &Vec<u8>| {
                    record[0] == HANDSHAKE
                        && record[EPOCH_AT..EPOCH_AT + 2] == [0, 0]
                        && record[BODY_AT] == CERTIFICATE_VERIFY
                };
                *datagram =
                    records(datagram).into_iter().filter(|record| !is_proof(record)).flatten().collect();
            });
        }
        world.join(Manner { provider: Some(provider), ..Manner::default() });
        world.run(Duration::from_secs(1));
        (world, forgery)
    };
    let (honest, _) = play(true);
    assert_eq!(honest.shard.counters().started, 1, "the forger handshakes like anybody");
    let (mut world, forgery) = play(false);
    assert!(forgery.finished.load(std::sync::atomic::Ordering::Relaxed) > 0, "it said Finished");
    assert_eq!((world.shard.counters().started, world.shard.counters().profile_gcm), (0, 0));
    assert!(world.clients[0].video.is_empty());
    world.run_with(limits::PLAY_CONNECT_MAX, false);
    assert_eq!(ended(&mut world).len(), 1, "it is ended for it");
}

#[test]
fn a_client_without_a_certificate_is_ended() {
    let mut world = World::new();
    world.join(Manner { no_certificate: true, ..Manner::default() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.counters().started, 0);
    assert_eq!(ended(&mut world), [ExitReason::ProtocolError]);
}

/// The datagram of `body` sealed by the client as a record of another type.
fn sealed_as(
    world: &mut World,
    content: u8,
    forgery: &super::super::forger::Forgery,
    body: &[u8],
) -> Vec<u8> {
    forgery.seal_as(content);
    let mut sealed = world.clients[0].write(body, world.now);
    forgery.seal_as(0);
    sealed[0] = content;
    sealed
}

#[test]
fn renegotiation_by_who_has_the_keys_is_not_answered() {
    let (provider, forgery) = Forger::with_forgery();
    let mut world = World::new();
    world.play(Manner { provider: Some(provider), ..Manner::default() });
    let mut hello = vec![0xfe, 0xfd];
    hello.extend_from_slice(&[9; 32]);
    hello.extend_from_slice(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let length = hello.len() as u32;
    for number in [0, 6, 7] {
        let fragment = fragment(CLIENT_HELLO, number, [length, 0, length], &hello);
        let sealed = sealed_as(&mut world, HANDSHAKE, &forgery, &fragment);
        world.deliver(0, sealed);
    }
    // A hello may bring the last flight of the handshake that was, again (RFC 6347 4.2.4), and no other.
    const CHANGE_OF_KEYS_AND_FINISHED: usize = 14 + 13 + 48;
    while let Some((_, answer)) = next_send(&mut world.shard, world.now) {
        let is_other = matches!(demux(&answer), Datagram::Dtls) && answer.len() > CHANGE_OF_KEYS_AND_FINISHED;
        assert!(!is_other, "an answer: {answer:?}");
    }
    lives_undisturbed(&mut world);
}

#[test]
fn handshake_messages_of_who_has_the_keys_take_no_more_than_a_handshake_may() {
    let (provider, forgery) = Forger::with_forgery();
    let mut world = World::new();
    world.play(Manner { provider: Some(provider), ..Manner::default() });
    let body = [7; 1_000];
    // Longer than the numbers of messages are: they must neither be kept nor wrap.
    for number in 0..70_000_u32 {
        let fragment = fragment(CERTIFICATE, number as u16, [1_000, 0, 1_000], &body);
        let sealed = sealed_as(&mut world, HANDSHAKE, &forgery, &fragment);
        world.deliver(0, sealed);
    }
    lives_undisturbed(&mut world);
}

#[test]
fn a_change_of_keys_after_the_handshake_changes_nothing() {
    let (provider, forgery) = Forger::with_forgery();
    let mut world = World::new();
    world.play(Manner { provider: Some(provider), ..Manner::default() });
    // By who has no keys (the crate believes this record in the clear), and by who has them.
    for epoch in [0, 1, 2, 3, u16::MAX] {
        world.deliver(0, record(CHANGE_CIPHER_SPEC, epoch, 5_000, &[1]));
    }
    let sealed = sealed_as(&mut world, CHANGE_CIPHER_SPEC, &forgery, &[1]);
    world.deliver(0, sealed);
    lives_undisturbed(&mut world);
}

#[test]
fn a_change_of_keys_during_the_handshake_disturbs_nobody() {
    for stage in [Stage::Checked, Stage::Begun] {
        let mut world = world_at(stage);
        for epoch in [0, 1, 2, u16::MAX] {
            world.deliver(0, record(CHANGE_CIPHER_SPEC, epoch, 5_000, &[1]));
        }
        go_on(&mut world, stage);
        lives_undisturbed(&mut world);
    }
}

#[test]
fn a_second_hello_cannot_weaken_what_the_first_chose() {
    // The first hello offers GCM and the repeat with the cookie does not: somebody took it out.
    let mut world = World::new();
    let gcm = [0_u8, 7];
    let mut hellos = 0;
    world.mangle = Box::new(move |datagram| {
        if datagram[BODY_AT] == CLIENT_HELLO && datagram[0] == HANDSHAKE {
            hellos += 1;
            if hellos > 1 {
                let use_srtp = datagram.windows(4).position(|bytes| bytes[..2] == [0, 14] && bytes[2] == 0);
                let at = use_srtp.expect("the extension");
                let profiles = datagram[at..].windows(2).position(|pair| pair == gcm).expect("gcm");
                datagram[at + profiles + 1] = 1;
            }
        }
    });
    let both = vec![Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80, Srtp::Srtp_Aead_Aes_128_Gcm];
    world.join(Manner { profiles: both, ..Manner::default() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.counters().started, 0);
    assert!(world.clients[0].video.is_empty());
    let end: Instant = world.now + limits::PLAY_CONNECT_MAX;
    world.run_with(end - world.now, false);
    assert_eq!(ended(&mut world).len(), 1);
}
