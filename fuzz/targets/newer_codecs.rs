//! HEVC, AV1, VP9 and Opus: configuration records, units, and the packets made of them.

use std::time::Instant;

use base::{Clock, MediaTime, SystemClock};
use bytes::Bytes;
use media::h264::{LengthSize, nals};
use media::{
    Av1Config, CodecConfig, HevcConfig, OpusConfig, PAYLOAD_BYTES_MAX, Packetizer, Unit, av1_unit, hevc_unit,
    opus_samples, vp9_key_frame,
};

/// Decoder configuration records and access units of HEVC.
pub fn hevc(data: &[u8]) {
    if let Ok((config, length_size)) = HevcConfig::from_record(data) {
        assert!(config.width > 0 && config.height > 0);
        let _ = hevc_unit(&Bytes::copy_from_slice(data), length_size);
    }
    for length_size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
        if let Ok((payload, _)) = hevc_unit(&Bytes::copy_from_slice(data), length_size) {
            assert!(nals(&payload, LengthSize::Four).all(|nal| nal.is_ok()));
        }
    }
}

/// Configuration records and temporal units of AV1. What was brought into form has it, and every packet of
/// it fits a datagram.
pub fn av1(data: &[u8]) {
    if let Ok(Some(config)) = Av1Config::from_record(data) {
        assert!(config.width > 0 && config.height > 0);
    }
    let Ok(read) = av1_unit(&Bytes::copy_from_slice(data)) else { return };
    let again = av1_unit(&read.payload);
    assert_eq!(again.as_ref().map(|unit| &unit.payload), Ok(&read.payload));
    if let Some(config) = read.config {
        packets(&CodecConfig::Av1(config.into()), &read.payload, read.key);
    }
}

/// Frames of VP9, and their packets.
pub fn vp9(data: &[u8]) {
    if let Ok(Some(config)) = vp9_key_frame(data) {
        assert!(config.width > 0 && config.height > 0);
        packets(&CodecConfig::Vp9(config), &Bytes::copy_from_slice(data), true);
        packets(&CodecConfig::Vp9(config), &Bytes::copy_from_slice(data), false);
    }
}

/// Identification headers and packets of Opus.
pub fn opus(data: &[u8]) {
    if let Ok(Some(config)) = OpusConfig::from_head(data) {
        assert!(config.channels > 0);
    }
    let _ = OpusConfig::from_packet(data);
    if let Ok(samples) = opus_samples(data) {
        assert!((120..=5_760).contains(&samples));
    }
}

fn packets(config: &CodecConfig, payload: &Bytes, key: bool) {
    let at = MediaTime::ZERO;
    let arrived: Instant = SystemClock.now();
    let unit = Unit { dts: at, pts: at, arrived, key, generation: 1, payload: payload.clone() };
    if let Some(run) = Packetizer::new(config).packetize(&unit, 0) {
        assert!(run.packets.iter().all(|packet| (1..=PAYLOAD_BYTES_MAX).contains(&packet.payload.len())));
        assert_eq!(run.packets.iter().filter(|packet| packet.marker).count(), 1);
    }
}
