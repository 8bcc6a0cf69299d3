//! Readers that write tracks. Now: AAC to Opus, for WebRTC players.
//!
//! [`AacToOpus`] converts frames and keeps their times; [`follow()`] runs one per stream, only while
//! somebody wants Opus, on the threads of an [`AudioPool`]. What can be converted is said by
//! [`media::AacConfig::webrtc_support`]. Not here: who wants it ([`media::StreamMedia::want`]), and
//! who starts followers (a reader factory registered in `main`).
//!
//! Formats: AAC-LC raw frames (ISO/IEC 14496-3), Opus packets of 20 ms (RFC 6716, RFC 7587).
//!
//! Invariants:
//! * one converter per stream, whatever the number of players;
//! * the derived track's times are the source's: a sound is heard within 5 ms of where it was;
//! * a panic in a codec ends that stream's converter, which is made anew, and nothing else.

mod convert;
mod decode;
mod follow;
mod pace;
mod pool;
mod reader;
mod resample;
#[cfg(test)]
mod testing;

pub use convert::{AacToOpus, ConvertError};
pub use follow::{OPUS_TRACK, follow};
pub use pool::{AudioPool, Panicked, Slot};
pub use reader::AudioTranscoders;
