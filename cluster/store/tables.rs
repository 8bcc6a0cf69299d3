//! How the state lies in the file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `revision`, `now_ms` | a number |
//! | `broadcasts` | application, stream | [`Broadcast::encode`] |
//! | `settings` | application | [`SettingsRecord::encode`] |
//! | `requests` | revision | request id (16 bytes, little endian), then the outcome as JSON |

use std::path::Path;
use std::sync::Arc;

use base::{AppName, IdError, StreamId, WallTime, limits};
use cluster_model::{
    Applied, Broadcast, Change, FormatError, Outcome, RequestId, Revision, SettingsRecord, State,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::StoreError;
use crate::error::is_full;

/// Format of the file as a whole.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const BROADCASTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("broadcasts");
const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");

/// A command that was applied, with what is remembered of it.
pub(crate) struct Entry {
    pub request: RequestId,
    pub applied: Applied,
}

/// A write that did not come through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// A row cannot be written as what it is stored as. Nothing is on disk.
    #[error("before the commit: {0}")]
    Row(#[from] FormatError),
    /// Nothing of it is on disk.
    #[error("before the commit: {0}")]
    Before(redb::Error),
    /// Perhaps it is on disk.
    #[error("in the commit: {0}")]
    During(redb::Error),
}

impl WriteError {
    /// Whether there was no room for it.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Row(_) => false,
            Self::Before(error) | Self::During(error) => is_full(error),
        }
    }
}

/// Makes the tables of a new file, or checks the format of an old one and reads it.
pub(crate) fn load(database: &Database, path: &Path) -> Result<State, StoreError> {
    let unusable = |source| StoreError::unusable(path, source);
    prepare(database).map_err(unusable)?;
    let Rows { meta, broadcasts, settings, requests } = read(database).map_err(unusable)?;
    if meta.format != FORMAT {
        return Err(StoreError::UnknownFormat { path: path.to_owned(), found: meta.format, known: FORMAT });
    }
    let bad = |row| move |source| StoreError::Row { path: path.to_owned(), row, source };
    let mut changes = Vec::with_capacity(broadcasts.len() + settings.len());
    for (app, stream, bytes) in broadcasts {
        changes.push(broadcast(&app, &stream, &bytes).map_err(bad("broadcast"))?);
    }
    for (app, bytes) in settings {
        changes.push(settings_of(&app, &bytes).map_err(bad("settings"))?);
    }
    let mut state = State::default();
    state.absorb(Revision(meta.revision), WallTime(meta.now_ms), &changes);
    for (revision, bytes) in requests {
        let (request, outcome) = decode_request(&bytes).map_err(bad("request"))?;
        state.remember(request, Revision(revision), outcome);
    }
    Ok(state)
}

/// Writes what was applied, durably, in one transaction.
pub(crate) fn write(database: &Database, entries: &[Entry], now: WallTime) -> Result<(), WriteError> {
    let transaction = database.begin_write().map_err(before)?;
    {
        let mut meta = transaction.open_table(META).map_err(before)?;
        let mut broadcasts = transaction.open_table(BROADCASTS).map_err(before)?;
        let mut settings = transaction.open_table(SETTINGS).map_err(before)?;
        let mut requests = transaction.open_table(REQUESTS).map_err(before)?;
        for Entry { request, applied } in entries {
            for change in &applied.changes {
                match change {
                    Change::Broadcast { app, stream, now: Some(now) } => {
                        let row = now.encode()?;
                        broadcasts.insert((app.as_str(), stream.as_str()), &*row).map_err(before)?;
                    }
                    Change::Broadcast { app, stream, now: None } => {
                        broadcasts.remove((app.as_str(), stream.as_str())).map_err(before)?;
                    }
                    Change::Settings { app, now: Some(now) } => {
                        settings.insert(app.as_str(), &*now.encode()?).map_err(before)?;
                    }
                    Change::Settings { app, now: None } => {
                        settings.remove(app.as_str()).map_err(before)?;
                    }
                }
            }
            let Revision(revision) = applied.revision;
            let row = encode_request(*request, applied.outcome)?;
            requests.insert(revision, &*row).map_err(before)?;
            // One revision, one request: the window moves by one.
            requests
                .remove(revision.saturating_sub(limits::META_REQUESTS_REMEMBERED_MAX as u64))
                .map_err(before)?;
            meta.insert("revision", revision).map_err(before)?;
        }
        meta.insert("now_ms", now.as_millis()).map_err(before)?;
    }
    transaction.commit().map_err(|error| WriteError::During(error.into()))
}

fn before(error: impl Into<redb::Error>) -> WriteError {
    WriteError::Before(error.into())
}

struct Meta {
    format: u64,
    revision: u64,
    now_ms: u64,
}

