//! Loss: resends that are the same to the bit, and replays where nothing else helps.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

use super::client::{Manner, Received, frames};
use super::world::World;

fn nack(world: &mut World, lost: &[u16]) {
    nack_of(world, world.clients[0].video_ssrc, lost);
}

pub fn nack_of(world: &mut World, ssrc: u32, lost: &[u16]) {
    let packet = TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: ssrc,
        nacks: nack_pairs_from_sequence_numbers(lost),
    };
    let sealed = world.clients[0].feedback(&packet);
    world.deliver(0, sealed);
}

fn pli(world: &mut World) {
    let packet = PictureLossIndication { sender_ssrc: 1, media_ssrc: world.clients[0].video_ssrc };
    let sealed = world.clients[0].feedback(&packet);
    world.deliver(0, sealed);
}

/// Keeps what the server sent and loses what `lose` says.
pub fn tap(world: &mut World, mut lose: impl FnMut(&[u8]) -> bool + 'static) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let tapped = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&tapped);
    world.lose = Box::new(move |_, datagram| {
        let is_rtp = datagram[0] & 0xc0 == 0x80 && !crate::is_rtcp(datagram);
        if is_rtp {
            keep.borrow_mut().push(datagram.to_vec());
        }
        is_rtp && lose(datagram)
    });
    tapped
}

pub fn is_video(datagram: &[u8]) -> bool {
    matches!(datagram[1] & 0x7f, 96 | 97)
}

pub fn sequence(datagram: &[u8]) -> u16 {
    u16::from_be_bytes([datagram[2], datagram[3]])
}

#[test]
fn a_lost_packet_is_sent_again_the_same_to_the_bit() {
    for profiles in [Manner::default().profiles, vec![Manner::default().profiles[0]]] {
        let mut world = World::new();
        world.play(Manner { profiles, ..Manner::default() });
        world.run(Duration::from_secs(2));
        let sent: Vec<Received> = world.clients[0].video.iter().rev().take(40).cloned().collect();
        let tapped = tap(&mut world, |_| true);
        let lost: Vec<u16> = sent.iter().rev().map(|packet| packet.sequence).collect();
        nack(&mut world, &lost);
        world.settle();
        let again = tapped.borrow();
        assert_eq!(again.len(), 40);
        for packet in &sent {
            assert!(again.contains(&packet.sealed), "{} differs", packet.sequence);
        }
        assert_eq!(world.shard.counters().resent, 40);
    }
}

#[test]
fn replayed_packets_are_resent_as_replayed_and_refused_a_second_after() {
    let mut world = World::new();
    world.gop = 240;
    world.run(Duration::from_secs(3));
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let sent: Vec<Received> = world.clients[0].video[..20].to_vec();
    let tapped = tap(&mut world, |_| true);
    let lost: Vec<u16> = sent.iter().map(|packet| packet.sequence).collect();
    nack(&mut world, &lost);
    world.settle();
    assert_eq!(*tapped.borrow(), sent.iter().map(|packet| packet.sealed.clone()).collect::<Vec<_>>());
    world.lose = Box::new(|_, _| false);
    world.run(Duration::from_secs(2));
    let tapped = tap(&mut world, |_| true);
    nack(&mut world, &lost);
    world.settle();
    assert!(tapped.borrow().is_empty(), "their stamps are forgotten");
}

/// Plays over a link with loss, a client that asks for what it misses, muting and key frame
/// requests in between: no index may ever carry two different packets.
#[test]
fn no_index_is_ever_used_for_two_packets() {
    let mut world = World::new();
    world.gop = 100;
    world.run(Duration::from_secs(2));
    let player = world.play(Manner::default());
    let mut random = 1_u64;
    let tapped = tap(&mut world, move |_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33).is_multiple_of(20)
    });
    let mut asked = HashSet::new();
    for round in 0..200 {
        world.run(Duration::from_millis(50));
        let have: HashSet<u16> = world.clients[0].video.iter().map(|packet| packet.sequence).collect();
        let newest = world.clients[0].video.iter().map(|packet| packet.sequence).max().unwrap();
        let missing: Vec<u16> =
            (newest.saturating_sub(300)..newest).filter(|number| !have.contains(number)).collect();
        asked.extend(missing.iter().copied());
        nack(&mut world, &missing);
        if round % 30 == 10 {
            pli(&mut world);
        }
        if round % 50 == 20 {
            world.shard.set_enabled(player, media::Kind::Video, false, world.now);
        }
        if round % 50 == 24 {
            world.shard.set_enabled(player, media::Kind::Video, true, world.now);
        }
    }
    assert!(asked.len() > 50);
    let mut by_number = std::collections::HashMap::new();
    for datagram in tapped.borrow().iter().filter(|datagram| is_video(datagram)) {
        let first = by_number.entry(sequence(datagram)).or_insert_with(|| datagram.clone());
        assert_eq!(first, datagram, "index {} carries two packets", sequence(datagram));
    }
    assert!(world.shard.counters().resent > 50);
    assert!(world.shard.counters().replays > 3);
}

