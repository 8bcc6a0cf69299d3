use base::{Clock, SystemClock, WallTime};

use media::h264::H264Config;

use super::*;
use crate::testing::Lent;
use crate::{Output, Session};

const CAPTURE: &[u8] = include_bytes!("../testdata/b-frames.rtmp");

/// An audio or video body of the recording, and its time.
#[derive(Clone)]
struct Body {
    kind: Kind,
    timestamp_ms: u32,
    body: Bytes,
}

fn recorded() -> Vec<Body> {
    let now = SystemClock.now();
    let mut session = Session::new(|_| true, now);
    session.handle(CAPTURE, now);
    let mut bodies = Vec::new();
    while let Some(output) = session.poll() {
        match output {
            Output::Publish(_) => session.accept(now),
            Output::Video { timestamp_ms, body } => {
                bodies.push(Body { kind: Kind::Video, timestamp_ms, body })
            }
            Output::Audio { timestamp_ms, body } => {
                bodies.push(Body { kind: Kind::Audio, timestamp_ms, body })
            }
            _ => {}
        }
    }
    bodies
}

fn feed(ingest: &mut Ingest, bodies: &[Body]) -> Vec<IngestEvent> {
    let arrival = Arrival { at: SystemClock.now(), wall: WallTime(0) };
    for Body { kind, timestamp_ms, body } in bodies {
        match kind {
            Kind::Video => ingest.video(*timestamp_ms, body, arrival),
            Kind::Audio => ingest.audio(*timestamp_ms, body, arrival),
        }
    }
    std::iter::from_fn(|| ingest.poll()).collect()
}

fn video(body: &[u8]) -> Body {
    Body { kind: Kind::Video, timestamp_ms: 0, body: Bytes::copy_from_slice(body) }
}

fn audio(body: &[u8]) -> Body {
    Body { kind: Kind::Audio, timestamp_ms: 0, body: Bytes::copy_from_slice(body) }
}

fn units(events: &[IngestEvent]) -> (Vec<&Unit>, Vec<&Unit>) {
    let video = events.iter().filter_map(|event| match event {
        IngestEvent::VideoUnit(unit) => Some(unit),
        _ => None,
    });
    let audio = events.iter().filter_map(|event| match event {
        IngestEvent::AudioUnit(unit) => Some(unit),
        _ => None,
    });
    (video.collect(), audio.collect())
}

/// The recorded sequence header, as NAL units, and behind 4-byte lengths.
fn parameter_sets() -> (H264Config, Vec<u8>) {
    let header = recorded().into_iter().find(|body| body.kind == Kind::Video).unwrap();
    let (config, _) = H264Config::from_avcc(&header.body[5..]).unwrap();
    let mut in_band = Vec::new();
    for set in config.sps.iter().chain(&config.pps) {
        in_band.extend(u32::try_from(set.len()).unwrap().to_be_bytes());
        in_band.extend(set);
    }
    (config, in_band)
}

