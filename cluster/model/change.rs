//! What a command changed, as absolute values.

use std::fmt;
use std::sync::Arc;

use base::{AppName, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::request::{decode, encode};
use crate::{Broadcast, FormatError};

/// Version byte of a stored row.
const ROW_FORMAT: u8 = 1;

/// The settings of an application as one JSON object. The plane stores it and does not read it; its
/// schema is [`config::AppSettings`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettingsDocument(pub Map<String, Value>);

impl fmt::Debug for SettingsDocument {
    /// The number of keys only: the document holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SettingsDocument({} keys)", self.0.len())
    }
}

/// Settings and how often they were put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsRecord {
    /// 1 for the first put, then one more with every put.
    pub version: u64,
    /// The settings.
    pub document: SettingsDocument,
}

impl SettingsRecord {
    /// The stored form.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        encode(ROW_FORMAT, self)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        decode(ROW_FORMAT, bytes)
    }
}

impl Broadcast {
    /// The stored form.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        encode(ROW_FORMAT, self)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        decode(ROW_FORMAT, bytes)
    }
}

/// One key and its new value; `None`: it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A broadcast.
    Broadcast {
        /// Its application.
        app: AppName,
        /// Its id.
        stream: StreamId,
        /// What it is now.
        now: Option<Arc<Broadcast>>,
    },
    /// Settings of an application.
    Settings {
        /// The application.
        app: AppName,
        /// What they are now.
        now: Option<Arc<SettingsRecord>>,
    },
}

/// Which changes a watcher wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Settings of every application.
    Settings,
    /// Broadcasts of one application.
    Broadcasts(AppName),
    /// One broadcast.
    Broadcast(AppName, StreamId),
}

impl Filter {
    /// Whether `change` is wanted.
    pub fn matches(&self, change: &Change) -> bool {
        match (self, change) {
            (Self::Settings, Change::Settings { .. }) => true,
            (Self::Broadcasts(app), Change::Broadcast { app: changed, .. }) => app == changed,
            (
                Self::Broadcast(app, stream),
                Change::Broadcast { app: changed, stream: changed_stream, .. },
            ) => app == changed && stream == changed_stream,
            _ => false,
        }
    }
}
