//! What is counted of a player is what it got and asked for.

use std::time::Duration;

use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

use super::client::{Manner, Received, frames};
use super::recovering::nack_of;
use super::world::World;
use crate::SentStats;

fn bytes(packets: &[Received]) -> usize {
    packets.iter().map(|packet| packet.sealed.len()).sum()
}

fn figures(sent: SentStats) -> (usize, usize, usize) {
    (sent.packets as usize, sent.bytes as usize, sent.frames as usize)
}

#[test]
fn each_kind_has_its_packets_bytes_and_frames() {
    let mut world = World::new();
    world.run(Duration::from_secs(1));
    let player = world.play(Manner::default());
    world.run(Duration::from_secs(2));
    let stats = world.shard.player_stats(player).unwrap();
    let (video, audio) = (&world.clients[0].video, &world.clients[0].audio);
    assert!(frames(video).len() > 80, "what it joined with counts as well");
    assert_eq!(figures(stats.video.sent), (video.len(), bytes(video), frames(video).len()));
    assert_eq!(figures(stats.audio.sent), (audio.len(), bytes(audio), audio.len()));
    assert_eq!((stats.replays, stats.fell_behind, stats.shed), (1, 0, 0));
}

#[test]
fn each_request_counts_for_its_track() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(Duration::from_secs(2));
    let (video, audio) = (world.clients[0].video_ssrc, world.clients[0].audio_ssrc);
    let newest = |packets: &[Received]| packets.iter().rev().take(3).map(|packet| packet.sequence).collect();
    let pictures: Vec<u16> = newest(&world.clients[0].video);
    let sounds: Vec<u16> = newest(&world.clients[0].audio);
    nack_of(&mut world, video, &pictures);
    nack_of(&mut world, audio, &sounds[..1]);
    world.settle();
    let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: video };
    let fir = FullIntraRequest {
        sender_ssrc: 1,
        media_ssrc: 0,
        fir: vec![FirEntry { ssrc: video, sequence_number: 1 }],
    };
    for request in [&pli as &dyn Packet, &fir, &fir] {
        let sealed = world.clients[0].feedback(request);
        world.deliver(0, sealed);
    }
    world.settle();
    let stats = world.shard.player_stats(player).unwrap();
    let asked = |sent: SentStats| (sent.nacks, sent.resent, sent.plis, sent.firs);
    assert_eq!(asked(stats.video.sent), (1, 3, 1, 2));
    assert_eq!(asked(stats.audio.sent), (1, 1, 0, 0));
}
