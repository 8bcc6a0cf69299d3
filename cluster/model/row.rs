//! How a change is stored: kind, key and value, the same in every store, in snapshots and in their hash.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base::{AppName, IdError, SessionId, StreamId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::request::{decode, encode};
use crate::{
    Broadcast, Change, FormatError, Incarnation, NameError, NodeId, Outcome, Owner, RequestId, Revision,
    SettingsRecord, SubscriberId, TokenId, UserName, VodId,
};

/// Version byte of a stored row.
const ROW_FORMAT: u8 = 1;

/// Stands between the parts of a key. No name holds it, and it is less than all that names hold, so that
/// rows of one application, and of one stream, lie together and in the order of the state.
const SEPARATOR: &str = "\0";

/// What a row is of. The number is stored: it never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as the changes they are rows of")]
pub enum RowKind {
    Generation = 1,
    Settings = 2,
    Broadcast = 3,
    Token = 4,
    TokensRevoked = 5,
    Subscriber = 6,
    Slot = 7,
    Claim = 8,
    Node = 9,
    Life = 10,
    User = 11,
    Vod = 12,
    Session = 13,
    History = 14,
    Event = 15,
}

impl RowKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Generation,
        Self::Settings,
        Self::Broadcast,
        Self::Token,
        Self::TokensRevoked,
        Self::Subscriber,
        Self::Slot,
        Self::Claim,
        Self::Node,
        Self::Life,
        Self::User,
        Self::Vod,
        Self::Session,
        Self::History,
        Self::Event,
    ];

    /// The stored number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What an operator is told that a row of it is.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Settings => "settings",
            Self::Broadcast => "broadcast",
            Self::Token => "token",
            Self::TokensRevoked => "revocation of tokens",
            Self::Subscriber => "subscriber",
            Self::Slot => "connection slot",
            Self::Claim => "claim",
            Self::Node => "node",
            Self::Life => "life of a node",
            Self::User => "user",
            Self::Vod => "VoD record",
            Self::Session => "session",
            Self::History => "history",
            Self::Event => "connection event",
        }
    }
}

impl TryFrom<u8> for RowKind {
    type Error = FormatError;
    fn try_from(number: u8) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or_else(|| FormatError::Malformed(format!("no row is of kind {number}")))
    }
}

/// A change as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is of.
    pub kind: RowKind,
    /// Its key, unique in its kind.
    pub key: String,
    /// Its value, a version byte first; `None`: the row is gone.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Row {
    /// Without key and value: both may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({})", self.kind.name())
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

impl Change {
    /// The row it is of; none for what is no part of the state.
    pub fn key(&self) -> Option<(RowKind, String)> {
        let key = match self {
            Self::Generation(_) => (RowKind::Generation, String::new()),
            Self::Settings { app, .. } => (RowKind::Settings, app.to_string()),
            Self::Broadcast { app, stream, .. } => {
                (RowKind::Broadcast, key(&[app.as_str(), stream.as_str()]))
            }
            Self::Token { app, stream, token, .. } => {
                (RowKind::Token, key(&[app.as_str(), stream.as_str(), token.as_str()]))
            }
            Self::TokensRevoked { app, stream, .. } => {
                (RowKind::TokensRevoked, key(&[app.as_str(), stream.as_str()]))
            }
            Self::Subscriber { app, stream, subscriber, .. } => {
                (RowKind::Subscriber, key(&[app.as_str(), stream.as_str(), subscriber.as_str()]))
            }
            Self::Slot { app, stream, subscriber, session, .. } => {
                let session = session.to_string();
                (RowKind::Slot, key(&[app.as_str(), stream.as_str(), subscriber.as_str(), &session]))
            }
            Self::Claim { app, stream, .. } => (RowKind::Claim, key(&[app.as_str(), stream.as_str()])),
            Self::Node { node, .. } => (RowKind::Node, number(node.0)),
            Self::Life { owner, .. } => (RowKind::Life, of_owner(*owner)),
            Self::User { name, .. } => (RowKind::User, name.to_string()),
            Self::Vod { app, vod, .. } => (RowKind::Vod, key(&[app.as_str(), vod.as_str()])),
            Self::Session { app, stream, subscriber, session, owner, .. } => {
                let (session, owner) = (session.to_string(), of_owner(*owner));
                let parts = [app.as_str(), stream.as_str(), subscriber.as_str(), &session, &owner];
                (RowKind::Session, key(&parts))
            }
            Self::History { app, stream, subscriber, .. } => {
                (RowKind::History, key(&[app.as_str(), stream.as_str(), subscriber.as_str()]))
            }
            Self::Event { app, stream, subscriber, number: n, .. } => {
                (RowKind::Event, key(&[app.as_str(), stream.as_str(), subscriber.as_str(), &number(*n)]))
            }
            Self::Fact { .. }
            | Self::HistoryDeleted { .. }
            | Self::SessionEnded { .. }
            | Self::StreamContested { .. }
            | Self::CodesSeen { .. } => return None,
        };
        Some(key)
    }

