//! What REST reads of the past, on any node: from the database, and from the state when that is away.

mod events;

use std::sync::Arc;

use base::{AppName, Clock, StreamId, limits};
use cluster_model::{Answer, ConnectionEvent, Consistency, Figures, Meta, Query, ReadFailed, SubscriberId};
use tokio::time::timeout;

use crate::database::Reached;
use crate::{DatabaseError, ScyllaOptions};

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there may be more that belongs here: the database is away and this is the newest part, which the state has;
    /// or there was too much to walk over.
    pub partial: bool,
}

/// Which events are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsWanted {
    /// The application.
    pub app: AppName,
    /// The stream.
    pub stream: StreamId,
    /// Of this subscriber alone, oldest first as AMS lists them. `None`: of all, viewers without a name included; day by
    /// day, and in each by subscriber.
    pub subscriber: Option<SubscriberId>,
    /// How many to pass over.
    pub offset: usize,
    /// How many to return; at most [`limits::META_ROWS_PER_LIST_MAX`] are.
    pub size: usize,
}

/// An event with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventShown {
    /// `None`: a viewer without a name.
    pub subscriber: Option<SubscriberId>,
    /// The event.
    pub event: ConnectionEvent,
    /// What the session came to, where that is known of its end.
    pub figures: Option<Figures>,
}

/// Reads the past. Every answer comes within [`limits::HISTORY_ANSWER_MAX`] and what the state takes.
pub struct History {
    reached: Reached,
    cluster_id: String,
    meta: Arc<dyn Meta>,
    clock: Arc<dyn Clock>,
}

impl History {
    /// Over the database of `options`, which is connected to with the first question, and `meta`. A database that holds the
    /// data of another cluster than `cluster_id` is as good as away.
    pub fn new(
        options: ScyllaOptions,
        cluster_id: String,
        meta: Arc<dyn Meta>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reached: Reached::new(options), cluster_id, meta, clock }
    }

    /// A page of connection events.
    pub async fn events(&self, wanted: &EventsWanted) -> Result<Page<EventShown>, ReadFailed> {
        match self.in_time(self.events_there(wanted)).await {
            Some(page) => Ok(page),
            None => self.events_here(wanted).await,
        }
    }

    /// What the database says in time; `None`: it does not.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, DatabaseError>>) -> Option<T> {
        match timeout(limits::HISTORY_ANSWER_MAX, answer).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!("history is answered from the state: {error}");
                None
            }
            Err(_) => {
                tracing::debug!("history is answered from the state: the database takes too long");
                None
            }
        }
    }

    async fn ask(&self, query: Query) -> Result<Answer, ReadFailed> {
        let deadline = self.clock.now() + limits::META_ANSWER_MAX;
        Ok(self.meta.read(query, Consistency::Local, deadline).await?.answer)
    }
}
