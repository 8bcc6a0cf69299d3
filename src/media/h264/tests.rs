use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn config(sps: &str, pps: &str) -> H264Config {
    H264Config::from_parameter_sets(vec![hex(sps)], vec![hex(pps)]).unwrap()
}

/// 1920x1080, High, B frames, 30 frames per second (x264).
const HIGH: (&str, &str) = ("67640028acd940780227e5c044000003000400000300f03c60c658", "68ef8fcb");
/// 320x240, Constrained Baseline (x264).
const BASELINE: (&str, &str) = ("6742c00dd90141fb0110000003001000000303c0f142a480", "68cb83cb20");

#[test]
fn parameter_sets_of_x264_in_every_profile() {
    let cases = [
        (BASELINE, "42c00d", (320, 240), (30.0, false)),
        (HIGH, "640028", (1920, 1080), (30.0, true)),
        // Main, no B frames, 30000/1001.
        (
            ("674d401fd9005005bb011000003e90000ea608f1832480", "68ebc3cb20"),
            "4d401f",
            (1280, 720),
            (30_000.0 / 1_001.0, false),
        ),
        // High, interlaced: height counts in pairs of macroblocks.
        (
            ("67640028acd94078044fde0220000003002000000783e2c5b2c0", "68fba3cb22c0"),
            "640028",
            (1920, 1080),
            (30.0, true),
        ),
        // High 4:4:4 Predictive with scaling lists.
        (
            ("67f4001e919b281405ff138088000003000800000301e078b16cb0", "68ebe3c44c000440"),
            "f4001e",
            (640, 360),
            (30.0, true),
        ),
        // High with HRD parameters; the height is cropped.
        (
            ("6764000dacd941419f9f0110000003001000000303c602001e840007a13930c01e28532c", "68ebecb22c"),
            "64000d",
            (320, 180),
            (30.0, true),
        ),
        // High 4:2:2, ten bits; the width is cropped.
        (
            ("677a0015b6cd941b1fe4f0110000030001000003003c0f162d96", "68ebe3cb22c0"),
            "7a0015",
            (426, 240),
            (30.0, true),
        ),
    ];
    for ((sps, pps), profile_level, size, (rate, b_frames)) in cases {
        let config = config(sps, pps);
        assert_eq!(config.profile_level_id()[..], hex(profile_level)[..], "{sps}");
        assert_eq!((config.width, config.height), size, "{sps}");
        assert!((config.frame_rate.unwrap().per_second() - rate).abs() < 1e-9, "{sps}");
        assert_eq!(config.may_have_b_frames(), b_frames, "{sps}");
    }
}

/// Baseline, `pic_order_cnt_type` 2, 16x16 macroblocks, and no VUI: what hardware encoders write.
#[test]
fn a_small_sps_without_vui() {
    // ue: id 0, frame_num 0, order type 2, references 1; gaps 0; width 20 mbs, height 15 mbs;
    // frames only, direct 8x8, no cropping, no VUI, stop bit.
    let bits = "1 1 011 010 0 000010100 0001111 1 1 0 0 1".replace(' ', "");
    let mut sps = vec![0x67, 77, 0, 30];
    for byte in bits.as_bytes().chunks(8) {
        let text = format!("{:0<8}", std::str::from_utf8(byte).unwrap());
        sps.push(u8::from_str_radix(&text, 2).unwrap());
    }
    let config = H264Config::from_parameter_sets(vec![sps.into()], vec![hex(HIGH.1)]).unwrap();
    assert_eq!((config.width, config.height, config.frame_rate), (320, 240, None));
    assert!(!config.may_have_b_frames(), "order type 2 forbids reordering");
}

