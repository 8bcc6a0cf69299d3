//! The database: connected, with tables that are ours, and asked in prepared statements alone.

mod cluster;
mod tables;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base::limits;
use parking_lot::Mutex;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{CqlValue, MaybeUnset};
use tokio::task::AbortHandle;

use crate::options::is_keyspace;
use crate::planned::{Cell, Deed, Write};
use crate::schema::shapes;
use crate::{DatabaseError, ScyllaOptions, Table};

pub use cluster::ClusterRow;

/// A database in use.
pub struct Database {
    session: Session,
    keyspace: String,
    /// Statements by their text. There are as many as stand in this crate.
    prepared: Mutex<BTreeMap<String, PreparedStatement>>,
}

impl Database {
    /// Connects, makes what is missing of keyspace and tables, and compares the rest with what it should be. For the node
    /// that writes.
    pub async fn create(options: &ScyllaOptions) -> Result<Self, DatabaseError> {
        let database = Self::connect(options).await?;
        database.make_keyspace(options).await?;
        database.use_keyspace().await?;
        database.make_tables().await?;
        Ok(database)
    }

    /// Connects to what the writing node has made; away until it has.
    pub async fn open(options: &ScyllaOptions) -> Result<Self, DatabaseError> {
        let database = Self::connect(options).await?;
        database.use_keyspace().await?;
        database.check_tables().await?;
        Ok(database)
    }

    async fn connect(options: &ScyllaOptions) -> Result<Self, DatabaseError> {
        if !is_keyspace(&options.keyspace) {
            let name = &options.keyspace;
            return Err(DatabaseError::Options(format!("{name:?} is no name of a keyspace")));
        }
        let mut profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(options.request_timeout));
        if let Some(datacenter) = &options.datacenter {
            let policy = DefaultPolicy::builder().prefer_datacenter(datacenter.clone()).build();
            profile = profile.load_balancing_policy(policy);
        }
        let mut builder = SessionBuilder::new()
            .known_nodes(&options.contact_points)
            .connection_timeout(options.connect_timeout)
            .keyspaces_to_fetch([options.keyspace.as_str()])
            .default_execution_profile_handle(profile.build().into_handle());
        if let Some(credentials) = &options.credentials {
            builder = builder.user(&credentials.user, credentials.password.expose());
        }
        let session = builder.build().await?;
        Ok(Self { session, keyspace: options.keyspace.clone(), prepared: Mutex::default() })
    }

    /// Writes one row.
    pub(crate) async fn write(&self, write: &Write) -> Result<(), DatabaseError> {
        let (text, values) = statement(write)?;
        let prepared = self.prepared(&text).await?;
        self.session.execute_unpaged(&prepared, values).await?;
        Ok(())
    }

    /// All rows of a question that has few of them.
    pub(crate) async fn rows<R>(&self, text: &str, values: impl SerializeRow) -> Result<Vec<R>, DatabaseError>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let mut all = Vec::new();
        let mut next = Some(PagingState::start());
        while let Some(from) = next {
            let (rows, after) = self.page(text, &values, from).await?;
            all.extend(rows);
            next = after;
        }
        Ok(all)
    }

    /// At most [`limits::HISTORY_FETCH_ROWS`] rows, and where to go on.
    pub(crate) async fn page<R>(
        &self,
        text: &str,
        values: impl SerializeRow,
        from: PagingState,
    ) -> Result<(Vec<R>, Option<PagingState>), DatabaseError>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let prepared = self.prepared(text).await?;
        let (result, paging) = self.session.execute_single_page(&prepared, values, from).await?;
        let unreadable = |why: &dyn std::fmt::Display| DatabaseError::unreadable("an answer", why);
        let result = result.into_rows_result().map_err(|why| unreadable(&why))?;
        let rows: Result<Vec<R>, _> = result.rows::<R>().map_err(|why| unreadable(&why))?.collect();
        let next = match paging {
            PagingStateResponse::HasMorePages { state } => Some(state),
            PagingStateResponse::NoMorePages => None,
        };
        Ok((rows.map_err(|why| unreadable(&why))?, next))
    }

    async fn prepared(&self, text: &str) -> Result<PreparedStatement, DatabaseError> {
        if let Some(known) = self.prepared.lock().get(text) {
            return Ok(known.clone());
        }
        let mut prepared = self.session.prepare(text).await?;
        // With timestamps of ours, and where conditions are the statement's, twice is once.
        prepared.set_is_idempotent(!text.contains(" IF "));
        prepared.set_page_size(limits::HISTORY_FETCH_ROWS);
        self.prepared.lock().insert(text.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

/// The statement of a write and what is bound to it.
fn statement(write: &Write) -> Result<(String, Vec<MaybeUnset<CqlValue>>), DatabaseError> {
    let name = write.table.name();
    let shape = shapes().get(name).ok_or_else(|| no_such(write.table, "there is no such table"))?;
    let stamp = CqlValue::BigInt(write.stamp.timestamp());
    let key = write.key.iter().map(|cell| MaybeUnset::Set(cell.clone().into()));
    match &write.deed {
        Deed::Put { columns, ttl_s } => {
            let mut names = shape.key.join(", ");
            let mut values: Vec<_> = key.collect();
            for column in shape.values() {
                names.push_str(", ");
                names.push_str(column);
                let value = columns.iter().find(|(of, _)| *of == column);
                values
                    .push(value.map_or(MaybeUnset::Unset, |(_, cell)| MaybeUnset::Set(cell.clone().into())));
            }
            let marks = vec!["?"; values.len()].join(", ");
            values.extend([MaybeUnset::Set(stamp), MaybeUnset::Set(CqlValue::Int(*ttl_s))]);
            let text = format!("INSERT INTO {name} ({names}) VALUES ({marks}) USING TIMESTAMP ? AND TTL ?");
            Ok((text, values))
        }
        Deed::Delete => {
            let conditions: Vec<_> =
                shape.key.iter().take(write.key.len()).map(|column| format!("{column} = ?")).collect();
            let values = std::iter::once(MaybeUnset::Set(stamp)).chain(key).collect();
            let text = format!("DELETE FROM {name} USING TIMESTAMP ? WHERE {}", conditions.join(" AND "));
            Ok((text, values))
        }
    }
}

fn no_such(table: Table, what: &str) -> DatabaseError {
    DatabaseError::unreadable(table.name(), what)
}

impl From<Cell> for CqlValue {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Text(text) => Self::Text(text),
            Cell::Int(number) => Self::Int(number),
            Cell::BigInt(number) => Self::BigInt(number),
            Cell::Boolean(is) => Self::Boolean(is),
            Cell::Blob(bytes) => Self::Blob(bytes),
        }
    }
}

