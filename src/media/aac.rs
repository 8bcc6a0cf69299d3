//! AAC's AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).

use std::fmt;

use bytes::Bytes;

use crate::bits::{Bits, OutOfBits};

/// Why an AudioSpecificConfig was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AacError {
    /// It ends before its last field.
    #[error("the audio configuration ends too early")]
    TooShort,
    /// Larger than any real one.
    #[error("an audio configuration of {0} bytes is over the limit of {max}", max = AacConfig::BYTES_MAX)]
    TooLarge(usize),
    /// The object type is not one of AAC's.
    #[error("audio object type {0} is not AAC")]
    ObjectType(u8),
    /// A reserved frequency index, or a rate outside 7,350 to 96,000 Hz.
    #[error("the sampling frequency is not one of AAC's")]
    SampleRate,
    /// Channel configuration 0: the channels are described in a program config element.
    #[error("channels described by a program config element are not supported")]
    ProgramConfig,
    /// A reserved channel configuration.
    #[error("channel configuration {0} is reserved")]
    Channels(u8),
}

impl From<OutOfBits> for AacError {
    fn from(OutOfBits: OutOfBits) -> Self {
        Self::TooShort
    }
}

/// An AudioSpecificConfig and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct AacConfig {
    /// The core's audio object type: 1 Main, 2 Low Complexity, 3 SSR, 4 LTP and so on (table 1.17).
    pub object_type: u8,
    /// The core's sampling rate in Hz. With SBR the sound has twice as many samples.
    pub sample_rate: u32,
    /// Channels of the core.
    pub channels: u8,
    /// Spectral band replication is signalled: HE-AAC.
    pub sbr: bool,
    /// Parametric stereo is signalled: HE-AAC v2.
    pub ps: bool,
    /// Samples of the core in one frame and channel.
    samples_per_frame: u32,
    /// The configuration as it came.
    pub asc: Bytes,
}

/// `samplingFrequencyIndex` 0 to 12 (table 1.18).
const FREQUENCIES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

const SBR: u8 = 5;
const PS: u8 = 29;

impl AacConfig {
    /// Largest AudioSpecificConfig taken.
    pub const BYTES_MAX: usize = 64;

    /// Reads an AudioSpecificConfig (the body of an RTMP AAC sequence header).
    pub fn from_asc(asc: &[u8]) -> Result<Self, AacError> {
        if asc.len() > Self::BYTES_MAX {
            return Err(AacError::TooLarge(asc.len()));
        }
        let mut bits = Bits::new(asc);
        let outer = object_type(&mut bits)?;
        let sample_rate = frequency(&mut bits)?;
        let channel_configuration = bits.take(4)?;
        let mut sbr = outer == SBR || outer == PS;
        let mut ps = outer == PS;
        let hierarchical = sbr;
        let object_type = if hierarchical {
            frequency(&mut bits)?; // of the SBR output
            object_type(&mut bits)?
        } else {
            outer
        };
        if !matches!(object_type, 1..=4 | 6 | 17 | 19 | 20 | 23) {
            return Err(AacError::ObjectType(object_type));
        }
        let samples_per_frame = general_audio(&mut bits, object_type)?;
        if !hierarchical && backward_compatible(&mut bits) {
            sbr = true;
            ps = backward_compatible_ps(&mut bits);
        }
        Ok(Self {
            object_type,
            sample_rate,
            channels: channels(channel_configuration)?,
            sbr,
            ps,
            samples_per_frame,
            asc: Bytes::copy_from_slice(asc),
        })
    }

    /// Samples of the core in one frame and channel: 1024, or 960 (480 and 512 in low delay types).
    pub const fn samples_per_frame(&self) -> u32 {
        self.samples_per_frame
    }

    /// Whether it is made into Opus as it is: Low Complexity, mono or stereo, 44.1 or 48 kHz, 1024 samples a frame.
    pub const fn is_plain(&self) -> bool {
        self.object_type == 2
            && !self.sbr
            && !self.ps
            && matches!(self.channels, 1 | 2)
            && matches!(self.sample_rate, 44_100 | 48_000)
            && self.samples_per_frame == 1024
    }

    /// The profile as people call it.
    pub const fn profile(&self) -> &'static str {
        match (self.object_type, self.sbr, self.ps) {
            (_, _, true) => "HE-AAC v2",
            (_, true, _) => "HE-AAC",
            (1, ..) => "AAC Main",
            (2, ..) => "AAC-LC",
            (3, ..) => "AAC SSR",
            (4, ..) => "AAC LTP",
            (23, ..) => "AAC-LD",
            _ => "error-resilient or scalable AAC",
        }
    }
}

impl fmt::Debug for AacConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} Hz {} ch {:02x?}", self.profile(), self.sample_rate, self.channels, &self.asc[..])
    }
}

fn object_type(bits: &mut Bits<'_>) -> Result<u8, AacError> {
    const ESCAPE: u32 = 31;
    let number = match bits.take(5)? {
        ESCAPE => 32 + bits.take(6)?,
        number => number,
    };
    Ok(u8::try_from(number).unwrap_or(u8::MAX))
}

fn frequency(bits: &mut Bits<'_>) -> Result<u32, AacError> {
    const EXPLICIT: u32 = 15;
    let rate = match bits.take(4)? {
        EXPLICIT => bits.take(24)?,
        index => usize::try_from(index).ok().and_then(|at| FREQUENCIES.get(at).copied()).unwrap_or(0),
    };
    if (7_350..=96_000).contains(&rate) { Ok(rate) } else { Err(AacError::SampleRate) }
}