    /// The row to store; none for what is no part of the state.
    pub fn row(&self) -> Result<Option<Row>, FormatError> {
        let Some((kind, key)) = self.key() else { return Ok(None) };
        let value = match self {
            Self::Generation(generation) => value(Some(generation)),
            Self::Settings { now, .. } => value(now.as_ref()),
            Self::Broadcast { now, .. } => value(now.as_ref()),
            Self::Token { now, .. } => value(now.as_ref()),
            Self::TokensRevoked { before, .. } => value(before.as_ref()),
            Self::Subscriber { now, .. } => value(now.as_ref()),
            Self::Slot { now, .. } => value(now.as_ref()),
            Self::Claim { now, .. } => value(now.as_ref()),
            Self::Node { now, .. } => value(now.as_ref()),
            Self::Life { now, .. } => value(now.as_ref()),
            Self::User { now, .. } => value(now.as_ref()),
            Self::Vod { now, .. } => value(now.as_ref()),
            Self::Session { now, .. } => value(now.as_ref()),
            Self::History { now, .. } => value(now.as_ref()),
            Self::Event { now, .. } => value(now.as_ref()),
            Self::Fact { .. }
            | Self::HistoryDeleted { .. }
            | Self::SessionEnded { .. }
            | Self::StreamContested { .. }
            | Self::CodesSeen { .. } => Ok(None),
        }?;
        Ok(Some(Row { kind, key, value }))
    }

    /// The change that stores a row which is there.
    pub fn of_row(kind: RowKind, key: &str, value: &[u8]) -> Result<Self, FormatError> {
        Self::of_parts(kind, key, Some(value))
    }

    /// A place among the rows: where the row of this key stands or would stand.
    pub fn of_key(kind: RowKind, key: &str) -> Result<Self, FormatError> {
        Self::of_parts(kind, key, None)
    }

    fn of_parts(kind: RowKind, key: &str, value: Option<&[u8]>) -> Result<Self, FormatError> {
        let mut parts = key.split(SEPARATOR);
        let mut part =
            || parts.next().ok_or_else(|| FormatError::Malformed("a part of the key is missing".to_owned()));
        let change = match kind {
            RowKind::Generation => {
                part()?;
                Self::Generation(value.map_or(Ok(0), |value| decode(ROW_FORMAT, value))?)
            }
            RowKind::Settings => Self::Settings { app: app(part()?)?, now: some(value)? },
            RowKind::Broadcast => {
                Self::Broadcast { app: app(part()?)?, stream: stream(part()?)?, now: some(value)? }
            }
            RowKind::Token => Self::Token {
                app: app(part()?)?,
                stream: stream(part()?)?,
                token: TokenId::new(part()?).map_err(bad_name)?,
                now: some(value)?,
            },
            RowKind::TokensRevoked => Self::TokensRevoked {
                app: app(part()?)?,
                stream: stream(part()?)?,
                before: value.map(|value| decode::<Revision>(ROW_FORMAT, value)).transpose()?,
            },
            RowKind::Subscriber => Self::Subscriber {
                app: app(part()?)?,
                stream: stream(part()?)?,
                subscriber: subscriber(part()?)?,
                now: some(value)?,
            },
            RowKind::Slot => Self::Slot {
                app: app(part()?)?,
                stream: stream(part()?)?,
                subscriber: subscriber(part()?)?,
                session: session(part()?)?,
                now: some(value)?,
            },
            RowKind::Claim => Self::Claim { app: app(part()?)?, stream: stream(part()?)?, now: some(value)? },
            RowKind::Node => Self::Node { node: NodeId(of_number(part()?)?), now: some(value)? },
            RowKind::Life => Self::Life { owner: owner(part()?, part()?)?, now: some(value)? },
            RowKind::User => {
                Self::User { name: UserName::new(part()?).map_err(bad_name)?, now: some(value)? }
            }
            RowKind::Vod => Self::Vod {
                app: app(part()?)?,
                vod: VodId::new(part()?).map_err(bad_name)?,
                now: some(value)?,
            },
            RowKind::Session => Self::Session {
                app: app(part()?)?,
                stream: stream(part()?)?,
                subscriber: subscriber(part()?)?,
                session: session(part()?)?,
                owner: owner(part()?, part()?)?,
                now: some(value)?,
            },
            RowKind::Event => Self::Event {
                app: app(part()?)?,
                stream: stream(part()?)?,
                subscriber: subscriber(part()?)?,
                number: of_number(part()?)?,
                now: some(value)?,
            },
            RowKind::History => Self::History {
                app: app(part()?)?,
                stream: stream(part()?)?,
                subscriber: subscriber(part()?)?,
                now: some(value)?,
            },
        };
        match parts.next() {
            None => Ok(change),
            Some(_) => Err(FormatError::Malformed("the key has a part too many".to_owned())),
        }
    }
}

