mod codecs;
mod takeovers;

use std::sync::LazyLock;
use std::time::Duration;

use base::{Clock, SystemClock, WallTime};
use proptest::prelude::*;

use super::*;

static START: LazyLock<Instant> = LazyLock::new(|| SystemClock.now());

const V: Kind = Kind::Video;
const A: Kind = Kind::Audio;
const VP8: RtpFormat = RtpFormat { codec: Codec::Vp8, clock_rate: 90_000, channels: 0 };
const OPUS: RtpFormat = RtpFormat { codec: Codec::Opus, clock_rate: 48_000, channels: 2 };

/// The front of a key frame of libvpx at 320x180 and of its rest, each behind a descriptor with a picture id; and of
/// a frame that needs others, without one: nothing tells that none is missing in front of it.
const KEY: &[u8] =
    &[0x90, 0x80, 0x01, 0x50, 0x3c, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0x39, 0x03];
const REST: &[u8] = &[0x80, 0x80, 0x01, 0x77, 0x12];
const INTER: &[u8] = &[0x10, 0x31, 0x02, 0x00, 0x0b];

fn at(ms: u64) -> Arrival {
    Arrival { at: *START + Duration::from_millis(ms), wall: WallTime(1_700_000_000_000 + ms) }
}

/// An event in a line.
fn line(event: RtpEvent) -> String {
    match event {
        RtpEvent::Config(config) => match config.picture_size() {
            Some((width, height)) => format!("{} {width}x{height}", config.codec().label()),
            None => format!("{config:?}"),
        },
        RtpEvent::Run { kind, run } => {
            assert!(run.starts_frame && run.ends_frame && run.pts == run.dts && !run.packets.is_empty());
            let key = if run.key && kind == V { " key" } else { "" };
            let (from, to) = (run.first_packet, run.end_packet() - 1);
            format!("{} {from}-{to}{key} at {}", kind.label(), run.dts.as_millis())
        }
        RtpEvent::KeyFrameWanted => "key frame wanted".to_owned(),
        RtpEvent::Lost { kind, packets } => format!("{} lost {packets}", kind.label()),
        RtpEvent::Clock(TimelineEvent::Rebased { kind, jump_ms }) => {
            format!("{} jumped {jump_ms}", kind.label())
        }
        RtpEvent::Clock(other) => panic!("{other:?}"),
        RtpEvent::Broken { kind, why } => format!("{} broken: {why}", kind.label()),
    }
}

struct Stand(RtpIngest);

impl Stand {
    fn new() -> Self {
        let mut ingest = RtpIngest::new();
        ingest.format(V, VP8);
        ingest.format(A, OPUS);
        Self(ingest)
    }

    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.poll()).map(line).collect()
    }

    fn packet(
        &mut self,
        kind: Kind,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        ms: u64,
    ) -> Vec<String> {
        let payload = Bytes::copy_from_slice(payload);
        self.0.packet(kind, RtpPacket { sequence, timestamp, marker, payload }, at(ms));
        self.told()
    }

    /// The `frame`-th picture of 30 in a second, in one packet.
    fn picture(&mut self, sequence: u16, frame: u32, payload: &[u8]) -> Vec<String> {
        self.packet(V, sequence, frame * 3_000, true, payload, u64::from(frame) * 33)
    }

    fn sound(&mut self, sequence: u16, packet: u32, ms: u64) -> Vec<String> {
        self.packet(A, sequence, packet * 960, false, &[0xfc, 1, 2], ms)
    }

    /// Lets time pass, as far as anything is to be done.
    fn passes(&mut self, ms: u64) -> Vec<String> {
        while let Some(due) = self.0.poll_timeout().filter(|due| *due <= at(ms).at) {
            self.0.handle_timeout(due);
        }
        self.told()
    }
}

