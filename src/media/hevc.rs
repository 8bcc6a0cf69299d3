//! HEVC (ITU-T H.265): the decoder configuration record, what its SPS says of the picture's size,
//! and access units. Not here: pictures, and parameter sets that come in band, which stay in the
//! unit.

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};

use crate::bits::Bits;
use crate::h264::{H264Error, LengthSize, nals, unescape};
use crate::parameters::{ParameterError, side};

const SPS: u8 = 33;
/// IDR, CRA and BLA pictures and what is reserved for their like (table 7-1).
const RANDOM_ACCESS: std::ops::RangeInclusive<u8> = 16..=23;

/// An HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HevcConfig {
    /// In pixels, after cropping.
    pub width: u32,
    /// In pixels, after cropping.
    pub height: u32,
    /// The record as it came.
    pub record: Bytes,
}

impl HevcConfig {
    /// Reads a record (the body of an Enhanced RTMP sequence start). The second value is the framing
    /// of the NAL units that go with it.
    pub fn from_record(record: &[u8]) -> Result<(Self, LengthSize), ParameterError> {
        if record.len() > limits::PARAMETER_SETS_BYTES_MAX {
            return Err(ParameterError::TooLarge("parameter sets"));
        }
        let (fixed, arrays) = record.split_first_chunk::<23>().ok_or(ParameterError::TooShort)?;
        let &[version, .., sizes, count] = fixed;
        if version != 1 {
            return Err(ParameterError::Version(version));
        }
        let length_size = match sizes & 3 {
            0 => LengthSize::One,
            1 => LengthSize::Two,
            3 => LengthSize::Four,
            other => return Err(H264Error::LengthSize(other + 1).into()),
        };
        let (width, height) = size(first_sps(arrays, count)?)?;
        Ok((Self { width, height, record: Bytes::copy_from_slice(record) }, length_size))
    }
}

/// The first SPS of the record's arrays.
fn first_sps(mut rest: &[u8], arrays: u8) -> Result<&[u8], ParameterError> {
    for _ in 0..arrays {
        let (&[kind, high, low], behind) = rest.split_first_chunk().ok_or(ParameterError::TooShort)?;
        rest = behind;
        for _ in 0..u16::from_be_bytes([high, low]) {
            let (length, behind) = rest.split_first_chunk().ok_or(ParameterError::TooShort)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (set, behind) = behind.split_at_checked(length).ok_or(ParameterError::TooShort)?;
            if kind & 0x3f == SPS {
                return Ok(set);
            }
            rest = behind;
        }
    }
    Err(ParameterError::Missing("sequence parameter set"))
}

/// Width and height of an SPS (7.3.2.2.1).
fn size(sps: &[u8]) -> Result<(u32, u32), ParameterError> {
    let body = sps.get(2..).ok_or(ParameterError::TooShort)?;
    // All that is read here lies far in front of this.
    let front = unescape(&body[..body.len().min(256)]);
    let mut bits = Bits::new(&front);
    bits.skip(4)?;
    let sub_layers = bits.take(3)?;
    bits.skip(1)?;
    profile_tier_level(&mut bits, sub_layers)?;
    bits.unsigned()?; // sps_seq_parameter_set_id
    let chroma = bits.unsigned()?;
    if chroma > 3 {
        return Err(ParameterError::OutOfRange("chroma_format_idc"));
    }
    if chroma == 3 {
        bits.skip(1)?;
    }
    let (width, height) = (bits.unsigned()?, bits.unsigned()?);
    let mut crop = [0_u32; 4];
    if bits.flag()? {
        for side in &mut crop {
            *side = bits.unsigned()?;
        }
    }
    // Units of table 6-1.
    let across = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let down = if chroma == 1 { 2 } else { 1 };
    let [left, right, top, bottom] = crop.map(u64::from);
    let cropped = |whole: u32, cut: u64| u32::try_from(u64::from(whole).saturating_sub(cut)).unwrap_or(0);
    Ok((
        side(cropped(width, across * (left + right)), "width")?,
        side(cropped(height, down * (top + bottom)), "height")?,
    ))
}

/// Skips `profile_tier_level` (7.3.3).
fn profile_tier_level(bits: &mut Bits<'_>, sub_layers: u32) -> Result<(), ParameterError> {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    bits.skip(PROFILE_BITS + LEVEL_BITS)?;
    let mut present = 0;
    for _ in 0..sub_layers {
        present += if bits.flag()? { PROFILE_BITS } else { 0 };
        present += if bits.flag()? { LEVEL_BITS } else { 0 };
    }
    if sub_layers > 0 {
        // Filled up to eight pairs.
        present += 2 * (8 - sub_layers as usize);
    }
    Ok(bits.skip(present)?)
}

/// Brings an access unit into a unit's form: NAL units behind 4-byte lengths, all of them. The second
/// value: a reader may start here.
pub fn hevc_unit(data: &Bytes, length_size: LengthSize) -> Result<(Bytes, bool), ParameterError> {
    let mut key = false;
    let mut payload = BytesMut::new();
    for nal in nals(data, length_size) {
        let nal = nal?;
        let header = nal.first().copied().unwrap_or_default();
        if header & 0x80 != 0 {
            return Err(H264Error::ForbiddenBit.into());
        }
        key |= RANDOM_ACCESS.contains(&(header >> 1 & 0x3f));
        if length_size != LengthSize::Four {
            // A NAL unit came in one message, which is far below 4 GiB.
            payload.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
            payload.put_slice(nal);
        }
    }
    Ok((if length_size == LengthSize::Four { data.clone() } else { payload.freeze() }, key))
}

#[cfg(test)]
mod tests;
