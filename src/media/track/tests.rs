mod native;

use base::{Clock, MediaTime, SystemClock};
use bytes::Bytes;

use super::*;
use crate::aac::AacConfig;
use crate::h264::H264Config;
use crate::opus::OpusConfig;
use crate::ring::Cursor;

fn opus() -> CodecConfig {
    CodecConfig::Opus(OpusConfig { channels: 2 })
}

fn h264(level: u8) -> CodecConfig {
    let sps = [0x67, 66, 0, level, 0b1101_1010, 0b0000_0101, 0b0000_0111, 0b1110_0100];
    let sets = (vec![Bytes::copy_from_slice(&sps)], vec![Bytes::from_static(&[0x68, 0xce, 0x3c])]);
    CodecConfig::H264(Arc::new(H264Config::from_parameter_sets(sets.0, sets.1).unwrap()))
}

fn unit(at_ms: i64, key: bool) -> Unit {
    let at = MediaTime::from_millis(at_ms);
    let payload = Bytes::from_static(&[0, 0, 0, 2, 0x41, 0x9a]);
    Unit { dts: at, pts: at, arrived: SystemClock.now(), key, generation: 1, payload }
}

fn numbers(reader: &PacketReader) -> Vec<(i64, u64)> {
    let read = reader.packets().read(&mut Cursor(0), usize::MAX);
    read.entries.iter().map(|run| (run.dts.as_millis(), run.first_packet)).collect()
}

#[test]
fn a_new_writer_fences_the_old_one() {
    let track = Track::new(opus(), &MediaBudget::unlimited());
    let old = track.writer();
    old.write(unit(0, true)).unwrap();
    let new = track.writer();
    assert!(new.is_current() && !old.is_current());
    assert_eq!(old.write(unit(20, true)), Err(WriteError::Fenced));
    new.write(unit(40, true)).unwrap();
    assert_eq!(track.frames().head(), 2);
    track.close();
    assert_eq!(new.write(unit(60, true)), Err(WriteError::Fenced));
}

#[test]
fn a_unit_over_the_limit_is_refused() {
    let writer = Track::new(opus(), &MediaBudget::unlimited()).writer();
    let large = Unit { payload: vec![0; limits::UNIT_BYTES_MAX + 1].into(), ..unit(0, true) };
    assert_eq!(writer.write(large), Err(WriteError::TooLarge(limits::UNIT_BYTES_MAX + 1)));
}

#[test]
fn packets_are_made_only_while_somebody_reads_them() {
    let track = Track::new(h264(30), &MediaBudget::unlimited());
    let writer = track.writer();
    for at in 0..6 {
        writer.write(unit(at * 40, at % 3 == 0)).unwrap();
    }
    assert_eq!(track.packets.head(), 0, "nobody reads yet");
    let reader = track.read_packets();
    // From the newest key frame on: its parameter sets and slice, then one packet per frame.
    assert_eq!(numbers(&reader), [(120, 0), (160, 2), (200, 3)]);
    writer.write(unit(240, false)).unwrap();
    drop(reader);
    writer.write(unit(280, false)).unwrap();
    assert_eq!(track.packets.head(), 4, "nobody reads any more");
    let reader = track.read_packets();
    assert_eq!(numbers(&reader)[3..], [(240, 4), (280, 5)], "no frame is missing");
    assert_eq!(reader.run_of(1).unwrap().first_packet, 0);
    assert_eq!(reader.run_of(5).unwrap().dts.as_millis(), 280);
    assert!(reader.run_of(6).is_none());
}

#[test]
fn a_new_configuration_reaches_the_packets_of_its_own_frames_only() {
    let track = Track::new(h264(30), &MediaBudget::unlimited());
    track.writer().write(unit(0, true)).unwrap();
    let writer = track.reconfigure(&h264(31));
    assert_eq!((writer.generation(), track.config()), (2, h264(31)));
    let reader = track.read_packets();
    assert_eq!(numbers(&reader), []);
    writer.write(unit(40, true)).unwrap();
    let run = reader.run_of(0).unwrap();
    // STAP-A header, two bytes of length, then the SPS.
    assert_eq!(run.packets[0].payload[3..7], [0x67, 66, 0, 31]);
}

#[test]
fn aac_has_no_packets() {
    let aac = AacConfig::from_asc(&[0x12, 0x10]).unwrap();
    let track = Track::new(CodecConfig::Aac(Arc::new(aac)), &MediaBudget::unlimited());
    let reader = track.read_packets();
    track.writer().write(unit(0, true)).unwrap();
    assert_eq!(reader.packets().head(), 0);
}
