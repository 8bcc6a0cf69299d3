mod bounds;
mod known_attacks;
mod manners;
mod recorded;

use std::time::Duration;

use base::{Clock, ExitReason, SystemClock};
use proptest::prelude::*;
use rml_rtmp::handshake::HandshakeProcessResult;

use super::*;
use crate::amf0::{Reader as Amf, Value};
use crate::testing::{chunks, command, connect, create_stream, message, publish};

fn now() -> Instant {
    SystemClock.now()
}

fn knows(app: &AppName) -> bool {
    app.as_str() == "LiveApp"
}

/// A session behind its handshake, and everything it put out so far.
struct Peer {
    session: Session,
    start: Instant,
    /// Reads what the session sends; it remembers the chunk size.
    reader: Reader,
    /// Stream, type and body of the messages sent.
    sent: Vec<(u32, u8, Vec<u8>)>,
    outputs: Vec<Output>,
}

impl Peer {
    fn new() -> Self {
        let start = now();
        let session = Session::after_handshake(knows, start);
        Self { session, start, reader: Reader::new(), sent: Vec::new(), outputs: Vec::new() }
    }

    /// A peer that was accepted as publisher of `s`.
    fn publishing() -> Self {
        let mut peer = Self::new();
        peer.send(&connect("LiveApp"));
        peer.send(&create_stream("s"));
        peer.send(&publish("s"));
        peer.session.accept(peer.start);
        peer.drain();
        peer.outputs.clear();
        peer.sent.clear();
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.session.handle(bytes, self.start);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) => self.receive(&bytes),
                other => self.outputs.push(other),
            }
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        while let Some(message) = self.reader.read(&mut bytes).unwrap() {
            self.sent.push((message.stream_id, message.type_id, message.payload.to_vec()));
        }
    }

    /// Name, transaction, stream and the fields `level code description` of the commands sent.
    fn commands(&self) -> Vec<String> {
        let commands = self.sent.iter().filter(|(_, type_id, _)| *type_id == 20);
        commands
            .map(|(stream_id, _, payload)| {
                let values = Amf::new(payload).values().unwrap();
                let name = values[0].as_text().unwrap();
                let transaction = values[1].as_number().unwrap();
                let last = values.last().unwrap();
                let field = |name| last.field(name).and_then(Value::as_text).unwrap_or("-");
                let (level, code, text) = (field("level"), field("code"), field("description"));
                format!("{name} {transaction} on {stream_id}: {level} {code} {text}")
            })
            .collect()
    }

    fn reason(&self) -> Option<&CloseReason> {
        match self.outputs.last() {
            Some(Output::Close(reason)) => Some(reason),
            _ => None,
        }
    }

    fn request(&self) -> &PublishRequest {
        let found = self.outputs.iter().rev().find_map(|output| match output {
            Output::Publish(request) => Some(request),
            _ => None,
        });
        found.expect("a publish request")
    }
}

#[test]
fn what_is_not_whole_is_told_and_forgotten_when_it_is() {
    let mut peer = Peer::publishing();
    assert_eq!(peer.session.unfinished_bytes(), 0);
    let picture = message(1, 9, &[0x27; 50_000]);
    let (half, rest) = picture.split_at(30_000);
    peer.send(half);
    assert!((29_000..=50_000).contains(&peer.session.unfinished_bytes()));
    peer.send(rest);
    assert_eq!(peer.session.unfinished_bytes(), 0);
}

