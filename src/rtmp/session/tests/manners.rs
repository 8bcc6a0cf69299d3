//! What encoders do that no specification asks for, or that few do: each is a publish all the same.

use super::*;
use crate::testing::aggregate;

const SOUND: &[u8] = &[0xaf, 1, 0x21, 0x10];
const PICTURE: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 0x9a];

/// One way of publishing: what is sent, and what is understood.
struct Manner {
    name: &'static str,
    bytes: Vec<Vec<u8>>,
    /// Stream and token.
    publish: (&'static str, Option<&'static str>),
    /// Audio and video messages, and summaries of metadata.
    media: (usize, usize, usize),
}

fn manner(name: &'static str, bytes: Vec<Vec<u8>>, media: (usize, usize, usize)) -> Manner {
    Manner { name, bytes, publish: ("s", None), media }
}

/// `connect`, `createStream`, `publish`, sound and a picture, with something else in each place.
fn around(before_publish: Vec<u8>, after_publish: Vec<u8>) -> Vec<Vec<u8>> {
    let ends = [message(1, 8, SOUND), message(1, 9, PICTURE)].concat();
    vec![connect("LiveApp"), create_stream("s"), before_publish, publish("s"), after_publish, ends]
}

fn call(name: &str) -> Vec<u8> {
    command(0, Writer::command(name, 9.0).null().text("s"))
}

/// In AMF3's clothes: a message of type 17 that begins with a zero byte, or without it.
fn amf3(zero: bool, stream_id: u32, command: Writer) -> Vec<u8> {
    let body = if zero { [&[0][..], &command.finish()].concat() } else { command.finish() };
    message(stream_id, 17, &body)
}

fn connect_with(app: &str, tc_url: &str) -> Vec<u8> {
    command(0, Writer::command("connect", 1.0).object(&[("app", app.into()), ("tcUrl", tc_url.into())]))
}

fn metadata(prefix: Option<&str>) -> Vec<u8> {
    let writer = prefix.into_iter().fold(Writer::default(), |writer, text| writer.text(text));
    writer.text("onMetaData").object(&[("width", 640.0.into())]).finish()
}

fn url(app: &str, tc_url: &str, name: &str) -> Vec<Vec<u8>> {
    vec![connect_with(app, tc_url), create_stream("s"), publish(name)]
}

fn in_one_chunk_of(size: u32) -> Vec<u8> {
    let set = message(0, 1, &size.to_be_bytes());
    let big = [PICTURE, &[0; 3_000]].concat();
    [set, chunks(6, 40, 9, &big, size as usize)].concat()
}

fn manners() -> Vec<Manner> {
    let plain = (1, 1, 0);
    let mut table = vec![
        manner("nothing odd", around(vec![], vec![]), plain),
        manner("_checkbw after connect", around(call("_checkbw"), vec![]), plain),
        manner("_checkbw in the middle", around(vec![], call("_checkbw")), plain),
        manner(
            "releaseStream and FCUnpublish of a former publish",
            around(call("FCUnpublish"), vec![]),
            plain,
        ),
        manner("getStreamLength", around(call("getStreamLength"), vec![]), plain),
        manner("commands nobody knows", around(call("setPeerInfo"), call("|RtmpSampleAccess")), plain),
        manner("createStream twice", around(create_stream("t"), vec![]), plain),
        manner(
            "window size and bandwidth",
            around([message(0, 5, &[0, 0, 16, 0]), message(0, 6, &[0, 0, 16, 0, 2])].concat(), vec![]),
            plain,
        ),
        manner("a window of nothing", around(message(0, 5, &[0, 0, 0, 0]), message(0, 5, &[0, 0])), plain),
        manner(
            "acknowledgements",
            around(message(0, 3, &[0, 0, 1, 0]), message(0, 3, &[0xff; 4]).repeat(50)),
            plain,
        ),
        manner(
            "buffer length and ping answers",
            around(message(0, 4, &[0, 3, 0, 0, 0, 1, 0, 0, 3, 0xe8]), message(0, 4, &[0, 7, 0, 0, 0, 1])),
            plain,
        ),
        manner(
            "user controls of no sense",
            around(message(0, 4, &[0]), message(0, 4, &[0xff, 0xff, 1])),
            plain,
        ),
        manner("shared objects", around(message(0, 19, b"so"), message(0, 16, b"\0so")), plain),
        manner(
            "empty sound and pictures",
            around(vec![], [message(1, 8, &[]), message(1, 9, &[])].concat()),
            (2, 2, 0),
        ),
        manner("media before publish", around(message(1, 8, SOUND), vec![]), plain),
        manner("onMetaData", around(vec![], message(1, 18, &metadata(None))), (1, 1, 1)),
        manner("@setDataFrame", around(vec![], message(1, 18, &metadata(Some("@setDataFrame")))), (1, 1, 1)),
        manner(
            "metadata on stream 0",
            around(vec![], message(0, 18, &metadata(Some("@setDataFrame")))),
            (1, 1, 1),
        ),
        manner(
            "metadata in AMF3's clothes",
            around(vec![], message(1, 15, &[&[0][..], &metadata(None)].concat())),
            (1, 1, 1),
        ),
        manner(
            "metadata in AMF3",
            around(vec![], message(1, 15, b"\0\x02\0\x0aonMetaData\x11\x0a\x0b\x01")),
            plain,
        ),
        manner(
            "other data messages",
            around(
                vec![],
                [
                    message(1, 18, &Writer::default().text("onFI").number(1.0).finish()),
                    message(1, 18, &[2, 0]),
                    message(1, 18, &[]),
                ]
                .concat(),
            ),
            plain,
        ),
        manner(
            "an aggregate",
            around(
                vec![],
                message(1, 22, &aggregate(&[(9, 10, PICTURE), (8, 15, SOUND), (18, 20, &metadata(None))])),
            ),
            (2, 2, 1),
        ),
        manner(
            "type 1 as a chunk stream's first header",
            around(vec![], vec![0x48, 0, 0, 5, 0, 0, 4, 8, 0xaf, 1, 0x21, 0x10]),
            (2, 1, 0),
        ),
        manner(
            "times beyond 24 bits, repeated",
            around(vec![], chunks(6, 0x0112_3344, 9, &[PICTURE, &[0; 500]].concat(), 128)),
            (1, 2, 0),
        ),
    ];
    for size in [1, 128, 4_096, 60_000, 0x7fff_ffff] {
        table.push(manner(
            "an odd chunk size",
            around(vec![], in_one_chunk_of(size)).into_iter().take(5).collect(),
            (0, 1, 0),
        ));
    }
    for zero in [true, false] {
        let bytes = vec![
            connect("LiveApp"),
            amf3(zero, 0, Writer::command("createStream", 2.0).null()),
            amf3(zero, 1, Writer::command("publish", 3.0).null().text("s").text("live")),
            message(1, 8, SOUND),
        ];
        table.push(manner("commands of type 17", bytes, (1, 0, 0)));
    }
    for (app, tc_url, name, publish) in [
        ("LiveApp", "", "s", ("s", None)),
        ("LiveApp/", "rtmp://host/LiveApp/", "s", ("s", None)),
        ("/LiveApp", "rtmp://host:1935/LiveApp", "/s", ("s", None)),
        ("", "rtmp://host:1935/LiveApp", "s", ("s", None)),
        ("", "rtmp://host/LiveApp/s?token=T", "", ("s", Some("T"))),
        ("LiveApp", "rtmps://host:443/LiveApp", "s?token=T&&lone", ("s", Some("T"))),
        ("LiveApp?token=T", "rtmp://host/LiveApp?token=T", "s", ("s", Some("T"))),
        ("LiveApp", "rtmp://[::1]/LiveApp?token=T", "s", ("s", Some("T"))),
        ("LiveApp/inst", "rtmp://host/LiveApp/inst", "x", ("inst", Some("x"))),
        ("LiveApp/s/T", "rtmp://host/LiveApp/s/T", "", ("s", Some("T"))),
    ] {
        table.push(Manner { publish, ..manner("a form of the url", url(app, tc_url, name), (0, 0, 0)) });
    }
    table
}