#[test]
fn a_decoder_configuration_record_round_trips() {
    let config = config(HIGH.0, HIGH.1);
    let record = config.to_avcc();
    assert_eq!(record[..6], [1, 0x64, 0, 0x28, 0xff, 0xe1]);
    assert_eq!(H264Config::from_avcc(&record), Ok((config.clone(), LengthSize::Four)));
    // What ffmpeg appends for High: chroma format and bit depths.
    let mut extended = record.to_vec();
    extended.extend([0xfd, 0xf8, 0xf8, 0]);
    for (low_bits, size) in [(0, LengthSize::One), (1, LengthSize::Two), (3, LengthSize::Four)] {
        extended[4] = 0xfc | low_bits;
        assert_eq!(H264Config::from_avcc(&extended), Ok((config.clone(), size)));
    }
    extended[4] = 0xfe;
    assert_eq!(H264Config::from_avcc(&extended), Err(H264Error::LengthSize(3)));
    extended[0] = 2;
    assert_eq!(H264Config::from_avcc(&extended), Err(H264Error::Version(2)));
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    let record = config(BASELINE.0, BASELINE.1).to_avcc();
    for end in 0..record.len() {
        H264Config::from_avcc(&record[..end]).unwrap_err();
    }
    assert_eq!(H264Config::from_avcc(&[1, 66, 0, 30, 0xff, 0xe0, 0]), Err(H264Error::NoSps));
}

#[test]
fn hostile_parameter_sets_are_refused() {
    let read = |sps: Vec<Bytes>, pps: Vec<Bytes>| H264Config::from_parameter_sets(sps, pps).unwrap_err();
    assert_eq!(read(vec![], vec![hex(HIGH.1)]), H264Error::NoSps);
    assert_eq!(read(vec![hex(HIGH.0)], vec![]), H264Error::NoPps);
    assert_eq!(read(vec![hex(HIGH.1)], vec![hex(HIGH.1)]), H264Error::NotAParameterSet(8));
    let long = |header: u8| Bytes::from(vec![header; limits::PARAMETER_SET_BYTES_MAX + 1]);
    assert_eq!(read(vec![long(0x67)], vec![hex(HIGH.1)]), H264Error::ParameterSetsTooLarge);
    let many = vec![hex(HIGH.1); limits::PARAMETER_SETS_MAX + 1];
    assert_eq!(read(vec![hex(HIGH.0)], many), H264Error::ParameterSetsTooLarge);
    // ue: id 0, frame_num 0, order type 2, references 1; gaps; then 2^20 macroblocks wide.
    let wide = vec![0x67, 66, 0, 30, 0b1101_1010, 0b0000_0000, 0b0000_0000, 0b0000_0100, 0, 0, 0];
    assert_eq!(read(vec![wide.into()], vec![hex(HIGH.1)]), H264Error::OutOfRange("pic_width_in_mbs_minus1"));
}

#[test]
fn parameter_sets_in_band_replace_those_of_their_id() {
    let held = config(BASELINE.0, BASELINE.1);
    let same = ParameterSets { sps: vec![hex(BASELINE.0)], pps: vec![hex(BASELINE.1)] };
    assert_eq!(held.with_in_band(&same), Ok(None));
    let larger = ParameterSets { sps: vec![hex(HIGH.0)], pps: vec![hex(HIGH.1)] };
    assert_eq!(held.with_in_band(&larger), Ok(Some(config(HIGH.0, HIGH.1))));
    // pic_parameter_set_id 1 (010), seq_parameter_set_id 0: a second PPS.
    let second = Bytes::from_static(&[0x68, 0b0101_1000]);
    let added = held.with_in_band(&ParameterSets { sps: vec![], pps: vec![second.clone()] });
    assert_eq!(added.unwrap().unwrap().pps, [hex(BASELINE.1), second]);
}

fn length_prefixed(nals: &[&[u8]], size: usize) -> Bytes {
    let mut out = Vec::new();
    for nal in nals {
        out.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes()[4 - size..]);
        out.extend_from_slice(nal);
    }
    out.into()
}

const SEI: &[u8] = &[0x06, 5, 1, 0xaa, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x00, 0x2b];
const AUD: &[u8] = &[0x09, 0xf0];