#[test]
fn obs_publishes_and_ends() {
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    let control: Vec<_> = peer.sent.iter().filter(|(_, type_id, _)| *type_id < 7).cloned().collect();
    let window = WINDOW_BYTES.to_be_bytes();
    assert_eq!(control[0], (0, 5, window.to_vec()));
    assert_eq!(control[1], (0, 6, [&window[..], &[2]].concat()));
    assert_eq!(
        peer.commands(),
        ["_result 1 on 0: status NetConnection.Connect.Success Connection succeeded."]
    );

    peer.sent.clear();
    peer.send(&create_stream("s"));
    assert_eq!(peer.commands(), ["_result 2 on 0: - - -", "_result 3 on 0: - - -", "_result 4 on 0: - - -"]);

    peer.sent.clear();
    peer.send(&publish("s?token=T"));
    assert_eq!(peer.request().stream, "s");
    assert_eq!(peer.request().flash_ver, "FMLE/3.0 (compatible; test)");
    assert!(peer.sent.is_empty() && !peer.session.wants_bytes());
    peer.session.accept(peer.start);
    peer.drain();
    assert_eq!(peer.sent[0], (0, 4, vec![0, 0, 0, 0, 0, 1]));
    assert_eq!(
        peer.commands(),
        [
            "onFCPublish 0 on 0: - NetStream.Publish.Start s",
            "onStatus 0 on 1: status NetStream.Publish.Start s is now published."
        ]
    );

    peer.outputs.clear();
    peer.send(&chunks(4, 40, 9, &[0x17, 1, 0, 0, 0], 128));
    peer.send(&chunks(4, 42, 8, &[0xaf, 1, 9], 128));
    let video = Output::Video { timestamp_ms: 40, body: Bytes::from_static(&[0x17, 1, 0, 0, 0]) };
    let audio = Output::Audio { timestamp_ms: 42, body: Bytes::from_static(&[0xaf, 1, 9]) };
    assert_eq!(peer.outputs, [video, audio]);

    peer.outputs.clear();
    peer.sent.clear();
    peer.send(&command(0, Writer::command("FCUnpublish", 6.0).null().text("s")));
    peer.send(&command(0, Writer::command("deleteStream", 7.0).null().number(1.0)));
    assert_eq!(
        peer.commands(),
        ["onStatus 0 on 1: status NetStream.Unpublish.Success s is now unpublished."]
    );
    peer.session.handle_end();
    peer.drain();
    assert_eq!(peer.outputs, [Output::Unpublish, Output::Close(CloseReason::Finished)]);
}

#[test]
fn every_way_to_end_a_stream_ends_it_once() {
    for end in [
        command(0, Writer::command("FCUnpublish", 6.0).null().text("s")),
        command(1, Writer::command("closeStream", 0.0).null()),
        command(0, Writer::command("deleteStream", 0.0).null().number(1.0)),
    ] {
        let mut peer = Peer::publishing();
        peer.send(&command(0, Writer::command("deleteStream", 0.0).null().number(9.0)));
        assert_eq!(peer.outputs, []);
        peer.send(&end);
        peer.send(&end);
        // Media behind the end is nobody's.
        peer.send(&chunks(4, 40, 9, &[0x17, 1, 0, 0, 0], 128));
        assert_eq!(peer.outputs, [Output::Unpublish]);
        // The connection may publish again.
        peer.send(&command(0, Writer::command("createStream", 8.0).null()));
        peer.send(&publish("s2"));
        assert_eq!(peer.request().stream, "s2");
    }
    let mut peer = Peer::publishing();
    peer.session.handle_end();
    peer.drain();
    assert_eq!(peer.outputs, [Output::Close(CloseReason::PeerClosed)]);
}

#[test]
fn refusals_are_told_before_the_connection_ends() {
    let blocked = Refusal::Blocked { subscriber_id: "u1".to_owned() };
    for (refusal, code, text) in [
        (Refusal::NotAllowed, "NetStream.Publish.BadName", "You are not allowed to publish the stream."),
        (Refusal::Unregistered, "NetStream.Publish.BadName", "You are not allowed to publish the stream."),
        (Refusal::OutsideWindow, "NetStream.Publish.BadName", "You are not allowed to publish the stream."),
        (Refusal::InUse, "NetStream.Publish.BadName", "The stream is already being published."),
        (blocked, "NetStream.Failed", "Subscriber u1 is blocked to publish stream."),
        (Refusal::Overloaded, "NetStream.Failed", "current system resources not enough"),
        (
            Refusal::InvalidName,
            "NetStream.Failed",
            "stream name is invalid. Don't use special characters. stream name: b@d",
        ),
        (Refusal::Unavailable, "NetStream.Failed", "The server cannot check the stream now."),
    ] {
        let mut peer = Peer::new();
        peer.send(&connect("LiveApp"));
        peer.send(&create_stream("b@d"));
        peer.send(&publish("b@d?token=hunter2"));
        peer.sent.clear();
        peer.outputs.clear();
        peer.session.refuse(refusal.clone());
        let Some(Output::Send(bytes)) = peer.session.poll() else { panic!("{refusal:?}") };
        peer.receive(&bytes);
        let [told] = &peer.commands()[..] else { panic!("{refusal:?}") };
        assert!(told.starts_with(&format!("onStatus 0 on 1: error {code} {text}")), "{told}");
        peer.drain();
        assert_eq!(peer.outputs, [Output::Close(CloseReason::Refused(refusal.clone()))]);
        assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::Denied);
        peer.send(&publish("s"));
        assert_eq!(peer.outputs.len(), 1);
    }
}