#[test]
fn a_client_that_asks_for_what_it_misses_gets_every_frame() {
    let mut world = World::new();
    world.play(Manner::default());
    let mut count = 0;
    let _tapped = tap(&mut world, move |datagram| {
        count += usize::from(is_video(datagram));
        is_video(datagram) && count % 50 == 0
    });
    for _ in 0..100 {
        world.run(Duration::from_millis(30));
        let mut have: Vec<u16> = world.clients[0].video.iter().map(|packet| packet.sequence).collect();
        have.sort_unstable();
        let missing: Vec<u16> = have.windows(2).flat_map(|pair| pair[0] + 1..pair[1]).collect();
        if !missing.is_empty() {
            nack(&mut world, &missing);
        }
    }
    world.lose = Box::new(|_, _| false);
    world.run(Duration::from_millis(100));
    let mut video = world.clients[0].video.clone();
    video.sort_by_key(|packet| packet.sequence);
    video.dedup_by_key(|packet| packet.sequence);
    let last = video.iter().rposition(|packet| packet.marker).unwrap();
    let seen = frames(&video[..=last]);
    assert_eq!(seen.len(), world.written.len());
    assert_eq!(world.shard.counters().replays, 0);
}

#[test]
fn a_replayed_report_is_ignored() {
    let mut world = World::new();
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let wanted = world.clients[0].video.last().unwrap().sequence;
    let packet = TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: world.clients[0].video_ssrc,
        nacks: nack_pairs_from_sequence_numbers(&[wanted]),
    };
    let sealed = world.clients[0].feedback(&packet);
    world.deliver(0, sealed.clone());
    world.settle();
    world.run(Duration::from_millis(200));
    world.deliver(0, sealed);
    world.settle();
    let counters = world.shard.counters();
    assert_eq!((counters.resent, counters.srtp_rejected), (1, 1));
}

#[test]
fn a_picture_loss_is_answered_by_one_replay_at_a_time() {
    let mut world = World::new();
    world.gop = 240;
    world.play(Manner::default());
    world.run(Duration::from_secs(4));
    let before = world.clients[0].video.len();
    pli(&mut world);
    world.settle();
    pli(&mut world);
    world.run(Duration::from_millis(100));
    pli(&mut world);
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.counters().replays, 1, "one for three requests");
    let video = &world.clients[0].video;
    assert_eq!(video[before].payload[0] & 0x1f, 24, "from the key frame's parameter sets");
    assert_eq!(video[before].sequence, video[before - 1].sequence.wrapping_add(1));
    let seen = frames(video);
    assert_eq!(seen.last().unwrap().1.last(), world.written.last());
    for pair in seen.windows(2) {
        assert!((pair[1].0.wrapping_sub(pair[0].0) as i32) > 0);
    }
    // What was sent before the key frame is not sent again: its numbers mean other packets now.
    let tapped = tap(&mut world, |_| true);
    let old = world.clients[0].video[before - 5].sequence;
    nack(&mut world, &[old]);
    world.settle();
    assert!(tapped.borrow().is_empty());
}

#[test]
fn a_packet_that_the_ring_has_lost_starts_a_replay() {
    let mut world = World::new();
    world.gop = 30;
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let old = world.clients[0].video[3].sequence;
    world.run(Duration::from_secs(12));
    nack(&mut world, &[old]);
    world.settle();
    let counters = world.shard.counters();
    assert_eq!((counters.nack_misses, counters.replays), (1, 1));
}

