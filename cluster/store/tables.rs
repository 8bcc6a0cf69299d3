//! How the state lies in the file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `revision`, `now_ms` | a number |
//! | `rows` | [`RowKind::number`], [`Row::key`](cluster_model::Row) | [`Row::value`](cluster_model::Row) |
//! | `requests` | revision | [`encode_request`] |
//!
//! Format 1 had tables `broadcasts` (application, stream) and `settings` (application) instead of `rows`, with
//! the same values. Such a file is brought to format 2 in one transaction when it is opened.

use std::path::Path;

use base::{WallTime, limits};
use cluster_model::{
    Applied, Change, FormatError, RequestId, Revision, RowKind, State, decode_request, encode_request,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::StoreError;
use crate::error::is_full;

/// Format of the file as a whole.
const FORMAT: u64 = 2;
/// The one before, which is read and rewritten.
const FORMER_FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const ROWS: TableDefinition<'_, (u8, &str), &[u8]> = TableDefinition::new("rows");
const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");

const FORMER_BROADCASTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("broadcasts");
const FORMER_SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");

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

/// Why a file cannot be read.
enum ReadError {
    Disk(redb::Error),
    Row(&'static str, FormatError),
    Format(u64),
}

impl ReadError {
    fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Disk(source) => StoreError::unusable(path, source),
            Self::Row(row, source) => StoreError::Row { path: path.to_owned(), row, source },
            Self::Format(found) => StoreError::UnknownFormat { path: path.to_owned(), found, known: FORMAT },
        }
    }
}

fn disk(error: impl Into<redb::Error>) -> ReadError {
    ReadError::Disk(error.into())
}

/// Makes the tables of a new file, or checks the format of an old one and reads it.
pub(crate) fn load(database: &Database, path: &Path) -> Result<State, StoreError> {
    prepare(database).map_err(|error| StoreError::unusable(path, error))?;
    import(database).and_then(|()| read(database)).map_err(|error| error.of(path))
}

