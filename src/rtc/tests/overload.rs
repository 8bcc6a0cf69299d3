//! More to send than there is time for: key frames that are large, and a machine that is slow.

use std::collections::HashSet;
use std::time::Duration;

use media::{MediaBudget, StreamMedia};

use super::client::{Manner, Received, frames};
use super::world::{World, h264, id, opus};

/// Plays `count` clients, one after the other.
fn play_many(world: &mut World, count: usize) {
    for number in 0..count {
        let address: &'static str = Box::leak(format!("198.51.100.7:{}", 2_000 + number).into_boxed_str());
        world.play(Manner { address, ..Manner::default() });
    }
}

fn gap_max(packets: &[Received]) -> Duration {
    packets.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap()
}

#[test]
fn a_large_key_frame_leaves_at_its_pace_and_sound_does_not_wait_for_it() {
    let mut world = World::new();
    world.gop = 1_000_000;
    world.play(Manner::default());
    world.run(Duration::from_secs(1));
    let (pictures, sounds) = (world.clients[0].video.len(), world.clients[0].audio.len());
    let began = world.now;
    world.write_video(true, 300_000);
    world.run(Duration::from_secs(1));
    let client = &world.clients[0];
    let key: Vec<&Received> = client.video[pictures..]
        .iter()
        .filter(|packet| packet.timestamp == client.video[pictures].timestamp)
        .collect();
    assert!(key.len() > 250);
    let at_once = key.iter().filter(|packet| packet.at - began <= Duration::from_millis(2)).count();
    assert!((32..=50).contains(&at_once), "{at_once} packets at once");
    let took = key.last().unwrap().at - began;
    // 10 Mbit/s, less the burst.
    assert!((200..260).contains(&took.as_millis()), "{took:?}");
    assert!(gap_max(&client.audio[sounds..]) <= Duration::from_millis(21));
    let seen = frames(&client.video);
    assert_eq!(seen.last().unwrap().1.last(), world.written.last(), "live again");
    assert_eq!(world.shard.counters().fell_behind, 0);
}

#[test]
fn a_shard_that_is_too_slow_for_all_is_in_time_for_most() {
    let mut world = World::new();
    world.audio = None;
    world.gop = 60;
    play_many(&mut world, 60);
    world.run(Duration::from_secs(1));
    let before: Vec<usize> = world.clients.iter().map(|client| client.video.len()).collect();
    // A frame is five packets, 60 of them are due every 33 ms, and there is time for 50 in 33 ms.
    let mut slow = 0;
    for _ in 0..4_000 {
        slow += 50 * 5;
        world.packets_per_step = slow / 33;
        slow %= 33;
        world.run(Duration::from_millis(1));
    }
    let counters = world.shard.counters();
    assert!(counters.shed > 0, "{counters:?}");
    let written: HashSet<Vec<u8>> = world.written.iter().cloned().collect();
    let whole = world
        .clients
        .iter()
        .zip(&before)
        .filter(|(client, before)| {
            let got = frames(&client.video[**before..]);
            let mut got: Vec<_> = got.iter().filter_map(|(_, nals)| nals.last()).collect();
            got.dedup();
            got.iter().all(|nal| written.contains(*nal)) && got.len() + 14 >= 4_000 / 33
        })
        .count();
    assert!(whole >= 30, "only {whole} of 60 were spared, {counters:?}");
    assert_eq!(counters.fell_behind, 0, "nobody waited as long as the window");
    // And once there is time again, everybody is live within a group of pictures.
    world.packets_per_step = i64::MAX / 2;
    world.run(Duration::from_millis(2_100));
    for client in &world.clients {
        assert_eq!(frames(&client.video).last().unwrap().1.last(), world.written.last());
    }
}

#[test]
fn another_stream_on_the_same_shard_loses_nothing() {
    let mut world = World::new();
    world.audio = None;
    let other = StreamMedia::new(&MediaBudget::unlimited());
    let video = other.write_track(&id("video"), &h264(), None).unwrap();
    let _sound = other.write_track(&id("audio"), &opus(), None).unwrap();
    play_many(&mut world, 60);
    let crowded = std::mem::replace(&mut world.media, other);
    world.play(Manner { address: "198.51.100.8:1", ..Manner::default() });
    world.media = crowded;
    world.run(Duration::from_secs(1));
    let mut written = Vec::new();
    for ms in 0..4_000_usize {
        if ms % 33 == 0 {
            written.push(world.write_picture(&video, written.len(), written.is_empty(), 4_000));
        }
        // Time for 45 of the 61.
        world.packets_per_step = if ms % 33 < 27 { 7 } else { 6 };
        world.run(Duration::from_millis(1));
    }
    assert!(world.shard.counters().shed > 0);
    let seen = frames(&world.clients[60].video);
    let seen: Vec<_> = seen.iter().filter_map(|(_, nals)| nals.last()).collect();
    assert_eq!(seen, written.iter().collect::<Vec<_>>());
    assert!(gap_max(&world.clients[60].video) <= Duration::from_millis(50));
}

#[test]
fn a_short_standstill_is_made_good_without_dropping_anything() {
    let mut world = World::new();
    play_many(&mut world, 10);
    world.run(Duration::from_secs(1));
    world.packets_per_step = 0;
    world.run(Duration::from_millis(150));
    world.packets_per_step = i64::MAX / 2;
    world.run(Duration::from_millis(200));
    assert_eq!(world.shard.counters().shed, 0);
    for client in &world.clients {
        assert_eq!(frames(&client.video).last().unwrap().1.last(), world.written.last());
    }
}
