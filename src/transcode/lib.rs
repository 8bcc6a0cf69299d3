//! Readers that write tracks: what WebRTC players are sent of sources that they cannot be sent.
//!
//! [`AacToOpus`] converts frames and keeps their times; [`follow()`] runs one per stream, only while
//! somebody wants Opus, on the threads of an [`AudioPool`]. [`Making`] has an ffmpeg make plain AAC of other
//! AAC, and H.264 without B-frames of H.264 with them, again once per stream and only while somebody wants it.
//! What is made of what is said by [`media::webrtc_way`]. Not here: who wants it
//! ([`media::StreamMedia::want_for_webrtc`]), and who starts followers (reader factories registered in `main`).
//!
//! Formats: AAC-LC raw frames (ISO/IEC 14496-3), Opus packets of 20 ms (RFC 6716, RFC 7587).
//!
//! Invariants:
//! * one converter per stream, whatever the number of players;
//! * the derived track's times are the source's: a sound is heard within 5 ms of where it was (25 ms where another
//!   program stands between);
//! * a panic in a codec ends that stream's converter, which is made anew, and nothing else; another program
//!   is a process of its own, and is started anew from the newest key frame;
//! * a stream whose source can be sent as it is never has another program.

mod child;
mod convert;
mod decode;
mod follow;
mod made;
mod pace;
mod pool;
mod reader;
mod resample;
#[cfg(test)]
mod testing;

pub use convert::{AacToOpus, ConvertError};
pub use follow::{OPUS_TRACK, follow};
pub use made::Making;
pub use pool::{AudioPool, Panicked, Slot};
pub use reader::AudioTranscoders;