/// Brings the changes of one command to one per row, its last: a store writes each row once per revision.
pub(crate) fn collapse(changes: &mut Vec<Change>) {
    let mut newest = BTreeSet::new();
    changes.reverse();
    changes.retain(|change| change.key().is_none_or(|key| newest.insert(key)));
    changes.reverse();
}

/// A request that is remembered, as it is stored: its id, then its outcome.
pub fn encode_request(request: RequestId, outcome: Outcome) -> Result<Vec<u8>, FormatError> {
    let mut row = request.as_u128().to_le_bytes().to_vec();
    serde_json::to_writer(&mut row, &outcome).map_err(|error| FormatError::Malformed(error.to_string()))?;
    Ok(row)
}

/// The reverse of [`encode_request`].
pub fn decode_request(row: &[u8]) -> Result<(RequestId, Outcome), FormatError> {
    let (id, outcome) = row.split_first_chunk::<16>().ok_or(FormatError::Empty)?;
    let outcome =
        serde_json::from_slice(outcome).map_err(|error| FormatError::Malformed(error.to_string()))?;
    Ok((RequestId::from_u128(u128::from_le_bytes(*id)), outcome))
}

fn value<T: Serialize>(now: Option<&T>) -> Result<Option<Vec<u8>>, FormatError> {
    now.map(|now| encode(ROW_FORMAT, now)).transpose()
}

fn key(parts: &[&str]) -> String {
    parts.join(SEPARATOR)
}

fn of_owner(owner: Owner) -> String {
    key(&[&number(owner.node.0), &number(owner.incarnation.0)])
}

fn owner(node: &str, incarnation: &str) -> Result<Owner, FormatError> {
    Ok(Owner { node: NodeId(of_number(node)?), incarnation: Incarnation(of_number(incarnation)?) })
}

/// Sixteen digits, so that keys are in the order of the numbers.
fn number(number: u64) -> String {
    format!("{number:016x}")
}

fn of_number(text: &str) -> Result<u64, FormatError> {
    u64::from_str_radix(text, 16).map_err(|error| FormatError::Malformed(error.to_string()))
}

fn some<T: DeserializeOwned>(value: Option<&[u8]>) -> Result<Option<Arc<T>>, FormatError> {
    value.map(|value| decode(ROW_FORMAT, value).map(Arc::new)).transpose()
}

fn app(text: &str) -> Result<AppName, FormatError> {
    AppName::new(text).map_err(bad_id)
}

fn stream(text: &str) -> Result<StreamId, FormatError> {
    StreamId::new(text).map_err(bad_id)
}

fn subscriber(text: &str) -> Result<SubscriberId, FormatError> {
    SubscriberId::new(text).map_err(bad_name)
}

fn session(text: &str) -> Result<SessionId, FormatError> {
    u128::from_str_radix(text, 16)
        .map(SessionId::from_u128)
        .map_err(|error| FormatError::Malformed(error.to_string()))
}

fn bad_id(error: IdError) -> FormatError {
    FormatError::Malformed(error.to_string())
}

fn bad_name(error: NameError) -> FormatError {
    FormatError::Malformed(error.to_string())
}