/// Writes what was applied, durably, in one transaction.
pub(crate) fn write(database: &Database, entries: &[Entry], now: WallTime) -> Result<(), WriteError> {
    let transaction = database.begin_write().map_err(before)?;
    {
        let mut meta = transaction.open_table(META).map_err(before)?;
        let mut rows = transaction.open_table(ROWS).map_err(before)?;
        let mut requests = transaction.open_table(REQUESTS).map_err(before)?;
        for Entry { request, applied } in entries {
            for change in &applied.changes {
                let Some(row) = change.row()? else { continue };
                let key = (row.kind.number(), row.key.as_str());
                match row.value {
                    Some(value) => rows.insert(key, &*value).map(drop),
                    None => rows.remove(key).map(drop),
                }
                .map_err(before)?;
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
            transaction.open_table(ROWS)?;
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

/// Brings a file of the former format to the present one, wholly or not at all.
fn import(database: &Database) -> Result<(), ReadError> {
    let transaction = database.begin_write().map_err(disk)?;
    {
        let mut meta = transaction.open_table(META).map_err(disk)?;
        let format = meta.get("format").map_err(disk)?.map_or(0, |value| value.value());
        match format {
            FORMAT => return Ok(()),
            FORMER_FORMAT => {}
            unknown => return Err(ReadError::Format(unknown)),
        }
        let mut rows = transaction.open_table(ROWS).map_err(disk)?;
        let mut take = |kind: RowKind, key: &str, value: &[u8]| {
            // Read, so that a row which is no good is named before anything is written.
            Change::of_row(kind, key, value).map_err(|error| ReadError::Row(kind.name(), error))?;
            rows.insert((kind.number(), key), value).map(drop).map_err(disk)
        };
        for row in transaction.open_table(FORMER_BROADCASTS).map_err(disk)?.iter().map_err(disk)? {
            let (key, value) = row.map_err(disk)?;
            let (app, stream) = key.value();
            take(RowKind::Broadcast, &format!("{app}\0{stream}"), value.value())?;
        }
        for row in transaction.open_table(FORMER_SETTINGS).map_err(disk)?.iter().map_err(disk)? {
            let (key, value) = row.map_err(disk)?;
            take(RowKind::Settings, key.value(), value.value())?;
        }
        meta.insert("format", FORMAT).map_err(disk)?;
    }
    transaction.delete_table(FORMER_BROADCASTS).map_err(disk)?;
    transaction.delete_table(FORMER_SETTINGS).map_err(disk)?;
    transaction.commit().map_err(disk)
}

fn read(database: &Database) -> Result<State, ReadError> {
    let transaction = database.begin_read().map_err(disk)?;
    let meta = transaction.open_table(META).map_err(disk)?;
    let number = |key| Ok(meta.get(key).map_err(disk)?.map_or(0, |value| value.value()));
    let (revision, now) = (Revision(number("revision")?), WallTime(number("now_ms")?));
    let mut state = State::default();
    state.absorb(revision, now, &[]);
    for row in transaction.open_table(ROWS).map_err(disk)?.iter().map_err(disk)? {
        let (key, value) = row.map_err(disk)?;
        let (kind, key) = key.value();
        let kind = RowKind::try_from(kind).map_err(|error| ReadError::Row("row", error))?;
        let change = Change::of_row(kind, key, value.value());
        let change = change.map_err(|error| ReadError::Row(kind.name(), error))?;
        state.absorb(revision, now, &[change]);
    }
    for row in transaction.open_table(REQUESTS).map_err(disk)?.iter().map_err(disk)? {
        let (at, value) = row.map_err(disk)?;
        let request = decode_request(value.value()).map_err(|error| ReadError::Row("request", error))?;
        state.remember(request.0, Revision(at.value()), request.1);
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{AppName, StreamId};
    use cluster_model::{Broadcast, Outcome, SettingsDocument, SettingsRecord};

    use super::*;

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
        assert!(error.to_string().contains("has format 7, this program reads format 2"), "{error}");
    }

    #[test]
    fn a_row_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let database = Database::create(&path).unwrap();
        prepare(&database).unwrap();
        let transaction = database.begin_write().unwrap();
        let key = (RowKind::Broadcast.number(), "a\0s");
        transaction.open_table(ROWS).unwrap().insert(key, &b"\x63{}"[..]).unwrap();
        transaction.commit().unwrap();
        let error = load(&database, &path).unwrap_err();
        assert!(matches!(error, StoreError::Row { row: "broadcast", .. }), "{error}");
        assert!(error.to_string().contains("format version 99 is unknown"), "{error}");
    }

    /// A file as the version before wrote it.
    fn former_file(path: &Path, broadcast: &[u8]) -> Database {
        let database = Database::create(path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut meta = transaction.open_table(META).unwrap();
            for (key, value) in [("format", 1), ("revision", 7), ("now_ms", 5)] {
                meta.insert(key, value).unwrap();
            }
            let mut broadcasts = transaction.open_table(FORMER_BROADCASTS).unwrap();
            broadcasts.insert(("a", "s"), broadcast).unwrap();
            let mut settings = transaction.open_table(FORMER_SETTINGS).unwrap();
            settings.insert("a", &*settings_record().encode().unwrap()).unwrap();
            let request = encode_request(RequestId::from_u128(3), Outcome::Done).unwrap();
            transaction.open_table(REQUESTS).unwrap().insert(7, &*request).unwrap();
        }
        transaction.commit().unwrap();
        database
    }

    fn settings_record() -> SettingsRecord {
        SettingsRecord { version: 4, document: SettingsDocument::default() }
    }

    #[test]
    fn a_file_of_the_former_format_is_taken_over_with_everything_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let broadcast = Broadcast { name: Some("Hall".to_owned()), ..Broadcast::default() };
        let database = former_file(&path, &broadcast.encode().unwrap());
        let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
        let mut expected = State::default();
        let changes = [
            Change::Broadcast { app: app.clone(), stream, now: Some(Arc::new(broadcast)) },
            Change::Settings { app, now: Some(Arc::new(settings_record())) },
        ];
        expected.absorb(Revision(7), WallTime(5), &changes);
        expected.remember(RequestId::from_u128(3), Revision(7), Outcome::Done);
        assert_eq!(load(&database, &path).unwrap(), expected);
        // From now on it is one of the present format.
        assert_eq!(load(&database, &path).unwrap(), expected);
        let transaction = database.begin_read().unwrap();
        assert_eq!(transaction.open_table(META).unwrap().get("format").unwrap().unwrap().value(), FORMAT);
        assert!(transaction.open_table(FORMER_BROADCASTS).is_err());
    }

    #[test]
    fn a_file_of_the_former_format_that_cannot_be_read_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let database = former_file(&path, b"\x63{}");
        let error = load(&database, &path).unwrap_err();
        assert!(matches!(error, StoreError::Row { row: "broadcast", .. }), "{error}");
        let transaction = database.begin_read().unwrap();
        assert_eq!(transaction.open_table(META).unwrap().get("format").unwrap().unwrap().value(), 1);
        assert!(transaction.open_table(FORMER_BROADCASTS).is_ok());
    }
}
