//! Messages over data channels: to players, from players, and what one player may do to the others.

use std::time::Duration;

use base::{ExitReason, limits};
use media::{Cursor, DataMessage, MessageSource};

use super::client::{Client, Manner, frames};
use super::data_client::{DataEnd, Ppi};
use super::world::{SERVER, World};
use crate::{Distribution, PlayerEvent, PlayerId, RemoteOffer};

const A_WHILE: Duration = Duration::from_millis(300);
/// The channel that the node opens.
const OWN: u16 = 1;
/// The first that a client opens.
const THEIRS: u16 = 0;

fn address(client: usize) -> &'static str {
    ["198.51.100.7:4444", "198.51.100.8:4444", "198.51.100.9:4444"][client]
}

fn world(distribution: Distribution) -> World {
    let mut world = World::new();
    world.data = Some(distribution);
    world
}

/// Adds a player that has begun with its data channels.
fn join(world: &mut World) -> PlayerId {
    let client = world.clients.len();
    let player = world.play(Manner { address: address(client), ..Manner::default() });
    begin(world, client);
    player
}

fn begin(world: &mut World, client: usize) {
    let now = world.now;
    world.clients[client].begin_data(now);
    world.run(A_WHILE);
    assert!(data(world, client).connected);
}

fn data(world: &mut World, client: usize) -> &mut DataEnd {
    world.clients[client].data.as_mut().unwrap()
}

fn heard(world: &World, client: usize) -> Vec<(bool, Vec<u8>)> {
    let heard = &world.clients[client].data.as_ref().unwrap().heard;
    heard.iter().map(|heard| (heard.text, heard.payload.clone())).collect()
}

fn text(text: &str) -> (bool, Vec<u8>) {
    (true, text.as_bytes().to_vec())
}

fn message(world: &World, text: bool, payload: Vec<u8>) -> DataMessage {
    let from = MessageSource::Publisher;
    DataMessage {
        text,
        payload: payload.into(),
        from,
        to_players: true,
        to_publisher: false,
        came: world.now,
    }
}

/// The publisher says something.
fn publish(world: &World, text: bool, payload: Vec<u8>) {
    world.media.send_message(message(world, text, payload)).unwrap();
}

/// What the stream holds of what players said.
fn said(world: &World) -> Vec<DataMessage> {
    let read = world.media.messages().read(&mut Cursor(0), usize::MAX);
    read.entries.iter().map(|message| (**message).clone()).collect()
}

/// Player `client` sees and hears all that was written.
fn sees_everything(world: &World, client: usize) {
    let seen = frames(&world.clients[client].video);
    let first =
        seen.first().and_then(|(_, nals)| world.written.iter().position(|nal| Some(nal) == nals.last()));
    let first = first.expect("a picture");
    for (index, (_, nals)) in seen.iter().enumerate() {
        assert_eq!(nals.last(), world.written.get(first + index), "frame {index}");
    }
    assert!(first + seen.len() + 1 >= world.written.len(), "{} of {}", seen.len(), world.written.len());
}

#[test]
fn the_node_opens_a_channel_and_says_everything_once_on_it() {
    let mut world = world(Distribution::All);
    publish(&world, true, b"before anybody came".to_vec());
    join(&mut world);
    assert_eq!(data(&mut world, 0).opened, [(OWN, "s1".to_owned())]);
    // The AMS SDK opens a channel of its own, and listens on both.
    let now = world.now;
    data(&mut world, 0).open(THEIRS, "s1", now);
    world.run(A_WHILE);
    assert_eq!(data(&mut world, 0).acknowledged, [THEIRS]);
    let all =
        [text("hello"), (false, vec![0, 255, 7]), text(""), (false, Vec::new()), (false, vec![9; 65_536])];
    for (text, payload) in &all {
        publish(&world, *text, payload.clone());
    }
    world.run(A_WHILE);
    assert_eq!(heard(&world, 0), all);
    assert!(data(&mut world, 0).heard.iter().all(|heard| heard.stream == OWN));
    let counters = world.shard.counters();
    assert_eq!((counters.data_sent, counters.data_skipped, counters.data_closed), (5, 0, 0));
    sees_everything(&world, 0);
}

