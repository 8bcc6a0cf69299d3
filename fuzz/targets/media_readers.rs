//! FLV tags, H.264 and AAC.

use bytes::Bytes;
use container::flv::{AudioTag, VideoTag, tags};
use media::AacConfig;
use media::h264::{Framing, H264Config, LengthSize, ParameterSets, nals, to_unit_payload};

/// Both kinds of FLV tag bodies, and the tags of a file.
pub fn flv_tags(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let _ = VideoTag::parse(&body).map_err(|error| error.to_string());
    let _ = AudioTag::parse(&body).map_err(|error| error.to_string());
    let held: usize = tags(&body).map(|(_, body)| body.len()).sum();
    assert!(held <= data.len());
}

/// Decoder configuration records, and parameter sets one per 16-bit length. What was read is
/// written and read back.
pub fn h264_parameter_sets(data: &[u8]) {
    let from_record = H264Config::from_avcc(data).ok().map(|(config, _)| config);
    let mut sets = ParameterSets::default();
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (set, behind) = behind.split_at(length);
        rest = behind;
        let kind =
            if set.first().is_some_and(|header| header & 0x1f == 8) { &mut sets.pps } else { &mut sets.sps };
        kind.push(Bytes::copy_from_slice(set));
    }
    let from_sets = H264Config::from_parameter_sets(sets.sps.clone(), sets.pps.clone()).ok();
    for config in [from_record, from_sets].into_iter().flatten() {
        let read = H264Config::from_avcc(&config.to_avcc()).map(|(read, _)| read);
        assert_eq!(read.as_ref(), Ok(&config));
        let _ = config.with_in_band(&sets);
    }
}

/// Access units in every framing. What comes out has a unit's form.
pub fn h264_access_unit(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    for framing in [
        Framing::AnnexB,
        Framing::Length(LengthSize::One),
        Framing::Length(LengthSize::Two),
        Framing::Length(LengthSize::Four),
    ] {
        if let Ok(unit) = to_unit_payload(&data, framing) {
            assert!(nals(&unit.payload, LengthSize::Four).all(|nal| nal.is_ok()));
        }
    }
}

/// AudioSpecificConfigs.
pub fn aac_config(data: &[u8]) {
    if let Ok(config) = AacConfig::from_asc(data) {
        assert!(config.sample_rate > 0 && config.channels > 0 && config.samples_per_frame() > 0);
    }
}
