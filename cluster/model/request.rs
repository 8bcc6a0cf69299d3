//! What a retry is known by, and how stored forms carry their version.

use std::fmt;

use base::Randomness;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one wish to change something. A retry carries the same id and is applied once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// A new id that nobody else has.
    pub fn random(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0; 16];
        randomness.fill(&mut bytes);
        Self(u128::from_le_bytes(bytes))
    }

    /// From a number, for tests and for formats that store it.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// As a number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why stored or sent bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Nothing there.
    #[error("empty where a format version was expected")]
    Empty,
    /// Written by a newer (or no) version of this program.
    #[error("format version {found} is unknown, this program reads version {known}")]
    UnknownVersion {
        /// The version byte found.
        found: u8,
        /// The version this program reads and writes.
        known: u8,
    },
    /// The version is known, the rest is not what it promises.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It is sealed with a key that this node does not have.
    #[error(
        "it is sealed with another secret (key {key}) than this node has (key {own}); one that was replaced stands behind \"opens \" in cluster.secret_file"
    )]
    Sealed {
        /// The name of the key it takes.
        key: String,
        /// The name of the key that this node seals with.
        own: String,
    },
}

/// One version byte, then JSON.
pub(crate) fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, FormatError> {
    let mut bytes = vec![version];
    serde_json::to_writer(&mut bytes, value).map_err(|error| FormatError::Malformed(error.to_string()))?;
    Ok(bytes)
}

/// The reverse of [`encode`].
pub(crate) fn decode<T: DeserializeOwned>(known: u8, bytes: &[u8]) -> Result<T, FormatError> {
    let (&found, json) = bytes.split_first().ok_or(FormatError::Empty)?;
    if found != known {
        return Err(FormatError::UnknownVersion { found, known });
    }
    serde_json::from_slice(json).map_err(|error| FormatError::Malformed(error.to_string()))
}
