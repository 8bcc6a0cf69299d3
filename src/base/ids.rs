//! Names of applications, streams, tracks and sessions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// Longer than the limit.
    #[error("the name is longer than {} bytes", limits::STREAM_ID_BYTES_MAX)]
    TooLong,
    /// A character that names may not hold.
    #[error("the name holds a character other than letters, digits, '-', '_' and '.'")]
    BadCharacter,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > limits::STREAM_ID_BYTES_MAX {
        return Err(IdError::TooLong);
    }
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        Ok(())
    } else {
        Err(IdError::BadCharacter)
    }
}

/// Makes a name: text that was checked, cheap to clone. `$check` gives an `$error` for what is none. The calling crate needs
/// serde with `derive`.
#[macro_export]
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $error:ty, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks `text` and takes it as it stands; names are case-sensitive.
            pub fn new(text: &str) -> Result<Self, $error> {
                $check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Lets a name of [`checked_text!`] be shown.
#[macro_export]
macro_rules! shown_text {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

checked_text! {
    /// An application: a folder of `webapps/`, the first part of every URL.
    AppName, IdError, check
}
shown_text!(AppName);
checked_text! {
    /// A stream of an application. AMS's rule: letters, digits, `-`, `_`, `.`.
    StreamId, IdError, check
}
shown_text!(StreamId);
checked_text! {
    /// A track of a stream.
    TrackId, IdError, check
}
shown_text!(TrackId);

/// One session of one peer, whatever its protocol: 32 hexadecimal digits, unguessable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(u128);

impl SessionId {
    /// A new, unguessable id.
    pub fn random(randomness: &dyn crate::Randomness) -> Self {
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

impl TryFrom<String> for SessionId {
    type Error = std::num::ParseIntError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_that_of_ams() {
        for good in ["s", "S1", "a-b_c.d", ".", "..", "-"] {
            assert_eq!(StreamId::new(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", IdError::Empty),
            ("a/b", IdError::BadCharacter),
            ("a b", IdError::BadCharacter),
            ("a\n", IdError::BadCharacter),
            ("ä", IdError::BadCharacter),
        ] {
            assert_eq!(StreamId::new(bad), Err(why), "{bad:?}");
        }
        assert!(StreamId::new(&"x".repeat(256)).is_ok());
        assert_eq!(StreamId::new(&"x".repeat(257)), Err(IdError::TooLong));
    }
}
