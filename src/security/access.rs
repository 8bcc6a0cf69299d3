//! What somebody who wants in brings along.

use std::fmt;

use base::{AppName, PeerAddr, Secret, SessionId};

/// Into the node or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Sends a stream.
    Publish,
    /// Receives a stream.
    Play,
}

impl Direction {
    /// The word for log lines and metric labels, and in credentials.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }

    pub(crate) const fn is_publish(self) -> bool {
        matches!(self, Self::Publish)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl From<Direction> for cluster_model::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Publish => Self::Publish,
            Direction::Play => Self::Play,
        }
    }
}

/// How a wish came, for whom an authorisation webhook asks.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// All parameters of its URL, the credentials too. Empty: none, or the protocol has no URL.
    pub query: Vec<(String, Secret)>,
    /// `Origin`: the page that it came from.
    pub origin: Option<String>,
}

/// As what somebody plays: which limits it is let in under, and counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Viewer {
    /// Of a stream as it goes: `webRTCViewerLimit`, the application's and the broadcast's.
    #[default]
    Streamed,
    /// Of playlists and their segments: the broadcast's `hlsViewerLimit`.
    Playlist,
    /// Of manifests and their segments: the broadcast's `dashViewerLimit`.
    Manifest,
    /// Of a file, whoever else reads it: none.
    File,
}

/// A wish to publish or play, with the credentials as the protocol carried them. Empty texts count as
/// absent. The protocol's edge checks nothing of it.
#[derive(Clone, Debug)]
pub struct Access {
    /// The application asked for.
    pub app: AppName,
    /// The stream asked for, as the peer wrote it.
    pub stream: String,
    /// Publish or play.
    pub direction: Direction,
    /// How, in AMS's words for `eventProtocol`.
    pub protocol: &'static str,
    /// Who asks.
    pub peer: PeerAddr,
    /// The session that asks.
    pub session: SessionId,
    /// Whom a one-time token is spent by: who shows it again as the same one is let in again. The session itself, unless
    /// the protocol knows its peer over several of them (a signalling socket does).
    pub presenter: SessionId,
    /// Media of the session can be withheld while its connection stays: a block pauses it. Otherwise a block ends it.
    pub can_pause: bool,
    /// Of a play: which limits count.
    pub viewer: Viewer,
    /// `token`: one-time token, hash or JWT, whichever is switched on.
    pub token: Option<Secret>,
    /// `subscriberId`.
    pub subscriber_id: Option<String>,
    /// `subscriberCode`.
    pub subscriber_code: Option<Secret>,
    /// The room that the stream is a track of, or is played in.
    pub main_track: Option<String>,
    /// `metaData`, for whom an authorisation webhook asks.
    pub meta_data: Option<String>,
    /// By which URL, from which page.
    pub came: Came,
}

impl Access {
    /// A wish without credentials.
    pub fn new(
        app: AppName,
        stream: impl Into<String>,
        direction: Direction,
        protocol: &'static str,
        peer: PeerAddr,
        session: SessionId,
    ) -> Self {
        Self {
            app,
            stream: stream.into(),
            direction,
            protocol,
            peer,
            session,
            presenter: session,
            can_pause: false,
            viewer: Viewer::default(),
            token: None,
            subscriber_id: None,
            subscriber_code: None,
            main_track: None,
            meta_data: None,
            came: Came::default(),
        }
    }

    pub(crate) fn without_blanks(mut self) -> Self {
        self.token.take_if(|token| token.expose().is_empty());
        self.subscriber_code.take_if(|code| code.expose().is_empty());
        self.subscriber_id.take_if(|id| id.is_empty());
        self.main_track.take_if(|id| id.is_empty());
        self
    }
}
