//! The commands of the metadata plane.

use std::fmt;

use base::{AppName, StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::request::{decode, encode};
use crate::{Broadcast, BroadcastPatch, FormatError, Ratio, RequestId, SettingsDocument};

/// Version byte of a command.
const COMMAND_FORMAT: u8 = 1;

/// One wish to change the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Stores a new broadcast; [`crate::Outcome::Exists`] when the id is taken.
    CreateBroadcast {
        /// The application.
        app: AppName,
        /// The id, also put into the record.
        stream: StreamId,
        /// Everything else.
        broadcast: Box<Broadcast>,
    },
    /// Changes fields of a broadcast.
    PatchBroadcast {
        /// The application.
        app: AppName,
        /// The broadcast.
        stream: StreamId,
        /// The fields.
        patch: BroadcastPatch,
    },
    /// Removes a broadcast.
    DeleteBroadcast {
        /// The application.
        app: AppName,
        /// The broadcast.
        stream: StreamId,
    },
    /// A publisher is in: the broadcast is live. One that is absent is made with `zombi: true`.
    StreamStarted {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// What is known of the publisher.
        facts: Box<PublishFacts>,
    },
    /// The stream is over: a zombi goes, another one is `finished`.
    StreamEnded {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
    },
    /// A live stream reports. Never brings a stream that is over back to life.
    StreamHeartbeat {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The figures.
        heartbeat: Heartbeat,
    },
    /// The node starts and nobody publishes: zombis go, live broadcasts are `finished`, viewer counts
    /// are 0. Does at most [`base::limits::META_SWEEP_ROWS_MAX`] rows; say it again while
    /// [`crate::Outcome::Swept`] has more.
    ResetAfterRestart,
    /// Stores settings if their version is still `expected`; 0: if there are none.
    PutSettings {
        /// The application.
        app: AppName,
        /// The version the writer saw.
        expected: u64,
        /// The settings.
        document: SettingsDocument,
    },
}

/// What is known of a publisher and its node when a stream starts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishFacts {
    /// `RTMP`, `WebRTC`, `SRT`, `Pull`.
    pub publish_type: String,
    /// The publisher's address as REST shows it.
    pub remote_ip: Option<String>,
    /// What the publisher calls itself.
    pub user_agent: Option<String>,
    /// The node that ingests, as `originAdress` shows it.
    pub origin: String,
    /// Where an encoder publishes, for a broadcast made on the way.
    pub rtmp_url: String,
    /// What the publisher calls its stream; `None` leaves what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the publisher says of its stream; `None` leaves what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<String>,
    /// The stream is live and goes on with another publisher: its start and figures stand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
}

impl fmt::Debug for PublishFacts {
    /// Without the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishFacts({})", self.publish_type)
    }
}

/// Absolute figures of a live stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// Bits per second from the publisher.
    pub bitrate_bps: u64,
    /// Bytes from the publisher.
    pub received_bytes: u64,
    /// Since the publisher began.
    pub duration_ms: u64,
    /// Media time per wall time; 1.0 is healthy.
    pub speed: Ratio,
    /// Pixels, 0 while unknown.
    pub width: u32,
    /// Pixels, 0 while unknown.
    pub height: u32,
    /// WebRTC viewers.
    pub webrtc_viewers: u32,
    /// HLS viewers.
    pub hls_viewers: u32,
    /// RTMP viewers.
    pub rtmp_viewers: u32,
}

impl Command {
    /// The stored and sent form: a version byte, then JSON.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        encode(COMMAND_FORMAT, self)
    }

    /// Reads the stored or sent form.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        decode(COMMAND_FORMAT, bytes)
    }
}

/// A command, who wants it and when it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Known again when it is retried.
    pub request: RequestId,
    /// The clock of the node that accepted it.
    pub at: WallTime,
    /// What is wanted.
    pub command: Command,
}

#[cfg(test)]
mod tests;