#[test]
fn a_recorded_publish_becomes_units() {
    let mut ingest = Ingest::new();
    let events = feed(&mut ingest, &recorded());
    let mut configs = events.iter().filter_map(|event| match event {
        IngestEvent::Video(config) | IngestEvent::Audio(config) => Some(config),
        _ => None,
    });
    assert!(
        matches!(configs.next(), Some(CodecConfig::H264(config)) if (config.width, config.height) == (160, 90))
    );
    assert!(matches!(configs.next(), Some(CodecConfig::Aac(config)) if config.sample_rate == 44_100));
    assert!(configs.next().is_none());
    let (video, audio) = units(&events);
    assert_eq!((video.len(), audio.len()), (30, 88));
    assert_eq!(events.len(), 30 + 88 + 2);
    assert!(video[0].key && !video[1].key);
    assert!(audio.iter().all(|unit| unit.key));
    for track in [&video, &audio] {
        assert!(track.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        assert!(track.iter().all(|unit| unit.pts >= unit.dts));
    }
    let mut shown: Vec<_> = video.iter().map(|unit| unit.pts.as_millis()).collect();
    shown.sort_unstable();
    assert!(shown.windows(2).all(|pair| (60..=74).contains(&(pair[1] - pair[0]))), "{shown:?}");
}

#[test]
fn a_repeated_header_says_nothing_and_a_changed_one_is_told_once() {
    let bodies = recorded();
    let headers: Vec<Body> = bodies.iter().filter(|body| body.body[1] == 0).cloned().collect();
    assert_eq!(headers.len(), 2);
    let mut ingest = Ingest::new();
    assert_eq!(feed(&mut ingest, &headers).len(), 2);
    assert_eq!(feed(&mut ingest, &headers).len(), 0);
    // 48 kHz stereo.
    let events = feed(&mut ingest, &[audio(&[0xaf, 0, 0x11, 0x90])]);
    assert!(
        matches!(&events[..], [IngestEvent::Audio(CodecConfig::Aac(config))] if config.sample_rate == 48_000)
    );
}

#[test]
fn parameter_sets_in_band_do_without_a_sequence_header() {
    let (config, in_band) = parameter_sets();
    let mut body = vec![0x17, 1, 0, 0, 0];
    body.extend(in_band);
    body.extend([0, 0, 0, 2, 0x65, 0x88]);
    let mut ingest = Ingest::new();
    // An empty sequence header, as ffmpeg sends it when it copies such a stream.
    let events = feed(&mut ingest, &[video(&[0x17, 0, 0, 0, 0]), video(&body), video(&body)]);
    let [
        IngestEvent::Video(CodecConfig::H264(read)),
        IngestEvent::VideoUnit(first),
        IngestEvent::VideoUnit(_),
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(**read, config);
    assert_eq!(first.payload[..], [0, 0, 0, 2, 0x65, 0x88]);
    assert!(first.key);
}

#[test]
fn a_repeated_header_does_not_undo_sets_that_came_in_band() {
    let header = recorded().into_iter().find(|body| body.kind == Kind::Video).unwrap();
    // A further picture parameter set, of id 1.
    let in_band = video(&[0x17, 1, 0, 0, 0, 0, 0, 0, 3, 0x68, 0x5c, 0x80, 0, 0, 0, 2, 0x65, 0x88]);
    let mut ingest = Ingest::new();
    let events = feed(&mut ingest, &[header.clone(), in_band]);
    let configs = events.iter().filter(|event| matches!(event, IngestEvent::Video(_))).count();
    assert_eq!(configs, 2, "{events:?}");
    assert_eq!(feed(&mut ingest, &[header]).len(), 0);
}

#[test]
fn units_before_their_configuration_and_broken_ones_are_skipped_and_counted() {
    let picture = video(&[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 0x9a]);
    let sound = audio(&[0xaf, 1, 0x21]);
    let mut ingest = Ingest::new();
    let events = feed(&mut ingest, &[picture.clone(), sound, video(&[]), audio(&[]), audio(&[0xaf, 1])]);
    assert!(matches!(
        &events[..],
        [IngestEvent::Skipped { kind: Kind::Video, .. }, IngestEvent::Skipped { kind: Kind::Audio, .. }]
    ));

    let bodies = recorded();
    let good: Vec<Body> = bodies.iter().filter(|body| body.kind == Kind::Video).cloned().collect();
    feed(&mut ingest, &good);
    // A length beyond the data, a forbidden bit, a cut header: each is skipped, and a good unit
    // between them keeps the stream alive.
    let broken = [
        video(&[0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x41]),
        video(&[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0xe1]),
        video(&[0x27, 1, 0]),
        video(&[0x27, 9, 0, 0, 0]),
    ];
    for _ in 0..limits::RTMP_BROKEN_UNITS_MAX {
        assert!(matches!(
            feed(&mut ingest, &broken)[..],
            [
                IngestEvent::Skipped { .. },
                IngestEvent::Skipped { .. },
                IngestEvent::Skipped { .. },
                IngestEvent::Skipped { .. }
            ]
        ));
        assert_eq!(units(&feed(&mut ingest, std::slice::from_ref(&picture))).0.len(), 1);
    }
}

#[test]
fn a_stream_that_stays_broken_is_refused() {
    let mut ingest = Ingest::new();
    let broken = vec![audio(&[0xaf]); usize::try_from(limits::RTMP_BROKEN_UNITS_MAX).unwrap() + 1];
    let mut events = feed(&mut ingest, &broken);
    let Some(IngestEvent::Refused(reason)) = events.pop() else { panic!("{events:?}") };
    assert_eq!(
        reason.to_string(),
        "the media is malformed: too many broken audio messages, the last one: the tag ends inside its header"
    );
    assert!(events.iter().all(|event| matches!(event, IngestEvent::Skipped { .. })));
}

#[test]
fn foreign_codecs_and_unreadable_configurations_are_refused_by_name() {
    for (body, reason) in [
        (video(b"\x90vvc1\0"), "the codec VVC is not supported"),
        (video(&[0x12, 0]), "the codec Sorenson H.263 is not supported"),
        (audio(b"\x90fLaC"), "the codec FLAC is not supported"),
        (
            video(b"\x90hvc1\x01"),
            "the media is malformed: the video configuration cannot be read: the data ends too early",
        ),
        (audio(&[0x2f, 0]), "the codec MP3 is not supported"),
        (
            video(&[0x17, 0, 0, 0, 0, 9]),
            "the media is malformed: the video configuration cannot be read: the data ends too early",
        ),
        (
            audio(&[0xaf, 0, 0x12, 0x00]),
            "the media is malformed: the audio configuration cannot be read: \
             channels described by a program config element are not supported",
        ),
    ] {
        let events = feed(&mut Ingest::new(), &[body]);
        let [IngestEvent::Refused(refused)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(refused.to_string(), reason);
    }
}

#[test]
fn a_takeover_goes_on_behind_the_publisher_before() {
    let bodies = recorded();
    let mut first = Ingest::new();
    let events = feed(&mut first, &bodies);
    let (video, audio) = units(&events);
    let newest = video.iter().chain(&audio).map(|unit| unit.dts).max().unwrap();
    let position = StreamPosition::after(None, Kind::Video, newest, SystemClock.now());
    let events = feed(&mut Ingest::resuming(position), &bodies);
    let (video, audio) = units(&events);
    assert!(video.iter().chain(&audio).all(|unit| unit.dts > newest));
}

#[test]
fn the_first_of_several_tracks_is_carried_does_not_keep_the_others_and_they_are_told_of_once() {
    // Track 0 has two bytes, track 1 a thousand.
    let of_both = |front: &[u8], first: [u8; 2]| {
        Lent::new([front, &[0, 0, 0, 2], &first, &[1, 0, 3, 0xe8], &[7; 1_000]].concat())
    };
    let mut ingest = Ingest::new();
    let arrival = Arrival { at: SystemClock.now(), wall: WallTime(0) };
    // A key frame of VP9 alone tells its configuration.
    ingest.video(0, &Bytes::from_static(b"\x93vp09\x82\x49\x83\x42\x00\x13\xf0\x0b\x30\x00"), arrival);
    assert!(matches!(ingest.poll(), Some(IngestEvent::Video(_))));
    assert!(matches!(ingest.poll(), Some(IngestEvent::VideoUnit(_))));

    let pictures = of_both(b"\xa6\x13vp09", [0x86, 0]);
    ingest.video(40, &pictures.lend(), arrival);
    assert!(matches!(ingest.poll(), Some(IngestEvent::OtherTracks(Kind::Video))));
    let Some(IngestEvent::VideoUnit(unit)) = ingest.poll() else { panic!("no picture") };
    assert_eq!(unit.payload[..], [0x86, 0]);
    assert!(pictures.is_back());

    let sounds = of_both(b"\x95\x11Opus", [0xfc, 1]);
    ingest.audio(40, &sounds.lend(), arrival);
    assert!(matches!(ingest.poll(), Some(IngestEvent::Audio(_))));
    let Some(IngestEvent::AudioUnit(unit)) = ingest.poll() else { panic!("no sound") };
    assert_eq!(unit.payload[..], [0xfc, 1]);
    assert!(sounds.is_back());
}
