//! What REST reads of the past, on any node: from the database, and from the state when that is away.

mod events;

use std::sync::Arc;

use base::{AppName, Clock, StreamId, limits};
use cluster_model::{
    Answer, Change, ConnectionEvent, Consistency, Figures, Meta, Query, ReadFailed, SubscriberId, Vod, VodId,
};
use tokio::time::timeout;

use crate::database::Reached;
use crate::reading::Pages;
use crate::{DatabaseError, ScyllaOptions, Table};

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there may be more that belongs here: the database is away and this is the newest part, which the state has;
    /// or there was too much to walk over.
    pub partial: bool,
}

/// Which way a list goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryOrder {
    /// As AMS lists events.
    #[default]
    OldestFirst,
    /// The other way.
    NewestFirst,
}

/// Which events are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsWanted {
    /// The application.
    pub app: AppName,
    /// The stream.
    pub stream: StreamId,
    /// Of this subscriber alone. `None`: of all, viewers without a name included; day by day, and in each by subscriber.
    pub subscriber: Option<SubscriberId>,
    /// Which way.
    pub order: HistoryOrder,
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

/// What a subscriber's sessions came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryShown {
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// Sessions that are over.
    pub ended: u64,
    /// What those came to.
    pub figures: Figures,
}

/// Reads the past. Every answer comes within [`limits::HISTORY_ANSWER_MAX`] and what the state takes.
pub struct History {
    reached: Reached,
    meta: Arc<dyn Meta>,
    clock: Arc<dyn Clock>,
}

impl History {
    /// Over the database of `options`, which is connected to with the first question, and `meta`.
    pub fn new(options: ScyllaOptions, meta: Arc<dyn Meta>, clock: Arc<dyn Clock>) -> Self {
        Self { reached: Reached::new(options), meta, clock }
    }

    /// A page of connection events.
    pub async fn events(&self, wanted: &EventsWanted) -> Result<Page<EventShown>, ReadFailed> {
        match self.in_time(self.events_there(wanted)).await {
            Some(page) => Ok(page),
            None => self.events_here(wanted).await,
        }
    }

    /// A page of what a stream's subscribers' sessions came to, in byte order of the subscribers.
    pub async fn summaries(
        &self,
        app: &AppName,
        stream: &StreamId,
        offset: usize,
        size: usize,
    ) -> Result<Page<SummaryShown>, ReadFailed> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        let there = self.state_page(
            Table::SubscriberSummaries,
            2,
            (app.as_str(), stream.as_str()),
            offset,
            size,
            |change| match change {
                Change::History { subscriber, now: Some(now), .. } => {
                    Some(SummaryShown { subscriber, ended: now.ended, figures: now.figures })
                }
                _ => None,
            },
        );
        if let Some(page) = self.in_time(there).await {
            return Ok(page);
        }
        let query = Query::Subscribers { app: app.clone(), stream: stream.clone(), offset, size };
        let rows = match self.ask(query).await? {
            Answer::Subscribers(shown) => shown
                .into_iter()
                .filter_map(|shown| {
                    let history = shown.history?;
                    let (ended, figures) = (history.ended, history.figures);
                    Some(SummaryShown { subscriber: shown.id, ended, figures })
                })
                .collect(),
            _ => Vec::new(),
        };
        Ok(Page { rows, partial: true })
    }

    /// A page of VoD records in byte order of their ids, of one stream or of all.
    pub async fn vods(
        &self,
        app: &AppName,
        stream: Option<&StreamId>,
        offset: usize,
        size: usize,
    ) -> Result<Page<(VodId, Arc<Vod>)>, ReadFailed> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        let of = |vod: &Vod| stream.is_none_or(|of| vod.stream_id.as_deref() == Some(of.as_str()));
        let there = self.state_page(Table::Vods, 1, (app.as_str(),), offset, size, |change| match change {
            Change::Vod { vod, now: Some(now), .. } if of(&now) => Some((vod, now)),
            _ => None,
        });
        if let Some(page) = self.in_time(there).await {
            return Ok(page);
        }
        let query = Query::Vods { app: app.clone(), stream: stream.cloned(), offset, size };
        match self.ask(query).await? {
            Answer::Vods(rows) => Ok(Page { rows, partial: true }),
            _ => Ok(Page { rows: Vec::new(), partial: true }),
        }
    }

    /// Rows of a table of the state, of those keys that begin with `values`.
    async fn state_page<T>(
        &self,
        table: Table,
        begins: usize,
        values: impl scylla::serialize::row::SerializeRow,
        offset: usize,
        size: usize,
        mut read: impl FnMut(Change) -> Option<T>,
    ) -> Result<Page<T>, DatabaseError> {
        let database = self.reached.get(self.clock.now()).await?;
        let lineage = database.lineage().await?;
        let mut pages = Pages::new(database, table, begins, values)?;
        let mut page = Page { rows: Vec::new(), partial: false };
        let (mut walked, mut passed) = (0, 0);
        while page.rows.len() < size
            && let Some(changes) = pages.next(&lineage).await?
        {
            for row in changes.into_iter().filter_map(|(_, change)| read(change)) {
                walked += 1;
                if passed < offset {
                    passed += 1;
                } else if page.rows.len() < size {
                    page.rows.push(row);
                }
            }
            if walked >= limits::HISTORY_ROWS_WALKED_MAX {
                page.partial = page.rows.len() < size;
                break;
            }
        }
        Ok(page)
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
