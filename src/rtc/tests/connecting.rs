//! Who gets media, and who does not.

use std::time::Duration;

use base::{ExitReason, Randomness, SeededRandomness, limits};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Srtp;
use rtc_rtcp::goodbye::Goodbye;

use super::client::{Manner, frames};
use super::world::{World, id, opus};
use crate::{AddError, AnswerError, PlayerEvent};

fn ended(world: &World) -> Vec<ExitReason> {
    let ended = |event: &(_, PlayerEvent)| match event.1 {
        PlayerEvent::Ended(reason) => Some(reason),
        PlayerEvent::Started => None,
    };
    world.events.iter().filter_map(ended).collect()
}

#[test]
fn a_player_sees_and_hears_what_is_written() {
    let mut world = World::new();
    world.play(Manner::default());
    world.run(Duration::from_secs(5));
    let client = &world.clients[0];
    let seen = frames(&client.video);
    assert!(seen.len() >= 148, "{} frames", seen.len());
    for (index, (_, nals)) in seen.iter().enumerate() {
        assert_eq!(nals.last(), world.written.get(index), "frame {index}");
        // Parameter sets come in band with every key frame.
        assert_eq!(nals.len(), if index % world.gop == 0 { 3 } else { 1 });
    }
    let heard: Vec<_> = client.audio.iter().map(|packet| packet.payload.clone()).collect();
    assert_eq!(heard, world.audio_written);
    assert!(client.video.iter().all(|packet| packet.payload_type == 96));
    // Key frames ask the browser to wait for the sound: 120 ms to 10 s, as element 1.
    let asked: Vec<_> = client.video.iter().filter_map(|packet| packet.playout_delay).collect();
    assert!(!asked.is_empty() && asked.len() < client.video.len());
    assert!(asked.iter().all(|element| *element == 0x1200_c3e8), "{asked:x?}");
    assert!(client.audio.iter().all(|packet| packet.payload_type == 111));
}

#[test]
fn gcm_is_chosen_where_the_client_has_it_and_cm_where_it_has_not() {
    let mut world = World::new();
    world.play(Manner::default());
    assert_eq!(world.clients[0].profile, Some(Srtp::Srtp_Aead_Aes_128_Gcm));
    let old = Manner {
        profiles: vec![Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80],
        address: "198.51.100.8:5555",
        ..Manner::default()
    };
    world.play(old);
    assert_eq!(world.clients[1].profile, Some(Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80));
    world.run(Duration::from_secs(1));
    for client in &world.clients {
        assert_eq!(frames(&client.video).last().unwrap().1.last(), world.written.last());
    }
    let counters = world.shard.counters();
    assert_eq!((counters.profile_gcm, counters.profile_cm), (1, 1));
}

#[test]
fn a_client_without_a_common_profile_is_ended() {
    let mut world = World::new();
    world.join(Manner { profiles: vec![Srtp::Srtp_Aead_Aes_256_Gcm], ..Manner::default() });
    assert_eq!(ended(&world), [ExitReason::ProtocolError]);
}

#[test]
fn a_hello_in_several_datagrams_still_gets_gcm() {
    let mut world = World::new();
    world.play(Manner { mtu: 100, ..Manner::default() });
    assert_eq!(world.clients[0].profile, Some(Srtp::Srtp_Aead_Aes_128_Gcm));
}

#[test]
fn a_handshake_survives_loss() {
    let mut world = World::new();
    let mut count = 0;
    world.lose = Box::new(move |_, _| {
        count += 1;
        count % 3 == 0
    });
    world.join(Manner::default());
    world.run(Duration::from_secs(4));
    assert!(world.clients[0].is_connected());
}

#[test]
fn a_peer_with_another_certificate_gets_no_media() {
    let mut world = World::new();
    world.run(Duration::from_millis(500));
    world.join(Manner { wrong_fingerprint: true, ..Manner::default() });
    world.run(Duration::from_secs(1));
    assert_eq!(ended(&world), [ExitReason::ProtocolError]);
    assert!(world.clients[0].video.is_empty() && world.clients[0].audio.is_empty());
    assert!(world.clients[0].closed, "it is told by close_notify");
    assert_eq!(world.shard.counters().fingerprints_wrong, 1);
    assert_eq!(world.shard.counters().packets, 0);
}