struct Rows {
    meta: Meta,
    broadcasts: Vec<(String, String, Vec<u8>)>,
    settings: Vec<(String, Vec<u8>)>,
    requests: Vec<(u64, Vec<u8>)>,
}

/// A file without a format is new: it gets all tables in one transaction, or stays new.
pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let is_new = {
        let mut meta = transaction.open_table(META)?;
        let is_new = meta.get("format")?.is_none();
        if is_new {
            for (key, value) in [("format", FORMAT), ("revision", 0), ("now_ms", 0)] {
                meta.insert(key, value)?;
            }
            transaction.open_table(BROADCASTS)?;
            transaction.open_table(SETTINGS)?;
            transaction.open_table(REQUESTS)?;
        }
        is_new
    };
    if is_new {
        transaction.commit()?
    } else {
        transaction.abort()?
    }
    Ok(())
}

fn read(database: &Database) -> Result<Rows, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let number = |key| Ok::<_, redb::Error>(meta.get(key)?.map_or(0, |value| value.value()));
    let meta = Meta { format: number("format")?, revision: number("revision")?, now_ms: number("now_ms")? };
    let mut rows = Rows { meta, broadcasts: Vec::new(), settings: Vec::new(), requests: Vec::new() };
    if rows.meta.format != FORMAT {
        // The other tables are that format's business.
        return Ok(rows);
    }
    for row in transaction.open_table(BROADCASTS)?.iter()? {
        let (key, value) = row?;
        let (app, stream) = key.value();
        rows.broadcasts.push((app.to_owned(), stream.to_owned(), value.value().to_vec()));
    }
    for row in transaction.open_table(SETTINGS)?.iter()? {
        let (key, value) = row?;
        rows.settings.push((key.value().to_owned(), value.value().to_vec()));
    }
    for row in transaction.open_table(REQUESTS)?.iter()? {
        let (key, value) = row?;
        rows.requests.push((key.value(), value.value().to_vec()));
    }
    Ok(rows)
}

fn broadcast(app: &str, stream: &str, bytes: &[u8]) -> Result<Change, FormatError> {
    let now = Some(Arc::new(Broadcast::decode(bytes)?));
    let (app, stream) = (AppName::new(app).map_err(bad_name)?, StreamId::new(stream).map_err(bad_name)?);
    Ok(Change::Broadcast { app, stream, now })
}

fn settings_of(app: &str, bytes: &[u8]) -> Result<Change, FormatError> {
    let now = Some(Arc::new(SettingsRecord::decode(bytes)?));
    Ok(Change::Settings { app: AppName::new(app).map_err(bad_name)?, now })
}

fn bad_name(error: IdError) -> FormatError {
    FormatError::Malformed(error.to_string())
}

fn encode_request(request: RequestId, outcome: Outcome) -> Result<Vec<u8>, FormatError> {
    let mut row = request.as_u128().to_le_bytes().to_vec();
    serde_json::to_writer(&mut row, &outcome).map_err(|error| FormatError::Malformed(error.to_string()))?;
    Ok(row)
}

fn decode_request(row: &[u8]) -> Result<(RequestId, Outcome), FormatError> {
    let (id, outcome) = row.split_first_chunk::<16>().ok_or(FormatError::Empty)?;
    let outcome =
        serde_json::from_slice(outcome).map_err(|error| FormatError::Malformed(error.to_string()))?;
    Ok((RequestId::from_u128(u128::from_le_bytes(*id)), outcome))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cluster_model::Refusal;

    use super::*;

    /// `schemas/golden/store_request.bin`: the form of a remembered request must stay readable.
    #[test]
    fn a_remembered_request_has_its_golden_form() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/golden/store_request.bin");
        let request = RequestId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        let outcome = Outcome::Refused(Refusal::TooLarge);
        let row = encode_request(request, outcome).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(golden, &row).unwrap();
        }
        assert_eq!(fs::read(golden).unwrap(), row);
        assert_eq!(decode_request(&row).unwrap(), (request, outcome));
    }

    #[test]
    fn rows_of_another_format_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let database = Database::create(&path).unwrap();
        prepare(&database).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", 7).unwrap();
        transaction.commit().unwrap();
        let error = load(&database, &path).unwrap_err();
        assert!(matches!(error, StoreError::UnknownFormat { found: 7, known: FORMAT, .. }), "{error}");
        assert!(error.to_string().contains("has format 7, this program reads format 1"), "{error}");
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let database = Database::create(&path).unwrap();
        prepare(&database).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(BROADCASTS).unwrap().insert(("a", "s"), &b"\x63{}"[..]).unwrap();
        transaction.commit().unwrap();
        let error = load(&database, &path).unwrap_err();
        assert!(matches!(error, StoreError::Row { row: "broadcast", .. }), "{error}");
        assert!(error.to_string().contains("format version 99 is unknown"), "{error}");
    }
}