#[test]
fn empty_names_are_the_gates_to_refuse() {
    for name in ["", "?token=T"] {
        let mut peer = Peer::new();
        peer.send(&connect("LiveApp"));
        peer.send(&create_stream(""));
        peer.send(&publish(name));
        assert_eq!(peer.request().stream, "");
    }
    // A publish without any name reads as one with an empty name.
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    peer.send(&create_stream(""));
    peer.send(&command(1, Writer::command("publish", 5.0)));
    assert_eq!(peer.request().stream, "");
}

#[test]
fn an_unknown_application_is_named_without_its_credentials() {
    for app in ["Nowhere?token=hunter2", "Nowhere/hunter2"] {
        let mut peer = Peer::new();
        peer.send(&connect(app));
        assert_eq!(
            peer.commands(),
            ["_error 1 on 0: error NetConnection.Connect.InvalidApp No scope 'Nowhere' on this server."]
        );
        assert_eq!(peer.reason(), Some(&CloseReason::UnknownApplication));
    }
    let mut peer = Peer::new();
    peer.send(&command(0, Writer::command("connect", 1.0).null()));
    assert_eq!(peer.reason(), Some(&CloseReason::UnknownApplication));
}

#[test]
fn players_are_told_that_playback_is_disabled() {
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    peer.send(&command(0, Writer::command("createStream", 2.0).null()));
    peer.sent.clear();
    peer.send(&command(1, Writer::command("play", 3.0).null().text("s")));
    assert_eq!(peer.commands(), ["onStatus 0 on 1: error NetStream.Failed RTMP playback is disabled."]);
    assert_eq!(peer.reason(), Some(&CloseReason::PlaybackDisabled));
}

#[test]
fn media_sent_before_the_gate_answered_is_not_lost() {
    let mut bytes = connect("LiveApp");
    bytes.extend(create_stream("s"));
    bytes.extend(publish("s"));
    bytes.extend(chunks(4, 40, 9, &[0x17; 500], 128));
    let mut peer = Peer::new();
    peer.send(&bytes);
    peer.send(&chunks(5, 41, 8, &[0xaf; 3], 128));
    peer.outputs.clear();
    peer.session.accept(peer.start);
    peer.drain();
    assert!(matches!(
        peer.outputs[..],
        [Output::Video { timestamp_ms: 40, .. }, Output::Audio { timestamp_ms: 41, .. }]
    ));
    // But not without a bound.
    let mut peer = Peer::new();
    peer.send(&bytes);
    peer.send(&vec![0; limits::RTMP_BYTES_BEFORE_CONNECT_MAX]);
    assert_eq!(peer.reason(), Some(&CloseReason::TooManyBytes));
}

#[test]
fn commands_in_amf3_clothes_and_with_odd_values_are_understood() {
    let dressed = |command: Writer| {
        let mut payload = vec![0];
        payload.extend(command.finish());
        message(0, 17, &payload)
    };
    let mut peer = Peer::new();
    peer.send(&dressed(Writer::command("connect", 1.0).object(&[("app", "LiveApp".into())])));
    assert!(peer.commands()[0].contains("NetConnection.Connect.Success"));
    // Date, long string and XML as arguments of a command nobody knows.
    let mut payload = Writer::command("setSomething", 2.0).null().finish();
    payload.extend(b"\x0b\0\0\0\0\0\0\0\0\0\0\x0c\0\0\0\x01a\x0f\0\0\0\x01b");
    peer.send(&message(0, 20, &payload));
    // AMF3 inside is refused politely.
    let mut payload = Writer::command("setSomething", 3.0).null().finish();
    payload.extend(b"\x11\x0a\x0b\x01");
    peer.sent.clear();
    peer.send(&message(0, 20, &payload));
    assert!(peer.commands()[0].starts_with("_error 3 on 0: error NetConnection.Call.Failed AMF3"));
    assert_eq!(peer.outputs, []);
}

