//! What a player with keys may send: reports and requests that lie, RTP, ever new names.

use std::time::Duration;

use base::limits;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

use super::lives_undisturbed;
use crate::tests::client::Manner;
use crate::tests::world::World;

/// Every packet type RTCP has and two that mean nothing.
const KINDS: [u8; 10] = [192, 200, 201, 202, 203, 204, 205, 206, 207, 223];

/// One RTCP packet whose first byte, claimed length in words and last byte are as given.
fn packet(first: u8, kind: u8, words: u16, ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first, kind];
    packet.extend_from_slice(&words.to_be_bytes());
    packet.extend_from_slice(&1_u32.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(body);
    packet
}

#[test]
fn authentic_rtcp_that_lies_about_its_counts_lengths_and_padding_is_survived() {
    let mut world = World::new();
    world.play(Manner::default());
    let ssrc = world.clients[0].video_ssrc;
    for kind in KINDS {
        for count in 0..32 {
            for padding in [0, 0x20] {
                for body in [0_usize, 4, 12, 24, 28, 100] {
                    // The last byte is how much of the packet is padding (RFC 3550 6.4.1): more than there is.
                    let filled = vec![0xff; body];
                    let true_words = (2 + body / 4) as u16;
                    for words in [true_words, 0, 1, true_words + 1, u16::MAX] {
                        let lie = packet(0x80 | padding | count, kind, words, ssrc, &filled);
                        let sealed = world.clients[0].seal_rtcp(&lie);
                        world.deliver(0, sealed);
                    }
                }
            }
        }
    }
    assert_eq!(world.shard.counters().srtp_rejected, 0, "all of it was authentic");
    // The lost packets it asked for were never sent, so that nothing is sent for them.
    assert_eq!(world.shard.counters().resent, 0);
    lives_undisturbed(&mut world);
}

#[test]
fn every_cut_of_an_authentic_compound_is_survived() {
    let mut world = World::new();
    world.play(Manner::default());
    let ssrc = world.clients[0].video_ssrc;
    let mut compound = packet(0x82, 201, 13, ssrc, &[3; 44]);
    compound.extend(packet(0x81, 205, 3, ssrc, &[0, 1, 0xff, 0xff]));
    // REMB: a bitrate for 255 sources, and one is there.
    let remb = [b'R', b'E', b'M', b'B', 255, 0xff, 0xff, 0xff, 0, 0, 0, 1];
    compound.extend(packet(0x8f, 206, 5, 0, &remb));
    compound.extend(packet(0xbf, 202, u16::MAX, ssrc, &[1, 255, b'x']));
    for end in 8..=compound.len() {
        let sealed = world.clients[0].seal_rtcp(&compound[..end]);
        world.deliver(0, sealed);
    }
    for bit in 64..compound.len() * 8 {
        let mut flipped = compound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let sealed = world.clients[0].seal_rtcp(&flipped);
        world.deliver(0, sealed);
    }
    lives_undisturbed(&mut world);
}

#[test]
fn rtp_of_a_player_is_never_read() {
    let mut world = World::new();
    world.play(Manner::default());
    for padding in [0_u8, 1, 4, 200, 255] {
        // Version 2, padding, 15 contributing sources that are not there, an extension without an end.
        for first in [0x80, 0xa0, 0xaf, 0xbf] {
            let mut rtp = vec![first, 96, 0, padding, 0, 0, 0, 1, 0, 0, 0, 9];
            rtp.resize(12 + 15 * 4, 0xbe);
            rtp.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, padding]);
            let sealed = world.clients[0].seal_rtp(&rtp);
            world.deliver(0, sealed);
        }
    }
    assert_eq!(world.shard.counters().srtp_rejected, 20);
    lives_undisturbed(&mut world);
}

#[test]
fn rtcp_in_the_clear_is_dropped() {
    let mut world = World::new();
    world.play(Manner::default());
    let ssrc = world.clients[0].video_ssrc;
    let before = world.shard.counters();
    for index in [0_u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut clear = packet(0x81, 206, 2, ssrc, &[]);
        clear.extend_from_slice(&[0; 16]);
        // The bit that says "encrypted", and an index (RFC 3711 3.4).
        clear.extend_from_slice(&index.to_be_bytes());
        world.deliver(0, clear);
    }
    let counters = world.shard.counters();
    assert_eq!(counters.srtp_rejected - before.srtp_rejected, 5);
    assert_eq!(counters.key_frame_requests, before.key_frame_requests);
    lives_undisturbed(&mut world);
}

#[test]
fn a_datagram_asks_for_a_bounded_number_of_packets_however_it_counts() {
    let mut world = World::new();
    world.play(Manner::default());
    world.run(Duration::from_millis(500));
    let ssrc = world.clients[0].video_ssrc;
    let pairs: Vec<u8> = (0..250_u16).flat_map(|n| [(n >> 8) as u8, n as u8, 0xff, 0xff]).collect();
    let before = world.shard.counters();
    let mut compound = packet(0x81, 205, 252, ssrc, &pairs);
    compound.extend(packet(0x81, 205, 202, ssrc, &pairs[..800]));
    let sealed = world.clients[0].seal_rtcp(&compound);
    world.deliver(0, sealed);
    let asked = world.shard.counters().nacks - before.nacks;
    assert_eq!(asked, limits::NACK_PACKETS_PER_DATAGRAM_MAX as u64);
    world.settle();
    let resent = world.shard.counters().resent - before.resent;
    assert!(
        resent * limits::RTP_PACKET_BYTES_MAX as u64 <= 2 * limits::NACK_BURST_BYTES_MAX as u64,
        "{resent}"
    );
}

#[test]
fn reports_under_ever_new_names_are_taken_from_a_few() {
    let mut world = World::new();
    world.play(Manner::default());
    let media_ssrc = world.clients[0].video_ssrc;
    let before = world.shard.counters();
    let names = 2_000;
    for sender_ssrc in 1..=names {
        let sealed = world.clients[0].feedback(&PictureLossIndication { sender_ssrc, media_ssrc });
        world.deliver(0, sealed);
    }
    let counters = world.shard.counters();
    let taken = limits::SRTCP_SENDERS_MAX as u64;
    assert_eq!(counters.key_frame_requests - before.key_frame_requests, taken);
    assert_eq!(counters.srtp_rejected - before.srtp_rejected, u64::from(names) - taken);
    lives_undisturbed(&mut world);
}
