//! Pages of connection events over the days.

use base::limits;
use cluster_model::{Answer, Figures, Query, ReadFailed, SubscriberId};
use scylla::DeserializeRow;
use scylla::response::PagingState;
use scylla::value::{CqlValue, MaybeUnset};

use super::{EventShown, EventsWanted, History, Page};
use crate::projection::{EventRow, Horizon, event_of_row};
use crate::{Database, DatabaseError, Lineage, Stamp};

/// A row of `connection_events`.
#[derive(DeserializeRow)]
struct Found {
    subscriber: String,
    at_ms: i64,
    session: String,
    node: i64,
    ended: bool,
    reason: Option<String>,
    direction: Option<String>,
    protocol: Option<String>,
    peer: Option<String>,
    proof: Option<String>,
    duration_ms: Option<i64>,
    bytes: Option<i64>,
    video_bytes: Option<i64>,
    audio_bytes: Option<i64>,
    #[scylla(rename = "writetime(seen)")]
    written: Option<i64>,
}

impl Found {
    fn shown(self) -> Option<EventShown> {
        let number = |number: Option<i64>| number.map(|number| u64::try_from(number).unwrap_or_default());
        let figures = number(self.duration_ms).map(|duration_ms| Figures {
            duration_ms,
            bytes: number(self.bytes).unwrap_or_default(),
            video_bytes: number(self.video_bytes).unwrap_or_default(),
            audio_bytes: number(self.audio_bytes).unwrap_or_default(),
        });
        let Self { at_ms, session, node, ended, reason, direction, protocol, peer, proof, .. } = self;
        let row = EventRow { at_ms, session, node, ended, reason, direction, protocol, peer, proof };
        Some(EventShown {
            // Empty: a viewer without a name.
            subscriber: SubscriberId::new(&self.subscriber).ok(),
            event: event_of_row(row)?,
            figures,
        })
    }
}

impl History {
    /// From the database: day by day, until the page is full or enough was walked over.
    pub(super) async fn events_there(
        &self,
        wanted: &EventsWanted,
    ) -> Result<Page<EventShown>, DatabaseError> {
        let database = self.reached.get(self.clock.now()).await?;
        let lineage = database.lineage(&self.cluster_id).await?;
        let mut walk = Walk { wanted, lineage, passed: 0, walked: 0, rows: Vec::new() };
        let horizon = Horizon { now: self.clock.wall(), kept: self.reached.history_kept() };
        for day in horizon.days().rev() {
            if walk.is_full() {
                break;
            }
            walk.over(&database, day).await?;
        }
        let partial = walk.is_full() && walk.rows.len() < wanted.page_size();
        Ok(Page { rows: walk.rows, partial })
    }

    /// From the state, which has the newest of each subscriber.
    pub(super) async fn events_here(&self, wanted: &EventsWanted) -> Result<Page<EventShown>, ReadFailed> {
        let EventsWanted { app, stream, subscriber, offset, .. } = wanted.clone();
        let query = Query::Events { app, stream, subscriber, offset, size: wanted.page_size() };
        let rows = match self.ask(query).await? {
            Answer::Events(events) => events
                .into_iter()
                .map(|(subscriber, event)| EventShown { subscriber: Some(subscriber), event, figures: None })
                .collect(),
            _ => Vec::new(),
        };
        Ok(Page { rows, partial: true })
    }
}

struct Walk<'a> {
    wanted: &'a EventsWanted,
    lineage: Lineage,
    passed: usize,
    walked: usize,
    rows: Vec<EventShown>,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.wanted.page_size() || self.walked >= limits::HISTORY_ROWS_WALKED_MAX
    }

    async fn over(&mut self, database: &Database, day: i32) -> Result<(), DatabaseError> {
        let EventsWanted { app, stream, subscriber, .. } = self.wanted;
        let mut text =
            "SELECT subscriber, at_ms, session, node, ended, reason, direction, protocol, peer, proof, \
                        duration_ms, bytes, video_bytes, audio_bytes, WRITETIME(seen) \
                        FROM connection_events WHERE app = ? AND stream = ? AND day = ?"
                .to_owned();
        let mut values = vec![
            MaybeUnset::Set(CqlValue::Text(app.as_str().to_owned())),
            MaybeUnset::Set(CqlValue::Text(stream.as_str().to_owned())),
            MaybeUnset::Set(CqlValue::Int(day)),
        ];
        if let Some(subscriber) = subscriber {
            text.push_str(" AND subscriber = ?");
            values.push(MaybeUnset::Set(CqlValue::Text(subscriber.as_str().to_owned())));
        }
        let mut next = Some(PagingState::start());
        while let Some(from) = next
            && !self.is_full()
        {
            let (rows, after) = database.page::<Found>(&text, &values, from).await?;
            next = after;
            self.walked += rows.len();
            for row in rows {
                let counts = self.lineage.counts(Stamp::of_timestamp(row.written.unwrap_or(-1)));
                let Some(shown) = counts.then(|| row.shown()).flatten() else { continue };
                if self.passed < self.wanted.offset {
                    self.passed += 1;
                } else if self.rows.len() < self.wanted.page_size() {
                    self.rows.push(shown);
                }
            }
        }
        Ok(())
    }
}

impl EventsWanted {
    fn page_size(&self) -> usize {
        self.size.min(limits::META_ROWS_PER_LIST_MAX)
    }
}
