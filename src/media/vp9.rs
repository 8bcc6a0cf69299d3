//! VP9: the configuration record of ISO media files and what a key frame says of itself.
//!
//! Sources: VP Codec ISO Media File Format Binding 1.0; VP9 Bitstream & Decoding Process
//! Specification 0.7, 6.2 and 7.2. Not here: pictures.

use crate::bits::Bits;
use crate::parameters::{ParameterError, side};

/// What a decoder and a page want to know of a VP9 track. The bitstream says all but the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Config {
    /// 0 to 3; browsers take 0 and 2.
    pub profile: u8,
    /// Ten times the level; 0 where nobody told it.
    pub level: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Vp9Config {
    /// The `codecs` parameter of RFC 6381.
    pub fn codec_string(&self) -> String {
        format!("vp09.{:02}.{:02}.{:02}", self.profile, self.level, self.bit_depth)
    }
}

/// The level a VPCodecConfigurationRecord tells, with or without the version and flags of the box it
/// stands in; encoders send both.
pub fn vp9_level(record: &[u8]) -> Result<u8, ParameterError> {
    // A record proper cannot begin like this: its third byte has a bit depth.
    let record = record.strip_prefix(&[1, 0, 0, 0]).unwrap_or(record);
    let &[profile, level, depth, _, _, _, ..] = record else { return Err(ParameterError::TooShort) };
    if profile > 3 {
        return Err(ParameterError::OutOfRange("profile"));
    }
    if !matches!(depth >> 4, 8 | 10 | 12) {
        return Err(ParameterError::OutOfRange("bit depth"));
    }
    Ok(level)
}

/// What a frame (or the first one of a superframe) is, from its uncompressed header: the
/// configuration where it is a key frame, `None` where it needs others.
pub fn vp9_key_frame(frame: &[u8], level: u8) -> Result<Option<Vp9Config>, ParameterError> {
    const SYNC_CODE: u32 = 0x49_83_42;
    const RGB: u32 = 7;
    let mut bits = Bits::new(frame);
    if bits.take(2)? != 2 {
        return Err(ParameterError::OutOfRange("frame marker"));
    }
    let profile = u8::from(bits.flag()?) | u8::from(bits.flag()?) << 1;
    if profile == 3 && bits.flag()? {
        return Err(ParameterError::OutOfRange("profile"));
    }
    let shows_an_earlier_one = bits.flag()?;
    if shows_an_earlier_one || bits.flag()? {
        return Ok(None);
    }
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.take(24)? != SYNC_CODE {
        return Err(ParameterError::OutOfRange("sync code"));
    }
    let bit_depth = match profile {
        0 | 1 => 8,
        _ if bits.flag()? => 12,
        _ => 10,
    };
    // Colour: range and, in the odd profiles, subsampling; of RGB only the latter's reserved bit.
    let odd = profile & 1 == 1;
    match (bits.take(3)? == RGB, odd) {
        (false, false) => bits.skip(1)?,
        (false, true) => bits.skip(4)?,
        (true, true) => bits.skip(1)?,
        (true, false) => return Err(ParameterError::OutOfRange("color space")),
    }
    let width = side(bits.take(16)? + 1, "width")?;
    let height = side(bits.take(16)? + 1, "height")?;
    Ok(Some(Vp9Config { profile, level, bit_depth, width, height }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The front of a key frame of libvpx: profile 0, 320x180.
    const KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00];

    #[test]
    fn a_key_frame_tells_its_size() {
        let config = vp9_key_frame(&KEY, 20).unwrap().unwrap();
        assert_eq!(config, Vp9Config { profile: 0, level: 20, bit_depth: 8, width: 320, height: 180 });
        assert_eq!(config.codec_string(), "vp09.00.20.08");
        // The next frame, and one that shows an earlier one.
        assert_eq!(vp9_key_frame(&[0x86, 0x00], 20), Ok(None));
        assert_eq!(vp9_key_frame(&[0x88], 20), Ok(None));
    }

    #[test]
    fn broken_headers_are_refused() {
        for length in 0..9 {
            assert_eq!(vp9_key_frame(&KEY[..length], 0), Err(ParameterError::TooShort), "{length}");
        }
        assert!(vp9_key_frame(&[0x42], 0).is_err());
        assert!(vp9_key_frame(&[0x82, 0x49, 0x83, 0x43, 0, 0, 0, 0, 0], 0).is_err());
    }

    #[test]
    fn the_record_tells_the_level_in_both_forms() {
        let record = [0, 20, 0x82, 1, 1, 1, 0, 0];
        let boxed: Vec<u8> = [1, 0, 0, 0].into_iter().chain(record).collect();
        assert_eq!(vp9_level(&record), Ok(20));
        assert_eq!(vp9_level(&boxed), Ok(20));
        assert_eq!(vp9_level(&record[..5]), Err(ParameterError::TooShort));
        assert_eq!(vp9_level(&[0, 20, 0x02, 1, 1, 1]), Err(ParameterError::OutOfRange("bit depth")));
        assert_eq!(vp9_level(&[4, 20, 0x82, 1, 1, 1]), Err(ParameterError::OutOfRange("profile")));
    }
}
