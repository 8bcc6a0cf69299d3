//! Refusals of a publish, as encoders see them.

use base::limits;

/// Why a publish is refused. Ant Media Server's status codes, each with a text that tells the
/// user what to do (encoders show it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The stream's security said no: the same for wrong, expired, spent and missing credentials.
    NotAllowed,
    /// The application takes registered streams only.
    Unregistered,
    /// The stream's time window is over or has not begun.
    OutsideWindow,
    /// The subscriber is blocked.
    Blocked {
        /// Its id, as it came in the URL.
        subscriber_id: String,
    },
    /// The stream is live.
    InUse,
    /// The node has no room.
    Overloaded,
    /// The name is empty or breaks the rule of stream ids.
    InvalidName,
    /// The URL has more parameters than [`limits::RTMP_QUERY_PAIRS_MAX`].
    TooManyParameters,
    /// The node cannot decide now.
    Unavailable,
}

impl Refusal {
    /// The `code` of the status message.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed | Self::Unregistered | Self::OutsideWindow | Self::InUse => {
                "NetStream.Publish.BadName"
            }
            Self::Blocked { .. }
            | Self::Overloaded
            | Self::InvalidName
            | Self::TooManyParameters
            | Self::Unavailable => "NetStream.Failed",
        }
    }

    /// The `description` of the status message for a stream of that name.
    pub fn text(&self, name: &str) -> String {
        match self {
            Self::NotAllowed => {
                "You are not allowed to publish the stream. Check the token, subscriberId and \
                subscriberCode in the URL, or ask for a new token."
                    .to_owned()
            }
            Self::Unregistered => "You are not allowed to publish the stream. It is not registered: create \
                the stream first, or let the application accept undefined streams."
                .to_owned(),
            Self::OutsideWindow => {
                "You are not allowed to publish the stream. It has expired or its planned \
                time has not come: check its dates."
                    .to_owned()
            }
            Self::Blocked { subscriber_id } => {
                format!("Subscriber {subscriber_id} is blocked to publish stream.")
            }
            Self::InUse => "The stream is already being published. Stop the other publisher or use another \
                stream name."
                .to_owned(),
            Self::Overloaded => "current system resources not enough. Try again later.".to_owned(),
            Self::InvalidName => {
                format!("stream name is invalid. Don't use special characters. stream name: {name}")
            }
            Self::TooManyParameters => {
                format!("the URL has more than {} parameters. Use fewer.", limits::RTMP_QUERY_PAIRS_MAX)
            }
            Self::Unavailable => {
                "The server cannot check the stream now. Try again in some seconds.".to_owned()
            }
        }
    }

    /// A metric label: one of a fixed few.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not allowed",
            Self::Unregistered => "unregistered",
            Self::OutsideWindow => "outside window",
            Self::Blocked { .. } => "blocked",
            Self::InUse => "in use",
            Self::Overloaded => "overloaded",
            Self::InvalidName => "invalid name",
            Self::TooManyParameters => "too many parameters",
            Self::Unavailable => "unavailable",
        }
    }
}