/// `channelConfiguration` (table 1.19, with amendments up to 14).
fn channels(configuration: u32) -> Result<u8, AacError> {
    match configuration {
        0 => Err(AacError::ProgramConfig),
        1 => Ok(1),
        2 => Ok(2),
        3 => Ok(3),
        4 => Ok(4),
        5 => Ok(5),
        6 => Ok(6),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        other => Err(AacError::Channels(u8::try_from(other).unwrap_or(u8::MAX))),
    }
}

/// Reads the GASpecificConfig (4.4.1) and gives the frame length.
fn general_audio(bits: &mut Bits<'_>, object_type: u8) -> Result<u32, AacError> {
    let short_frames = bits.flag()?;
    if bits.flag()? {
        bits.skip(14)?; // coreCoderDelay
    }
    let extension = bits.flag()?;
    if matches!(object_type, 6 | 20) {
        bits.skip(3)?; // layerNr
    }
    if extension {
        if matches!(object_type, 17 | 19 | 20 | 23) {
            bits.skip(3)?; // resilience flags
        }
        bits.skip(1)?; // extensionFlag3
    }
    Ok(match (object_type, short_frames) {
        (23, false) => 512,
        (23, true) => 480,
        (_, false) => 1024,
        (_, true) => 960,
    })
}

/// SBR signalled behind a configuration that older decoders read to its end (1.6.2.1, `0x2b7`).
fn backward_compatible(bits: &mut Bits<'_>) -> bool {
    const SYNC_SBR: u32 = 0x2b7;
    if bits.left() < 16 {
        return false;
    }
    let mut read = || -> Result<bool, AacError> {
        if bits.take(11)? != SYNC_SBR || object_type(bits)? != SBR || !bits.flag()? {
            return Ok(false);
        }
        frequency(bits)?;
        Ok(true)
    };
    read().unwrap_or(false)
}

fn backward_compatible_ps(bits: &mut Bits<'_>) -> bool {
    const SYNC_PS: u32 = 0x548;
    bits.left() >= 12 && bits.take(11) == Ok(SYNC_PS) && bits.flag() == Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asc(hex: &[u8]) -> AacConfig {
        AacConfig::from_asc(hex).unwrap()
    }

    #[test]
    fn low_complexity_as_obs_and_ffmpeg_send_it() {
        let obs = asc(&[0x12, 0x10]);
        assert_eq!((obs.object_type, obs.sample_rate, obs.channels, obs.sbr), (2, 44_100, 2, false));
        assert_eq!(obs.samples_per_frame(), 1024);
        assert_eq!(obs.profile(), "AAC-LC");
        // ffmpeg adds "no SBR" in the backward-compatible way: 2b7, type 5, flag 0.
        let ffmpeg = asc(&[0x11, 0x88, 0x56, 0xe5, 0x00]);
        assert_eq!((ffmpeg.sample_rate, ffmpeg.channels, ffmpeg.sbr), (48_000, 1, false));
    }

    #[test]
    fn he_aac_is_seen_in_both_ways_of_signalling() {
        // Hierarchical: type 5, 22,050 Hz, stereo, output 44,100 Hz, type 2.
        let hierarchical = asc(&[0x2b, 0x92, 0x08, 0x00]);
        assert_eq!((hierarchical.object_type, hierarchical.sample_rate), (2, 22_050));
        assert_eq!(hierarchical.profile(), "HE-AAC");
        // Backward compatible: LC at 24,000 Hz stereo, then 2b7, type 5, SBR to 48,000 Hz.
        let compatible = asc(&[0x13, 0x10, 0x56, 0xe5, 0x98]);
        assert_eq!((compatible.sample_rate, compatible.sbr, compatible.ps), (24_000, true, false));
        // And v2: type 29 over one channel.
        let v2 = asc(&[0xeb, 0x8a, 0x08, 0x00]);
        assert_eq!((v2.channels, v2.profile()), (1, "HE-AAC v2"));
        // 2b7, SBR, then 548 and parametric stereo.
        let v2 = asc(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]);
        assert_eq!(v2.profile(), "HE-AAC v2");
    }

    #[test]
    fn explicit_rates_and_short_frames() {
        // Type 2, index 15, 44,100 (0x00ac44), stereo, frameLengthFlag.
        let bits: u64 = 0b00010 << 59 | 15 << 55 | 44_100 << 31 | 2 << 27 | 1 << 26;
        let config = asc(&bits.to_be_bytes());
        assert_eq!((config.sample_rate, config.channels, config.samples_per_frame()), (44_100, 2, 960));
    }

    #[test]
    fn plain_is_what_is_decoded_in_process() {
        for plain in [[0x12, 0x08], [0x12, 0x10], [0x11, 0x88], [0x11, 0x90]] {
            assert!(asc(&plain).is_plain(), "{plain:02x?}");
        }
        // HE-AAC, six channels, 32 kHz, frames of 960 samples.
        for odd in [&[0x2b, 0x92, 0x08, 0x00][..], &[0x12, 0x30], &[0x12, 0x90], &[0x12, 0x14]] {
            assert!(!asc(odd).is_plain(), "{odd:02x?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let refused = |hex: &[u8]| AacConfig::from_asc(hex).unwrap_err();
        assert_eq!(refused(&[]), AacError::TooShort);
        assert_eq!(refused(&[0x12]), AacError::TooShort);
        assert_eq!(refused(&[0x12, 0x00]), AacError::ProgramConfig);
        assert_eq!(refused(&[0x12, 0x78]), AacError::Channels(15));
        assert_eq!(refused(&[0x16, 0x90]), AacError::SampleRate);
        assert_eq!(refused(&[0x82, 0x10]), AacError::ObjectType(16));
        assert_eq!(refused(&[0x12; 65]), AacError::TooLarge(65));
    }
}
