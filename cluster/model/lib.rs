//! The metadata plane's meaning: what is stored, how a command changes it, and how it is asked.
//!
//! Reading order: [`Broadcast`] is AMS's stream record; [`Command`]s change a [`State`] by the pure
//! [`apply`]; [`Meta`] is the port behind which a store or a cluster keeps one such state; the
//! façades ([`Broadcasts`], [`Settings`], [`Tokens`], [`Subscribers`], [`Streams`] and so on) are what the rest of
//! the node calls.
//!
//! Not here: files, sockets, clocks. A command carries the time of the node that accepted it.
//!
//! Invariants
//! - `apply` is deterministic: ordered maps, no floats, no local time, no randomness.
//! - A revision grows by one per applied command. A request id seen again within
//!   [`base::limits::META_REQUESTS_REMEMBERED_MAX`] commands is answered as before and applied no second time.
//! - What a watcher is told are absolute values in the order of their revisions; one that fell behind
//!   is told so and lists again at one revision.
//! - A row has one form, [`Row`], in every store, in snapshots and in the hash that replicas compare.
//! - Time is the greatest stamp any command carried: whoever stamps must not let it run ahead, since leases and
//!   tokens expire by it.
//! - Stored and sent forms carry a format version; golden files are in `schemas/golden`.

mod broadcast;
mod lenient;
mod status;

mod ratio;

mod patch;

mod claim;
mod codes;
mod facts;
mod ids;
mod node;
mod subscriber;
mod token;
mod user;
mod vod;

mod change;
mod command;
mod outcome;
mod request;
mod row;
mod state;

mod change_log;
mod meta;
mod selection;

mod authority;
mod broadcasts;
mod facade;
mod meta_error;
mod proposer;
mod sealing;
mod settings;
mod source_url;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use authority::{Authority, Guarded, Operation, Refused, Ruling, rule};
pub use broadcast::{Broadcast, EncoderSettings, Endpoint, HlsParameters, PlayListItem, Shown};
pub use broadcasts::{Broadcasts, CreateError, StreamStarted};
pub use change::{Change, Filter, SettingsDocument, SettingsRecord};
pub use change_log::{ChangeLog, Watch, WatchEvent};
pub use claim::{Claim, Contention, HeldClaim, Observed};
pub use codes::CodesSeen;
pub use command::{Command, Heartbeat, PublishFacts, Stamped};
pub use facade::{
    AcquireError, ClaimError, Facts, Lease, Nodes, Recorded, Renewed, SpendError, Streams, Subscribers,
    Tokens, Upkeep, Users, Vods, VodsWanted,
};
pub use facts::{Connection, ConnectionEvent, Fact, FactKind, Figures, History, Session};
pub use ids::{
    Direction, Epoch, Incarnation, NameError, NodeId, Owner, SubscriberId, TokenId, UserName, VodId,
};
pub use lenient::{Unreadable, read_discreetly, read_texts};
pub use meta::{
    Answer, ClaimShown, Consistency, Meta, NotApplied, Proposal, Query, ReadFailed, Reading, Revision,
};
pub use meta_error::MetaError;
pub use node::{Life, Node, NodeCard};
pub use outcome::{Outcome, Refusal};
pub use patch::BroadcastPatch;
pub use ratio::Ratio;
pub use request::{FormatError, RequestId};
pub use row::{Row, RowKind, decode_request, encode_request};
pub use sealing::{SealingKey, Seals};
pub use selection::{Matching, Order, SortKey, Which};
pub use settings::{PutSettingsError, Settings, StoredSettings};
pub use source_url::is_source_url;
pub use state::{Applied, State, StateHash, apply};
pub use status::{STREAM_TIMEOUT, Status};
pub use subscriber::{Block, Hidden, Slot, Subscriber, SubscriberShown, SubscriberTerms};
pub use token::{Fingerprint, Spent, Token, TokenFault, TokenTerms};
pub use user::{PutWhen, User};
pub use vod::Vod;
