use bytes::Bytes;
use media::Codec;

use super::*;

fn video(bytes: &[u8]) -> Result<VideoTag, FlvError> {
    VideoTag::parse(&Bytes::copy_from_slice(bytes))
}

fn audio(bytes: &[u8]) -> Result<AudioTag, FlvError> {
    AudioTag::parse(&Bytes::copy_from_slice(bytes))
}

fn nalus(composition_ms: i32, payload: &'static [u8]) -> VideoBody {
    frame(Codec::H264, composition_ms, payload)
}

fn frame(codec: Codec, composition_ms: i32, payload: &'static [u8]) -> VideoBody {
    VideoBody::Frame { codec, composition_ms, payload: Bytes::from_static(payload) }
}

fn sequence(codec: Codec, record: &'static [u8]) -> VideoBody {
    VideoBody::SequenceHeader(codec, Bytes::from_static(record))
}

#[test]
fn legacy_h264_is_read_with_its_signed_composition_time() {
    let header = video(&[0x17, 0, 0, 0, 0, 1, 0x64]).unwrap();
    assert_eq!(header.frame_type, FrameType::Key);
    assert_eq!(header.body, sequence(Codec::H264, &[1, 0x64]));
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
    assert_eq!(video(b"\x90avc1\x01\x64").unwrap().body, sequence(Codec::H264, &[1, 0x64]));
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
        assert_eq!(
            audio(header).unwrap().body,
            AudioBody::SequenceHeader(Codec::Aac, Bytes::from_static(&[0x12, 0x10]))
        );
    }
    for raw in [&[0xaf, 1, 0x21][..], b"\x91mp4a\x21"] {
        assert_eq!(audio(raw).unwrap().body, AudioBody::Raw(Codec::Aac, Bytes::from_static(&[0x21])));
    }
    assert_eq!(audio(b"\x92mp4a").unwrap().body, AudioBody::Nothing);
}

#[test]
fn the_codecs_of_enhanced_rtmp_are_read() {
    for (bytes, body) in [
        (&b"\x90hvc1\x01"[..], sequence(Codec::Hevc, &[1])),
        (b"\x91hvc1\0\0\x21\x09", frame(Codec::Hevc, 33, &[9])),
        (b"\xa3hvc1\x09", frame(Codec::Hevc, 0, &[9])),
        (b"\x90av01\x81", sequence(Codec::Av1, &[0x81])),
        // No composition time stands in frames that are never reordered.
        (b"\x91av01\x0a\x0b", frame(Codec::Av1, 0, &[0x0a, 0x0b])),
        (b"\x90vp09\x01", sequence(Codec::Vp9, &[1])),
        (b"\xa1vp09\x86", frame(Codec::Vp9, 0, &[0x86])),
        (b"\xa2vp09", VideoBody::EndOfSequence),
        (b"\x94hvc1\x02\0\x09colorInfo", VideoBody::Nothing),
        (b"\x95av01\x80\x04", VideoBody::Nothing),
        (b"\xd1\0", VideoBody::Nothing),
    ] {
        assert_eq!(video(bytes).unwrap().body, body, "{bytes:02x?}");
    }
    let opus = Bytes::from_static(b"OpusHead");
    assert_eq!(audio(b"\x90OpusOpusHead").unwrap().body, AudioBody::SequenceHeader(Codec::Opus, opus));
    let packet = Bytes::from_static(&[0xfc, 1]);
    assert_eq!(audio(b"\x91Opus\xfc\x01").unwrap().body, AudioBody::Raw(Codec::Opus, packet));
    assert_eq!(audio(b"\x94Opus\x01\x02\0\0\0\x03").unwrap().body, AudioBody::Nothing);
    assert_eq!(audio(b"\x90av01\0"), Err(FlvError::WrongKind));
    assert_eq!(video(b"\x90Opus\0"), Err(FlvError::WrongKind));
}

#[test]
fn of_several_tracks_the_first_is_read() {
    let first = frame(Codec::Vp9, 0, &[0x86]);
    for (bytes, body, other_tracks) in [
        // One track with a number; several of one codec; several with a codec each.
        (&b"\xa6\x01vp09\0\x86"[..], first.clone(), false),
        (b"\xa6\x01vp09\x02\x86", VideoBody::Nothing, true),
        (b"\xa6\x11vp09\x01\0\0\x02\x11\x12\0\0\0\x01\x86", first.clone(), true),
        (b"\xa6\x11vp09\0\0\0\x01\x86\x01\0\0\x02\x11\x12", first.clone(), true),
        (b"\xa6\x21avc1\x01\0\0\x05\0\0\0\x09\x09vp09\0\0\0\x01\x86", first, true),
        (b"\xa6\x21avc1\x01\0\0\x02\x11\x12", VideoBody::Nothing, true),
    ] {
        let tag = video(bytes).unwrap();
        assert_eq!((tag.body, tag.other_tracks), (body, other_tracks), "{bytes:02x?}");
    }
    let raw = Bytes::from_static(&[0xfc]);
    assert_eq!(audio(b"\x95\x01Opus\0\xfc").unwrap().body, AudioBody::Raw(Codec::Opus, raw));
    let other = AudioTag { body: AudioBody::Nothing, other_tracks: true };
    assert_eq!(audio(b"\x95\x01mp4a\x01\x21"), Ok(other));
    assert_eq!(video(b"\xa6\x16vp09\0"), Err(FlvError::BadPacketType(0x16)));
    assert_eq!(video(b"\xa6\x31vp09\0"), Err(FlvError::BadPacketType(0x31)));
    assert_eq!(video(b"\xa6\x11vp09\0\xff\xff\xff\x86"), Err(FlvError::Truncated));
}

#[test]
fn other_codecs_are_refused_by_name() {
    for (bytes, name) in [
        (&[0x12, 0][..], "Sorenson H.263"),
        (&[0x14, 0], "On2 VP6"),
        (&[0x1c, 0], "HEVC (codec id 12)"),
        (&[0x1e, 0], "number 14"),
        (b"\x90vvc1\0", "VVC"),
        (b"\x90vp08\0", "VP8"),
        (b"\x90\"\n\xff\0", "\"\\\"\\n\\xff\\x00\""),
        (b"\x96\x00vp08\0\0", "VP8"),
    ] {
        let error = video(bytes).unwrap_err();
        assert_eq!(error.to_string(), format!("the codec {name} is not supported"));
    }
    for (bytes, name) in [
        (&[0x2f, 0][..], "MP3"),
        (&[0xb2, 0], "Speex"),
        (&[0x7f, 0], "G.711 A-law"),
        (b"\x90fLaC", "FLAC"),
        (b"\x90ac-3", "AC-3"),
        (b"\x91ec-3", "E-AC-3"),
        (b"\x91.mp3", "MP3"),
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
