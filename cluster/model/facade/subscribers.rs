//! The façade for subscribers, their blocks and their connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base::{AppName, Clock, Randomness, SessionId, StreamId, limits};

use crate::proposer::Proposer;
use crate::{
    Answer, Change, CodesSeen, Command, ConnectionEvent, Consistency, Filter, FormatError, Hidden, Meta,
    MetaError, NodeId, Outcome, Owner, Query, Revision, Seals, SubscriberId, SubscriberShown,
    SubscriberTerms, Watch,
};

/// Subscribers of all streams. Their secrets are sealed where they are stored.
#[derive(Clone)]
pub struct Subscribers {
    pub(super) proposer: Proposer,
    seals: Arc<Seals>,
}

/// Why a subscriber may not connect once more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// It has as many connections as it may.
    #[error("the subscriber has its {limit} connections already")]
    Taken {
        /// So many.
        limit: u32,
    },
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Subscribers {
    /// Over `meta`.
    pub fn new(
        meta: Arc<dyn Meta>,
        seals: Arc<Seals>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { proposer: Proposer::new(meta, clock, randomness), seals }
    }

    /// The same with another time for each answer.
    pub fn within(&self, patience: Duration) -> Self {
        Self { proposer: self.proposer.within(patience), seals: Arc::clone(&self.seals) }
    }

    /// Registers a subscriber, or replaces what is said of it.
    pub async fn put(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
        mut terms: SubscriberTerms,
    ) -> Result<(), MetaError> {
        if let Some(secret) = &terms.b32_secret {
            let owner = owner(app, stream, subscriber);
            let sealed = self.seals.seal(&owner, secret.expose().as_bytes(), &*self.proposer.randomness)?;
            terms.b32_secret = Some(Hidden::new(sealed));
        }
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        self.done(Command::PutSubscriber { app, stream, subscriber, terms }).await
    }

    /// One subscriber, as of now. For decisions.
    pub async fn get(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> Result<Option<SubscriberShown>, MetaError> {
        self.one(app, stream, subscriber, Consistency::Linearizable).await
    }

    /// One subscriber as this node knows it. For showing, and for allowing what need not be certain.
    pub async fn get_local(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> Result<Option<SubscriberShown>, MetaError> {
        self.one(app, stream, subscriber, Consistency::Local).await
    }

    /// A page of a stream's subscribers in byte order of their ids, with their secrets as they are stored: sealed.
    pub async fn list(
        &self,
        app: &AppName,
        stream: &StreamId,
        offset: usize,
        size: usize,
    ) -> Result<Vec<SubscriberShown>, MetaError> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        let query = Query::Subscribers { app: app.clone(), stream: stream.clone(), offset, size };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Subscribers(page)) => Ok(page),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The streams that have subscribers, as this node knows it.
    pub async fn streams(&self, app: &AppName) -> Result<BTreeSet<StreamId>, MetaError> {
        match self.proposer.read(Query::List(Filter::Subscribers(app.clone())), Consistency::Local).await? {
            (_, Answer::Listed(rows)) => Ok(rows
                .into_iter()
                .filter_map(
                    |row| if let Change::Subscriber { stream, .. } = row { Some(stream) } else { None },
                )
                .collect()),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A page of a stream's newest connection events, or of one subscriber's.
    pub async fn events(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: Option<&SubscriberId>,
        offset: usize,
        size: usize,
    ) -> Result<Vec<(SubscriberId, ConnectionEvent)>, MetaError> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.cloned());
        let query = Query::Events { app, stream, subscriber, offset, size };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Events(page)) => Ok(page),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Removes one; `false` when there was none.
    pub async fn delete(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
    ) -> Result<bool, MetaError> {
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        self.proposer.done_or_absent(Command::DeleteSubscriber { app, stream, subscriber }).await
    }

    /// Removes all of a stream, and their connection events.
    pub async fn delete_all(&self, app: &AppName, stream: &StreamId) -> Result<(), MetaError> {
        self.proposer.sweep(Command::DeleteSubscribers { app: app.clone(), stream: stream.clone() }).await
    }

    /// Blocks a subscriber for a time, registered or not; 0 seconds: no longer.
    pub async fn block(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
        kind: &str,
        seconds: u64,
    ) -> Result<(), MetaError> {
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        let kind = kind.to_owned();
        self.done(Command::BlockSubscriber { app, stream, subscriber, kind, seconds }).await
    }

    /// Takes one of a subscriber's connections for `session`, which may ask again.
    pub async fn acquire(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
        session: SessionId,
        owner: Owner,
    ) -> Result<(), AcquireError> {
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        let command = Command::AcquireSlot { app, stream, subscriber, session, owner };
        match self.proposer.propose(command).await? {
            (_, Outcome::Done) => Ok(()),
            (_, Outcome::SlotsTaken { limit }) => Err(AcquireError::Taken { limit }),
            _ => Err(MetaError::WrongAnswer.into()),
        }
    }

    /// Gives it back; `false` when it was not held by `owner`.
    pub async fn release(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
        session: SessionId,
        owner: Owner,
    ) -> Result<bool, MetaError> {
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        let command = Command::ReleaseSlot { app, stream, subscriber, session, owner };
        self.proposer.done_or_absent(command).await
    }

    /// Has whoever serves it end a session of any stream, or the stream's publisher (`None`).
    pub async fn end_session(
        &self,
        app: &AppName,
        stream: &StreamId,
        session: Option<SessionId>,
    ) -> Result<(), MetaError> {
        self.done(Command::EndSession { app: app.clone(), stream: stream.clone(), session }).await
    }

    /// Tells all nodes what codes `node` saw, at most [`limits::CODES_TOLD_MAX`] of networks. It hears of them itself, too.
    pub async fn tell_codes(&self, node: NodeId, seen: Vec<CodesSeen>) -> Result<(), MetaError> {
        self.done(Command::TellCodes { node, seen }).await
    }

    /// Tells of changes to subscribers of an application: blocks, above all; of sessions that are to end; and of codes that
    /// nodes saw.
    pub fn watch(&self, app: &AppName, from: Revision) -> Watch {
        self.proposer.meta.watch(Filter::Subscribers(app.clone()), from)
    }

    /// All of them, for a watch that fell behind; it goes on behind the list.
    pub async fn relist(&self, app: &AppName, watch: &mut Watch) -> Result<Vec<Change>, MetaError> {
        self.proposer.relist(Filter::Subscribers(app.clone()), watch).await
    }

    async fn done(&self, command: Command) -> Result<(), MetaError> {
        match self.proposer.propose(command).await? {
            (_, Outcome::Done) => Ok(()),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    async fn one(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &SubscriberId,
        consistency: Consistency,
    ) -> Result<Option<SubscriberShown>, MetaError> {
        let owner = owner(app, stream, subscriber);
        let (app, stream, subscriber) = (app.clone(), stream.clone(), subscriber.clone());
        match self.proposer.read(Query::Subscriber { app, stream, subscriber }, consistency).await? {
            (_, Answer::Subscriber(Some(mut shown))) => {
                if let Some(secret) = self.opened(&owner, &shown.subscriber.terms)? {
                    Arc::make_mut(&mut shown.subscriber).terms.b32_secret = Some(secret);
                }
                Ok(Some(shown))
            }
            (_, Answer::Subscriber(None)) => Ok(None),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The secret that is sealed in `terms`, if one is.
    fn opened(&self, owner: &str, terms: &SubscriberTerms) -> Result<Option<Hidden>, FormatError> {
        let Some(stored) = &terms.b32_secret else { return Ok(None) };
        Ok(self.seals.open_text(owner, stored.expose())?.map(Hidden::new))
    }
}

/// To whom a subscriber's sealed secret belongs.
fn owner(app: &AppName, stream: &StreamId, subscriber: &SubscriberId) -> String {
    format!("subscriber {app}/{stream}/{subscriber}")
}