#[test]
fn an_access_unit_comes_out_the_same_from_every_framing() {
    let sps = hex(HIGH.0);
    let pps = hex(HIGH.1);
    let given = [AUD, &sps[..], &pps[..], SEI, IDR];
    let mut start_codes = vec![0];
    for nal in given {
        start_codes.extend([0, 0, 1]);
        start_codes.extend_from_slice(nal);
        start_codes.push(0);
    }
    let expected = AccessUnit {
        payload: length_prefixed(&[SEI, IDR], 4),
        idr: true,
        parameter_sets: ParameterSets { sps: vec![sps.clone()], pps: vec![pps.clone()] },
    };
    assert_eq!(to_unit_payload(&start_codes.into(), Framing::AnnexB), Ok(expected.clone()));
    for size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
        let given = length_prefixed(&given, size.bytes());
        assert_eq!(to_unit_payload(&given, Framing::Length(size)), Ok(expected.clone()));
    }
}

#[test]
fn what_needs_no_change_is_not_copied() {
    let given = length_prefixed(&[SEI, IDR], 4);
    let unit = to_unit_payload(&given, Framing::Length(LengthSize::Four)).unwrap();
    assert_eq!(unit.payload.as_ptr(), given.as_ptr());
}

#[test]
fn malformed_access_units_are_refused() {
    let read = |data: Vec<u8>| to_unit_payload(&data.into(), Framing::Length(LengthSize::Four));
    assert_eq!(read(vec![0, 0, 0]), Err(H264Error::TooShort));
    assert_eq!(read(vec![0, 0, 0, 3, 0x65, 1]), Err(H264Error::NalLength { length: 3, left: 2 }));
    assert_eq!(read(vec![0xff; 8]), Err(H264Error::NalLength { length: 0xffff_ffff, left: 4 }));
    assert_eq!(read(vec![0, 0, 0, 1, 0xe5]), Err(H264Error::ForbiddenBit));
    assert_eq!(read(vec![0; 4 * 1_025]), Err(H264Error::TooManyNals));
    assert_eq!(
        to_unit_payload(&[0, 0, 1].repeat(1_026).into(), Framing::AnnexB),
        Err(H264Error::TooManyNals)
    );
    assert!(read(vec![]).unwrap().payload.is_empty());
    // Type 28 would be a fragment in RTP.
    assert!(read(vec![0, 0, 0, 2, 0x7c, 0x85]).unwrap().payload.is_empty());
}

#[test]
fn slices_tell_their_type() {
    // x264's first frames of an IBP stream: P, B as reference, B, in this order.
    for (front, is_b) in
        [("419a2318857f", false), ("419e414213ff", true), ("019e624427ff", true), ("65888400", false)]
    {
        assert_eq!(is_b_slice(&hex(front)), is_b, "{front}");
        assert_eq!(has_b_slice(&length_prefixed(&[SEI, &hex(front)], 4)), is_b, "{front}");
    }
    assert!(is_idr(&length_prefixed(&[SEI, IDR], 4)));
    assert!(!is_idr(&length_prefixed(&[SEI], 4)));
    assert!(!is_b_slice(&[]) && !is_b_slice(&[0x41]));
}

proptest! {
    #[test]
    fn no_input_panics(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = H264Config::from_avcc(&data);
        let mut sps = data.clone();
        sps.insert(0, 0x67);
        let _ = H264Config::from_parameter_sets(vec![sps.into()], vec![hex(HIGH.1)]);
        let data = Bytes::from(data);
        let _ = to_unit_payload(&data, Framing::AnnexB);
        for size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
            let _ = to_unit_payload(&data, Framing::Length(size));
        }
        let _ = has_b_slice(&data);
        let _ = crate::AacConfig::from_asc(&data);
    }

    #[test]
    fn a_flipped_bit_in_an_sps_is_read_or_refused_within_bounds(at in 8_usize..200) {
        let mut sps = hex(HIGH.0).to_vec();
        let byte = at / 8 % sps.len();
        sps[byte.max(1)] ^= 1 << (at % 8);
        if let Ok(config) = H264Config::from_parameter_sets(vec![sps.into()], vec![hex(HIGH.1)]) {
            prop_assert!((1..=limits::PICTURE_SIDE_PIXELS_MAX).contains(&config.width));
            prop_assert!((1..=limits::PICTURE_SIDE_PIXELS_MAX).contains(&config.height));
        }
    }
}
