//! The port of the metadata plane.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base::{AppName, StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::{
    Broadcast, Change, Claim, Command, ConnectionEvent, Direction, Filter, HeldClaim, Node, NodeId, Outcome,
    Owner, RequestId, SettingsRecord, SubscriberId, SubscriberShown, Token, TokenFault, TokenId, User,
    UserName, Vod, VodId, Watch, Which,
};

/// How many commands were applied. Grows by one per applied command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// Before the first command.
    pub const ZERO: Self = Self(0);

    /// The next one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One durable state that everybody agrees on. Implemented by the local store and by the cluster's
/// node; whatever implements it passes `meta_conformance!`.
///
/// Callers outside `cluster` use the façades [`crate::Broadcasts`] and [`crate::Settings`].
#[async_trait]
pub trait Meta: Send + Sync {
    /// Wants `command` applied. Answers by `deadline`, honestly: [`Proposal::Applied`] only once it is
    /// durable, [`Proposal::NotApplied`] only if this call will never have an effect, [`Proposal::Unknown`]
    /// else. What it calls applied [`Consistency::Local`] reads here see, unless they lag so far that `deadline` would pass.
    /// Who is told `Unknown` proposes the same `request` again to learn more; it is applied once.
    /// `NotApplied` says nothing of an earlier call with the same request.
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal;

    /// Reads by `deadline`.
    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed>;

    /// Tells of every change after `from` that `filter` wants. If those are no longer at hand, the first
    /// event says so.
    fn watch(&self, filter: Filter, from: Revision) -> Watch;
}

/// What became of a proposed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Applied and durable.
    Applied {
        /// At which revision.
        revision: Revision,
        /// With which outcome.
        outcome: Outcome,
    },
    /// This call had no effect, and it never will.
    NotApplied(NotApplied),
    /// Applied or not, now or later.
    Unknown,
}

/// Why a command was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// Too many commands wait already.
    #[error("too many commands wait for the metadata store")]
    Busy,
    /// The deadline passed before it was its turn.
    #[error("the deadline passed before the command was taken up")]
    TooLate,
    /// The store was closed.
    #[error("the metadata store is closed")]
    Closed,
    /// There is no room on the disk. The store goes on by itself once there is.
    #[error("the disk of the metadata store is full: nothing can be stored until space is freed on it")]
    DiskFull,
    /// The disk failed; the node must be restarted.
    #[error("the metadata store failed and takes no more commands")]
    Failed,
    /// It is larger than members send each other.
    #[error("there is more in the request than the metadata store takes at once")]
    TooLarge,
}

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// One broadcast: [`Answer::Broadcast`].
    Broadcast {
        /// The application.
        app: AppName,
        /// The id.
        stream: StreamId,
    },
    /// A page of broadcasts in byte order of their ids: [`Answer::Broadcasts`].
    Broadcasts {
        /// The application.
        app: AppName,
        /// Which ones.
        which: Which,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// The number of broadcasts: [`Answer::Count`].
    BroadcastCount {
        /// The application.
        app: AppName,
        /// Which ones.
        which: Which,
    },
    /// Settings: [`Answer::Settings`].
    Settings {
        /// The application.
        app: AppName,
    },
    /// What a token would be refused for, if it were spent now by a new session: [`Answer::TokenFault`].
    TokenFault {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
        /// What it is to be spent for.
        direction: Direction,
    },
    /// One token, whatever it is worth: [`Answer::Token`].
    Token {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
    },
    /// The stream that a room's token was made for: [`Answer::Home`].
    HomeInRoom {
        /// The application.
        app: AppName,
        /// The room.
        room: StreamId,
        /// Its text.
        token: TokenId,
    },
    /// A page of a stream's tokens that are neither spent nor void: [`Answer::Tokens`].
    Tokens {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// One subscriber: [`Answer::Subscriber`].
    Subscriber {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its id.
        subscriber: SubscriberId,
    },
    /// A page of a stream's subscribers in byte order of their ids: [`Answer::Subscribers`].
    Subscribers {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// A page of a stream's newest connection events, by subscriber, oldest first: [`Answer::Events`].
    Events {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Of this one alone.
        subscriber: Option<SubscriberId>,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// Which node publishes a stream: [`Answer::Claim`].
    Claim {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
    },
    /// What a node has claimed in one of its lives: [`Answer::Claims`].
    ClaimsOf(Owner),
    /// All nodes in the order of their ids: [`Answer::Nodes`].
    Nodes,
    /// One user: [`Answer::User`].
    User(UserName),
    /// All users in byte order of their names: [`Answer::Users`].
    Users,
    /// One VoD record: [`Answer::Vod`].
    Vod {
        /// The application.
        app: AppName,
        /// Its id.
        vod: VodId,
    },
    /// A page of VoD records in byte order of their ids: [`Answer::Vods`].
    Vods {
        /// The application.
        app: AppName,
        /// Made of this stream alone.
        stream: Option<StreamId>,
        /// How many of them to pass over.
        offset: usize,
        /// How many to return at most.
        size: usize,
    },
    /// Whether anything is over at a time and still there: [`Answer::Count`], 0 or 1.
    Due {
        /// The time.
        up_to: WallTime,
    },
    /// Everything a watcher of this filter needs to begin again: [`Answer::Listed`].
    List(Filter),
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every command that was answered before the question was asked. For decisions, and for
    /// every answer that refuses somebody.
    Linearizable,
    /// What this node has; may lag behind the others, and hardly behind what was written by this node.
    Local,
}

/// An answer and the revision it is true at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The revision.
    pub revision: Revision,
    /// The answer.
    pub answer: Answer,
}

/// The answers to [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// One broadcast or none.
    Broadcast(Option<Arc<Broadcast>>),
    /// A page of broadcasts.
    Broadcasts(Vec<Arc<Broadcast>>),
    /// A number.
    Count(u64),
    /// Settings or none.
    Settings(Option<Arc<SettingsRecord>>),
    /// What a token is refused for; `None`: it is good.
    TokenFault(Option<TokenFault>),
    /// One token or none.
    Token(Option<Arc<Token>>),
    /// A stream or none.
    Home(Option<StreamId>),
    /// A page of tokens.
    Tokens(Vec<(TokenId, Arc<Token>)>),
    /// One subscriber or none.
    Subscriber(Option<SubscriberShown>),
    /// A page of subscribers.
    Subscribers(Vec<SubscriberShown>),
    /// A page of events.
    Events(Vec<(SubscriberId, ConnectionEvent)>),
    /// Who has a stream, if anybody.
    Claim(Option<ClaimShown>),
    /// Claims of one node.
    Claims(Vec<HeldClaim>),
    /// All nodes.
    Nodes(Vec<(NodeId, Arc<Node>)>),
    /// One user or none.
    User(Option<Arc<User>>),
    /// All users.
    Users(Vec<(UserName, Arc<User>)>),
    /// One VoD record or none.
    Vod(Option<Arc<Vod>>),
    /// A page of VoD records.
    Vods(Vec<(VodId, Arc<Vod>)>),
    /// Everything of a filter, in the form of changes.
    Listed(Vec<Change>),
}

/// A claim and the node whose it is, which lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimShown {
    /// The claim.
    pub claim: Arc<Claim>,
    /// The node.
    pub node: Arc<Node>,
    /// Whether its lease runs. A lapsed claim is still the newest: its owner may be cut off and go on.
    pub held: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The deadline passed.
    #[error("the metadata store did not answer in time")]
    TooLate,
    /// The store is closed or failed.
    #[error("the metadata store is closed")]
    Closed,
    /// This node is no member and has no whole copy yet.
    #[error("the metadata has not been read from its members yet")]
    NotListed,
}

