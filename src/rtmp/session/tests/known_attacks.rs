//! Attacks by RTMP that other servers and readers fell to, replayed against a session and its ingest.
//!
//! | class, where it was found | tests |
//! |---|---|
//! | length trusted: CVE-2012-4750 (EzServer, the length of an AMF string) | `a_text_longer_than_its_message_…` |
//! | chunk size changed in the middle of a message: CVE-2016-10191 (FFmpeg) | `a_chunk_size_changed_inside_a_message_…` |
//! | length trusted in a body: CVE-2016-10192 (ffserver), FLV tags and records | `bodies_whose_lengths_lie_…` |
//! | length underflow, loop without end: CVE-2022-29190, CVE-2007-6036 (elsewhere than RTMP) | `lengths_of_nothing_…` |
//! | recursion without bound (`rml_amf0`, `scuffle-amf0`: the stack overflows) | `super::nested_amf_ends_…` |
//! | fewer values than a command needs (`rml_rtmp`: panic) | `super::commands_with_less_than_three_values_…` |
//! | one buffer for interleaved messages (`rml_rtmp`: panic, or mixed messages) | `chunk::tests::an_audio_chunk_inside_…` |
//! | buffers without bound: lengths announced and never sent, many chunk streams | `chunk::tests`: `an_announced_length_…`, `a_flood_of_chunk_streams_…`, `unfinished_messages_…`; `bounds` |
//! | use after the end: SRS #4290, Janus CVE-2020-10573 to 10577 | `what_comes_after_the_end_…` |
//! | what a peer says reaches a command line, a file or a log: CVE-2023-34105 (SRS), CVE-2024-52052 (Wowza) | `a_name_that_is_a_command_line_…`; `publish::tests::no_secret_is_shown_…` |
//!
//! Slow clients, floods of connections and the memory of many are in `tests/`; every reader is a fuzz
//! target besides.

use base::{StreamId, WallTime};
use media::Arrival;

use super::*;
use crate::testing::aggregate;
use crate::{Ingest, IngestEvent};

/// A session that is still good for a stream: sound goes through.
fn lives(peer: &mut Peer) {
    let before = peer.outputs.len();
    peer.send(&message(1, 8, &[0xaf, 1, 0x21]));
    assert!(matches!(peer.outputs[before..], [Output::Audio { .. }]), "{:?}", peer.outputs);
}

#[test]
fn a_text_longer_than_its_message_ends_the_connection_or_is_no_metadata() {
    for text in
        [&b"\x02\xff\xffplay"[..], b"\x0c\xff\xff\xff\xffplay", b"\x0f\x7f\xff\xff\xffx", b"\x02\0\x05pla"]
    {
        let mut peer = Peer::new();
        peer.send(&message(0, 20, text));
        assert_eq!(peer.reason().unwrap().label(), "bad amf");
        // As the name of a field, and as the name of what is published.
        let mut connect = Writer::command("connect", 1.0).finish();
        connect.extend([3]);
        connect.extend(&text[1..]);
        let mut peer = Peer::new();
        peer.send(&message(0, 20, &connect));
        assert_eq!(peer.reason().unwrap().label(), "bad amf");
        let mut publishing = Peer::publishing();
        publishing.send(&message(
            1,
            18,
            &[&Writer::default().text("onMetaData").finish()[..], text].concat(),
        ));
        assert_eq!(publishing.outputs, []);
        lives(&mut publishing);
    }
}

#[test]
fn counts_that_nothing_stands_behind_cost_nothing() {
    for values in
        [&b"\x0a\xff\xff\xff\xff"[..], b"\x08\xff\xff\xff\xff", b"\x03\xff\xff", b"\x10\xff\xffclass"]
    {
        let mut peer = Peer::publishing();
        peer.send(&message(1, 18, &[&Writer::default().text("onMetaData").finish()[..], values].concat()));
        assert_eq!(peer.outputs, []);
        lives(&mut peer);
    }
}

#[test]
fn a_chunk_size_changed_inside_a_message_moves_no_byte() {
    let picture: Vec<u8> = (0..1_000_u32).map(|at| (at % 251) as u8).collect();
    for size in [1_u32, 64, 129, 700, 0x00ff_ffff] {
        let mut peer = Peer::publishing();
        let whole = chunks(6, 0, 9, &picture, 128);
        // A header of 12 bytes, two chunks of 128 with a header between; then the change, then the rest.
        let mut bytes = whole[..12 + 128 + 1 + 128].to_vec();
        bytes.extend(message(0, 1, &size.to_be_bytes()));
        for part in picture[256..].chunks(size as usize) {
            bytes.push(0xc6);
            bytes.extend(part);
        }
        peer.send(&bytes);
        let [Output::Video { body, .. }] = &peer.outputs[..] else { panic!("{:?}", peer.outputs) };
        assert_eq!(body[..], picture, "{size}");
    }
}

