//! Names that only the metadata plane gives or keeps.

use std::fmt;

use base::limits;
use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// Longer than its limit.
    #[error("the name is longer than {0} bytes")]
    TooLong(usize),
    /// A control character, which would also break the key of the stored row.
    #[error("the name holds a control character")]
    BadCharacter,
}

fn check(text: &str, bytes_max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > bytes_max {
        Err(NameError::TooLong(bytes_max))
    } else if text.chars().any(char::is_control) {
        Err(NameError::BadCharacter)
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $bytes_max:expr) => {
        base::checked_text! {
            $(#[$doc])*
            $name, NameError, |text| check(text, $bytes_max)
        }

        impl $name {
            /// Where a walk over all names begins; no name itself.
            #[allow(dead_code, reason = "not every kind of row is walked from its first name on")]
            pub(crate) fn lowest() -> Self {
                Self("".into())
            }
        }
    };
}

name! {
    /// The text of a one-time token. Whoever has it may use it, so it is shown as `***`.
    TokenId, limits::TOKEN_ID_BYTES_MAX
}
name! {
    /// A subscriber of a stream, as clients name it in `subscriberId`.
    SubscriberId, limits::SUBSCRIBER_ID_BYTES_MAX
}
name! {
    /// A user of the management pages: an e-mail address.
    UserName, limits::USER_NAME_BYTES_MAX
}
name! {
    /// A recording of an application: AMS's `vodId`.
    VodId, limits::STREAM_ID_BYTES_MAX
}
base::shown_text!(SubscriberId);
base::shown_text!(UserName);
base::shown_text!(VodId);

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A node of the cluster. Ids are never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One life of a node: from its joining to its expiry or its next start. Later lives have greater numbers,
/// over all nodes and over restores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// A node in one of its lives: what owns claims, slots and facts, so that they end with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// Which claim of a stream is meant. A later claim has a greater epoch, over restores too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// How often the cluster's data was restored before.
    pub generation: u64,
    /// Grows from claim to claim; numbers in between are other commands.
    pub n: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.n)
    }
}

/// What somebody wants with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To watch it.
    Play,
    /// To send it.
    Publish,
}

impl Direction {
    /// AMS's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Publish => "publish",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_endless_nor_breaks_a_key() {
        assert_eq!(SubscriberId::new(""), Err(NameError::Empty));
        assert_eq!(SubscriberId::new("a\0b"), Err(NameError::BadCharacter));
        assert!(SubscriberId::new("José Müller +1").is_ok());
        let long = "x".repeat(limits::TOKEN_ID_BYTES_MAX);
        assert!(TokenId::new(&long).is_ok());
        assert_eq!(TokenId::new(&format!("{long}x")), Err(NameError::TooLong(limits::TOKEN_ID_BYTES_MAX)));
    }

    #[test]
    fn a_later_restore_beats_any_number_of_claims() {
        let epoch = |generation, n| Epoch { generation, n };
        assert!(epoch(1, 0) > epoch(0, u64::MAX) && epoch(1, 2) > epoch(1, 1));
    }

    #[test]
    fn a_token_is_never_shown() {
        assert_eq!(format!("{:?}", TokenId::new("4711").unwrap()), "***");
    }
}