/// A database that is connected to when it is first needed. While it is away, only one tries, and not at once again: the
/// others are told so. To connect may take longer than whoever needs it waits: it goes on without them.
pub(crate) struct Reached {
    options: ScyllaOptions,
    database: Arc<OnceLock<Arc<Database>>>,
    tried: Mutex<Option<(Instant, AbortHandle)>>,
}

impl Reached {
    pub fn new(options: ScyllaOptions) -> Self {
        Self { options, database: Arc::default(), tried: Mutex::new(None) }
    }

    /// How long history is kept.
    pub fn history_kept(&self) -> Duration {
        self.options.history_kept()
    }

    /// The database, for reading, `now`.
    pub async fn get(&self, now: Instant) -> Result<Arc<Database>, DatabaseError> {
        if let Some(database) = self.database.get() {
            return Ok(Arc::clone(database));
        }
        let opening = {
            let mut tried = self.tried.lock();
            let is_early = |at: &Instant| now < *at + limits::PROJECTION_REST_MAX;
            if tried.as_ref().is_some_and(|(at, last)| is_early(at) || !last.is_finished()) {
                return Err(DatabaseError::Away("it was not there a moment ago".to_owned()));
            }
            let opening = tokio::spawn(open(self.options.clone(), Arc::clone(&self.database)));
            *tried = Some((now, opening.abort_handle()));
            opening
        };
        opening.await.map_err(|why| DatabaseError::Away(why.to_string()))?
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some((_, opening)) = &*self.tried.lock() {
            opening.abort();
        }
    }
}

async fn open(
    options: ScyllaOptions,
    place: Arc<OnceLock<Arc<Database>>>,
) -> Result<Arc<Database>, DatabaseError> {
    match Database::open(&options).await {
        Ok(database) => Ok(Arc::clone(place.get_or_init(|| Arc::new(database)))),
        Err(error) => {
            if !error.is_passing() {
                tracing::warn!("history is answered from the state: {error}");
            }
            Err(error)
        }
    }
}

/// A value as it was read; `None`: of a type that no column of ours has.
pub(crate) fn cell(value: CqlValue) -> Option<Cell> {
    Some(match value {
        CqlValue::Text(text) => Cell::Text(text),
        CqlValue::Int(number) => Cell::Int(number),
        CqlValue::BigInt(number) => Cell::BigInt(number),
        CqlValue::Boolean(is) => Cell::Boolean(is),
        CqlValue::Blob(bytes) => Cell::Blob(bytes),
        _ => return None,
    })
}