#[test]
fn an_answer_that_comes_after_the_handshake_starts_the_player() {
    let mut world = World::new();
    let (player, offer) = world.add();
    world.clients.push(super::client::Client::new(
        &offer.sdp,
        super::world::SERVER.parse().unwrap(),
        Manner::default(),
    ));
    world.check(0);
    let now = world.now;
    world.clients[0].connect(now);
    world.settle();
    assert!(world.clients[0].is_connected());
    assert!(world.events.is_empty(), "no answer, no media");
    let answer = world.clients[0].answer(&offer.sdp);
    world.shard.set_answer(player, &answer, world.now).unwrap();
    world.settle();
    assert_eq!(world.events, [(player, PlayerEvent::Started)]);
    let again = world.shard.set_answer(player, &answer, world.now);
    assert_eq!(again, Err(AnswerError::AlreadyAnswered));
}

#[test]
fn dtls_from_an_address_that_did_not_pass_ice_is_dropped() {
    let mut world = World::new();
    world.answered(Manner::default());
    let now = world.now;
    world.clients[0].connect(now);
    world.settle();
    assert!(!world.clients[0].is_connected());
    assert!(world.shard.counters().datagrams_strange > 0);
    assert_eq!(world.clients[0].stun_answers, 0);
}

#[test]
fn media_waits_for_the_nomination() {
    let mut world = World::new();
    world.answered(Manner::default());
    let check = world.clients[0].check(false);
    world.deliver(0, check);
    let now = world.now;
    world.clients[0].connect(now);
    world.settle();
    assert!(world.clients[0].is_connected());
    assert!(world.events.is_empty());
    world.check(0);
    world.settle();
    assert_eq!(world.events.len(), 1);
}

#[test]
fn checks_with_a_wrong_password_or_for_nobody_are_dropped() {
    let mut world = World::new();
    world.answered(Manner::default());
    let forged = world.clients[0].check_with(true, "guessed");
    world.deliver(0, forged);
    let mut unknown = world.clients[0].check(true);
    // The name begins behind the header and the attribute's own.
    unknown[24] ^= 1;
    world.deliver(0, unknown);
    world.settle();
    let counters = world.shard.counters();
    assert_eq!((counters.stun_rejected, counters.stun_unknown), (1, 1));
    assert_eq!(world.clients[0].stun_answers, 0);
}

#[test]
fn a_player_that_falls_silent_ends_after_eight_seconds() {
    let mut world = World::new();
    world.play(Manner::default());
    world.run_with(limits::PLAYER_SILENCE_MAX - Duration::from_millis(100), false);
    assert_eq!(ended(&world), []);
    world.run_with(Duration::from_millis(200), false);
    assert_eq!(ended(&world), [ExitReason::TimedOut]);
    assert_eq!(world.shard.counters().players, 0);
}

#[test]
fn an_offer_that_nobody_answers_ends_after_ten_seconds() {
    let mut world = World::new();
    world.add();
    world.run(limits::PLAY_CONNECT_MAX - Duration::from_millis(100));
    assert_eq!(ended(&world), []);
    world.run(Duration::from_millis(200));
    assert_eq!(ended(&world), [ExitReason::TimedOut]);
    assert_eq!((world.shard.counters().players, world.shard.counters().handshakes), (0, 0));
}

#[test]
fn a_peer_that_closes_ends_at_once() {
    let mut world = World::new();
    world.play(Manner::default());
    let now = world.now;
    world.clients[0].close(now);
    world.settle();
    assert_eq!(ended(&world), [ExitReason::PeerClosed]);
}

#[test]
fn a_player_taken_off_is_told_by_bye_and_close_notify() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(Duration::from_millis(500));
    world.shard.remove(player, ExitReason::Kicked, world.now);
    world.settle();
    let client = &world.clients[0];
    let goodbyes: Vec<u32> = client
        .reports
        .iter()
        .filter_map(|packet| packet.as_any().downcast_ref::<Goodbye>())
        .flat_map(|goodbye| goodbye.sources.clone())
        .collect();
    assert_eq!(goodbyes, [client.video_ssrc, client.audio_ssrc]);
    assert!(client.closed);
    assert_eq!(ended(&world), [], "who takes it off knows");
    assert_eq!(world.shard.player_stats(player), None);
    let before = world.shard.counters().packets;
    world.run(Duration::from_millis(100));
    assert_eq!(world.shard.counters().packets, before);
}

#[test]
fn the_end_of_the_stream_ends_its_players() {
    let mut world = World::new();
    world.play(Manner::default());
    world.media.close();
    world.settle();
    assert_eq!(ended(&world), [ExitReason::StreamEnded]);
    assert_eq!(world.shard.add_player(world.spec(), world.now).unwrap_err(), AddError::NothingToPlay);
}

