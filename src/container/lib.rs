//! Container formats as pure readers and writers: bytes in, values out, no I/O and no clock.
//!
//! Now: FLV tag bodies, as RTMP carries them in its audio and video messages, and FLV as a stream of tags.
//! MPEG-TS and MP4 are absent.
//!
//! Specifications: Adobe Flash Video File Format 10.1 annex E.4.2 and E.4.3; Enhanced RTMP v2
//! (the ex-headers with a FourCC).
//!
//! Invariants: readers never panic, never copy payload, and read no further than what they were
//! given; a codec that is not carried is refused by its name.

pub mod flv;
