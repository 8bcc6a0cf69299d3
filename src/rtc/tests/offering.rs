//! Players that bring an offer of their own.

use std::time::Duration;

use base::{ExitReason, limits};

use super::client::{Client, Manner, frames};
use super::world::{SERVER, World};
use crate::{AddError, AnswerError, Description, PlayerEvent, PlayerId, RemoteOffer};

/// A client's offer: data, sound and pictures, with numbers of its own.
fn offer_of(client: &Client) -> String {
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:0123456789012345678901\r\n\
         a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=recvonly\r\na=rtcp-mux\r\n",
        client.ufrag,
        client.fingerprint()
    );
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE d a v\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:d\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 109\r\n{transport}a=mid:a\r\na=rtpmap:109 opus/48000/2\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 120 126\r\n{transport}a=mid:v\r\na=rtpmap:120 VP8/90000\r\n\
         a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n\
         a=rtpmap:126 H264/90000\r\na=rtcp-fb:126 nack\r\na=rtcp-fb:126 nack pli\r\n\
         a=fmtp:126 profile-level-id=42e01f;packetization-mode=1\r\n"
    )
}

fn add(world: &mut World, manner: Manner) -> (PlayerId, Description) {
    // What it is told of the server comes with the answer.
    let mut client = Client::new("a=ice-ufrag:-\r\na=ice-pwd:-", SERVER.parse().unwrap(), manner);
    let offer = RemoteOffer::read(&offer_of(&client)).unwrap();
    let (player, answer) = world.shard.add_offering_player(world.spec(), &offer, world.now).unwrap();
    let value = |start| answer.sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    client.remote_ufrag = value("a=ice-ufrag:");
    client.remote_password = value("a=ice-pwd:");
    client.follow(&answer.sdp);
    world.clients.push(client);
    (player, answer)
}

fn connect(world: &mut World) {
    world.check(0);
    world.clients[0].connect(world.now);
    world.settle();
}

#[test]
fn a_player_that_offers_sees_and_hears_what_is_written() {
    let mut world = World::new();
    let (player, answer) = add(&mut world, Manner::default());
    let lines: Vec<_> = answer.sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
            "m=audio 9 UDP/TLS/RTP/SAVPF 109",
            "m=video 9 UDP/TLS/RTP/SAVPF 126"
        ]
    );
    assert_eq!(world.shard.set_answer(player, "", world.now), Err(AnswerError::AlreadyAnswered));
    connect(&mut world);
    assert_eq!(world.events, [(player, PlayerEvent::Started)]);
    world.run(Duration::from_secs(3));
    let client = &world.clients[0];
    let seen = frames(&client.video);
    assert!(seen.len() >= 89, "{} frames", seen.len());
    for (index, (_, nals)) in seen.iter().enumerate() {
        assert_eq!(nals.last(), world.written.get(index), "frame {index}");
    }
    let heard: Vec<_> = client.audio.iter().map(|packet| packet.payload.clone()).collect();
    assert_eq!(heard, world.audio_written);
    assert!(client.video.iter().all(|packet| packet.payload_type == 126));
    assert!(client.audio.iter().all(|packet| packet.payload_type == 109));
    // The extension has the number that the offer gave it.
    let asked: Vec<_> = client.video.iter().filter_map(|packet| packet.playout_delay).collect();
    assert!(!asked.is_empty() && asked.iter().all(|element| *element == 0x5200_c3e8), "{asked:x?}");
}

#[test]
fn who_shows_another_certificate_than_offered_gets_nothing() {
    let mut world = World::new();
    let (player, _) = add(&mut world, Manner { wrong_fingerprint: true, ..Manner::default() });
    connect(&mut world);
    assert_eq!(world.events, [(player, PlayerEvent::Ended(ExitReason::ProtocolError))]);
}

#[test]
fn who_offers_and_does_not_come_is_given_up() {
    let mut world = World::new();
    let (player, _) = add(&mut world, Manner::default());
    world.run_with(limits::PLAY_CONNECT_MAX + Duration::from_millis(10), false);
    assert_eq!(world.events, [(player, PlayerEvent::Ended(ExitReason::TimedOut))]);
}

#[test]
fn an_offer_without_a_codec_of_the_stream_makes_no_player() {
    let mut world = World::new();
    let client = Client::new("a=ice-ufrag:-\r\na=ice-pwd:-", SERVER.parse().unwrap(), Manner::default());
    let text = offer_of(&client).replace("H264/", "H265/").replace("opus/", "PCMU/");
    let offer = RemoteOffer::read(&text).unwrap();
    let refused = world.shard.add_offering_player(world.spec(), &offer, world.now);
    assert_eq!(refused.unwrap_err(), AddError::NothingInCommon);
    assert_eq!(world.shard.counters().players, 0);
}
