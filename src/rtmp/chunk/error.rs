//! Why a chunk stream cannot be followed.

use base::limits;

/// How the peer broke the chunk stream or a limit of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A header that repeats a header that never was.
    #[error("chunk stream {csid} begins with a header of type {format}")]
    NothingToRepeat {
        /// The chunk stream.
        csid: u32,
        /// The header's type, 2 or 3.
        format: u8,
    },
    /// A new message before the one of the same chunk stream was whole.
    #[error("chunk stream {csid} begins a message inside another")]
    MessageInsideMessage {
        /// The chunk stream.
        csid: u32,
    },
    /// A chunk size of 0, or of more than 31 bits.
    #[error("a chunk size of {0} is not possible")]
    BadChunkSize(u32),
    /// Set Chunk Size or Abort without its four bytes.
    #[error("a protocol control message is too short")]
    ShortControlMessage,
    /// More than [`limits::RTMP_CHUNK_STREAMS_MAX`].
    #[error("more than {} chunk streams", limits::RTMP_CHUNK_STREAMS_MAX)]
    TooManyChunkStreams,
    /// A message that announces more bytes than its kind may have.
    #[error("a message of {bytes} bytes is over the limit of {max}")]
    MessageTooLarge {
        /// The bytes announced.
        bytes: usize,
        /// The bytes allowed.
        max: usize,
    },
    /// Unfinished messages hold too much memory together.
    #[error("unfinished messages hold more than {max} bytes")]
    TooMuchUnfinished {
        /// The bytes allowed.
        max: usize,
    },
}

impl ChunkError {
    /// Whether a named limit was passed, rather than the protocol broken.
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::TooManyChunkStreams | Self::MessageTooLarge { .. } | Self::TooMuchUnfinished { .. }
        )
    }
}