#[test]
fn what_a_player_says_goes_to_the_publisher_and_the_other_players_and_not_to_itself() {
    let mut world = world(Distribution::All);
    join(&mut world);
    join(&mut world);
    let now = world.now;
    let first = data(&mut world, 0);
    first.open(THEIRS, "mine", now);
    first.text(THEIRS, "on my channel", now);
    first.text(OWN, "on yours", now);
    first.say(OWN, Ppi::Binary, &[1, 2, 3], now);
    first.say(OWN, Ppi::StringEmpty, &[0], now);
    world.run(A_WHILE);
    let expected = [text("on my channel"), text("on yours"), (false, vec![1, 2, 3]), text("")];
    assert_eq!(heard(&world, 1), expected);
    assert_eq!(heard(&world, 0), []);
    let said = said(&world);
    assert_eq!(said.iter().map(|m| (m.text, m.payload.to_vec())).collect::<Vec<_>>(), expected);
    assert!(said.iter().all(DataMessage::is_for_publisher));
    assert_eq!(world.shard.counters().data_taken, 4);
}

#[test]
fn whom_players_reach_is_the_applications_to_say() {
    for (distribution, to_publisher) in [(Distribution::Publisher, true), (Distribution::Nobody, false)] {
        let mut world = world(distribution);
        join(&mut world);
        join(&mut world);
        let now = world.now;
        data(&mut world, 0).text(OWN, "hello", now);
        world.run(A_WHILE);
        assert_eq!(heard(&world, 1), [], "{distribution:?}");
        let said = said(&world);
        assert_eq!(
            said.iter().filter(|message| message.is_for_publisher()).count(),
            usize::from(to_publisher)
        );
        assert_eq!(world.shard.counters().data_unheard, u64::from(!to_publisher));
        // The other way it is open all the same.
        publish(&world, true, b"to all".to_vec());
        world.run(A_WHILE);
        assert_eq!((heard(&world, 0), heard(&world, 1)), (vec![text("to all")], vec![text("to all")]));
    }
    assert_eq!(
        ["all", "publisher", "none", "ALL", ""].map(Distribution::read),
        [
            Distribution::All,
            Distribution::Publisher,
            Distribution::Nobody,
            Distribution::Nobody,
            Distribution::Nobody
        ]
    );
}

#[test]
fn without_data_channels_none_are_offered_and_nothing_is_taken() {
    let mut world = World::new();
    world.play(Manner::default());
    let now = world.now;
    world.clients[0].begin_data(now);
    world.run(A_WHILE);
    assert!(!data(&mut world, 0).connected);
    let refused = world.shard.counters().data_packets_refused;
    assert!(refused > 0);
    sees_everything(&world, 0);
}

/// A block pauses: the other players and the publisher are not reached by who is blocked, and it is told nothing.
#[test]
fn a_paused_player_neither_hears_nor_is_heard_and_goes_on_with_what_comes_then() {
    let mut world = world(Distribution::All);
    let paused = join(&mut world);
    join(&mut world);
    publish(&world, true, b"before".to_vec());
    world.run(A_WHILE);
    world.shard.set_paused(paused, true, world.now);
    let now = world.now;
    data(&mut world, 0).text(OWN, "from a blocked one", now);
    publish(&world, true, b"meanwhile".to_vec());
    // For longer than its association would live without an answer to its heartbeats.
    world.run(Duration::from_secs(60));
    assert_eq!(heard(&world, 0), [text("before")]);
    assert_eq!(heard(&world, 1), [text("before"), text("meanwhile")]);
    assert!(said(&world).iter().all(|message| message.from == MessageSource::Publisher));
    let counters = world.shard.counters();
    assert_eq!((counters.data_while_paused, counters.data_taken, counters.data_closed), (1, 0, 0));

    world.shard.set_paused(paused, false, world.now);
    let now = world.now;
    data(&mut world, 0).text(OWN, "from one that is free", now);
    publish(&world, true, b"after".to_vec());
    world.run(A_WHILE);
    assert_eq!(heard(&world, 0), [text("before"), text("after")]);
    let others = [text("before"), text("meanwhile"), text("after"), text("from one that is free")];
    let mut heard = heard(&world, 1);
    heard.sort();
    let mut wanted = others.to_vec();
    wanted.sort();
    assert_eq!(heard, wanted);
    assert_eq!(
        world.shard.counters().data_skipped,
        0,
        "what it was not to be told is nothing it was slow for"
    );
}