#[test]
fn opus_that_is_made_on_demand_joins_later() {
    let mut world = World::new();
    world.audio = None;
    world.media.remove_track(&id("audio"));
    let aac = media::AacConfig::from_asc(&[0x12, 0x10]).unwrap();
    world.media.write_track(&id("audio"), &media::CodecConfig::Aac(std::sync::Arc::new(aac)), None).unwrap();
    world.play(Manner::default());
    world.run(Duration::from_millis(100));
    assert!(world.clients[0].audio.is_empty());
    world.audio = world.media.write_track(&id("audio-opus"), &opus(), Some(&id("audio")));
    world.run(Duration::from_millis(300));
    assert!(world.clients[0].audio.len() >= 12, "{}", world.clients[0].audio.len());
    assert!(world.clients[0].video.len() > 10);
}

#[test]
fn a_browser_that_lists_only_the_baseline_gets_the_stream_under_that_number() {
    let mut world = World::new();
    world.play(Manner { baseline_only: true, ..Manner::default() });
    world.run(Duration::from_millis(100));
    assert!(!world.clients[0].video.is_empty());
    assert!(world.clients[0].video.iter().all(|packet| packet.payload_type == 97));
}

#[test]
fn handshakes_and_players_are_limited() {
    let mut world = World::new();
    for _ in 0..limits::HANDSHAKES_PER_SHARD_MAX {
        world.add();
    }
    assert_eq!(world.shard.add_player(world.spec(), world.now).unwrap_err(), AddError::TooManyHandshakes);
}

#[test]
fn broken_handshakes_are_survived() {
    let random = SeededRandomness::new(3);
    for round in 0..300 {
        let mut world = World::new();
        let (hit, bit) = (random.next_u64() % 4, random.next_u64() as usize);
        let mut count = 0;
        world.mangle = Box::new(move |datagram| {
            if count == hit {
                match round % 3 {
                    0 => {
                        let at = bit / 8 % datagram.len();
                        datagram[at] ^= 1 << (bit % 8);
                    }
                    1 => datagram.truncate(bit % 200),
                    _ => {
                        let at = bit % datagram.len();
                        datagram[at..].fill(0xff);
                    }
                }
            }
            count += 1;
        });
        world.join(Manner { mtu: if round % 2 == 0 { 0 } else { 150 }, ..Manner::default() });
        world.run(Duration::from_millis(2));
        let connected = world.events.iter().filter(|(_, event)| *event == PlayerEvent::Started).count();
        assert!(connected == 0 || world.clients[0].is_connected());
    }
}

/// A record of a handshake: of epoch 0 a fragment of a certificate, of epoch 1 noise.
fn handshake_record(epoch: u8, sequence: u8) -> Vec<u8> {
    let mut record = vec![22, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence, 1, 12];
    record.extend_from_slice(&[11, 0, 1, 0, 0, sequence, 0, 0, 0, 0, 1, 0]);
    record.resize(13 + 268, 7);
    record
}

#[test]
fn a_flood_during_the_handshake_ends_the_player_whatever_epoch_it_claims() {
    for epoch in [0, 1] {
        let mut world = World::new();
        world.answered(Manner::default());
        world.check(0);
        let now = world.now;
        world.clients[0].connect(now);
        // The hello alone: the request to verify it is never answered.
        let hello = world.clients[0].poll_dtls().unwrap();
        world.deliver(0, hello);
        let size = handshake_record(epoch, 0).len();
        let fit = limits::DTLS_HANDSHAKE_BYTES_MAX / size;
        for sequence in 0..fit {
            assert_eq!(world.shard.counters().ended, 0, "epoch {epoch}, record {sequence}");
            world.deliver(0, handshake_record(epoch, sequence as u8));
        }
        world.deliver(0, handshake_record(epoch, fit as u8));
        while let Some(event) = world.shard.poll_event() {
            world.events.push(event);
        }
        assert_eq!(ended(&world), [ExitReason::LimitExceeded], "epoch {epoch}");
    }
}

#[test]
fn protected_records_after_the_handshake_cost_nothing() {
    let mut world = World::new();
    world.play(Manner::default());
    for count in 0..2 * limits::DTLS_HANDSHAKE_DATAGRAMS_MAX {
        world.deliver(0, handshake_record(1, count as u8));
    }
    assert_eq!(world.shard.counters().ended, 0);
    let now = world.now;
    world.clients[0].close(now);
    world.settle();
    assert_eq!(ended(&world), [ExitReason::PeerClosed], "DTLS is still read");
}