#[test]
fn bodies_whose_lengths_lie_are_skipped_or_refused_by_name() {
    let arrival = Arrival { at: now(), wall: WallTime(0) };
    let mut ingest = Ingest::new();
    let bodies: &[(u8, &[u8])] = &[
        // A NAL unit, an SPS and an OBU beyond their ends; sizes of many bytes; a ModEx and tracks without end.
        (9, &[0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x65]),
        (9, b"\xa3hvc1\x7f\xff\xff\xff\x26"),
        (9, b"\xa1av01\x32\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (9, b"\xa1av01\x32\x7f\x10"),
        (9, b"\xa1vp09\x82\x49\x83"),
        (9, b"\xa7\xff\xff\xff"),
        (9, b"\xa6\x11vp09\x01\xff\xff\xff\x86"),
        (8, b"\x91Opus\xfb\x3f"),
        (8, b"\x95\x11Opus\x01\xff\xff\xff"),
    ];
    for (kind, body) in bodies {
        let body = Bytes::from_static(body);
        match kind {
            8 => ingest.audio(0, &body, arrival),
            _ => ingest.video(0, &body, arrival),
        }
        let event = ingest.poll();
        assert!(matches!(event, Some(IngestEvent::Skipped { .. })), "{body:02x?}: {event:?}");
    }
    // Configurations decide what follows: one that lies ends the stream.
    let configs: &[(u8, &[u8])] = &[
        (9, &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0xff, 0xff, 0x67]),
        (9, b"\x90hvc1\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x3c\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\xff\x21\xff\xff\xff\xff"),
        (9, b"\x90av01\x81\0\x0c\0\x0a\x7f\0"),
        (8, b"\x90OpusOpusHead\x01"),
        (8, &[0xaf, 0, 0xff]),
    ];
    for (kind, body) in configs {
        let mut ingest = Ingest::new();
        let body = Bytes::from_static(body);
        match kind {
            8 => ingest.audio(0, &body, arrival),
            _ => ingest.video(0, &body, arrival),
        }
        let event = ingest.poll();
        assert!(
            matches!(event, Some(IngestEvent::Refused(CloseReason::MalformedMedia(_)))),
            "{body:02x?}: {event:?}"
        );
    }
}

#[test]
fn lengths_of_nothing_end_no_loop_late() {
    let mut peer = Peer::publishing();
    // Messages, aggregates and units of no bytes; each is one step.
    peer.send(&message(1, 22, &[]));
    peer.send(&message(1, 22, &aggregate(&vec![(8, 0, &[][..]); 100])));
    peer.send(&message(1, 9, &[]).repeat(100));
    assert_eq!(peer.outputs.len(), 200);
    let mut ingest = Ingest::new();
    for body in
        [&[0x27, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], b"\xa1av01", b"\xa1av01\x12\0\x12\0", b"\xa1vp09"]
    {
        let arrival = Arrival { at: peer.start, wall: WallTime(0) };
        ingest.video(0, &Bytes::copy_from_slice(body), arrival);
        assert!(!matches!(ingest.poll(), Some(IngestEvent::VideoUnit(_))), "{body:02x?}");
    }
    lives(&mut peer);
}

#[test]
fn what_comes_after_the_end_of_a_stream_reaches_nobody() {
    let media = [message(1, 8, &[0xaf, 1, 0x21]), message(1, 9, &[0x27]), message(1, 18, &[2, 0])].concat();
    let mut peer = Peer::publishing();
    peer.send(&[command(1, Writer::command("deleteStream", 0.0).null().number(1.0)), media.clone()].concat());
    assert_eq!(peer.outputs, [Output::Unpublish]);
    // The answer of a gate that was asked for a stream of before changes nothing.
    peer.session.accept(peer.start);
    peer.session.refuse(Refusal::NotAllowed);
    peer.drain();
    assert_eq!(peer.outputs, [Output::Unpublish]);

    let mut peer = Peer::publishing();
    peer.session.end(CloseReason::Ended(ExitReason::Kicked));
    for _ in 0..3 {
        peer.send(&media);
        peer.session.accept(peer.start);
        peer.session.handle_timeout(peer.start + Duration::from_secs(600));
        peer.session.handle_end();
        peer.session.end(CloseReason::Silent);
        peer.drain();
    }
    assert_eq!(peer.outputs, [Output::Close(CloseReason::Ended(ExitReason::Kicked))]);
    assert_eq!(peer.session.unfinished_bytes(), 0);
}

#[test]
fn a_name_that_is_a_command_line_or_a_path_is_the_gates_to_refuse() {
    for name in
        ["s;rm -rf x", "s -i /etc/passwd", "..%2f..%2fetc", "$(id)", "s\r\nSet-Cookie: x", "s|tee f", "\0s"]
    {
        let mut peer = Peer::new();
        peer.send(&[connect("LiveApp"), create_stream("s"), publish(name)].concat());
        let stream = &peer.request().stream;
        // A path leaves its first part, which names nothing outside.
        assert!(StreamId::new(stream).is_err() || stream == "..", "{stream:?}");
        peer.session.refuse(Refusal::InvalidName);
        peer.drain();
        assert_eq!(peer.reason(), Some(&CloseReason::Refused(Refusal::InvalidName)));
    }
}
