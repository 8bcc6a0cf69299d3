//! VP8: what a key frame says of itself (RFC 6386 9.1). Not here: pictures.

use crate::parameters::{ParameterError, side};

/// What players want to know of a VP8 track; the bitstream says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Config {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// What a frame is, from its uncompressed header: the configuration where it is a key frame, `None` where
/// it needs others.
pub fn vp8_key_frame(frame: &[u8]) -> Result<Option<Vp8Config>, ParameterError> {
    const NEEDS_OTHERS: u8 = 0x01;
    const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
    // The upper two bits of a side say how a player may scale it.
    const PIXELS: u16 = 0x3fff;
    let first = frame.first().ok_or(ParameterError::TooShort)?;
    if first & NEEDS_OTHERS != 0 {
        return Ok(None);
    }
    let &[_, _, _, a, b, c, w0, w1, h0, h1] = frame.first_chunk::<10>().ok_or(ParameterError::TooShort)?;
    if [a, b, c] != START_CODE {
        return Err(ParameterError::OutOfRange("start code"));
    }
    let pixels = |bytes| u32::from(u16::from_le_bytes(bytes) & PIXELS);
    let width = side(pixels([w0, w1]), "width")?;
    let height = side(pixels([h0, h1]), "height")?;
    Ok(Some(Vp8Config { width, height }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The front of a key frame of libvpx: 320x180.
    const KEY: [u8; 10] = [0x50, 0x3c, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];

    #[test]
    fn a_key_frame_tells_its_size() {
        assert_eq!(vp8_key_frame(&KEY), Ok(Some(Vp8Config { width: 320, height: 180 })));
        // The same, to be shown larger.
        let mut scaled = KEY;
        (scaled[7], scaled[9]) = (scaled[7] | 0x40, scaled[9] | 0x80);
        assert_eq!(vp8_key_frame(&scaled), Ok(Some(Vp8Config { width: 320, height: 180 })));
        assert_eq!(vp8_key_frame(&[0x51]), Ok(None), "the next frame");
    }

    #[test]
    fn broken_headers_are_refused() {
        for length in 0..KEY.len() {
            assert_eq!(vp8_key_frame(&KEY[..length]), Err(ParameterError::TooShort), "{length}");
        }
        let mut other = KEY;
        other[4] = 0;
        assert_eq!(vp8_key_frame(&other), Err(ParameterError::OutOfRange("start code")));
        let mut flat = KEY;
        flat[8] = 0;
        assert_eq!(vp8_key_frame(&flat), Err(ParameterError::OutOfRange("height")));
    }
}
