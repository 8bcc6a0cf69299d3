use super::*;

/// What x265 makes of 320x180 (a record without its SEI).
const RECORD: &str = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff016000000300900000030000\
    03003c959809210001002b42010101600000030090000003000003003ca00a080b9f796566924caf01680800000300\
    0800000300504022000100074401c172b46240";

fn record() -> Vec<u8> {
    (0..RECORD.len()).step_by(2).map(|at| u8::from_str_radix(&RECORD[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_record_tells_the_size() {
    let (config, length_size) = HevcConfig::from_record(&record()).unwrap();
    assert_eq!((config.width, config.height), (320, 180));
    assert_eq!(length_size, LengthSize::Four);
}

#[test]
fn a_record_cut_anywhere_before_its_sps_is_an_error() {
    let record = record();
    // Without what stands behind the SPS it can still be read.
    for length in 0..90 {
        assert!(HevcConfig::from_record(&record[..length]).is_err(), "{length}");
    }
    let with = |at: usize, byte: u8| {
        let mut changed = record.clone();
        changed[at] = byte;
        HevcConfig::from_record(&changed)
    };
    assert_eq!(with(0, 2), Err(ParameterError::Version(2)));
    assert_eq!(with(21, 0x0e), Err(H264Error::LengthSize(3).into()));
    assert_eq!(with(22, 1), Err(ParameterError::Missing("sequence parameter set")));
    assert_eq!(
        HevcConfig::from_record(&vec![1; limits::PARAMETER_SETS_BYTES_MAX + 1]),
        Err(ParameterError::TooLarge("parameter sets"))
    );
}

#[test]
fn pictures_that_can_be_started_from_are_told_from_others() {
    for (header, key) in
        [(0x02, false), (0x26, true), (0x28, true), (0x2a, true), (0x40, false), (0x4e, false)]
    {
        let data = Bytes::copy_from_slice(&[0, 0, 0, 3, header, 1, 9]);
        assert_eq!(hevc_unit(&data, LengthSize::Four), Ok((data.clone(), key)), "{header:#x}");
    }
    let short = Bytes::from_static(&[0, 3, 0x26, 1, 9]);
    let whole = Bytes::from_static(&[0, 0, 0, 3, 0x26, 1, 9]);
    assert_eq!(hevc_unit(&short, LengthSize::Two), Ok((whole, true)));
    assert!(hevc_unit(&Bytes::from_static(&[0, 0, 0, 9, 0x26]), LengthSize::Four).is_err());
    assert!(hevc_unit(&Bytes::from_static(&[0, 0, 0, 1, 0xa6]), LengthSize::Four).is_err());
}
