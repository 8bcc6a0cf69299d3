//! What the packets of a picture say of it, whatever its codec.

use std::fmt::Debug;

use bytes::Bytes;

use super::{av1, h264, vp8, vp9};
use crate::codec::{Codec, CodecConfig};
use crate::packet::Packet;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It belongs to the picture.
    Kept,
    /// Receivers are told to ignore it: it is not sent.
    LeftOut,
}

/// What is known of a picture when its last packet is there.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// A decoder may start here.
    pub(super) key: bool,
    /// Packets that are to stand before it.
    pub(super) in_front: Vec<Packet>,
}

/// How far a picture has come whose first packet says everything.
#[derive(Debug, Default)]
pub(super) struct Coming {
    begun: bool,
    pub(super) key: bool,
}

impl Coming {
    /// Another packet comes; whether it is the picture's first.
    pub(super) const fn is_first(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    /// The picture is over.
    pub(super) fn finish(&mut self) -> Picture {
        Picture { key: std::mem::take(self).key, in_front: Vec::new() }
    }
}

/// The picture id of VP8 (RFC 7741 4.2) and VP9 (RFC 9628 4.2): one further with each picture, in 7 or 15 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureId {
    id: u16,
    is_long: bool,
}

impl PictureId {
    /// Reads it, and gives what stands behind; its first bit says how long it is.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        match bytes {
            [high, low, behind @ ..] if high & 0x80 != 0 => {
                Some((Self { id: u16::from_be_bytes([high & 0x7f, *low]), is_long: true }, behind))
            }
            [id, behind @ ..] if id & 0x80 == 0 => {
                Some((Self { id: u16::from(*id), is_long: false }, behind))
            }
            _ => None,
        }
    }

    /// Whether its picture comes right after that one.
    pub(super) const fn follows(self, last: Self) -> bool {
        let mask = if self.is_long { 0x7fff } else { 0x7f };
        self.is_long == last.is_long && self.id == (last.id + 1) & mask
    }
}

/// Looks into the payloads of one codec, as far as is needed to tell key frames and the configuration.
pub(super) trait Reader: Debug + Send {
    /// Whether a payload begins a picture for sure: what came before it may be missing then.
    fn begins(&self, payload: &[u8]) -> bool;

    /// Whether that picture is a key frame for sure.
    fn begins_key(&self, payload: &[u8]) -> bool;

    /// Whether a payload begins for sure the very picture that comes after the last one that was finished: what may
    /// be missing between them is none. Asked where nothing of it came yet.
    fn follows(&self, _payload: &[u8]) -> bool {
        false
    }

    /// Looks at the next packet of a picture; an error says why there can be none.
    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str>;

    /// The picture is over, and the next packet begins another; an error says why it cannot be sent.
    fn finish(&mut self) -> Result<Picture, &'static str>;

    /// The configuration as of the last picture; `None` while it is not known.
    fn config(&self) -> Option<CodecConfig>;
}

/// The reader of a codec; `None` of what publishers cannot send.
pub(super) fn reader_of(codec: Codec) -> Option<Box<dyn Reader>> {
    Some(match codec {
        Codec::H264 => Box::new(h264::H264Reader::default()),
        Codec::Vp8 => Box::new(vp8::Vp8Reader::default()),
        Codec::Vp9 => Box::new(vp9::Vp9Reader::default()),
        Codec::Av1 => Box::new(av1::Av1Reader::default()),
        Codec::Hevc | Codec::Aac | Codec::Opus => return None,
    })
}
