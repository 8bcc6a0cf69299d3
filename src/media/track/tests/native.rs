//! Tracks whose source sends packets, and what changes hands between those and sources of frames.

use super::*;
use crate::packet::{Packet, Payloads};
use crate::vp8::Vp8Config;

fn vp8() -> CodecConfig {
    CodecConfig::Vp8(Vp8Config { width: 320, height: 180 })
}

/// A frame of 100-byte packets, of which the source gives the first that number.
fn run(at_ms: i64, key: bool, first_packet: u64, packets: usize) -> PacketRun {
    let at = MediaTime::from_millis(at_ms);
    let packet = |index| Packet { payload: vec![9; 100].into(), marker: index + 1 == packets };
    PacketRun {
        first_packet,
        packets: (0..packets).map(packet).collect(),
        dts: at,
        pts: at,
        arrived: SystemClock.now(),
        key,
        starts_frame: true,
        ends_frame: true,
        payloads: Payloads::Datagrams,
    }
}

#[test]
fn packets_of_a_source_are_there_whether_or_not_anybody_reads_them() {
    let budget = MediaBudget::new(1_000_000);
    let track = Track::new(vp8(), &budget);
    let writer = track.writer();
    writer.write_run(run(0, true, 40, 3)).unwrap();
    writer.write_run(run(33, false, 43, 2)).unwrap();
    assert!(budget.held() > 5 * 200, "each packet is charged with its datagram: {}", budget.held());
    assert_eq!(track.frames().head(), 0);
    let reader = track.read_packets();
    assert_eq!(numbers(&reader), [(0, 0), (33, 3)], "the numbers are the track's");
    drop(reader);
    writer.write_run(run(66, false, 45, 1)).unwrap();
    assert_eq!(numbers(&track.read_packets()), [(0, 0), (33, 3), (66, 5)]);
    track.close();
    assert!(track.read_packets().packets().is_closed());
}

#[test]
fn a_run_is_written_by_who_may_from_a_key_frame_on_and_within_bounds() {
    let media = crate::StreamMedia::new(&MediaBudget::unlimited());
    let id = base::TrackId::new("video").unwrap();
    let old = media.write_track(&id, &vp8(), None).unwrap();
    let at = || media.position().map(|position| position.newest().dts.as_millis());
    old.write_run(run(0, false, 0, 1)).unwrap();
    assert_eq!((at(), old.track().packets.head()), (Some(0), 0), "the clock moves, and nothing is shown");
    old.write_run(run(33, true, 1, 1)).unwrap();
    old.write_run(run(66, false, 2, 0)).unwrap();
    assert_eq!((at(), old.track().packets.head()), (Some(66), 1), "a frame without packets is none");
    let large = limits::UNIT_BYTES_MAX / 100 + 1;
    assert_eq!(old.write_run(run(99, false, 2, large)), Err(WriteError::TooLarge(large * 100)));

    media.take_over();
    assert_eq!(old.write_run(run(99, true, 2, 1)), Err(WriteError::Fenced));
    let new = media.write_track(&id, &vp8(), None).unwrap();
    new.write_run(run(4_000, false, 7, 1)).unwrap();
    assert_eq!((at(), new.track().packets.head()), (Some(4_000), 1));
    new.write_run(run(4_033, true, 8, 1)).unwrap();
    assert_eq!(numbers(&new.track().read_packets()), [(33, 0), (4_033, 1)]);
    media.close();
    assert_eq!(new.write_run(run(4_066, false, 9, 1)), Err(WriteError::Fenced));
}

#[test]
fn a_hole_of_the_source_stays_one_unless_it_is_huge() {
    let track = Track::new(opus(), &MediaBudget::unlimited());
    let writer = track.writer();
    let reader = track.read_packets();
    let huge = limits::RTP_HOLE_PACKETS_MAX + 1;
    for (at, first) in [(0, 1_000), (20, 1_001), (60, 1_003), (80, 1_004), (100, 1_005 + huge)] {
        writer.write_run(run(at, true, first, 1)).unwrap();
    }
    assert_eq!(numbers(&reader), [(0, 0), (20, 1), (60, 3), (80, 4), (100, 5)]);
    assert!(reader.run_of(2).is_none(), "nobody has what the source lost");
    // A source that goes back, and another one: nobody else's numbers are given again.
    writer.write_run(run(120, true, 7, 1)).unwrap();
    writer.write_run(run(140, true, 9, 1)).unwrap();
    track.writer().write_run(run(160, true, u64::MAX, 1)).unwrap();
    assert_eq!(numbers(&reader)[5..], [(120, 6), (140, 8), (160, 9)]);
}

#[test]
fn numbers_go_on_from_frames_to_packets_and_back() {
    let track = Track::new(h264(30), &MediaBudget::unlimited());
    let reader = track.read_packets();
    let frames = track.writer();
    frames.write(unit(0, true)).unwrap();
    frames.write(unit(40, false)).unwrap();
    let packets = track.writer();
    packets.write_run(run(80, true, 500, 4)).unwrap();
    packets.write_run(run(120, false, 504, 1)).unwrap();
    // Parameter sets and slice, a slice; then the source's.
    assert_eq!(numbers(&reader), [(0, 0), (40, 2), (80, 3), (120, 7)]);
    assert_eq!(
        (track.frames().head(), track.frames().tail()),
        (2, 2),
        "frames of the source before are gone"
    );

    // Its pictures would be decoded upon the packets' unless a key frame came first.
    let frames = track.writer();
    frames.write(unit(160, false)).unwrap();
    frames.write(unit(200, true)).unwrap();
    frames.write(unit(240, false)).unwrap();
    assert_eq!(numbers(&reader)[4..], [(200, 8), (240, 10)]);
    let packets = track.reconfigure(&h264(31));
    packets.write_run(run(280, false, 0, 1)).unwrap();
    packets.write_run(run(320, true, 1, 1)).unwrap();
    assert_eq!(numbers(&reader)[6..], [(320, 11)]);
}