#[test]
fn a_frame_leaves_with_its_last_packet_and_each_sound_at_once() {
    let mut stand = Stand::new();
    assert!(stand.0.waits_for_key());
    assert_eq!(stand.packet(V, 7, 0, false, KEY, 0), [""; 0]);
    assert_eq!(stand.sound(1, 0, 2), ["Opus(OpusConfig { channels: 2 })", "audio 0-0 at 2"]);
    assert_eq!(stand.packet(V, 8, 0, true, REST, 5), ["vp8 320x180", "video 0-1 key at 0"]);
    assert!(!stand.0.waits_for_key());
    assert_eq!(stand.picture(9, 1, INTER), ["video 2-2 at 33"]);
    assert_eq!(stand.sound(2, 1, 22), ["audio 1-1 at 22"]);
    // Without a marker the next timestamp ends a frame.
    assert_eq!(stand.packet(V, 10, 6_000, false, INTER, 66), [""; 0]);
    assert_eq!(stand.packet(V, 11, 9_000, false, INTER, 99), ["video 3-3 at 66"]);
    assert_eq!((stand.0.poll_timeout(), stand.0.held_bytes() > INTER.len()), (None, true));
}

#[test]
fn payloads_are_passed_on_and_not_copied() {
    let mut ingest = RtpIngest::new();
    ingest.format(V, VP8);
    let datagram = Bytes::from([&[0; 12], KEY].concat());
    let payload = datagram.slice(12..);
    let packet = RtpPacket { sequence: 0, timestamp: 0, marker: false, payload: payload.clone() };
    ingest.packet(V, packet, at(3));
    let next = RtpPacket { sequence: 1, timestamp: 3_000, marker: true, payload: Bytes::from_static(INTER) };
    ingest.packet(V, next, at(36));
    let runs: Vec<PacketRun> = std::iter::from_fn(|| ingest.poll())
        .filter_map(|event| if let RtpEvent::Run { run, .. } = event { Some(run) } else { None })
        .collect();
    assert_eq!(runs[0].packets[0].payload.as_ptr(), payload.as_ptr());
    assert!(runs[0].packets[0].marker, "who knows a frame's end by the marker alone is told it");
    assert_eq!(runs[0].arrived, at(3).at);
}

#[test]
fn pictures_out_of_order_or_sent_again_in_time_are_whole() {
    let mut stand = Stand::new();
    stand.picture(65_534, 0, KEY);
    assert_eq!(stand.picture(0, 2, INTER), [""; 0]);
    assert_eq!(stand.packet(V, 65_535, 3_000, true, INTER, 70), ["video 1-1 at 33", "video 2-2 at 66"]);
    assert_eq!(stand.packet(V, 0, 6_000, true, INTER, 71), [""; 0], "a duplicate");
    // One is lost, and comes when it was asked for again.
    stand.packet(V, 2, 12_000, true, INTER, 132);
    assert_eq!(stand.passes(631), [""; 0]);
    assert_eq!(
        stand.packet(V, 1, 9_000, true, INTER, 631),
        ["video 3-3 at 100", "video 4-4 at 133"],
        "at the last moment"
    );
}

#[test]
fn pictures_stand_still_behind_a_hole_until_a_key_frame_and_players_see_no_hole() {
    let mut stand = Stand::new();
    stand.packet(V, 0, 0, false, KEY, 0);
    stand.packet(V, 1, 0, true, REST, 0);
    assert_eq!(stand.told(), [""; 0]);
    stand.packet(V, 2, 3_000, false, INTER, 33);
    assert_eq!(stand.packet(V, 4, 6_000, true, INTER, 66), [""; 0], "packet 3 is missing");
    assert_eq!(stand.picture(5, 3, INTER), [""; 0]);
    assert!(!stand.0.waits_for_key());
    assert_eq!(stand.0.poll_timeout(), Some(at(566).at));
    assert_eq!(stand.passes(566), ["video lost 1", "key frame wanted"]);
    assert!(stand.0.waits_for_key());
    assert_eq!(stand.packet(V, 3, 3_000, true, REST, 570), [""; 0], "too late");
    assert_eq!(stand.picture(6, 18, INTER), [""; 0], "said once; the session repeats it");
    // The rest of a key frame whose front is lost is none to begin with.
    assert_eq!(stand.picture(8, 19, REST), [""; 0]);
    assert_eq!(stand.passes(1_200), ["video lost 1", "key frame wanted"]);
    assert_eq!(stand.picture(9, 37, KEY), ["video 2-2 key at 1233"]);
    assert_eq!(stand.picture(10, 38, INTER), ["video 3-3 at 1266"]);
}

