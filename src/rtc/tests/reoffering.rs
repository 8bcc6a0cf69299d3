//! Streams whose tracks come and go under a player: it is offered again, over the connection it has.

use std::time::Duration;

use base::ExitReason;

use super::client::{Manner, Received, frames};
use super::recovering::{is_video, nack_of, sequence, tap};
use super::world::{World, h264, id};
use crate::{AnswerError, Description, Kinds, OfferAgainError, PlayerEvent, PlayerId};

const A_WHILE: Duration = Duration::from_millis(300);

/// A player of a stream that has nothing but sound.
fn listener() -> (World, PlayerId) {
    let mut world = World::new();
    world.video = None;
    world.media.remove_track(&id("video"));
    let player = world.play(Manner::default());
    world.run(A_WHILE);
    (world, player)
}

fn offer_again(world: &mut World, player: PlayerId, video: bool) -> Description {
    world.shard.offer_again(player, Kinds { video, audio: true }, world.now).unwrap()
}

fn answer(world: &mut World, player: PlayerId, offer: &Description) {
    world.clients[0].follow(&offer.sdp);
    let answer = world.clients[0].answer(&offer.sdp);
    world.shard.set_answer(player, &answer, world.now).unwrap();
}

fn line<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {sdp}"))
}

fn has_no_hole(packets: &[Received]) {
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 1 << 31, "time goes back");
    }
}

#[test]
fn a_picture_that_comes_later_is_offered_and_sound_goes_on_meanwhile() {
    let (mut world, player) = listener();
    let sounds = world.clients[0].audio.len();
    world.video = world.media.write_track(&id("video"), &h264(), None);
    world.run(A_WHILE);
    let offer = offer_again(&mut world, player, true);
    assert!(line(&offer.sdp, "o=").contains(" 2 IN "), "{}", offer.sdp);
    assert_eq!(line(&offer.sdp, "a=group:"), "a=group:BUNDLE 0 1");
    let kinds: Vec<_> = offer.sdp.lines().filter_map(|line| line.strip_prefix("m=")?.get(..5)).collect();
    assert_eq!(kinds, ["audio", "video"], "m-lines keep their order");
    assert_eq!(offer.id_mapping.len(), 2);
    assert_eq!(line(&offer.sdp, "a=ice-ufrag:"), format!("a=ice-ufrag:{}", world.clients[0].remote_ufrag));

    world.run(A_WHILE);
    assert!(world.clients[0].video.is_empty(), "nothing that was not agreed on");
    assert!(world.clients[0].audio.len() > sounds + 25);
    answer(&mut world, player, &offer);
    world.run(A_WHILE);
    has_no_hole(&world.clients[0].audio);
    let shown = frames(&world.clients[0].video);
    assert!(shown[0].1.len() > 1, "from a key frame with its parameter sets");
    assert_eq!(shown.len(), world.written.len(), "the group of pictures so far, and all since");
}

#[test]
fn a_picture_that_goes_leaves_the_sound_and_comes_back_in_its_place() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(A_WHILE);
    let before = world.clients[0].video.len();
    let ssrc = world.clients[0].video_ssrc;
    world.video = None;
    world.media.remove_track(&id("video"));
    world.run(A_WHILE);
    assert!(!world.events.iter().any(|(_, event)| matches!(event, PlayerEvent::Ended(_))));
    let offer = offer_again(&mut world, player, false);
    assert_eq!(offer.sdp.matches("a=inactive").count(), 1);
    assert_eq!(line(&offer.sdp, "a=group:"), "a=group:BUNDLE 0 1");
    assert_eq!(offer.id_mapping.len(), 1);
    answer(&mut world, player, &offer);
    world.run(A_WHILE);
    assert_eq!(world.clients[0].video.len(), before);
    has_no_hole(&world.clients[0].audio);

    world.written.clear();
    world.video = world.media.write_track(&id("video"), &h264(), None);
    world.run(A_WHILE);
    let offer = offer_again(&mut world, player, true);
    answer(&mut world, player, &offer);
    assert_eq!(world.clients[0].video_ssrc, ssrc);
    world.run(A_WHILE);
    has_no_hole(&world.clients[0].video);
    assert_eq!(frames(&world.clients[0].video[before..]).len(), world.written.len());
}

