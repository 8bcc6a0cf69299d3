//! H.264 (ITU-T Rec. H.264, 08/2021): parameter sets, NAL units and access units.
//!
//! Read here: SPS with VUI (7.3.2.1, E.1), ids of PPS, the slice type and `frame_num` of slice headers, the
//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) and both framings of NAL units (AVCC
//! lengths and Annex B start codes). Not here: pictures.

mod access_unit;
mod config;
mod nal;
mod sps;

pub use access_unit::{AccessUnit, Framing, ParameterSets, to_unit_payload};
pub use config::{FrameRate, H264Config};
pub use nal::{AnnexB, LengthSize, NalType, Nals, annex_b, has_b_slice, is_b_slice, is_idr, nals};
pub(crate) use nal::{frame_number, unescape};

use base::limits;

use crate::bits::OutOfBits;

/// Why H.264 data was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum H264Error {
    /// It ends before its last field.
    #[error("the data ends too early")]
    TooShort,
    /// The decoder configuration record has another version than 1.
    #[error("version {0} of the decoder configuration record is unknown")]
    Version(u8),
    /// NAL unit lengths of three bytes, which the specification does not allow.
    #[error("NAL unit lengths of {0} bytes are not allowed")]
    LengthSize(u8),
    /// A NAL unit reaches beyond the data.
    #[error("a NAL unit of {length} bytes stands where {left} are left")]
    NalLength {
        /// What its length says.
        length: usize,
        /// What is there.
        left: usize,
    },
    /// More than [`limits::NALS_PER_UNIT_MAX`] NAL units.
    #[error("more than {} NAL units in one access unit", limits::NALS_PER_UNIT_MAX)]
    TooManyNals,
    /// A NAL unit with the forbidden bit set.
    #[error("a NAL unit has its forbidden bit set")]
    ForbiddenBit,
    /// No sequence parameter set.
    #[error("there is no sequence parameter set")]
    NoSps,
    /// No picture parameter set.
    #[error("there is no picture parameter set")]
    NoPps,
    /// A NAL unit of another type stands where a parameter set should.
    #[error("a NAL unit of type {0} stands where a parameter set should")]
    NotAParameterSet(u8),
    /// Too many parameter sets, or too large ones.
    #[error("the parameter sets are too many or too large")]
    ParameterSetsTooLarge,
    /// A field of a parameter set has a value outside its range.
    #[error("the field {0} of a parameter set is out of range")]
    OutOfRange(&'static str),
}

impl From<OutOfBits> for H264Error {
    fn from(OutOfBits: OutOfBits) -> Self {
        Self::TooShort
    }
}

#[cfg(test)]
mod tests;
