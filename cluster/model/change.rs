//! What a command changed, as absolute values.

use std::fmt;
use std::sync::Arc;

use base::{AppName, SessionId, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Broadcast, Claim, CodesSeen, ConnectionEvent, Epoch, Fact, History, Life, Node, NodeId, Owner, Revision,
    Session, Slot, Subscriber, SubscriberId, Token, TokenId, User, UserName, Vod, VodId,
};

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
    /// A token.
    Token {
        /// Its application.
        app: AppName,
        /// Its stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
        /// What it is now.
        now: Option<Arc<Token>>,
    },
    /// All tokens of a stream that are older than a revision are void.
    TokensRevoked {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The revision; `None`: no such token is left.
        before: Option<Revision>,
    },
    /// A subscriber.
    Subscriber {
        /// Its application.
        app: AppName,
        /// Its stream.
        stream: StreamId,
        /// Its id.
        subscriber: SubscriberId,
        /// What it is now.
        now: Option<Arc<Subscriber>>,
    },
    /// A connection slot.
    Slot {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// The session that holds it.
        session: SessionId,
        /// What it is now.
        now: Option<Arc<Slot>>,
    },
    /// A claim of a stream.
    Claim {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// What it is now.
        now: Option<Arc<Claim>>,
    },
    /// A node.
    Node {
        /// Its id.
        node: NodeId,
        /// What it is now.
        now: Option<Arc<Node>>,
    },
    /// A life of a node.
    Life {
        /// Which one.
        owner: Owner,
        /// How far it has come.
        now: Option<Arc<Life>>,
    },
    /// A user.
    User {
        /// Its name.
        name: UserName,
        /// What it is now.
        now: Option<Arc<User>>,
    },
    /// A recording.
    Vod {
        /// Its application.
        app: AppName,
        /// Its id.
        vod: VodId,
        /// What it is now.
        now: Option<Arc<Vod>>,
    },
    /// A session of a subscriber.
    Session {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// The session.
        session: SessionId,
        /// The node that serves it; a session that moves to another node is two of them.
        owner: Owner,
        /// What it is now.
        now: Option<Arc<Session>>,
    },
    /// What a subscriber's sessions came to.
    History {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// What it is now.
        now: Option<Arc<History>>,
    },
    /// A connection event of a subscriber.
    Event {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// Its number, see [`History`].
        number: u64,
        /// What it is now.
        now: Option<Arc<ConnectionEvent>>,
    },
    /// The generation of the cluster's data.
    Generation(u64),
    /// A fact was taken. It is not part of the state: the archive has it from here.
    Fact {
        /// Who reported it.
        owner: Owner,
        /// In which batch.
        sequence: u64,
        /// At which place in that.
        index: u32,
        /// The fact.
        fact: Arc<Fact>,
    },
    /// What is kept of a subscriber's past anywhere is to go: an operator deleted it. It is not part of the state, whose rows
    /// also go when they are old.
    HistoryDeleted {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
    },
    /// An operator ends a session, or a stream's publisher. It is told to those who watch, and is no part of the state.
    SessionEnded {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The session; `None`: whoever publishes the stream.
        session: Option<SessionId>,
    },
    /// A publisher waits for a stream that is claimed. It is told to those who watch, and is no part of the state.
    StreamContested {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The claim that is in its way.
        epoch: Epoch,
    },
    /// A node saw codes of a subscriber. It is told to those who watch, and is no part of the state.
    CodesSeen {
        /// Which node.
        node: NodeId,
        /// What it saw.
        seen: Arc<CodesSeen>,
    },
}

/// Which changes a watcher wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// Everything, facts included: for archives and copies.
    All,
    /// Settings of every application.
    Settings,
    /// Broadcasts of one application.
    Broadcasts(AppName),
    /// One broadcast.
    Broadcast(AppName, StreamId),
    /// Tokens of one application, and revocations.
    Tokens(AppName),
    /// Subscribers of one application: their blocks and secrets, and what codes of theirs nodes saw.
    Subscribers(AppName),
    /// One subscriber.
    Subscriber(AppName, StreamId, SubscriberId),
    /// Claims of every application: who publishes what.
    Claims,
    /// The claim of one stream.
    Claim(AppName, StreamId),
    /// Who waits for a stream that is claimed, of every application.
    Contests,
    /// Nodes.
    Nodes,
    /// Users.
    Users,
}

impl Filter {
    /// Whether `change` is wanted.
    pub fn matches(&self, change: &Change) -> bool {
        match (self, change) {
            (Self::All, _)
            | (Self::Settings, Change::Settings { .. })
            | (Self::Claims, Change::Claim { .. })
            | (Self::Contests, Change::StreamContested { .. })
            | (Self::Nodes, Change::Node { .. })
            | (Self::Users, Change::User { .. }) => true,
            (Self::Broadcasts(app), Change::Broadcast { app: changed, .. })
            | (
                Self::Tokens(app),
                Change::Token { app: changed, .. } | Change::TokensRevoked { app: changed, .. },
            )
            | (
                Self::Subscribers(app),
                Change::Subscriber { app: changed, .. } | Change::SessionEnded { app: changed, .. },
            ) => app == changed,
            (Self::Subscribers(app), Change::CodesSeen { seen, .. }) => *app == seen.app,
            (
                Self::Broadcast(app, stream),
                Change::Broadcast { app: changed, stream: changed_stream, .. },
            )
            | (Self::Claim(app, stream), Change::Claim { app: changed, stream: changed_stream, .. }) => {
                app == changed && stream == changed_stream
            }
            (
                Self::Subscriber(app, stream, subscriber),
                Change::Subscriber { app: of_app, stream: of_stream, subscriber: changed, .. },
            ) => app == of_app && stream == of_stream && subscriber == changed,
            _ => false,
        }
    }
}