impl crate::State {
    /// Answers `query` from this state.
    pub fn answer(&self, query: &Query) -> Reading {
        let answer = match query {
            Query::Broadcast { app, stream } => Answer::Broadcast(self.broadcast(app, stream).cloned()),
            Query::Broadcasts { app, which, offset, size } => Answer::Broadcasts(
                self.broadcasts(app)
                    .filter(|broadcast| which.takes(broadcast))
                    .skip(*offset)
                    .take(*size)
                    .cloned()
                    .collect(),
            ),
            Query::BroadcastCount { app, which } => {
                let count = match which {
                    Which::All => self.broadcasts_len(app),
                    which => self.broadcasts(app).filter(|broadcast| which.takes(broadcast)).count(),
                };
                Answer::Count(count as u64)
            }
            Query::Settings { app } => Answer::Settings(self.settings(app).cloned()),
            Query::TokenFault { app, stream, token, direction } => {
                Answer::TokenFault(self.token_fault(app, stream, token, *direction, None))
            }
            Query::Token { app, stream, token } => {
                let is_void = |row: &&Arc<Token>| self.is_revoked(app, stream, row);
                Answer::Token(self.token(app, stream, token).filter(|row| !is_void(row)).cloned())
            }
            Query::HomeInRoom { app, room, token } => {
                Answer::Home(self.home_in_room(app, room, token).cloned())
            }
            Query::Tokens { app, stream, offset, size } => {
                let page = self.tokens(app, stream).skip(*offset).take(*size);
                Answer::Tokens(page.map(|(id, token)| (id.clone(), Arc::clone(token))).collect())
            }
            Query::Subscriber { app, stream, subscriber } => {
                let known = self.subscriber(app, stream, subscriber);
                Answer::Subscriber(known.map(|known| self.shown(app, stream, subscriber, known)))
            }
            Query::Subscribers { app, stream, offset, size } => {
                let page = self.subscribers(app, stream).skip(*offset).take(*size);
                Answer::Subscribers(page.map(|(id, known)| self.shown(app, stream, id, known)).collect())
            }
            Query::Events { app, stream, subscriber, offset, size } => {
                Answer::Events(self.events(app, stream, subscriber.as_ref(), *offset, *size))
            }
            Query::Claim { app, stream } => Answer::Claim(self.claim(app, stream).and_then(|claim| {
                self.may_be_renewed(claim).then_some(())?;
                let node = Arc::clone(self.node(claim.owner.node)?);
                let held = self.is_held_at(claim, self.now());
                Some(ClaimShown { claim: Arc::clone(claim), node, held })
            })),
            Query::ClaimsOf(owner) => Answer::Claims(self.claims_of(*owner).collect()),
            Query::Nodes => Answer::Nodes(self.nodes().map(|(id, node)| (id, Arc::clone(node))).collect()),
            Query::User(name) => Answer::User(self.user(name).cloned()),
            Query::Users => {
                Answer::Users(self.users().map(|(name, user)| (name.clone(), Arc::clone(user))).collect())
            }
            Query::Vod { app, vod } => Answer::Vod(self.vod(app, vod).cloned()),
            Query::Vods { app, stream, offset, size } => {
                let of = |vod: &Vod| {
                    stream.as_ref().is_none_or(|of| vod.stream_id.as_deref() == Some(of.as_str()))
                };
                let page = self.vods(app).filter(|(_, vod)| of(vod)).skip(*offset).take(*size);
                Answer::Vods(page.map(|(id, vod)| (id.clone(), Arc::clone(vod))).collect())
            }
            Query::Due { up_to } => Answer::Count(self.is_due(*up_to).into()),
            Query::List(filter) => Answer::Listed(self.list(filter)),
        };
        Reading { revision: self.revision(), answer }
    }
}
