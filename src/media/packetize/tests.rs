use base::{Clock, MediaTime, SystemClock};
use proptest::prelude::*;

use super::*;
use crate::opus::OpusConfig;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
    0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xef, 0x8f, 0xcb];

fn h264_config(pps: &[u8]) -> CodecConfig {
    let sets = (vec![Bytes::from_static(SPS)], vec![Bytes::copy_from_slice(pps)]);
    CodecConfig::H264(Arc::new(H264Config::from_parameter_sets(sets.0, sets.1).unwrap()))
}

fn unit(payload: Vec<u8>, key: bool) -> Unit {
    let at = MediaTime::from_millis(40);
    Unit { dts: at, pts: at, arrived: SystemClock.now(), key, generation: 1, payload: payload.into() }
}

fn frame(nals: &[Vec<u8>], key: bool) -> Unit {
    let mut payload = Vec::new();
    for nal in nals {
        payload.extend(u32::try_from(nal.len()).unwrap().to_be_bytes());
        payload.extend(nal);
    }
    unit(payload, key)
}

fn nal(header: u8, length: usize) -> Vec<u8> {
    let mut nal: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
    nal[0] = header;
    nal
}

/// What a receiver makes of the payloads (RFC 6184 5.6 to 5.8).
fn depacketize(packets: &[Packet]) -> Vec<Vec<u8>> {
    let mut nals: Vec<Vec<u8>> = Vec::new();
    for packet in packets {
        let payload = &packet.payload[..];
        match payload[0] & 0x1f {
            24 => {
                let mut left = &payload[1..];
                while let Some((length, rest)) = left.split_first_chunk::<2>() {
                    let (nal, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
                    nals.push(nal.to_vec());
                    left = rest;
                }
            }
            28 => {
                if payload[1] & 0x80 != 0 {
                    nals.push(vec![payload[0] & 0xe0 | payload[1] & 0x1f]);
                }
                nals.last_mut().unwrap().extend(&payload[2..]);
            }
            _ => nals.push(payload.to_vec()),
        }
    }
    nals
}

#[test]
fn a_key_frame_is_preceded_by_its_parameter_sets_in_one_packet() {
    let packetizer = Packetizer::new(&h264_config(PPS));
    let run = packetizer.packetize(&frame(&[nal(0x06, 30), nal(0x65, 900)], true), 0).unwrap();
    assert_eq!(run.packets.len(), 3);
    let stap = &run.packets[0].payload[..];
    assert_eq!(stap[0], 0x78, "STAP-A of the importance of its NAL units");
    assert_eq!(stap[1..3], [0, 27]);
    assert_eq!(depacketize(&run.packets), [SPS.to_vec(), PPS.to_vec(), nal(0x06, 30), nal(0x65, 900)]);
    assert_eq!(run.packets.iter().map(|packet| packet.marker).collect::<Vec<_>>(), [false, false, true]);
    assert!(run.key && run.starts_frame && run.ends_frame);

    let run = packetizer.packetize(&frame(&[nal(0x41, 10)], false), 3).unwrap();
    assert_eq!((run.packets.len(), run.first_packet, run.end_packet()), (1, 3, 4));
}

#[test]
fn fragments_have_one_size_and_share_one_buffer() {
    let packetizer = Packetizer::new(&h264_config(PPS));
    let run = packetizer.packetize(&frame(&[nal(0x41, 10_000)], false), 0).unwrap();
    let sizes: Vec<_> = run.packets.iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(sizes.len(), 9);
    assert!(sizes[..8].iter().all(|size| *size == sizes[0]), "{sizes:?}");
    assert!(sizes[8] <= sizes[0], "{sizes:?}");
    assert_eq!(run.packets[0].payload[..2], [0x5c, 0x81]);
    assert_eq!(run.packets[4].payload[..2], [0x5c, 0x01]);
    assert_eq!(run.packets[8].payload[..2], [0x5c, 0x41]);
    for pair in run.packets.windows(2) {
        assert_eq!(pair[0].payload.as_ptr_range().end, pair[1].payload.as_ptr());
    }
}

#[test]
fn parameter_sets_too_large_for_one_packet_go_each_for_itself() {
    let mut large = nal(0x68, 1_500);
    large[1] = 0xee;
    let packetizer = Packetizer::new(&h264_config(&large));
    let run = packetizer.packetize(&frame(&[nal(0x65, 100)], true), 0).unwrap();
    assert_eq!(depacketize(&run.packets), [SPS.to_vec(), large, nal(0x65, 100)]);
}

#[test]
fn opus_is_one_packet_and_aac_and_vp8_are_none() {
    let opus = CodecConfig::Opus(OpusConfig { channels: 2 });
    let packetizer = Packetizer::new(&opus);
    let given = unit(vec![0xfc, 1, 2], true);
    let run = packetizer.packetize(&given, 0).unwrap();
    assert_eq!(run.packets.len(), 1);
    assert!(!run.packets[0].marker);
    assert_eq!(run.packets[0].payload.as_ptr(), given.payload.as_ptr());
    assert!(packetizer.packetize(&unit(vec![0; PAYLOAD_BYTES_MAX + 1], true), 0).is_none());

    let aac = crate::AacConfig::from_asc(&[0x12, 0x10]).unwrap();
    let vp8 = crate::Vp8Config { width: 320, height: 180 };
    for config in [CodecConfig::Aac(Arc::new(aac)), CodecConfig::Vp8(vp8)] {
        assert!(Packetizer::new(&config).packetize(&given, 0).is_none());
    }
}

#[test]
fn malformed_and_empty_units_have_no_packets() {
    let packetizer = Packetizer::new(&h264_config(PPS));
    for payload in [vec![], vec![0, 0, 0, 9, 0x41], vec![0, 0, 0, 2, 0x7c, 0x85]] {
        assert!(packetizer.packetize(&unit(payload, false), 0).is_none());
    }
}

const AV1_RECORD: [u8; 17] =
    [0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0, 0x40];

fn av1_config() -> CodecConfig {
    CodecConfig::Av1(Arc::new(Av1Config::from_record(&AV1_RECORD).unwrap().unwrap()))
}

/// Units of a header, a size and as many bytes.
fn obus_of(sizes: &[usize]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for size in sizes {
        out.extend([0x32]);
        crate::av1::put_leb128(&mut out, *size);
        out.extend((0..*size).map(|at| (at * 11 % 253) as u8));
    }
    out.to_vec()
}

/// What a receiver makes of AV1 payloads: units without sizes.
fn av1_units(packets: &[Packet]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut expected = false;
    for packet in packets {
        let header = packet.payload[0];
        assert_eq!(header & 0x80 != 0, expected, "what goes on was announced");
        let mut goes_on = expected;
        let mut left = &packet.payload[1..];
        while !left.is_empty() {
            let size = usize::from(left[0] & 0x7f) | left.get(1).map_or(0, |high| usize::from(*high) << 7);
            let (size, coded) = if left[0] & 0x80 == 0 { (usize::from(left[0]), 1) } else { (size, 2) };
            let element = &left[coded..coded + size];
            if std::mem::take(&mut goes_on) {
                units.last_mut().unwrap().extend(element);
            } else {
                units.push(element.to_vec());
            }
            left = &left[coded + size..];
        }
        expected = header & 0x40 != 0;
    }
    assert!(!expected);
    units
}

#[test]
fn av1_elements_fill_packets_and_a_key_frame_begins_with_its_sequence_header() {
    let packetizer = Packetizer::new(&av1_config());
    let run = packetizer.packetize(&unit(obus_of(&[5_000, 3]), true), 0).unwrap();
    assert_eq!(run.packets.len(), 5);
    let full = PAYLOAD_BYTES_MAX;
    assert!(
        run.packets[..4].iter().all(|packet| packet.payload.len() == full),
        "one size, for segmented sends"
    );
    assert_eq!(
        run.packets[0].payload[..4],
        [0x48, 12, 0x08, 0],
        "a sequence begins, and its header has no size"
    );
    let units = av1_units(&run.packets);
    assert_eq!(units.iter().map(Vec::len).collect::<Vec<_>>(), [12, 5_001, 4]);
    assert_eq!(units[0][0], 0x08);
    assert_eq!(units[1][0], 0x30);

    // A sequence header that is there is not sent twice.
    let with_header = [&AV1_RECORD[4..], &obus_of(&[10])].concat();
    let run = packetizer.packetize(&unit(with_header, true), 0).unwrap();
    assert_eq!(av1_units(&run.packets).len(), 2);
    let run = packetizer.packetize(&unit(obus_of(&[10]), false), 0).unwrap();
    assert_eq!(run.packets[0].payload[..3], [0, 11, 0x30]);
    assert!(packetizer.packetize(&unit(vec![], false), 0).is_none());
    assert!(packetizer.packetize(&unit(vec![0x32, 9], false), 0).is_none());
}

#[test]
fn vp9_fragments_say_what_they_are() {
    let config = Vp9Config { profile: 0, width: 320, height: 180 };
    let packetizer = Packetizer::new(&CodecConfig::Vp9(config));
    let given: Vec<u8> = (0..3_000_u32).map(|at| (at % 241) as u8).collect();
    let run = packetizer.packetize(&unit(given.clone(), true), 0).unwrap();
    let sizes: Vec<_> = run.packets.iter().map(|packet| packet.payload.len()).collect();
    assert!(sizes.len() == 3 && sizes[0] == sizes[1] && sizes[2] <= sizes[0], "{sizes:?}");
    assert_eq!(run.packets[0].payload[..6], [0x0a, 0x10, 1, 64, 0, 180]);
    assert_eq!((run.packets[1].payload[0], run.packets[2].payload[0]), (0, 0x04));
    let mut got = run.packets[0].payload[6..].to_vec();
    for packet in &run.packets[1..] {
        got.extend(&packet.payload[1..]);
    }
    assert_eq!(got, given);

    let run = packetizer.packetize(&unit(vec![0x86, 1], false), 0).unwrap();
    assert_eq!(run.packets[0].payload[..], [0x4c, 0x86, 1]);
    assert!(run.packets[0].marker);
    assert!(packetizer.packetize(&unit(vec![], false), 0).is_none());
}

proptest! {
    #[test]
    fn a_receiver_gets_a_temporal_unit_back(
        sizes in prop::collection::vec(0_usize..4_000, 1..12),
        key: bool,
    ) {
        let run = Packetizer::new(&av1_config()).packetize(&unit(obus_of(&sizes), key), 0).unwrap();
        let mut got = av1_units(&run.packets);
        if key {
            got.remove(0);
        }
        let want: Vec<Vec<u8>> = sizes
            .iter()
            .map(|size| std::iter::once(0x30).chain((0..*size).map(|at| (at * 11 % 253) as u8)).collect())
            .collect();
        prop_assert_eq!(got, want);
        prop_assert!(run.packets.iter().all(|packet| packet.payload.len() <= PAYLOAD_BYTES_MAX));
        prop_assert!(run.packets.iter().all(|packet| packet.payload.len() > 2));
        prop_assert_eq!(run.packets.iter().filter(|packet| packet.marker).count(), 1);
    }

    #[test]
    fn a_receiver_gets_the_frame_back(
        sizes in prop::collection::vec(1_usize..6_000, 1..8),
        key: bool,
    ) {
        let nals: Vec<_> = sizes.iter().map(|size| nal(if key { 0x65 } else { 0x41 }, *size)).collect();
        let run = Packetizer::new(&h264_config(PPS)).packetize(&frame(&nals, key), 0).unwrap();
        let mut got = depacketize(&run.packets);
        if key {
            prop_assert_eq!(got.drain(..2).collect::<Vec<_>>(), [SPS.to_vec(), PPS.to_vec()]);
        }
        prop_assert_eq!(got, nals);
        let datagram = |packet: &Packet| packet.payload.len() + RTP_HEADER_BYTES + SRTP_TAG_BYTES;
        prop_assert!(run.packets.iter().all(|packet| datagram(packet) <= limits::RTP_PACKET_BYTES_MAX));
        prop_assert_eq!(run.packets.iter().filter(|packet| packet.marker).count(), 1);
        prop_assert!(run.packets.last().unwrap().marker);
    }
}
