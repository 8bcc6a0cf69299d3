use super::*;

/// The record and the front of the first two temporal units of libaom at 320x180.
const RECORD: &[u8] = &[0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0, 0, 0, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0, 0x40];
const SEQUENCE: &[u8] = RECORD.split_at(4).1;

fn unit(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

/// A frame unit with its size.
const KEY: &[u8] = &[0x32, 3, 0x10, 0, 0x8d];
const INTER: &[u8] = &[0x32, 3, 0x30, 0x03, 0x80];
const DELIMITER: &[u8] = &[0x12, 0];

#[test]
fn the_sequence_header_tells_size_and_profile() {
    let config = Av1Config::from_record(RECORD).unwrap().unwrap();
    assert_eq!((config.width, config.height), (320, 180));
    assert_eq!((config.profile, config.level_idx, config.high_tier), (0, 0, false));
    assert_eq!(config.sequence_header, SEQUENCE);
    // SVT-AV1 at the same size.
    let other = [0x81, 0, 0x0c, 0, 0x0a, 0x0b, 0x02, 0, 0, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
    let other = Av1Config::from_record(&other).unwrap().unwrap();
    assert_eq!((other.width, other.height), (320, 180));
    // A record may leave it to the bitstream.
    assert_eq!(Av1Config::from_record(&[0x81, 0, 0x0c, 0]), Ok(None));
}

#[test]
fn a_record_cut_or_changed_is_an_error() {
    assert_eq!(Av1Config::from_record(&RECORD[..3]), Err(ParameterError::TooShort));
    for length in 5..RECORD.len() {
        assert!(Av1Config::from_record(&RECORD[..length]).is_err(), "{length}");
    }
    assert_eq!(Av1Config::from_record(&[0x82, 0, 0, 0]), Err(ParameterError::Version(0x82)));
    assert_eq!(
        Av1Config::from_record(&[0x81, 0, 0, 0, 0x8a, 0]),
        Err(ParameterError::OutOfRange("forbidden bit"))
    );
    let large = [&[0x81, 0, 0, 0, 0x0a, 0x90, 0x4e][..], &[0; 10_000]].concat();
    assert_eq!(Av1Config::from_record(&large), Err(ParameterError::TooLarge("sequence headers")));
    assert!(Av1Config::from_record(&[0x81, 0, 0, 0, 0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
}

#[test]
fn a_temporal_unit_is_brought_into_form() {
    let read = av1_unit(&unit(&[DELIMITER, SEQUENCE, KEY])).unwrap();
    assert!(read.key);
    assert_eq!(read.payload, unit(&[SEQUENCE, KEY]));
    assert_eq!(read.config, Av1Config::from_record(RECORD).unwrap());

    // Only the delimiter in front is shared away; others, padding and tile lists cost a copy.
    let given = unit(&[DELIMITER, INTER, INTER]);
    let read = av1_unit(&given).unwrap();
    assert!(!read.key && read.config.is_none());
    assert_eq!(read.payload.as_ptr(), given[2..].as_ptr());
    let read = av1_unit(&unit(&[INTER, DELIMITER, &[0x7a, 2, 0, 0], KEY])).unwrap();
    assert_eq!(read.payload, unit(&[INTER, KEY]));
    assert!(!read.key, "the first frame counts");

    // The last unit may come without its size, and a size may be longer than it need be.
    assert_eq!(
        av1_unit(&unit(&[INTER, &[0x30, 0x10, 0, 1]])).unwrap().payload,
        unit(&[INTER, &[0x32, 3, 0x10, 0, 1]])
    );
    assert_eq!(av1_unit(&unit(&[&[0x32, 0x83, 0, 0x10, 0, 0x8d]])).unwrap().payload, unit(&[KEY]));
    // An extension stays.
    let layered = unit(&[&[0x36, 0x20, 3, 0x30, 0, 0]]);
    assert_eq!(av1_unit(&layered).unwrap().payload, layered);
}

#[test]
fn what_is_not_shown_or_shown_again_is_no_place_to_start() {
    for (first, key) in [(0x10, true), (0x00, false), (0x30, false), (0x80, false), (0x50, false)] {
        assert_eq!(av1_unit(&unit(&[&[0x32, 1, first]])).unwrap().key, key, "{first:#x}");
        assert_eq!(av1_unit(&unit(&[&[0x1a, 1, first]])).unwrap().key, key, "{first:#x}");
    }
    assert_eq!(av1_unit(&unit(&[&[0x32, 0]])), Err(ParameterError::TooShort));
    assert_eq!(av1_unit(&unit(&[&[0x32, 9, 0x10]])), Err(ParameterError::TooShort));
    let many: Bytes = [0x32, 1, 0x30].repeat(limits::NALS_PER_UNIT_MAX + 1).into();
    assert_eq!(av1_unit(&many), Err(ParameterError::TooLarge("open bitstream units")));
}