#[test]
fn a_key_frame_that_is_whole_behind_a_hole_is_used() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    stand.packet(V, 2, 6_000, false, KEY, 66);
    stand.packet(V, 3, 6_000, true, REST, 66);
    assert_eq!(stand.passes(566), ["video lost 1", "key frame wanted", "video 1-2 key at 66"]);
    assert!(!stand.0.waits_for_key());
}

#[test]
fn a_key_frame_that_is_waited_for_waits_for_nothing() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    stand.picture(2, 2, INTER);
    assert_eq!(stand.passes(566), ["video lost 1", "key frame wanted"]);
    assert_eq!(stand.picture(4, 18, INTER), [""; 0]);
    // Of it a packet is lost, too.
    let told = stand.packet(V, 6, 57_000, false, KEY, 633);
    assert_eq!(told, ["video lost 2"], "neither frame is of use any more");
    assert_eq!(stand.packet(V, 8, 57_000, true, REST, 634), [""; 0]);
    assert_eq!(stand.packet(V, 9, 60_000, false, KEY, 650), ["video lost 1"], "the next one comes first");
    assert_eq!(stand.packet(V, 10, 60_000, true, REST, 650), ["video 1-2 key at 666"]);
}

#[test]
fn a_publisher_is_joined_in_the_middle_with_the_next_key_frame() {
    let mut stand = Stand::new();
    assert_eq!(stand.picture(0, 0, REST), ["key frame wanted"]);
    assert_eq!(stand.picture(1, 1, INTER), [""; 0]);
    assert_eq!(stand.picture(2, 2, KEY), ["vp8 320x180", "video 0-0 key at 66"]);
}

#[test]
fn what_is_lost_of_sound_stays_a_hole_in_the_numbers() {
    let mut stand = Stand::new();
    stand.sound(100, 0, 0);
    assert_eq!(stand.sound(103, 3, 60), [""; 0]);
    assert_eq!(stand.passes(119), [""; 0]);
    assert_eq!(stand.passes(120), ["audio lost 2", "audio 3-3 at 60"]);
    assert_eq!(stand.sound(104, 4, 121), ["audio 4-4 at 80"]);
    // After a pause of minutes nobody conceals anything any more.
    assert_eq!(stand.sound(10_000, 9_900, 198_000), [""; 0]);
    assert_eq!(stand.passes(198_060), ["audio lost 9895", "audio 5-5 at 198000"]);
}

#[test]
fn probes_of_the_path_are_no_packets_and_no_holes() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    assert_eq!(stand.packet(V, 1, 0, false, &[], 10), [""; 0]);
    assert_eq!(stand.packet(V, 2, 0, false, &[], 10), [""; 0]);
    assert_eq!(stand.picture(3, 1, INTER), ["video 1-1 at 33"]);
    stand.sound(0, 0, 33);
    assert_eq!(stand.packet(A, 1, 960, false, &[], 50), [""; 0]);
    assert_eq!(stand.sound(2, 1, 53), ["audio 1-1 at 53"]);
}

