//! VP9: what a key frame says of itself (VP9 Bitstream & Decoding Process Specification 0.7, 6.2 and
//! 7.2). Not here: pictures.

use crate::bits::Bits;
use crate::parameters::{ParameterError, side};

/// What players want to know of a VP9 track; the bitstream says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Config {
    /// 0 to 3; browsers take 0 and 2.
    pub profile: u8,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// What a frame (or the first one of a superframe) is, from its uncompressed header: the
/// configuration where it is a key frame, `None` where it needs others.
pub fn vp9_key_frame(frame: &[u8]) -> Result<Option<Vp9Config>, ParameterError> {
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
    if profile > 1 {
        bits.skip(1)?; // ten_or_twelve_bit
    }
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
    Ok(Some(Vp9Config { profile, width, height }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The front of a key frame of libvpx: profile 0, 320x180.
    const KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00];

    #[test]
    fn a_key_frame_tells_its_size() {
        let config = vp9_key_frame(&KEY).unwrap().unwrap();
        assert_eq!(config, Vp9Config { profile: 0, width: 320, height: 180 });
        // The next frame, and one that shows an earlier one.
        assert_eq!(vp9_key_frame(&[0x86, 0x00]), Ok(None));
        assert_eq!(vp9_key_frame(&[0x88]), Ok(None));
    }

    #[test]
    fn broken_headers_are_refused() {
        for length in 0..9 {
            assert_eq!(vp9_key_frame(&KEY[..length]), Err(ParameterError::TooShort), "{length}");
        }
        assert!(vp9_key_frame(&[0x42]).is_err());
        assert!(vp9_key_frame(&[0x82, 0x49, 0x83, 0x43, 0, 0, 0, 0, 0]).is_err());
    }
}
