use bytes::Bytes;

use super::*;

fn video(bytes: &[u8]) -> Result<VideoTag, FlvError> {
    VideoTag::parse(&Bytes::copy_from_slice(bytes))
}

fn audio(bytes: &[u8]) -> Result<AudioTag, FlvError> {
    AudioTag::parse(&Bytes::copy_from_slice(bytes))
}

fn nalus(composition_ms: i32, payload: &'static [u8]) -> VideoBody {
    VideoBody::Nalus { composition_ms, payload: Bytes::from_static(payload) }
}

#[test]
fn legacy_h264_is_read_with_its_signed_composition_time() {
    let header = video(&[0x17, 0, 0, 0, 0, 1, 0x64]).unwrap();
    assert_eq!(header.frame_type, FrameType::Key);
    assert_eq!(header.body, VideoBody::SequenceHeader(Bytes::from_static(&[1, 0x64])));
    for (bytes, ms) in [
        ([0, 0, 80], 80),
        ([0xff, 0xff, 0xd8], -40),
        ([0x7f, 0xff, 0xff], 8_388_607),
        ([0x80, 0, 0], -8_388_608),
    ] {
        let tag = video(&[0x27, 1, bytes[0], bytes[1], bytes[2], 9]).unwrap();
        assert_eq!((tag.frame_type, tag.body), (FrameType::Inter, nalus(ms, &[9])));
    }
    assert_eq!(video(&[0x17, 2, 0, 0, 0]).unwrap().body, VideoBody::EndOfSequence);
    assert_eq!(video(&[0x57, 0]).unwrap().body, VideoBody::Nothing);
}

#[test]
fn enhanced_avc1_is_read_like_legacy_h264() {
    assert_eq!(
        video(b"\x90avc1\x01\x64").unwrap().body,
        VideoBody::SequenceHeader(Bytes::from_static(&[1, 0x64]))
    );
    assert_eq!(video(b"\xa1avc1\xff\xff\xff\x09").unwrap().body, nalus(-1, &[9]));
    assert_eq!(video(b"\xa3avc1\x09").unwrap().body, nalus(0, &[9]));
    assert_eq!(video(b"\xa2avc1").unwrap().body, VideoBody::EndOfSequence);
    // Behind a nanosecond offset (ModEx of 3 bytes), and behind a long one.
    assert_eq!(video(b"\xa7\x02\0\0\x05\x03avc1\x09").unwrap().body, nalus(0, &[9]));
    let mut long = b"\xa7\xff\x00\xff".to_vec();
    long.extend([0; 256]);
    long.extend(b"\x03avc1\x09");
    assert_eq!(video(&long).unwrap().body, nalus(0, &[9]));
}

#[test]
fn aac_is_read_in_both_forms() {
    for header in [&[0xaf, 0, 0x12, 0x10][..], b"\x90mp4a\x12\x10"] {
        assert_eq!(audio(header).unwrap().body, AudioBody::SequenceHeader(Bytes::from_static(&[0x12, 0x10])));
    }
    for raw in [&[0xaf, 1, 0x21][..], b"\x91mp4a\x21"] {
        assert_eq!(audio(raw).unwrap().body, AudioBody::Raw(Bytes::from_static(&[0x21])));
    }
    assert_eq!(audio(b"\x92mp4a").unwrap().body, AudioBody::Nothing);
}

#[test]
fn other_codecs_are_refused_by_name() {
    for (bytes, name) in [
        (&[0x12, 0][..], "Sorenson H.263"),
        (&[0x14, 0], "On2 VP6"),
        (&[0x1c, 0], "HEVC (codec id 12)"),
        (&[0x1e, 0], "number 14"),
        (b"\x90hvc1\0", "HEVC"),
        (b"\x90av01\0", "AV1"),
        (b"\x90vp09\0", "VP9"),
        (b"\x90\"\n\xff\0", "\"\\\"\\n\\xff\\x00\""),
        (b"\x96\0avc1\0", "multitrack video"),
    ] {
        let error = video(bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("the codec {name} is not supported"));
    }
    for (bytes, name) in [
        (&[0x2f, 0][..], "MP3"),
        (&[0xb2, 0], "Speex"),
        (&[0x7f, 0], "G.711 A-law"),
        (b"\x90Opus", "Opus"),
        (b"\x90fLaC", "FLAC"),
        (b"\x95\0mp4a", "multitrack audio"),
    ] {
        let error = audio(bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("the codec {name} is not supported"));
    }
}

#[test]
fn a_tag_cut_anywhere_is_an_error_or_a_shorter_payload() {
    for whole in [
        &[0x17, 0, 0, 0, 0, 1, 0x64][..],
        &[0xaf, 0, 0x12, 0x10],
        b"\xa7\x02\0\0\x05\x01avc1\0\0\0\x09",
        b"\x91mp4a\x21",
    ] {
        for length in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..length]);
            for error in [VideoTag::parse(&cut).err(), AudioTag::parse(&cut).err()].into_iter().flatten() {
                assert_eq!(error == FlvError::Empty, length == 0);
            }
        }
    }
    assert_eq!(video(&[0x17, 1, 0, 0]), Err(FlvError::Truncated));
    assert_eq!(video(b"\xa1avc1\0\0"), Err(FlvError::Truncated));
    assert_eq!(video(b"\xa7\xff\xff\xff\0\0"), Err(FlvError::Truncated));
    assert_eq!(audio(&[0xaf]), Err(FlvError::Truncated));
    assert_eq!(audio(&[0xaf, 7]), Err(FlvError::BadPacketType(7)));
}