#[test]
fn a_player_that_offers_is_told_on_the_channel_it_opens() {
    let mut world = world(Distribution::All);
    let mut client = Client::new("a=ice-ufrag:-\r\na=ice-pwd:-", SERVER.parse().unwrap(), Manner::default());
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:0123456789012345678901\r\n\
         a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=recvonly\r\n",
        client.ufrag,
        client.fingerprint()
    );
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a d\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 109\r\n{transport}a=mid:a\r\na=rtcp-mux\r\na=rtpmap:109 opus/48000/2\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{transport}a=mid:d\r\na=sctp-port:5000\r\n"
    );
    let offer = RemoteOffer::read(&offer).unwrap();
    let (_, answer) = world.shard.add_offering_player(world.spec(), &offer, world.now).unwrap();
    assert!(
        answer.sdp.contains("m=application 9 ") && answer.sdp.contains("BUNDLE a d\r\n"),
        "{}",
        answer.sdp
    );
    let value = |start| answer.sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    client.remote_ufrag = value("a=ice-ufrag:");
    client.remote_password = value("a=ice-pwd:");
    client.follow(&answer.sdp);
    world.clients.push(client);
    world.check(0);
    world.clients[0].connect(world.now);
    world.settle();
    begin(&mut world, 0);
    publish(&world, true, b"nobody listens yet".to_vec());
    world.run(A_WHILE);
    let now = world.now;
    data(&mut world, 0).open(THEIRS, "mine", now);
    world.run(A_WHILE);
    publish(&world, true, b"hello".to_vec());
    let now = world.now;
    data(&mut world, 0).text(THEIRS, "hello back", now);
    world.run(A_WHILE);
    assert_eq!(heard(&world, 0), [text("hello")]);
    assert_eq!(data(&mut world, 0).heard[0].stream, THEIRS);
    assert_eq!(data(&mut world, 0).opened, []);
    assert_eq!(world.shard.counters().data_taken, 1);
}

#[test]
fn a_player_that_closes_the_nodes_channel_is_told_on_its_own() {
    let mut world = world(Distribution::All);
    join(&mut world);
    let now = world.now;
    data(&mut world, 0).open(THEIRS, "mine", now);
    world.run(A_WHILE);
    let now = world.now;
    data(&mut world, 0).close(OWN, now);
    // A reset waits until all before it is acknowledged, and may have to be repeated for that.
    world.run(Duration::from_secs(4));
    publish(&world, true, b"hello".to_vec());
    world.run(A_WHILE);
    assert_eq!(heard(&world, 0), [text("hello")]);
    assert_eq!(data(&mut world, 0).heard[0].stream, THEIRS);
    assert_eq!(world.shard.counters().data_closed, 0);
}