#[test]
fn there_is_one_offer_at_a_time_and_one_answer_to_it() {
    let (mut world, player) = listener();
    world.video = world.media.write_track(&id("video"), &h264(), None);
    let offer = offer_again(&mut world, player, true);
    let again = world.shard.offer_again(player, Kinds { video: true, audio: true }, world.now);
    assert_eq!(again, Err(OfferAgainError::Unanswered));
    answer(&mut world, player, &offer);
    let text = world.clients[0].answer(&offer.sdp);
    assert_eq!(world.shard.set_answer(player, &text, world.now), Err(AnswerError::AlreadyAnswered));
}

#[test]
fn a_further_answer_changes_tracks_and_nothing_of_the_connection() {
    let (mut world, player) = listener();
    world.video = world.media.write_track(&id("video"), &h264(), None);
    let offer = offer_again(&mut world, player, true);
    world.clients[0].follow(&offer.sdp);
    let ufrag = world.clients[0].ufrag.clone();
    let foreign = world.clients[0].answer(&offer.sdp).replace(&format!("ufrag:{ufrag}"), "ufrag:other");
    world.shard.set_answer(player, &foreign, world.now).unwrap();
    // Its checks still carry the first name, and are still answered.
    world.run(Duration::from_secs(10));
    assert!(!world.events.contains(&(player, PlayerEvent::Ended(ExitReason::TimedOut))));
    assert!(!world.clients[0].video.is_empty());
}

#[test]
fn a_picture_of_another_codec_is_agreed_on_before_it_is_sent() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(A_WHILE);
    let before = world.clients[0].video.len();
    // Sixteen bytes of a picture are enough for a shard, which does not decode.
    let vp9 = media::Vp9Config { profile: 0, width: 320, height: 180 };
    let vp9 = media::CodecConfig::Vp9(vp9);
    let writer = world.media.write_track(&id("video"), &vp9, None).unwrap();
    world.video = None;
    world.write_picture(&writer, 0, true, 16);
    world.run(A_WHILE);
    assert_eq!(world.clients[0].video.len(), before, "nothing that was not agreed on");
    let offer = offer_again(&mut world, player, true);
    assert!(offer.sdp.contains("VP9/90000") && !offer.sdp.contains("H264"), "{}", offer.sdp);
    answer(&mut world, player, &offer);
    world.run(A_WHILE);
    let client = &world.clients[0];
    has_no_hole(&client.video);
    let (old, new) = (client.video[0].payload_type, client.video.last().unwrap().payload_type);
    assert!(client.video.len() > before && old != new, "{old} and {new}");
}

#[test]
fn what_was_sent_under_another_agreement_is_not_sent_again() {
    let mut world = World::new();
    let player = world.play(Manner::default());
    world.run(A_WHILE);
    let sent: Vec<Received> = world.clients[0].video.clone();
    assert!(sent.iter().any(|packet| packet.playout_delay.is_some()), "a key frame is among them");
    // Without sound no picture waits for it, and key frames no longer say how long.
    world.audio = None;
    world.media.remove_track(&id("audio"));
    let kinds = Kinds { video: true, audio: false };
    let offer = world.shard.offer_again(player, kinds, world.now).unwrap();
    answer(&mut world, player, &offer);
    let tapped = tap(&mut world, |_| false);
    let asked: Vec<u16> = sent.iter().take(60).map(|packet| packet.sequence).collect();
    let ssrc = world.clients[0].video_ssrc;
    nack_of(&mut world, ssrc, &asked);
    world.settle();
    for datagram in tapped.borrow().iter().filter(|datagram| is_video(datagram)) {
        let first = sent.iter().find(|packet| packet.sequence == sequence(datagram));
        assert!(
            first.is_none_or(|first| first.sealed == *datagram),
            "index {} was used for two packets",
            sequence(datagram)
        );
    }
    // What comes from here on is sent again as ever.
    world.run(A_WHILE);
    let newest = world.clients[0].video.last().unwrap().clone();
    let resent = world.shard.counters().resent;
    nack_of(&mut world, ssrc, &[newest.sequence]);
    world.settle();
    assert_eq!(world.shard.counters().resent, resent + 1);
    assert!(tapped.borrow().iter().filter(|datagram| **datagram == newest.sealed).count() == 2);
}
