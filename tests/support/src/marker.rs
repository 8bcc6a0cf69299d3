//! The moving picture that says which frame it is and when it was made, published by ffmpeg.
//!
//! Picture and sound are computed here and handed to ffmpeg raw, so that a flash and its beep begin at
//! the same instant of the encoder's clock, to the sample.

mod code;
mod encoder;
mod font;
mod options;
mod picture;
mod sound;

pub use code::{CODE_CELLS, CODE_ROWS, Reading};
pub use encoder::{Marker, MarkerError, MarkerReport};
pub use options::{AAC, MarkerOptions, OPUS, Pace, Target, X264, X264_BASELINE, picture_size};
pub use picture::Picture;
pub use sound::Sound;

use std::time::Duration;

/// A flash and a beep begin together this often, the first one half a period after the start.
pub const FLASH_PERIOD: Duration = Duration::from_secs(2);

/// How long a flash and its beep last.
const FLASH_LENGTH: Duration = Duration::from_millis(100);