#[test]
fn a_megabyte_in_frames_arrives_whole_both_ways_over_a_path_that_loses() {
    let mut world = world(Distribution::All);
    join(&mut world);
    join(&mut world);
    let mut number = 0_u32;
    world.lose = Box::new(move |_, _| {
        number += 1;
        number.is_multiple_of(50)
    });
    let frame = |n: usize| -> Vec<u8> { (0..16_004).map(|byte| (byte * 7 + n) as u8).collect() };
    let sent: Vec<_> = (0..63).map(|n| (false, frame(n))).collect();
    let now = world.now;
    for (_, frame) in &sent {
        data(&mut world, 0).say(OWN, Ppi::Binary, frame, now);
    }
    let began = world.now;
    let written = world.audio_written.len();
    let heard_before = [0, 1].map(|client| world.clients[client].audio.len());
    while heard(&world, 1).len() < sent.len() && world.now < began + Duration::from_secs(20) {
        world.run(Duration::from_millis(10));
    }
    assert_eq!(heard(&world, 1).len(), 63);
    assert!(heard(&world, 1) == sent, "every byte, in order");
    assert!(world.now < began + Duration::from_secs(5), "{:?}", world.now - began);
    let written = world.audio_written.len() - written;
    for (client, before) in world.clients.iter().zip(heard_before) {
        let heard = client.audio.len() - before;
        assert!(heard * 100 >= written * 90, "sound went on: {heard} of {written}");
    }
}

#[test]
fn a_player_that_takes_nothing_holds_up_nobody_and_skips_what_is_gone() {
    let mut world = world(Distribution::All);
    for _ in 0..3 {
        join(&mut world);
    }
    data(&mut world, 2).deaf = true;
    let (began, before) = (world.now, data(&mut world, 2).packets);
    // 4 s of 1.6 MB/s are more than a stream holds.
    let frame = vec![5; 16_000];
    for step in 0..400_u32 {
        let number = [&step.to_be_bytes()[..], &frame].concat();
        publish(&world, false, number);
        world.run(Duration::from_millis(10));
    }
    let held = world.media.messages().held();
    assert!(held.1 <= limits::DATA_RING_BYTES_MAX);
    for client in 0..2 {
        let heard = &world.clients[client].data.as_ref().unwrap().heard;
        assert_eq!(heard.len(), 400);
        for (number, heard) in heard.iter().enumerate() {
            assert_eq!(heard.payload[..4], (number as u32).to_be_bytes());
            let late = heard.at - (began + Duration::from_millis(10) * number as u32);
            assert!(late <= Duration::from_millis(50), "message {number} came after {late:?}");
        }
        sees_everything(&world, client);
    }
    // What it was sent is what may be on its way, and some repeats of that with ever longer pauses.
    let wasted = data(&mut world, 2).packets - before;
    let most = 2 * limits::DATA_UNACKNOWLEDGED_BYTES_MAX / 1_000;
    assert!(wasted <= most, "{wasted} packets for nobody, {most} at most");
    assert_eq!(world.shard.counters().data_skipped, 0, "it stands where it was");
    data(&mut world, 2).deaf = false;
    world.run(Duration::from_secs(20));
    publish(&world, true, b"again".to_vec());
    world.run(Duration::from_secs(2));
    let last = heard(&world, 2).pop();
    assert_eq!(last, Some(text("again")));
    let counters = world.shard.counters();
    let missed = 400 - (heard(&world, 2).len() as u64 - 1);
    assert_eq!(counters.data_skipped, missed);
    assert!(missed > 100, "{missed}");
}

#[test]
fn a_flood_is_dropped_and_ends_the_player_and_nobody_else() {
    let mut world = world(Distribution::All);
    let flooding = join(&mut world);
    join(&mut world);
    let mut sent = 0;
    while !world.events.contains(&(flooding, PlayerEvent::Ended(ExitReason::LimitExceeded))) {
        let now = world.now;
        for _ in 0..50 {
            data(&mut world, 0).text(OWN, "flood", now);
            sent += 1;
        }
        world.run(Duration::from_millis(10));
        assert!(sent < 20_000, "it is never ended");
    }
    assert!(sent > limits::DATA_PATIENCE_MESSAGES_MAX, "it was forgiven for a while: {sent}");
    let counters = world.shard.counters();
    let seconds = world.elapsed().as_secs() + 1;
    let most = limits::DATA_BURST_MESSAGES_MAX + seconds * limits::DATA_MESSAGES_PER_SECOND_MAX;
    assert!(counters.data_taken <= most, "{counters:?}");
    assert!(counters.data_over_rate + counters.data_taken > limits::DATA_PATIENCE_MESSAGES_MAX);
    world.run(A_WHILE);
    assert_eq!(heard(&world, 1).len() as u64, counters.data_taken);
    sees_everything(&world, 1);
    assert_eq!(world.shard.counters().players, 1);
}

