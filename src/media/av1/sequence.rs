//! The sequence header (5.5) and the configuration record it stands in.

use base::limits;
use bytes::{Bytes, BytesMut};

use super::{Obu, kind, obus};
use crate::bits::{Bits, OutOfBits};
use crate::parameters::{ParameterError, side};

/// A sequence header and what it says. Equal means the same header, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Av1Config {
    /// 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point: 8 is level 4.0.
    pub level_idx: u8,
    /// The high tier.
    pub high_tier: bool,
    /// In pixels: the largest a frame may have.
    pub width: u32,
    /// In pixels: the largest a frame may have.
    pub height: u32,
    /// The sequence header as an open bitstream unit with its size.
    pub sequence_header: Bytes,
}

impl Av1Config {
    /// Reads an AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding 2.3; the body of
    /// an Enhanced RTMP sequence start). `None` where it holds no sequence header: one comes in band.
    pub fn from_record(record: &[u8]) -> Result<Option<Self>, ParameterError> {
        let (&[mark, _, _, _], units) = record.split_first_chunk().ok_or(ParameterError::TooShort)?;
        // A marker bit and a version of seven.
        if mark != 0x81 {
            return Err(ParameterError::Version(mark));
        }
        for obu in obus(units) {
            let obu = obu?;
            if obu.kind() == kind::SEQUENCE_HEADER {
                return Self::from_obu(&obu).map(Some);
            }
        }
        Ok(None)
    }

    pub(crate) fn from_obu(obu: &Obu<'_>) -> Result<Self, ParameterError> {
        if obu.body.len() > limits::PARAMETER_SET_BYTES_MAX {
            return Err(ParameterError::TooLarge("sequence headers"));
        }
        let mut written = BytesMut::new();
        obu.write(&mut written);
        let mut bits = Bits::new(obu.body);
        let profile = bits.take(3)? as u8;
        if profile > 2 {
            return Err(ParameterError::OutOfRange("seq_profile"));
        }
        bits.skip(1)?; // still_picture
        if bits.flag()? {
            return Err(ParameterError::OutOfRange("reduced_still_picture_header"));
        }
        let (level_idx, high_tier) = operating_points(&mut bits)?;
        let (width_bits, height_bits) = (bits.take(4)? + 1, bits.take(4)? + 1);
        let width = side(bits.take(width_bits)? + 1, "width")?;
        let height = side(bits.take(height_bits)? + 1, "height")?;
        let sequence_header = written.freeze();
        Ok(Self { profile, level_idx, high_tier, width, height, sequence_header })
    }
}

/// Timing and operating points: level and tier of the first of them.
fn operating_points(bits: &mut Bits<'_>) -> Result<(u8, bool), OutOfBits> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            unsigned_variable(bits)?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let display_delays = bits.flag()?;
    let mut first = (0, false);
    for point in 0..=bits.take(5)? {
        bits.skip(12)?;
        let level = bits.take(5)? as u8;
        let high = level > 7 && bits.flag()?;
        if point == 0 {
            first = (level, high);
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if display_delays && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Ok(first)
}

/// `uvlc()` (4.10.3).
fn unsigned_variable(bits: &mut Bits<'_>) -> Result<(), OutOfBits> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
    }
    if zeros < 32 { bits.skip(zeros) } else { Ok(()) }
}
