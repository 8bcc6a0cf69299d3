//! What a player gets: numbers, stamps, reports, muting.

use std::time::Duration;

use media::Kind;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::SourceDescription;

use super::client::{Manner, Received, frames};
use super::world::World;

/// Ticks from `a` to `b` on a clock that wraps.
fn ticks(a: u32, b: u32) -> i64 {
    i64::from(b.wrapping_sub(a) as i32)
}

fn stamps_rise(packets: &[Received]) {
    for (index, pair) in frames(packets).windows(2).enumerate() {
        assert!(ticks(pair[0].0, pair[1].0) > 0, "the stamp of frame {} goes back", index + 1);
    }
}

#[test]
fn a_join_in_the_middle_of_a_group_replays_from_its_key_frame() {
    let mut world = World::new();
    world.gop = 240;
    world.run(Duration::from_secs(3));
    world.play(Manner::default());
    let joined = world.now;
    world.run(Duration::from_secs(2));
    let client = &world.clients[0];
    let seen = frames(&client.video);
    assert_eq!(seen[0].1.last(), Some(&world.written[0]), "it begins with the key frame");
    for (index, (_, nals)) in seen.iter().enumerate() {
        assert_eq!(nals.last(), world.written.get(index), "frame {index}");
    }
    assert_eq!(seen.last().unwrap().1.last(), world.written.last(), "it has caught up");
    stamps_rise(&client.video);

    // Paced: of 3 s of 1.2 Mbit/s 250 ms go at 10 Mbit/s, then 2.5 times the rate until a report says
    // that the path is clear, at most half a second later.
    let behind = (3.0 * 5_000.0 * 30.0 * 8.0) / 10e6;
    let live =
        client.video.iter().find(|packet| packet.payload.ends_with(&world.written[100][4000..])).unwrap().at;
    let took = (live - joined).as_secs_f64();
    assert!((behind * 0.9..behind * 1.6 + 0.5).contains(&took), "live after {took} s, {behind} s of data");

    // Audio is live from the first moment: nothing of the past is played.
    let first = &client.audio[0];
    assert!(first.at - joined <= Duration::from_millis(21));
    assert!(world.audio_written.iter().rposition(|packet| *packet == first.payload).unwrap() >= 148);
    assert_eq!(world.shard.counters().replays, 1);
}

#[test]
fn replayed_frames_carry_the_moment_they_are_sent() {
    let mut world = World::new();
    world.gop = 240;
    world.run(Duration::from_secs(4));
    world.play(Manner::default());
    world.run(Duration::from_secs(2));
    let video = &world.clients[0].video;
    let (first, last) = (&video[0], video.last().unwrap());
    // From the first replayed packet to a live one, stamps and clock go together to a frame.
    let stamped = ticks(first.timestamp, last.timestamp) as f64 / 90_000.0;
    let passed = (last.at - first.at).as_secs_f64();
    assert!((stamped - passed).abs() < 0.035, "{stamped} s stamped, {passed} s passed");
}

#[test]
fn a_new_key_frame_is_jumped_to() {
    let mut world = World::new();
    world.gop = 240;
    // 20,000 bytes a frame are 4.8 Mbit/s: 7 s of them take far longer than 1 s at five times the rate.
    world.frame_bytes = 20_000;
    world.run(Duration::from_millis(7_400));
    world.play(Manner::default());
    world.run(Duration::from_millis(900));
    let key = 240;
    assert!(world.written.len() > key, "{}", world.written.len());
    let seen = frames(&world.clients[0].video);
    let at = seen.iter().position(|(_, nals)| nals.last() == Some(&world.written[key])).unwrap();
    assert!(at < key - 20, "frames were skipped: {at}");
    assert_eq!(seen[at].1.len(), 3, "with its parameter sets");
    for (offset, (_, nals)) in seen[at..].iter().enumerate() {
        assert_eq!(nals.last(), Some(&world.written[key + offset]));
    }
    stamps_rise(&world.clients[0].video);
}

#[test]
fn a_group_the_ring_has_lost_waits_for_the_next_key_frame() {
    let mut world = World::new();
    world.gop = 400;
    world.run(Duration::from_secs(12));
    world.play(Manner::default());
    world.run(Duration::from_millis(200));
    assert!(world.clients[0].video.is_empty());
    assert!(world.clients[0].audio.len() > 8);
    world.run(Duration::from_secs(2));
    let seen = frames(&world.clients[0].video);
    assert_eq!(seen[0].1.last(), Some(&world.written[400]));
}