#[test]
fn what_cannot_be_is_dropped_and_said() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    let large = vec![0x90; limits::RTP_PAYLOAD_BYTES_MAX + 1];
    assert_eq!(stand.picture(1, 1, &large), ["video broken: a packet that fits no datagram to a player"]);
    assert_eq!(stand.picture(2, 2, &[0x90, 0x80]), [""; 0], "it waits behind that");
    assert_eq!(
        stand.passes(566),
        [
            "video lost 1",
            "key frame wanted",
            "video broken: a payload descriptor that is not whole",
            "key frame wanted"
        ]
    );
    // A frame without end.
    stand.packet(V, 3, 90_000, false, KEY, 1_000);
    let mut told = Vec::new();
    for packet in 0..limits::RTP_FRAME_PACKETS_MAX {
        told.extend(stand.packet(V, packet as u16 + 4, 90_000, false, REST, 1_000));
    }
    assert_eq!(told, ["video broken: a frame that is too large", "key frame wanted"]);
    let mut stand = Stand(RtpIngest::new());
    assert!(!stand.0.waits_for_key(), "there may be no pictures");
    assert_eq!(stand.picture(0, 0, KEY), ["video broken: a packet of no format"]);
    stand.0.format(V, RtpFormat { codec: Codec::Hevc, ..VP8 });
    stand.0.format(A, VP8);
    assert_eq!(
        stand.told(),
        [
            "video broken: a codec that publishers cannot send",
            "audio broken: a codec that publishers cannot send"
        ]
    );
    assert_eq!((stand.0.poll_timeout(), stand.0.held_bytes()), (None, 0));
}

#[test]
fn another_source_begins_anew_and_its_track_goes_on() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    stand.picture(2, 2, INTER);
    stand.sound(0, 0, 66);
    stand.0.format(V, VP8);
    assert_eq!((stand.0.poll_timeout(), stand.0.held_bytes()), (None, 0));
    assert!(stand.0.waits_for_key());
    // Other numbers, another clock, and nothing lost.
    assert_eq!(stand.packet(V, 40_000, 3_000_000_000, true, KEY, 100), ["video 1-1 key at 100"]);
    assert_eq!(stand.packet(V, 40_001, 3_000_003_000, true, INTER, 133), ["video 2-2 at 133"]);
    stand.0.format(A, RtpFormat { channels: 1, ..OPUS });
    assert_eq!(stand.sound(9_000, 77, 150), ["Opus(OpusConfig { channels: 1 })", "audio 1-1 at 150"]);
}

#[test]
fn pictures_of_a_source_that_numbers_anew_wait_for_a_key_frame() {
    let mut stand = Stand::new();
    stand.picture(30_000, 0, KEY);
    let mut told = Vec::new();
    for frame in 1..60 {
        told.extend(stand.picture(frame as u16, frame, if frame == 50 { KEY } else { INTER }));
    }
    // A second of them tells it from late packets.
    assert_eq!(told[..3], ["key frame wanted", "video 1-1 key at 1666", "video 2-2 at 1700"]);
}

#[test]
fn a_jump_of_the_publishers_clock_is_said() {
    let mut stand = Stand::new();
    stand.picture(0, 0, KEY);
    stand.sound(0, 0, 10);
    assert_eq!(stand.packet(V, 1, 90_000_000, true, INTER, 33), ["video jumped 999967", "video 1-1 at 33"]);
    assert_eq!(stand.sound(1, 1, 34), ["audio 1-1 at 30"], "sound stays where it was");
}

#[test]
fn sender_reports_put_pictures_in_step_with_sound() {
    // On the way pictures take 70 ms longer than sound.
    let ntp = |ms: u64| ((3_976_214_400 + ms / 1_000) << 32) + ((ms % 1_000) << 32) / 1_000;
    let mut stand = Stand::new();
    assert_eq!(stand.sound(0, 0, 0).last().unwrap(), "audio 0-0 at 0");
    assert_eq!(stand.packet(V, 0, 0, true, KEY, 70).last().unwrap(), "video 0-0 key at 70");
    stand.0.sender_report(A, ntp(500), 480, at(75));
    stand.0.sender_report(V, ntp(500), 900, at(75));
    let mut told = Vec::new();
    for frame in 1..60_u32 {
        told = stand.packet(V, frame as u16, frame * 3_000, true, INTER, u64::from(frame) * 33 + 70);
    }
    assert_eq!(told, ["video 59-59 at 1966"]);
}

