//! AV1 (AV1 Bitstream & Decoding Process Specification): open bitstream units, what a sequence header
//! says, and temporal units. Not here: pictures.

mod sequence;

pub use sequence::Av1Config;

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};

use crate::bits::Bits;
use crate::parameters::ParameterError;

/// Types of open bitstream units that are told apart (6.2.2).
pub(crate) mod kind {
    pub(crate) const SEQUENCE_HEADER: u8 = 1;
    pub(crate) const TEMPORAL_DELIMITER: u8 = 2;
    pub(crate) const FRAME_HEADER: u8 = 3;
    pub(crate) const FRAME: u8 = 6;
    pub(crate) const TILE_LIST: u8 = 8;
    pub(crate) const PADDING: u8 = 15;
}

const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// One open bitstream unit of a temporal unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obu<'a> {
    header: u8,
    extension: Option<u8>,
    /// What stands behind header and size.
    pub(crate) body: &'a [u8],
    /// The size was there, in the form and place every unit of ours has it.
    whole: bool,
}

impl Obu<'_> {
    pub(crate) const fn kind(&self) -> u8 {
        self.header >> 3 & 0x0f
    }

    /// The header as RTP has it: one or two bytes, and no size behind it.
    pub(crate) fn header_without_size(&self) -> ([u8; 2], usize) {
        ([self.header & !HAS_SIZE, self.extension.unwrap_or(0)], 1 + usize::from(self.extension.is_some()))
    }

    /// Whether a receiver of a temporal unit has use for it.
    fn is_kept(&self) -> bool {
        !matches!(self.kind(), kind::TEMPORAL_DELIMITER | kind::TILE_LIST | kind::PADDING)
    }

    /// What [`Obu::write`] takes.
    fn written_bytes(&self) -> usize {
        self.header_without_size().1 + leb128_bytes(self.body.len()) + self.body.len()
    }

    /// Appends it with its size.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.header | HAS_SIZE);
        if let Some(extension) = self.extension {
            out.put_u8(extension);
        }
        put_leb128(out, self.body.len());
        out.put_slice(self.body);
    }
}

/// The units of low-overhead data (5.2); only the last may leave its size out. The first error ends
/// the iteration.
pub(crate) fn obus(data: &[u8]) -> Obus<'_> {
    Obus { left: data, count: 0 }
}

pub(crate) struct Obus<'a> {
    left: &'a [u8],
    count: usize,
}

impl<'a> Obus<'a> {
    fn advance(&mut self) -> Result<Obu<'a>, ParameterError> {
        self.count += 1;
        if self.count > limits::NALS_PER_UNIT_MAX {
            return Err(ParameterError::TooLarge("open bitstream units"));
        }
        let (&header, mut rest) = self.left.split_first().ok_or(ParameterError::TooShort)?;
        if header & 0x80 != 0 {
            return Err(ParameterError::OutOfRange("forbidden bit"));
        }
        let mut extension = None;
        if header & HAS_EXTENSION != 0 {
            let (&byte, behind) = rest.split_first().ok_or(ParameterError::TooShort)?;
            (extension, rest) = (Some(byte), behind);
        }
        let mut whole = false;
        let mut size = rest.len();
        if header & HAS_SIZE != 0 {
            let coded;
            (size, coded, rest) = leb128(rest)?;
            whole = coded == leb128_bytes(size);
        }
        let (body, rest) = rest.split_at_checked(size).ok_or(ParameterError::TooShort)?;
        self.left = rest;
        Ok(Obu { header, extension, body, whole })
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, ParameterError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let obu = self.advance();
        if obu.is_err() {
            self.left = &[];
        }
        Some(obu)
    }
}

/// A number of up to eight groups of seven bits (4.10.5), the bytes it takes, and what stands behind.
pub(crate) fn leb128(data: &[u8]) -> Result<(usize, usize, &[u8]), ParameterError> {
    let mut value = 0_u64;
    for (index, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| ParameterError::OutOfRange("size of a unit"))?;
            return Ok((value as usize, index + 1, data.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(if data.len() < 8 { ParameterError::TooShort } else { ParameterError::OutOfRange("size of a unit") })
}

/// How many bytes [`put_leb128`] takes.
pub(crate) const fn leb128_bytes(value: usize) -> usize {
    let mut bytes = 1;
    let mut left = value >> 7;
    while left > 0 {
        bytes += 1;
        left >>= 7;
    }
    bytes
}

pub(crate) fn put_leb128(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A temporal unit as a [`crate::Unit`] carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalUnit {
    /// Every unit with its size, without temporal delimiters, tile lists and padding.
    pub payload: Bytes,
    /// It begins with a key frame that is shown: a reader may start here.
    pub key: bool,
    /// What a sequence header in it says.
    pub config: Option<Av1Config>,
}

/// Brings a temporal unit into a unit's form. What has that form already is shared, not copied.
pub fn av1_unit(data: &Bytes) -> Result<TemporalUnit, ParameterError> {
    const DELIMITER: &[u8] = &[kind::TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0];
    // Most encoders leave this one in front, which must not cost a copy.
    let data = if data.starts_with(DELIMITER) { &data.slice(DELIMITER.len()..) } else { data };
    let mut unit = TemporalUnit { payload: Bytes::new(), key: false, config: None };
    let mut kept_bytes = 0;
    let mut has_the_form = true;
    let mut first_frame = true;
    for obu in obus(data) {
        let obu = obu?;
        match obu.kind() {
            kind::SEQUENCE_HEADER => unit.config = Some(Av1Config::from_obu(&obu)?),
            kind::FRAME | kind::FRAME_HEADER if std::mem::take(&mut first_frame) => {
                unit.key = is_shown_key_frame(obu.body)?;
            }
            _ => {}
        }
        has_the_form &= obu.is_kept() && obu.whole;
        if obu.is_kept() {
            kept_bytes += obu.written_bytes();
        }
    }
    if has_the_form {
        unit.payload = data.clone();
        return Ok(unit);
    }
    let mut payload = BytesMut::with_capacity(kept_bytes);
    for obu in obus(data).flatten().filter(Obu::is_kept) {
        obu.write(&mut payload);
    }
    unit.payload = payload.freeze();
    Ok(unit)
}

/// The front of `uncompressed_header` (5.9.2) of a sequence that is no still picture.
pub(crate) fn is_shown_key_frame(header: &[u8]) -> Result<bool, ParameterError> {
    const KEY_FRAME: u32 = 0;
    let mut bits = Bits::new(header);
    let shows_an_earlier_one = bits.flag()?;
    Ok(!shows_an_earlier_one && bits.take(2)? == KEY_FRAME && bits.flag()?)
}

#[cfg(test)]
mod tests;