#[test]
fn a_message_that_is_too_large_closes_the_channels_and_the_picture_goes_on() {
    let mut world = world(Distribution::All);
    join(&mut world);
    join(&mut world);
    let now = world.now;
    data(&mut world, 0).text(OWN, "before", now);
    data(&mut world, 0).say(OWN, Ppi::Binary, &vec![1; limits::DATA_MESSAGE_BYTES_MAX + 1], now);
    world.run(Duration::from_secs(1));
    assert_eq!(world.shard.counters().data_closed, 1);
    assert_eq!(data(&mut world, 0).closed, [OWN], "it was told");
    assert_eq!(heard(&world, 1), [text("before")]);
    publish(&world, true, b"after".to_vec());
    world.run(Duration::from_secs(1));
    assert_eq!(heard(&world, 0), []);
    assert_eq!(heard(&world, 1), [text("before"), text("after")]);
    assert_eq!(world.shard.counters().players, 2);
    (0..2).for_each(|client| sees_everything(&world, client));
}

#[test]
fn what_is_no_message_is_counted_and_dropped() {
    let mut world = world(Distribution::All);
    join(&mut world);
    let now = world.now;
    let first = data(&mut world, 0);
    first.say(OWN, Ppi::String, &[0xff, 0xfe], now);
    first.say(OWN, Ppi::Unknown, b"of no kind", now);
    first.say(OWN, Ppi::Dcep, &[0], now);
    // An odd number is the node's to give.
    first.open(7, "mine", now);
    first.text(7, "on no channel", now);
    world.run(A_WHILE);
    assert_eq!(said(&world), []);
    assert_eq!(world.shard.counters().data_astray, 5);
    assert!(data(&mut world, 0).acknowledged.is_empty());
}

#[test]
fn garbage_inside_the_encryption_is_refused_and_the_player_goes_on() {
    let mut world = world(Distribution::All);
    join(&mut world);
    join(&mut world);
    let mut random = 7_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize
    };
    let mut refused = 0;
    for round in 0..2_000 {
        let length = next() % 300;
        let garbage: Vec<u8> = (0..length).map(|_| next() as u8).collect();
        let datagram = world.clients[0].write(&garbage, world.now);
        world.deliver(0, datagram);
        refused += 1;
        if round % 100 == 0 {
            world.run(Duration::from_millis(50));
        }
    }
    world.run(A_WHILE);
    let counted = world.shard.counters().data_packets_refused;
    assert_eq!(counted, refused);
    let now = world.now;
    data(&mut world, 0).text(OWN, "still here", now);
    world.run(A_WHILE);
    assert_eq!(heard(&world, 1), [text("still here")]);
    (0..2).for_each(|client| sees_everything(&world, client));
}

#[test]
fn an_association_is_begun_although_packets_are_lost_or_come_twice() {
    let mut world = world(Distribution::All);
    // Of the node's answers to the first INIT and to the cookie, the first is lost.
    let mut losses = 2;
    world.lose = Box::new(move |_, datagram| {
        let is_data = datagram.first() == Some(&23);
        let lost = is_data && losses > 0 && datagram.len() < 200;
        losses -= i32::from(lost);
        lost
    });
    world.play(Manner::default());
    let now = world.now;
    world.clients[0].begin_data(now);
    world.run(Duration::from_secs(8));
    assert!(data(&mut world, 0).connected);
    publish(&world, true, b"hello".to_vec());
    world.run(A_WHILE);
    assert_eq!(heard(&world, 0), [text("hello")]);
    assert_eq!(data(&mut world, 0).opened.len(), 1);
}