#[derive(Clone, Debug)]
enum Input {
    Packet { kind: Kind, sequence: u16, timestamp: u32, marker: bool, payload: Vec<u8> },
    Report { kind: Kind, ntp: u64, rtp: u32 },
    Format { kind: Kind, format: RtpFormat },
    Timeout,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(V), 1 => Just(A)]
}

fn any_format() -> impl Strategy<Value = RtpFormat> {
    let codec = prop_oneof![
        Just(Codec::H264),
        Just(Codec::Hevc),
        Just(Codec::Av1),
        Just(Codec::Vp8),
        Just(Codec::Vp9),
        Just(Codec::Aac),
        Just(Codec::Opus),
    ];
    (codec, any::<u32>(), any::<u8>()).prop_map(|(codec, clock_rate, channels)| RtpFormat {
        codec,
        clock_rate,
        channels,
    })
}

fn any_input() -> impl Strategy<Value = Input> {
    let payload = prop_oneof![
        Just(KEY.to_vec()),
        Just(INTER.to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
        codecs::any_known_front(),
    ];
    let timestamp = prop_oneof![9 => (0_u32..40).prop_map(|frame| frame * 3_000), 1 => any::<u32>()];
    let sequence = prop_oneof![9 => 0_u16..60, 1 => any::<u16>()];
    prop_oneof![
        40 => (any_kind(), sequence, timestamp, any::<bool>(), payload).prop_map(
            |(kind, sequence, timestamp, marker, payload)| Input::Packet {
                kind, sequence, timestamp, marker, payload
            }
        ),
        2 => (any_kind(), any::<u64>(), any::<u32>()).prop_map(|(kind, ntp, rtp)| Input::Report { kind, ntp, rtp }),
        1 => (any_kind(), any_format()).prop_map(|(kind, format)| Input::Format { kind, format }),
        4 => Just(Input::Timeout),
    ]
}

proptest! {
    /// Whatever comes: pictures begin with a key frame of a configuration that was told, packet numbers of
    /// pictures have no hole and those of sound only go on, and no kind goes back in time.
    #[test]
    fn what_is_handed_out_can_be_played(inputs in prop::collection::vec((any_input(), 0_u64..100), 1..200)) {
        let mut stand = Stand::new();
        let mut now = 0;
        let mut video = (0, base::MediaTime::from_millis(-1));
        let mut audio = (0, base::MediaTime::from_millis(-1));
        let mut configured = false;
        for (input, passed) in inputs {
            now += passed;
            match input {
                Input::Packet { kind, sequence, timestamp, marker, payload } => {
                    let payload = payload.into();
                    stand.0.packet(kind, RtpPacket { sequence, timestamp, marker, payload }, at(now));
                }
                Input::Report { kind, ntp, rtp } => stand.0.sender_report(kind, ntp, rtp, at(now)),
                Input::Format { kind, format } => {
                    stand.0.format(kind, format);
                    configured &= kind != V;
                }
                Input::Timeout => {
                    stand.0.handle_timeout(at(now).at);
                    prop_assert!(stand.0.poll_timeout().is_none_or(|due| due > at(now).at));
                }
            }
            while let Some(event) = stand.0.poll() {
                match event {
                    RtpEvent::Run { kind: V, run } => {
                        prop_assert_eq!(run.first_packet, video.0);
                        prop_assert!(configured || run.key);
                        prop_assert!(run.dts > video.1);
                        prop_assert!(run.packets.iter().rev().skip(1).all(|packet| !packet.marker));
                        prop_assert!(run.packets.last().unwrap().marker);
                        configured = true;
                        video = (run.end_packet(), run.dts);
                    }
                    RtpEvent::Run { kind: A, run } => {
                        prop_assert!((audio.0..=audio.0 + limits::RTP_HOLE_PACKETS_MAX).contains(&run.first_packet));
                        prop_assert!(run.dts > audio.1 && run.packets.len() == 1);
                        audio = (run.end_packet(), run.dts);
                    }
                    RtpEvent::KeyFrameWanted => configured = false,
                    _ => {}
                }
            }
        }
    }
}
