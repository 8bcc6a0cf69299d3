//! FLV tag bodies: what stands in an RTMP audio (8) or video (9) message.

mod audio;
mod codec;
mod video;

pub use audio::{AudioBody, AudioTag};
pub use codec::CodecName;
pub use video::{FrameType, VideoBody, VideoTag};

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
    /// A packet type the specifications have not given out.
    #[error("the packet type {0} is not known")]
    BadPacketType(u8),
}

/// A cursor over a tag body that cannot run past its end.
struct Body<'a> {
    bytes: &'a bytes::Bytes,
    at: usize,
}

impl<'a> Body<'a> {
    fn new(bytes: &'a bytes::Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FlvError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).copied();
        let taken = taken.ok_or(FlvError::Truncated)?;
        self.at += N;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, FlvError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn skip(&mut self, count: usize) -> Result<(), FlvError> {
        if self.bytes.len().saturating_sub(self.at) < count {
            return Err(FlvError::Truncated);
        }
        self.at += count;
        Ok(())
    }

    /// The rest, sharing the tag's memory.
    fn rest(self) -> bytes::Bytes {
        self.bytes.slice(self.at..)
    }

    /// Reads past Enhanced RTMP's ModEx prefixes and returns the packet type behind them. Each
    /// prefix takes at least three bytes, so the loop ends with the body.
    fn skip_mod_ex(&mut self, mut packet_type: u8) -> Result<u8, FlvError> {
        const MOD_EX: u8 = 7;
        while packet_type == MOD_EX {
            let mut size = usize::from(self.byte()?) + 1;
            if size == 256 {
                size = usize::from(u16::from_be_bytes(self.take()?)) + 1;
            }
            self.skip(size)?;
            packet_type = self.byte()? & 0x0f;
        }
        Ok(packet_type)
    }
}

#[cfg(test)]
mod tests;