#[test]
fn every_manner_is_a_publish() {
    for Manner { name, bytes, publish, media } in manners() {
        let mut peer = Peer::new();
        for part in &bytes {
            peer.send(part);
            peer.session.accept(peer.start);
            peer.drain();
        }
        let request = peer.request();
        let token = request.token.as_ref().map(|token| token.expose().as_str());
        assert_eq!((request.stream.as_str(), token), publish, "{name}");
        let count = |wanted: fn(&Output) -> bool| peer.outputs.iter().filter(|output| wanted(output)).count();
        let got = (
            count(|output| matches!(output, Output::Audio { .. })),
            count(|output| matches!(output, Output::Video { .. })),
            count(|output| matches!(output, Output::Metadata(_))),
        );
        assert_eq!(got, media, "{name}");
        assert_eq!(peer.reason(), None, "{name}");
    }
}

#[test]
fn aggregates_that_cannot_be_followed_end_the_connection() {
    let mut peer = Peer::publishing();
    let body = aggregate(&[(8, 0, SOUND), (9, 0, PICTURE)]);
    peer.send(&message(1, 22, &body[..body.len() - 9]));
    assert_eq!(peer.reason().unwrap().to_string(), "an aggregate message ends inside another");
    assert!(matches!(peer.outputs[0], Output::Audio { .. }), "what was whole is not lost");

    let mut peer = Peer::publishing();
    let empty: Vec<(u8, u32, &[u8])> = vec![(8, 0, &[]); limits::RTMP_MESSAGES_PER_SECOND_MAX as usize];
    peer.send(&message(0, 1, &0x7fff_ffff_u32.to_be_bytes()));
    peer.send(&chunks(6, 0, 22, &aggregate(&empty), 0x7fff_ffff));
    assert_eq!(peer.reason(), Some(&CloseReason::TooManyMessages));
}

#[test]
fn an_encoder_of_enhanced_rtmp_is_told_what_is_carried_and_others_are_not() {
    let mut peer = Peer::new();
    peer.send(&connect("LiveApp"));
    let answer = |peer: &Peer| {
        let (_, _, payload) = peer.sent.iter().find(|(_, type_id, _)| *type_id == 20).unwrap();
        Amf::new(payload).values().unwrap().swap_remove(2)
    };
    assert_eq!(answer(&peer).field("fourCcList"), None);

    let mut peer = Peer::new();
    let fields = [("app", "LiveApp".into()), ("fourCcList", crate::amf0::Field::Texts(&["hvc1"]))];
    peer.send(&command(0, Writer::command("connect", 1.0).object(&fields)));
    let answer = answer(&peer);
    let Some(Value::StrictArray(list)) = answer.field("fourCcList") else { panic!("{answer:?}") };
    let list: Vec<_> = list.iter().filter_map(Value::as_text).collect();
    assert_eq!(list, ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus"]);
    let video = answer.field("videoFourCcInfoMap").unwrap();
    assert_eq!(video.field("av01").and_then(Value::as_number), Some(4.0));
    let audio = answer.field("audioFourCcInfoMap").unwrap();
    assert_eq!((audio.fields().len(), video.fields().len()), (2, 4));
    assert_eq!(answer.field("capsEx").and_then(Value::as_number), Some(4.0));
}