#[test]
fn commands_with_less_than_three_values_do_no_harm() {
    for payload in [&b"\x02\0\x04play"[..], b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0", b"\x02\0\x0ccreateStream"]
    {
        let mut peer = Peer::new();
        peer.send(&connect("LiveApp"));
        peer.send(&message(1, 20, payload));
    }
    for payload in [&b""[..], b"\x05", b"\x02\0\x09conn"] {
        let mut peer = Peer::new();
        peer.send(&message(0, 20, payload));
        if payload.is_empty() || payload.len() < 3 {
            assert_eq!(peer.reason().unwrap().label(), "bad amf");
        }
        assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::ProtocolError);
    }
}

#[test]
fn nested_amf_ends_the_connection_with_its_reason() {
    let mut payload = Writer::command("connect", 1.0).finish();
    payload.extend(b"\x0a\0\0\0\x01".repeat(10_000));
    let mut peer = Peer::new();
    peer.send(&message(0, 20, &payload));
    assert_eq!(peer.reason().unwrap().to_string(), "bad command: objects nested deeper than 16");
    assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::LimitExceeded);
    // In metadata it costs the metadata only.
    let mut payload = Writer::default().text("onMetaData").finish();
    payload.extend(b"\x0a\0\0\0\x01".repeat(10_000));
    let mut peer = Peer::publishing();
    peer.send(&message(1, 18, &payload));
    assert_eq!(peer.outputs, []);
}

#[test]
fn metadata_is_summarised() {
    let mut payload = Writer::default().text("@setDataFrame").text("onMetaData").finish();
    payload.extend(Writer::default().object(&[("encoder", "obs-output module".into())]).finish());
    let mut dressed = vec![0];
    dressed.extend(&payload);
    for bytes in [message(1, 18, &payload), message(1, 15, &dressed)] {
        let mut peer = Peer::publishing();
        peer.send(&bytes);
        let [Output::Metadata(metadata)] = &peer.outputs[..] else { panic!("{:?}", peer.outputs) };
        assert_eq!(metadata.encoder.as_deref(), Some("obs-output module"));
    }
}

#[test]
fn pings_are_answered_and_bytes_acknowledged_in_total() {
    let mut peer = Peer::publishing();
    peer.send(&message(0, 4, &[0, 6, 1, 2, 3, 4]));
    assert_eq!(peer.sent, [(0, 4, vec![0, 7, 1, 2, 3, 4])]);
    peer.send(&message(0, 4, &[0, 6, 1]));
    peer.send(&message(0, 4, &[]));

    peer.send(&message(0, 5, &5_000_u32.to_be_bytes()));
    peer.sent.clear();
    let before = peer.session.received;
    for _ in 0..4 {
        peer.send(&message(1, 9, &[0x27; 2_000]));
    }
    let each = u64::try_from(message(1, 9, &[0x27; 2_000]).len()).unwrap();
    let [(0, 3, total)] = &peer.sent[..] else { panic!("{:?}", peer.sent) };
    let total = u32::from_be_bytes(total[..].try_into().unwrap());
    assert!([1, 2, 3].map(|count| before + count * each).contains(&u64::from(total)), "{total}");
}

#[test]
fn a_second_publish_does_not_harm_the_first() {
    let mut peer = Peer::publishing();
    peer.send(&publish("other"));
    assert!(peer.commands()[0].starts_with("onStatus 0 on 1: error NetStream.Publish.BadName"));
    assert_eq!(peer.outputs, []);
}

#[test]
fn the_node_can_end_a_stream_and_says_why() {
    let mut peer = Peer::publishing();
    peer.session.end(CloseReason::Ended(ExitReason::Kicked));
    peer.drain();
    assert_eq!(
        peer.commands(),
        ["onStatus 0 on 1: error NetStream.Failed The server ended the stream: stopped by an operator."
            .replace("stopped by an operator", ExitReason::Kicked.label())]
    );
    assert_eq!(peer.reason().unwrap().exit_reason(), ExitReason::Kicked);
}
