//! RTMP publishers: the listener, and one task per connection around the sans-I/O [`rtmp::Session`].

mod connection;
mod listener;

pub use listener::{RtmpContext, listen};