#[test]
fn a_socket_that_was_full_for_long_drops_whole_frames_and_replays() {
    let mut world = World::new();
    world.gop = 240;
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let before = world.clients[0].video.len();
    // Nobody polls for so long: the socket would block.
    for step in 0..1_300 {
        world.now += Duration::from_millis(1);
        if step % 33 == 0 {
            world.write_video(false, 5_000);
        }
        world.shard.handle_media(world.now);
    }
    world.check(0);
    world.settle();
    assert_eq!(world.shard.counters().fell_behind, 1);
    world.run(Duration::from_secs(1));
    let video = &world.clients[0].video;
    assert_eq!(video[before].payload[0] & 0x1f, 24, "it goes on from a key frame");
    let seen = frames(video);
    assert_eq!(seen.last().unwrap().1.last(), world.written.last());
}

#[test]
fn reports_tell_loss_and_round_trip() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(Duration::from_millis(1_100));
    let report = world.clients[0]
        .reports
        .iter()
        .rev()
        .find_map(|packet| packet.as_any().downcast_ref::<SenderReport>())
        .cloned()
        .unwrap();
    // The report left about 100 ms ago; 60 of them were spent at the client.
    let packet = ReceiverReport {
        ssrc: 1,
        reports: vec![ReceptionReport {
            ssrc: report.ssrc,
            fraction_lost: 64,
            total_lost: 12,
            last_sender_report: (report.ntp_time >> 16) as u32,
            delay: 65_536 * 60 / 1000,
            ..ReceptionReport::default()
        }],
        profile_extensions: bytes::Bytes::new(),
    };
    let sealed = world.clients[0].feedback(&packet);
    world.deliver(0, sealed);
    let stats = world.shard.player_stats(player).unwrap();
    // The last report was the sound's.
    assert_eq!((stats.audio.received.fraction_lost, stats.audio.received.lost), (0.25, 12));
    assert_eq!((stats.video.received.fraction_lost, stats.video.received.lost), (0.0, 0));
    let round_trip = stats.round_trip.unwrap();
    assert!((30..60).contains(&round_trip.as_millis()), "{round_trip:?}");
}

#[test]
fn a_picture_loss_right_after_a_replay_is_not_answered_again() {
    let mut world = World::new();
    world.gop = 240;
    world.play(Manner::default());
    world.run(Duration::from_millis(300));
    // The replay takes 40 ms; the second request comes 210 ms after its end, the third 660 ms.
    for (wait_ms, replays) in [(250, 1), (450, 1), (100, 2)] {
        pli(&mut world);
        world.run(Duration::from_millis(wait_ms));
        assert_eq!(world.shard.counters().replays, replays);
    }
}

#[test]
fn packets_that_never_come_are_made_good_by_a_replay_before_the_browser_asks() {
    let mut world = World::new();
    world.gop = 240;
    world.play(Manner::default());
    world.run(Duration::from_secs(4));
    let first = world.clients[0].video.last().unwrap().sequence.wrapping_add(1);
    let lost = move |sequence: u16| sequence.wrapping_sub(first) < 30;
    let tapped = tap(&mut world, move |datagram| is_video(datagram) && lost(sequence(datagram)));
    let began = world.now;
    let mut healed = None;
    for round in 0..40 {
        world.run(Duration::from_millis(20));
        let replay =
            world.clients[0].video.iter().find(|packet| packet.at > began && packet.payload[0] & 0x1f == 24);
        healed = replay.map(|packet| packet.at);
        if healed.is_some() {
            break;
        }
        let newest = world.clients[0].video.last().unwrap().sequence;
        // Asked for as Chromium does: at once, and every 100 ms.
        let missing: Vec<u16> = (0..30).map(|offset| first.wrapping_add(offset)).collect();
        if round % 5 == 0 && newest.wrapping_sub(first) < 1 << 15 {
            nack(&mut world, &missing);
        }
    }
    let took = healed.expect("no replay") - began;
    assert!(took <= Duration::from_millis(600), "{took:?}");
    let counters = world.shard.counters();
    assert!(counters.resends_in_vain + counters.resends_refused > 0);
    assert!(tapped.borrow().len() > 100, "they were sent again first");
}

#[test]
fn a_twentieth_of_the_sound_is_sent_again_for_as_long_as_it_is_lost() {
    let mut world = World::new();
    world.video = None;
    world.play(Manner::default());
    let ssrc = world.clients[0].audio_ssrc;
    // Longer than what may be sent again at once would last.
    for _ in 0..200 {
        world.run(Duration::from_millis(400));
        let newest = world.clients[0].audio.last().unwrap().sequence;
        nack_of(&mut world, ssrc, &[newest]);
        world.settle();
    }
    let counters = world.shard.counters();
    assert_eq!((counters.resent, counters.resends_refused), (200, 0));
}
