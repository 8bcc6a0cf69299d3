//! Why a connection ended.

use base::ExitReason;
use container::flv::CodecName;

use crate::amf0::AmfError;
use crate::chunk::ChunkError;
use crate::refusal::Refusal;

/// Why an RTMP connection ended: one reason per connection, for log, metric and audit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed while it published nothing: it had ended its stream, or begun none.
    #[error("the peer is done")]
    Finished,
    /// The peer closed in the middle of its stream, or before `connect` was through.
    #[error("the peer closed without a goodbye")]
    PeerClosed,
    /// No handshake within [`base::limits::RTMP_HANDSHAKE_MAX`].
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// No `publish` within [`base::limits::RTMP_PUBLISH_WAIT_MAX`].
    #[error("nothing was published in time")]
    PublishTimeout,
    /// No whole message for [`base::limits::RTMP_SILENCE_MAX`], or what the configuration says instead.
    #[error("the peer fell silent")]
    Silent,
    /// Not an RTMP handshake.
    #[error("this is not an rtmp handshake")]
    BadHandshake,
    /// The chunk stream cannot be followed.
    #[error("bad chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    /// A command that is not AMF0 we read.
    #[error("bad command: {0}")]
    Amf(#[from] AmfError),
    /// A message out of order or without what it needs.
    #[error("{0}")]
    Protocol(&'static str),
    /// More than [`base::limits::RTMP_BYTES_BEFORE_CONNECT_MAX`] before `connect` or `publish`.
    #[error("too many bytes before the stream began")]
    TooManyBytes,
    /// More than [`base::limits::RTMP_COMMANDS_BEFORE_PUBLISH_MAX`].
    #[error("too many commands before the stream began")]
    TooManyCommands,
    /// More than [`base::limits::RTMP_MESSAGES_PER_SECOND_MAX`].
    #[error("too many messages in a second")]
    TooManyMessages,
    /// More than [`base::limits::RTMP_SEND_BYTES_MAX`] that the peer does not read, or it takes nothing for too
    /// long, which whoever has the socket judges.
    #[error("the peer does not read what it asks for")]
    TooSlow,
    /// Unfinished messages of all sessions take more memory than they may, and this one's take most.
    #[error("the node has no memory left for unfinished messages")]
    MemorySpent,
    /// An application this node does not have.
    #[error("the application is not known")]
    UnknownApplication,
    /// The peer wanted to play.
    #[error("playback over rtmp is disabled")]
    PlaybackDisabled,
    /// The publish was refused, and the peer was told.
    #[error("the publish was refused: {}", .0.label())]
    Refused(Refusal),
    /// A codec this node does not carry.
    #[error("the codec {0} is not supported")]
    UnsupportedCodec(CodecName),
    /// More than [`base::limits::RTMP_BROKEN_UNITS_MAX`] broken units in a row, or a configuration
    /// that cannot be read.
    #[error("the media is malformed: {0}")]
    MalformedMedia(String),
    /// The node ended the stream.
    #[error("ended by the node: {0}")]
    Ended(ExitReason),
}

impl CloseReason {
    /// The reason as every protocol's sessions share it.
    pub const fn exit_reason(&self) -> ExitReason {
        match self {
            Self::Finished => ExitReason::Finished,
            Self::PeerClosed => ExitReason::PeerClosed,
            Self::HandshakeTimeout | Self::PublishTimeout | Self::Silent => ExitReason::TimedOut,
            Self::Chunk(error) if error.is_limit() => ExitReason::LimitExceeded,
            Self::Amf(AmfError::TooDeep | AmfError::TooManyValues)
            | Self::TooManyBytes
            | Self::TooManyCommands
            | Self::TooManyMessages
            | Self::MemorySpent => ExitReason::LimitExceeded,
            Self::BadHandshake
            | Self::Chunk(_)
            | Self::Amf(_)
            | Self::Protocol(_)
            | Self::UnsupportedCodec(_)
            | Self::MalformedMedia(_) => ExitReason::ProtocolError,
            Self::TooSlow => ExitReason::TooSlow,
            Self::UnknownApplication | Self::PlaybackDisabled | Self::Refused(_) => ExitReason::Denied,
            Self::Ended(reason) => *reason,
        }
    }

    /// The reason as a metric label: one of a fixed few.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::PeerClosed => "peer closed",
            Self::HandshakeTimeout => "handshake timeout",
            Self::PublishTimeout => "publish timeout",
            Self::Silent => "silent",
            Self::BadHandshake => "bad handshake",
            Self::Chunk(error) if error.is_limit() => "chunk limit",
            Self::Chunk(_) => "bad chunk",
            Self::Amf(_) => "bad amf",
            Self::Protocol(_) => "bad order",
            Self::TooManyBytes => "too many bytes",
            Self::TooManyCommands => "too many commands",
            Self::TooManyMessages => "too many messages",
            Self::TooSlow => "too slow",
            Self::MemorySpent => "media budget",
            Self::UnknownApplication => "unknown application",
            Self::PlaybackDisabled => "playback disabled",
            Self::Refused(refusal) => refusal.label(),
            Self::UnsupportedCodec(_) => "unsupported codec",
            Self::MalformedMedia(_) => "malformed media",
            Self::Ended(reason) => reason.label(),
        }
    }
}