#[test]
fn sequence_numbers_and_rollover_counters_wrap() {
    let mut world = World::new();
    world.frame_bytes = 1_100;
    world.play(Manner::default());
    // One packet a frame; the first number is below 2^15, so 2^16 packets wrap at least once.
    for round in 0..70_000 / 50 {
        for _ in 0..50 {
            world.now += Duration::from_millis(1);
            let key = world.written.len().is_multiple_of(600);
            world.write_video(key, 300);
        }
        if round % 10 == 0 {
            world.check(0);
        }
        world.settle();
        // What has come is right, and need not be kept.
        let video = &mut world.clients[0].video;
        frames(video);
        video.drain(..video.len() - 1);
        world.clients[0].audio.clear();
        world.written.truncate(world.written.len());
    }
    assert!(world.shard.counters().packets > 70_000);
}

#[test]
fn sender_reports_put_audio_and_video_on_one_line() {
    let mut world = World::new();
    world.run(Duration::from_secs(1));
    world.play(Manner::default());
    world.run(Duration::from_millis(3_500));
    let client = &world.clients[0];
    let reports = |ssrc: u32| -> Vec<SenderReport> {
        let reports =
            client.reports.iter().filter_map(|packet| packet.as_any().downcast_ref::<SenderReport>());
        reports.filter(|report| report.ssrc == ssrc).cloned().collect()
    };
    let (video, audio) = (reports(client.video_ssrc), reports(client.audio_ssrc));
    assert!((4..=5).contains(&video.len()), "{}", video.len());
    assert_eq!(video.len(), audio.len());

    // Take a live frame and an audio packet, and ask the reports when each was: as written.
    let when = |report: &SenderReport, timestamp: u32, rate: f64| {
        report.ntp_time as f64 / 4_294_967_296.0 + ticks(report.rtp_time, timestamp) as f64 / rate
    };
    let picture = client.video.last().unwrap();
    let sound = client.audio.last().unwrap();
    for (of_video, of_audio) in video.iter().zip(&audio) {
        let apart = when(of_video, picture.timestamp, 90_000.0) - when(of_audio, sound.timestamp, 48_000.0);
        let truth = if picture.at > sound.at {
            (picture.at - sound.at).as_secs_f64()
        } else {
            -(sound.at - picture.at).as_secs_f64()
        };
        assert!((apart - truth).abs() < 0.001, "{apart} s apart, in truth {truth} s");
    }
    let last = video.last().unwrap();
    let sent =
        client.video.iter().filter(|packet| packet.at <= client.video[0].at + Duration::from_millis(3_100));
    assert!(last.packet_count > 0 && last.packet_count as usize <= sent.count() + 50);
    let named =
        client.reports.iter().filter_map(|packet| packet.as_any().downcast_ref::<SourceDescription>());
    let mut names: Vec<_> = named.map(|sdes| sdes.chunks[0].items[0].text.clone()).collect();
    names.dedup();
    assert_eq!(names.len(), 1, "one canonical name");
}

#[test]
fn muting_leaves_no_hole_and_video_comes_back_with_a_key_frame() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(Duration::from_millis(500));
    for kind in [Kind::Video, Kind::Audio] {
        world.shard.set_enabled(player, kind, false, world.now);
    }
    let (seen, heard) = (world.clients[0].video.len(), world.clients[0].audio.len());
    world.run(Duration::from_millis(500));
    assert_eq!((world.clients[0].video.len(), world.clients[0].audio.len()), (seen, heard));
    for kind in [Kind::Video, Kind::Audio] {
        world.shard.set_enabled(player, kind, true, world.now);
    }
    world.run(Duration::from_millis(500));
    let client = &world.clients[0];
    assert_eq!(client.video[seen].payload[0] & 0x1f, 24, "parameter sets first");
    stamps_rise(&client.video);
    for pair in client.audio.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    assert!(client.audio.len() > heard + 20);
    assert_eq!(frames(&client.video).last().unwrap().1.last(), world.written.last());
}

#[test]
fn a_frame_leaves_in_few_sends() {
    let mut world = World::new();
    world.audio = None;
    world.frame_bytes = 11_000;
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let before = (world.sends, world.clients[0].video.len());
    world.run(Duration::from_millis(900));
    let (sends, packets) = (world.sends - before.0, world.clients[0].video.len() - before.1);
    assert!(sends * 7 < packets, "{packets} packets in {sends} sends");
}

#[test]
fn every_viewer_gets_the_same_stream_under_its_own_numbers() {
    let mut world = World::new();
    const ADDRESSES: [&str; 3] = ["198.51.100.1:1", "198.51.100.2:2", "[2001:db8::3]:3"];
    for address in ADDRESSES {
        world.play(Manner { address, ..Manner::default() });
        world.run(Duration::from_millis(700));
    }
    world.run(Duration::from_secs(1));
    for client in &world.clients {
        assert_eq!(frames(&client.video).last().unwrap().1.last(), world.written.last());
    }
    assert_ne!(world.clients[0].video_ssrc, world.clients[1].video_ssrc);
}
