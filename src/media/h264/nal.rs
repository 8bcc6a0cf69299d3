//! NAL units (7.3.1) in both framings.

use base::limits;

use super::H264Error;
use crate::bits::Bits;

/// `nal_unit_type` of a NAL unit (table 7-1): what this node tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalType {
    /// 1 and 2: a slice, or its first partition, of a picture that is no IDR picture.
    Slice,
    /// 5: a slice of an IDR picture.
    Idr,
    /// 6: supplemental enhancement information.
    Sei,
    /// 7.
    Sps,
    /// 8.
    Pps,
    /// 9: access unit delimiter.
    Delimiter,
    /// 0 and 24 to 31: unspecified. Decoders ignore them, and RTP gives these numbers a meaning of
    /// its own (RFC 6184 5.2), so they must never be sent.
    Unspecified,
    /// Everything else, passed on as it is.
    Other(u8),
}

impl NalType {
    /// The type of a NAL unit; an empty one is unspecified.
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map_or(0, |header| header & 0x1f) {
            1 | 2 => Self::Slice,
            5 => Self::Idr,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            0 | 24..=31 => Self::Unspecified,
            other => Self::Other(other),
        }
    }
}

/// Bytes of the length in front of each NAL unit (`lengthSizeMinusOne` + 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LengthSize {
    /// One byte.
    One = 1,
    /// Two bytes.
    Two = 2,
    /// Four bytes, as in every [`crate::Unit`].
    #[default]
    Four = 4,
}

impl LengthSize {
    /// In bytes.
    pub const fn bytes(self) -> usize {
        self as usize
    }
}

/// The NAL units of `payload`, each behind a big-endian length. Empty ones are skipped; the first
/// error ends the iteration.
pub fn nals(payload: &[u8], length_size: LengthSize) -> Nals<'_> {
    Nals { left: payload, length_size, count: 0 }
}

/// Iterates over length-prefixed NAL units, see [`nals`].
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    left: &'a [u8],
    length_size: LengthSize,
    count: usize,
}

impl<'a> Nals<'a> {
    fn advance(&mut self) -> Result<&'a [u8], H264Error> {
        self.count += 1;
        if self.count > limits::NALS_PER_UNIT_MAX {
            return Err(H264Error::TooManyNals);
        }
        let (length, rest) =
            self.left.split_at_checked(self.length_size.bytes()).ok_or(H264Error::TooShort)?;
        let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
        let (nal, rest) =
            rest.split_at_checked(length).ok_or(H264Error::NalLength { length, left: rest.len() })?;
        self.left = rest;
        Ok(nal)
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], H264Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.left.is_empty() {
            match self.advance() {
                Ok([]) => {}
                Ok(nal) => return Some(Ok(nal)),
                Err(error) => {
                    self.left = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// The NAL units of a byte stream (Annex B). What stands before the first start code and zero bytes
/// behind a NAL unit are skipped, as B.1.2 has it.
pub fn annex_b(stream: &[u8]) -> AnnexB<'_> {
    AnnexB { left: start_code(stream).map(|(_, behind)| behind), count: 0 }
}

/// Iterates over the NAL units of a byte stream, see [`annex_b`].
#[derive(Clone, Debug)]
pub struct AnnexB<'a> {
    /// What stands behind a start code.
    left: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Iterator for AnnexB<'a> {
    type Item = Result<&'a [u8], H264Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let left = self.left.take()?;
            self.count += 1;
            if self.count > limits::NALS_PER_UNIT_MAX {
                return Some(Err(H264Error::TooManyNals));
            }
            let nal = match start_code(left) {
                Some((before, behind)) => {
                    self.left = Some(behind);
                    before
                }
                None => left,
            };
            let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if end > 0 {
                return Some(Ok(&nal[..end]));
            }
        }
    }
}

/// Splits at the first start code (00 00 01), which belongs to neither part.
fn start_code(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.windows(3).position(|window| window == [0, 0, 1])?;
    Some((&data[..at], &data[at + 3..]))
}

/// Whether a unit payload (4-byte lengths) holds a slice of an IDR picture.
pub fn is_idr(payload: &[u8]) -> bool {
    nals(payload, LengthSize::Four).flatten().any(|nal| NalType::of(nal) == NalType::Idr)
}

/// Whether a unit payload (4-byte lengths) holds a B slice.
pub fn has_b_slice(payload: &[u8]) -> bool {
    nals(payload, LengthSize::Four).flatten().any(is_b_slice)
}

/// Whether a NAL unit is a B slice: `slice_type` 1 or 6 (7.3.3, table 7-6). Only the front of the
/// slice header is read.
pub fn is_b_slice(nal: &[u8]) -> bool {
    if NalType::of(nal) != NalType::Slice {
        return false;
    }
    // `first_mb_in_slice` and `slice_type` take at most two codes of 63 bits.
    let front = unescape(&nal[1..nal.len().min(24)]);
    let mut bits = Bits::new(&front);
    bits.unsigned().and_then(|_first_macroblock| bits.unsigned()).is_ok_and(|slice_type| slice_type % 5 == 1)
}

/// `frame_num` (7.4.3) of the picture whose first slice a NAL unit begins with; `None` of other NAL units, and where
/// nobody knows how many bits it has ([`super::H264Config::frame_number_bits`]).
pub(crate) fn frame_number(nal: &[u8], its_bits: Option<u32>) -> Option<u32> {
    let kind = NalType::of(nal);
    // Three codes of up to 63 bits stand in front of it.
    let front = unescape(nal.get(1..nal.len().min(40))?);
    let mut bits = Bits::new(&front);
    let first_macroblock = bits.unsigned().ok()?;
    match kind {
        _ if first_macroblock != 0 => None,
        NalType::Idr => Some(0),
        NalType::Slice => {
            bits.unsigned().ok()?; // slice_type
            bits.unsigned().ok()?; // pic_parameter_set_id
            bits.take(its_bits?).ok()
        }
        _ => None,
    }
}

/// Takes out the emulation prevention bytes (7.3.1): 00 00 03 becomes 00 00.
pub(crate) fn unescape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut zeros = 0;
    for &byte in data {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}