#[test]
fn a_first_reader_finds_nothing_that_was_replaced() {
    let track = Track::new(h264(30), &MediaBudget::unlimited());
    track.writer().write(unit(0, true)).unwrap();
    let packets = track.writer();
    packets.write_run(run(40, true, 0, 2)).unwrap();
    let reader = track.read_packets();
    assert_eq!(numbers(&reader), [(40, 0)], "the frame before has no packets any more");
    packets.write_run(run(80, false, 2, 1)).unwrap();
    assert_eq!(numbers(&reader), [(40, 0), (80, 2)]);
    drop(reader);

    // The other way round, while nobody reads.
    let frames = track.writer();
    frames.write(unit(120, true)).unwrap();
    frames.write(unit(160, false)).unwrap();
    assert_eq!(numbers(&track.read_packets()), [(120, 3), (160, 5)]);
}

#[test]
fn what_a_source_sends_is_measured_where_it_is_held() {
    let track = Track::new(h264(30), &MediaBudget::unlimited());
    assert_eq!((track.newest(), track.bitrate_bps()), (None, 0));
    let frames = track.writer();
    frames.write(unit(0, true)).unwrap();
    frames.write(unit(1_000, false)).unwrap();
    assert_eq!((track.newest(), track.bitrate_bps()), (Some(MediaTime::from_millis(1_000)), 2 * 6 * 8));
    let packets = track.writer();
    packets.write_run(run(2_000, true, 0, 5)).unwrap();
    packets.write_run(run(3_000, false, 5, 5)).unwrap();
    assert_eq!((track.newest(), track.bitrate_bps()), (Some(MediaTime::from_millis(3_000)), 1_000 * 8));
}

fn sound(at_ms: i64, first_packet: u64) -> PacketRun {
    run(at_ms, true, first_packet, 1)
}

fn times(reader: &FrameReader) -> Vec<i64> {
    let read = reader.frames().read(&mut Cursor(reader.frames().tail()), 100);
    read.entries.iter().map(|unit| unit.dts.as_millis()).collect()
}

#[test]
fn frames_of_packets_are_made_while_somebody_reads_them() {
    let budget = MediaBudget::new(1_000_000);
    let track = Track::new(opus(), &budget);
    let writer = track.writer();
    for at in 0..3 {
        writer.write_run(sound(at * 20, at as u64)).unwrap();
    }
    let before = budget.held();
    let first = track.read_frames();
    assert_eq!(times(&first), [0, 20, 40], "sound from where there is any");
    let second = track.read_frames();
    writer.write_run(sound(60, 3)).unwrap();
    assert_eq!(times(&second), [0, 20, 40, 60]);
    drop(first);
    assert_eq!(times(&second), [0, 20, 40, 60]);
    drop(second);
    assert!(track.frames().newest().is_none() && track.is_of_packets());
    assert!(budget.held() < before + before / 2, "the frames went: {} {before}", budget.held());
    writer.write_run(sound(80, 4)).unwrap();
    assert_eq!(track.frames().newest(), None, "nobody reads them");
    assert_eq!(times(&track.read_frames()), [0, 20, 40, 60, 80]);
}

#[test]
fn readers_of_frames_go_on_when_the_source_begins_to_send_the_other_sort() {
    let track = Track::new(opus(), &MediaBudget::unlimited());
    let reader = track.read_frames();
    let frames = track.writer();
    let at = |ms| MediaTime::from_millis(ms);
    let frame = |ms| Unit {
        dts: at(ms),
        pts: at(ms),
        arrived: SystemClock.now(),
        key: true,
        generation: 1,
        payload: vec![1; 10].into(),
    };
    frames.write(frame(0)).unwrap();
    let packets = track.writer();
    packets.write_run(sound(20, 0)).unwrap();
    packets.write_run(sound(40, 1)).unwrap();
    let frames = track.writer();
    frames.write(frame(60)).unwrap();
    assert_eq!(times(&reader), [0, 20, 40, 60]);
    assert!(!track.is_of_packets());
}

/// Frames that were made of packets for others are never made into packets again.
#[test]
fn readers_of_packets_get_each_once_whoever_reads_frames_besides() {
    let track = Track::new(opus(), &MediaBudget::unlimited());
    let writer = track.writer();
    let (_frames, packets) = (track.read_frames(), track.read_packets());
    for at in 0..3 {
        writer.write_run(sound(at * 20, at as u64)).unwrap();
    }
    let writer = track.reconfigure(&opus());
    writer.write_run(sound(60, 3)).unwrap();
    drop(packets);
    let packets = track.read_packets();
    let times = |of: &PacketReader| numbers(of).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(times(&packets), [0, 20, 40, 60]);
    let frame = Unit {
        dts: MediaTime::from_millis(80),
        pts: MediaTime::from_millis(80),
        arrived: SystemClock.now(),
        key: true,
        generation: 1,
        payload: vec![1; 10].into(),
    };
    track.writer().write(frame).unwrap();
    assert_eq!(times(&packets), [0, 20, 40, 60, 80]);
}

#[test]
fn frames_of_a_codec_that_is_not_put_together_are_not_made() {
    assert!(!crate::can_depacketize(vp8().codec()));
    let track = Track::new(vp8(), &MediaBudget::unlimited());
    let reader = track.read_frames();
    track.writer().write_run(run(0, true, 0, 2)).unwrap();
    assert_eq!(times(&reader), [0; 0]);
}
