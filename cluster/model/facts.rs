//! What nodes report of sessions, and what is kept of it.

use std::fmt;

use base::{AppName, SessionId, StreamId, WallTime, limits};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Direction, NodeId, SubscriberId};

/// Something that happened to a session, as its node saw it.
///
/// Most of a large cluster's log is facts. They are written as lists, in the order of the fields, and so are the figures in
/// them: a summary takes 60 % of what it took with names. Both forms are read, as every version before did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The application.
    pub app: AppName,
    /// The stream.
    pub stream: StreamId,
    /// Whose session it is. Facts of nobody go to the archive alone.
    #[serde(default)]
    pub subscriber: Option<SubscriberId>,
    /// The session.
    pub session: SessionId,
    /// When, by the node's clock: for showing.
    pub at: WallTime,
    /// What.
    pub what: FactKind,
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { app, stream, subscriber, session, at, what } = self;
        let mut list = serializer.serialize_tuple(6)?;
        list.serialize_element(app)?;
        list.serialize_element(stream)?;
        list.serialize_element(subscriber)?;
        list.serialize_element(session)?;
        list.serialize_element(at)?;
        list.serialize_element(&Written::of(what))?;
        list.end()
    }
}

/// A [`FactKind`] as it is written.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Connected(&'a Connection),
    Summary([u64; 4]),
    Disconnected { reason: &'a str, figures: [u64; 4] },
}

impl<'a> Written<'a> {
    fn of(what: &'a FactKind) -> Self {
        match what {
            FactKind::Connected(connection) => Self::Connected(connection),
            FactKind::Summary(figures) => Self::Summary(figures.in_order()),
            FactKind::Disconnected { reason, figures } => {
                Self::Disconnected { reason, figures: figures.in_order() }
            }
        }
    }
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FactKind {
    /// It began.
    Connected(Connection),
    /// It goes on.
    Summary(Figures),
    /// It is over.
    Disconnected {
        /// The reason, as log and REST say it.
        reason: String,
        /// What it came to in all.
        figures: Figures,
    },
}

/// How somebody is connected.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// AMS's `type`.
    pub direction: Direction,
    /// AMS's `eventProtocol`.
    pub protocol: String,
    /// The peer's address, as REST shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What let it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl fmt::Debug for Connection {
    /// Without the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} {})", self.protocol, self.direction.as_str())
    }
}

/// What a session came to so far. Absolute, so that one told twice counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Figures {
    /// Milliseconds since it began.
    pub duration_ms: u64,
    /// Bytes of everything.
    pub bytes: u64,
    /// Bytes of pictures.
    pub video_bytes: u64,
    /// Bytes of sound.
    pub audio_bytes: u64,
}

impl Figures {
    /// The sum of two sessions'.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            duration_ms: self.duration_ms.saturating_add(other.duration_ms),
            bytes: self.bytes.saturating_add(other.bytes),
            video_bytes: self.video_bytes.saturating_add(other.video_bytes),
            audio_bytes: self.audio_bytes.saturating_add(other.audio_bytes),
        }
    }

    /// The greater of each: figures of one session only grow.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            duration_ms: self.duration_ms.max(other.duration_ms),
            bytes: self.bytes.max(other.bytes),
            video_bytes: self.video_bytes.max(other.video_bytes),
            audio_bytes: self.audio_bytes.max(other.audio_bytes),
        }
    }

    /// In the order of the fields.
    const fn in_order(self) -> [u64; 4] {
        let Self { duration_ms, bytes, video_bytes, audio_bytes } = self;
        [duration_ms, bytes, video_bytes, audio_bytes]
    }

    /// AMS's `avgVideoBitrate`, in bits per second.
    pub fn video_bitrate(&self) -> u64 {
        bitrate(self.video_bytes, self.duration_ms)
    }

    /// AMS's `avgAudioBitrate`, in bits per second.
    pub fn audio_bitrate(&self) -> u64 {
        bitrate(self.audio_bytes, self.duration_ms)
    }
}

fn bitrate(bytes: u64, duration_ms: u64) -> u64 {
    let bits_per_second = u128::from(bytes) * 8_000 / u128::from(duration_ms.max(1));
    u64::try_from(bits_per_second).unwrap_or(u64::MAX)
}

/// A session that has begun on a node and is not known to be over there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// How it is connected.
    pub connection: Connection,
    /// When it began, by its node's clock.
    pub since_ms: u64,
    /// What it came to so far.
    pub figures: Figures,
}

/// What a subscriber's sessions came to. Their newest events are rows of their own, numbered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Sessions that are over.
    pub ended: u64,
    /// What those came to.
    pub figures: Figures,
    /// Number of the oldest event that is kept.
    pub first: u64,
    /// Number of the next one.
    pub next: u64,
    /// When the last fact was applied.
    pub touched_ms: u64,
}

impl History {
    pub(crate) fn swept_from(&self) -> WallTime {
        WallTime(self.touched_ms).plus(limits::HISTORY_KEPT)
    }
}

/// AMS's `ConnectionEvent`, and what we know beyond it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionEvent {
    /// AMS's `timestamp`.
    pub at_ms: u64,
    /// The node; its address is AMS's `instanceIP`.
    pub node: NodeId,
    /// The session.
    pub session: SessionId,
    /// How it is connected; `None`: its beginning is not known here any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// AMS's `eventType`: `None` is `connected`, a reason is `disconnected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}
