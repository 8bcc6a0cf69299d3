//! FLV: tag bodies, which are also what stands in an RTMP audio (8) or video (9) message, files of them, and
//! the stream that players are sent.

mod audio;
mod codec;
mod enhanced;
mod file;
mod stream;
mod video;

pub use audio::{AudioBody, AudioTag};
pub use codec::{CARRIED, CodecName};
pub use file::{
    FILE_HEADER_BYTES, FlvWriter, NotFlv, TAG_HEADER_BYTES, TAG_TRAILER_BYTES, TagHeader, check_file_header,
    tags,
};
pub use stream::{FlvStream, FlvUnit};
pub use video::{FrameType, VideoBody, VideoTag};

use bytes::{Buf, Bytes};

/// Why a tag body gave nothing to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The body has no bytes. Some encoders send such messages to keep a connection open.
    #[error("the tag is empty")]
    Empty,
    /// The body ends inside its own header.
    #[error("the tag ends inside its header")]
    Truncated,
    /// A well-formed tag of a codec that is not carried.
    #[error("the codec {codec} is not supported")]
    Unsupported {
        /// The codec's name.
        codec: CodecName,
    },
    /// A codec of sound in a video message, or the reverse.
    #[error("the codec does not belong into a message of this kind")]
    WrongKind,
    /// A packet type the specifications have not given out.
    #[error("the packet type {0} is not known")]
    BadPacketType(u8),
}

/// A tag body that is read from its front, and never past its end.
struct Body {
    bytes: Bytes,
}

impl Body {
    fn new(bytes: &Bytes) -> Self {
        Self { bytes: bytes.clone() }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FlvError> {
        let taken = self.bytes.first_chunk::<N>().copied().ok_or(FlvError::Truncated)?;
        self.bytes.advance(N);
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, FlvError> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// The next `count` bytes as a body of their own.
    fn part(&mut self, count: usize) -> Result<Self, FlvError> {
        if self.bytes.len() < count {
            return Err(FlvError::Truncated);
        }
        Ok(Self { bytes: self.bytes.split_to(count) })
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The rest, sharing the tag's memory.
    fn rest(self) -> Bytes {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
