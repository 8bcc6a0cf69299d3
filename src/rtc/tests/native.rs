//! A source whose packets are passed on as they came.

use std::time::Duration;

use base::MediaTime;
use media::{CodecConfig, Packet, PacketRun, Payloads, Vp8Config};

use super::client::{Manner, Received};
use super::world::{World, id};

/// A frame of these payloads, of which the source gives the first that number.
fn run(world: &World, at_ms: i64, key: bool, first_packet: u64, payloads: &[Vec<u8>]) -> PacketRun {
    let at = MediaTime::from_millis(at_ms);
    let last = payloads.len() - 1;
    let packet = |(index, payload): (usize, &Vec<u8>)| Packet {
        payload: payload.clone().into(),
        marker: index == last,
    };
    PacketRun {
        first_packet,
        packets: payloads.iter().enumerate().map(packet).collect(),
        dts: at,
        pts: at,
        arrived: world.now,
        key,
        starts_frame: true,
        ends_frame: true,
        payloads: Payloads::Datagrams,
    }
}

fn payloads(packets: &[Received]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| packet.payload.clone()).collect()
}

#[test]
fn players_get_a_publishers_packets_with_its_spacing_and_its_holes() {
    let mut world = World::new();
    (world.video, world.audio) = (None, None);
    let vp8 = CodecConfig::Vp8(Vp8Config { width: 320, height: 180 });
    let pictures = world.media.write_track(&id("video"), &vp8, None).unwrap();
    let sounds = world.media.write_track(&id("audio"), &super::world::opus(), None).unwrap();
    // Browsers cut a frame into nearly equal parts, of which the later ones are the larger.
    let frame = |number: u8| vec![vec![number; 1_180], vec![number; 1_181], vec![number; 1_181]];
    pictures.write_run(run(&world, 0, true, 700, &frame(0))).unwrap();
    // Who comes now finds the key frame, though nobody read before.
    world.play(Manner::default());
    let mut written = frame(0);
    for number in 1..90_u8 {
        world.run(Duration::from_millis(33));
        let at = i64::from(number) * 33;
        pictures.write_run(run(&world, at, false, 700 + 3 * u64::from(number), &frame(number))).unwrap();
        written.extend(frame(number));
        // Every tenth packet of sound is lost.
        if number % 10 != 0 {
            let sound = [vec![number; 80]];
            sounds.write_run(run(&world, at, true, 5_000 + u64::from(number), &sound)).unwrap();
        }
    }
    world.run(Duration::from_millis(100));
    let client = &world.clients[0];
    assert_eq!(payloads(&client.video), written);
    for pair in client.video.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "pictures have no hole");
    }
    let live: Vec<_> = client.video.iter().skip(60).filter(|packet| packet.marker).collect();
    for pair in live.windows(2) {
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 33 * 90);
    }
    let first = &client.audio[0];
    for packet in &client.audio {
        let after = u16::from(packet.payload[0] - first.payload[0]);
        assert_eq!(packet.sequence.wrapping_sub(first.sequence), after, "what was lost has its number");
        assert_eq!(packet.timestamp.wrapping_sub(first.timestamp), u32::from(after) * 33 * 48);
    }
    assert!(client.audio.len() > 75, "{}", client.audio.len());
}
