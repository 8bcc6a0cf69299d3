//! Why a decoder configuration record, or a unit that goes with it, was refused. H.264 has
//! [`crate::h264::H264Error`], AAC [`crate::AacError`] of its own.

use crate::bits::OutOfBits;
use crate::h264::H264Error;

/// Why HEVC, AV1, VP9 or Opus data was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It ends before its last field.
    #[error("the data ends too early")]
    TooShort,
    /// A record of another version than the one that is known.
    #[error("version {0} of the configuration record is unknown")]
    Version(u8),
    /// A field has a value outside its range.
    #[error("the field {0} is out of range")]
    OutOfRange(&'static str),
    /// Something a decoder cannot do without is not there.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// More, or larger ones, than the named limits allow.
    #[error("too many or too large {0}")]
    TooLarge(&'static str),
    /// NAL units that cannot be followed.
    #[error(transparent)]
    Nal(#[from] H264Error),
}

impl From<OutOfBits> for ParameterError {
    fn from(OutOfBits: OutOfBits) -> Self {
        Self::TooShort
    }
}

/// Width or height as it is counted in pixels, within [`base::limits::PICTURE_SIDE_PIXELS_MAX`].
pub(crate) fn side(pixels: u32, name: &'static str) -> Result<u32, ParameterError> {
    if (1..=base::limits::PICTURE_SIDE_PIXELS_MAX).contains(&pixels) {
        Ok(pixels)
    } else {
        Err(ParameterError::OutOfRange(name))
    }
}
