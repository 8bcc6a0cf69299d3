//! Opus: the identification header (RFC 7845 5.1) and how long a packet lasts (RFC 6716 3).

use crate::parameters::ParameterError;

/// What Opus needs beside its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// At least 1. More than 2 are several streams in one packet, which WebRTC does not take.
    pub channels: u8,
}

/// The rate every Opus decoder runs at (RFC 7587 4.1), in Hz.
pub const OPUS_SAMPLE_RATE: u32 = 48_000;
/// The longest packet: 120 ms.
const SAMPLES_MAX: u32 = 5_760;

impl OpusConfig {
    /// Reads an identification header. An empty one says that the packets speak for themselves, and
    /// gives `None`.
    pub fn from_head(head: &[u8]) -> Result<Option<Self>, ParameterError> {
        if head.is_empty() {
            return Ok(None);
        }
        let rest = head.strip_prefix(b"OpusHead").ok_or(ParameterError::Missing("OpusHead"))?;
        let &[version, channels, _skip_low, _skip_high, ..] = rest else {
            return Err(ParameterError::TooShort);
        };
        // Versions 0 to 15 can be read by those who know one of them (RFC 7845 5.1).
        if version > 15 {
            return Err(ParameterError::Version(version));
        }
        if channels == 0 {
            return Err(ParameterError::OutOfRange("channels"));
        }
        Ok(Some(Self { channels }))
    }

    /// Mono or stereo as a packet's first byte says it.
    pub fn from_packet(packet: &[u8]) -> Result<Self, ParameterError> {
        let toc = packet.first().ok_or(ParameterError::TooShort)?;
        Ok(Self { channels: 1 + (toc >> 2 & 1) })
    }
}

/// Samples of a packet at [`OPUS_SAMPLE_RATE`], at most those of 120 ms.
pub fn opus_samples(packet: &[u8]) -> Result<u32, ParameterError> {
    let toc = *packet.first().ok_or(ParameterError::TooShort)?;
    let index = toc >> 3 & 3;
    let frame = match toc >> 3 {
        0..=11 => [480, 960, 1_920, 2_880].get(usize::from(index)),
        12..=15 => [480, 960].get(usize::from(index & 1)),
        _ => [120, 240, 480, 960].get(usize::from(index)),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1).ok_or(ParameterError::TooShort)? & 0x3f),
    };
    let samples = frame.copied().unwrap_or(960) * frames;
    if samples == 0 || samples > SAMPLES_MAX {
        return Err(ParameterError::OutOfRange("frames of a packet"));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_channels() {
        // As ffmpeg 9 sends it for stereo.
        let stereo = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        assert_eq!(OpusConfig::from_head(stereo), Ok(Some(OpusConfig { channels: 2 })));
        assert_eq!(OpusConfig::from_head(b""), Ok(None));
        assert_eq!(OpusConfig::from_head(b"OpusHead\x01"), Err(ParameterError::TooShort));
        assert_eq!(OpusConfig::from_head(b"OpusHead\x10\x02\0\0"), Err(ParameterError::Version(16)));
        assert_eq!(
            OpusConfig::from_head(b"OpusHead\x01\x00\0\0"),
            Err(ParameterError::OutOfRange("channels"))
        );
        assert_eq!(OpusConfig::from_head(b"OggS"), Err(ParameterError::Missing("OpusHead")));
    }

    #[test]
    fn a_packet_tells_its_length() {
        for (packet, samples) in [
            (&[0xfc][..], 960),     // CELT, 20 ms, one frame, stereo
            (&[0xe0], 120),         // CELT, 2.5 ms
            (&[0x18], 2_880),       // SILK, 60 ms
            (&[0x19], 5_760),       // two of them
            (&[0x68], 960),         // hybrid, 20 ms
            (&[0xfb, 0x06], 5_760), // six frames of 20 ms
        ] {
            assert_eq!(opus_samples(packet), Ok(samples), "{packet:02x?}");
        }
        for broken in [&[][..], &[0xfb], &[0xfb, 0x07], &[0xfb, 0x00]] {
            assert!(opus_samples(broken).is_err(), "{broken:02x?}");
        }
        assert_eq!(OpusConfig::from_packet(&[0xfc]), Ok(OpusConfig { channels: 2 }));
        assert_eq!(OpusConfig::from_packet(&[0xf8]), Ok(OpusConfig { channels: 1 }));
    }
}
