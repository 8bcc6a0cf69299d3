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
    /// The word for log lines and metric labels.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
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
    /// `token`: one-time token, hash or JWT, whichever is switched on.
    pub token: Option<Secret>,
    /// `subscriberId`.
    pub subscriber_id: Option<String>,
    /// `subscriberCode`.
    pub subscriber_code: Option<Secret>,
    /// The room that the stream is a track of.
    pub main_track: Option<String>,
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
            token: None,
            subscriber_id: None,
            subscriber_code: None,
            main_track: None,
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
