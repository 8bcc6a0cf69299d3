//! How a member lies in its file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | a name, see [`read`] | a number |
//! | `texts` | `members` | [`cluster_core::Members`] as JSON |
//! | `log` | index | term, the entry |
//! | `rows` | [`RowKind::number`], [`Row::key`](cluster_model::Row) | [`Row::value`](cluster_model::Row) |
//! | `requests` | revision | [`encode_request`] |
//! | `sums` | `all` | what all other tables sum up to, see [`crate::sums`] |
//!
//! Format 3 had no `sums`. Format 2 had no log, no texts and fewer names in `meta`; format 1 had tables `broadcasts` (application, stream)
//! and `settings` (application) instead of `rows`, with the same values. Such a file becomes that of a cluster of
//! one in one transaction when it is opened.

use std::path::Path;

use base::{WallTime, limits};
use cluster_core::{Installed, LogEntry, Members, Persist, Rows, Saved, Vote};
use cluster_model::{
    Change, FormatError, RequestId, Revision, RowKind, State, decode_request, encode_request,
};
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableHandle,
    WriteTransaction,
};

use crate::sums::{Summed, sum_of};
use crate::{StoreError, WriteError};

/// Format of the file as a whole.
const FORMAT: u64 = 4;
/// Those before, which are read and rewritten.
const WITHOUT_SUMS: u64 = 3;
const WITHOUT_A_LOG: u64 = 2;
const WITHOUT_ROWS: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const TEXTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("texts");
const LOG: TableDefinition<'_, u64, (u64, &[u8])> = TableDefinition::new("log");
const ROWS: TableDefinition<'_, (u8, &str), &[u8]> = TableDefinition::new("rows");
const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");
const SUMS: TableDefinition<'_, &str, u64> = TableDefinition::new("sums");

const FORMER_BROADCASTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("broadcasts");
const FORMER_SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");

const MEMBERS: &str = "members";
const ALL: &str = "all";

/// Why a file cannot be read.
enum ReadError {
    Disk(redb::Error),
    Row(&'static str, FormatError),
    Format(u64),
    Damaged(&'static str),
}

impl ReadError {
    fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Disk(source) => StoreError::unusable(path, source),
            Self::Row(row, source) => StoreError::Row { path: path.to_owned(), row, source },
            Self::Damaged(what) => StoreError::Damaged { path: path.to_owned(), what: what.to_owned() },
            Self::Format(found) => StoreError::UnknownFormat { path: path.to_owned(), found, known: FORMAT },
        }
    }
}

fn disk(error: impl Into<redb::Error>) -> ReadError {
    ReadError::Disk(error.into())
}

fn before(error: impl Into<redb::Error>) -> WriteError {
    WriteError::Before(error.into())
}

/// The tables of a transaction that writes.
struct Tables<'a> {
    meta: Summed<'a, &'static str, u64>,
    texts: Summed<'a, &'static str, &'static [u8]>,
    log: Summed<'a, u64, (u64, &'static [u8])>,
    rows: Summed<'a, (u8, &'static str), &'static [u8]>,
    requests: Summed<'a, u64, &'static [u8]>,
    sums: Table<'a, &'static str, u64>,
}

impl<'a> Tables<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            meta: Summed::new(1, transaction.open_table(META)?),
            texts: Summed::new(2, transaction.open_table(TEXTS)?),
            log: Summed::new(3, transaction.open_table(LOG)?),
            rows: Summed::new(4, transaction.open_table(ROWS)?),
            requests: Summed::new(5, transaction.open_table(REQUESTS)?),
            sums: transaction.open_table(SUMS)?,
        })
    }

    /// Brings the sum up to what was written: the last thing in a transaction.
    fn sum_up(&mut self) -> Result<(), WriteError> {
        let before = self.sums.get(ALL).map_err(before)?.map_or(0, |sum| sum.value());
        let changed =
            [self.meta.sum(), self.texts.sum(), self.log.sum(), self.rows.sum(), self.requests.sum()];
        let sum = changed.into_iter().fold(before, u64::wrapping_add);
        self.sums.insert(ALL, sum).map(drop).map_err(self::before)
    }

    fn number(&mut self, name: &'static str, number: u64) -> Result<(), WriteError> {
        self.meta.insert(name, number).map_err(before)
    }

    fn vote(&mut self, vote: Vote) -> Result<(), WriteError> {
        self.number("term", vote.term)?;
        self.number("voted_for", vote.voted_for)?;
        self.number("commit", vote.commit)
    }

    fn compacted(&mut self, (index, term): (u64, u64)) -> Result<(), WriteError> {
        self.log.remove_in(..=index).map_err(before)?;
        self.number("compacted", index)?;
        self.number("compacted_term", term)
    }

    fn members(&mut self, members: &Members) -> Result<(), WriteError> {
        let text = serde_json::to_vec(members).map_err(|error| FormatError::Malformed(error.to_string()))?;
        self.texts.insert(MEMBERS, &text).map_err(before)
    }

    fn change(&mut self, change: &Change) -> Result<(), WriteError> {
        let Some(row) = change.row()? else { return Ok(()) };
        let key = (row.kind.number(), row.key.as_str());
        match row.value {
            Some(value) => self.rows.insert(key, &value),
            None => self.rows.remove(key),
        }
        .map_err(before)
    }

    fn request(
        &mut self,
        request: RequestId,
        revision: Revision,
        outcome: cluster_model::Outcome,
    ) -> Result<(), WriteError> {
        let row = encode_request(request, outcome)?;
        self.requests.insert(revision.0, &row).map_err(before)?;
        // One revision, one request: the window moves by one.
        let oldest = revision.0.saturating_sub(limits::META_REQUESTS_REMEMBERED_MAX as u64);
        self.requests.remove(oldest).map_err(before)
    }

    /// Replaces the state, and all that is said of where it stands.
    fn state(
        &mut self,
        state: &State,
        members: &Members,
        level: u32,
        applied: u64,
    ) -> Result<(), WriteError> {
        self.rows.clear().map_err(before)?;
        self.requests.clear().map_err(before)?;
        for change in state.rows() {
            self.change(&change)?;
        }
        for (request, revision, outcome) in state.requests() {
            self.request(request, revision, outcome)?;
        }
        self.members(members)?;
        self.number("revision", state.revision().0)?;
        self.number("now_ms", state.now().as_millis())?;
        self.number("level", level.into())?;
        self.number("applied", applied)
    }

    fn applied(&mut self, applied: &Rows) -> Result<(), WriteError> {
        for command in &applied.commands {
            for change in &*command.changes {
                self.change(change)?;
            }
            if let (Some(request), Some(outcome)) = (command.request, command.outcome) {
                self.request(request, command.revision, outcome)?;
            }
        }
        if let Some(newest) = applied.commands.last() {
            self.number("revision", newest.revision.0)?;
        }
        if let Some(members) = &applied.members {
            self.members(members)?;
        }
        self.number("now_ms", applied.now.as_millis())?;
        self.number("level", applied.level.into())?;
        self.number("applied", applied.index)
    }

    fn append(&mut self, entries: &[LogEntry]) -> Result<(), WriteError> {
        let Some(first) = entries.first() else { return Ok(()) };
        self.log.remove_in(first.index..).map_err(before)?;
        for LogEntry { index, term, bytes } in entries {
            self.log.insert(*index, (*term, bytes)).map_err(before)?;
        }
        Ok(())
    }

    /// As [`Saved::write`].
    fn persist(&mut self, persist: &Persist) -> Result<(), WriteError> {
        let Persist { n: _, sync: _, boot, snapshot, entries, vote, rows, compacted } = persist;
        if let Some(boot) = boot {
            self.number("boot", *boot)?;
        }
        if let Some(snapshot) = snapshot {
            let Installed { index, term, members, level, state } = &**snapshot;
            self.log.clear().map_err(before)?;
            self.compacted((*index, *term))?;
            self.state(state, members, *level, *index)?;
        }
        self.append(entries)?;
        if let Some(vote) = vote {
            self.vote(*vote)?;
        }
        if let Some(rows) = rows {
            self.applied(rows)?;
        }
        if let Some(compacted) = compacted {
            self.compacted(*compacted)?;
        }
        Ok(())
    }

    /// As it is in memory.
    fn whole(&mut self, saved: &Saved) -> Result<(), WriteError> {
        self.number("boot", saved.boot)?;
        self.vote(saved.vote)?;
        self.compacted(saved.compacted)?;
        self.append(&saved.entries)?;
        self.state(&saved.state, &saved.members, saved.level, saved.applied)
    }
}

/// Makes the tables of a new file, or checks the format of an old one; gives what is in it, and how many
/// transactions wrote that. A file that is no member's begins as `first` says; `None`: it must not.
pub(crate) fn load(
    database: &Database,
    path: &Path,
    first: impl FnOnce(State) -> Option<Saved>,
) -> Result<(Saved, u64), StoreError> {
    prepare(database).map_err(|error| StoreError::unusable(path, error))?;
    begin(database, first).and_then(|()| read(database)).map_err(|error| error.of(path))
}

/// Writes `batch` in one transaction, the `count`th of the file. It is on disk then.
pub(crate) fn write<'a>(
    database: &Database,
    batch: impl Iterator<Item = &'a Persist>,
    count: u64,
) -> Result<(), WriteError> {
    let transaction = database.begin_write().map_err(before)?;
    {
        let mut tables = Tables::open(&transaction).map_err(before)?;
        for persist in batch {
            tables.persist(persist)?;
        }
        tables.number("count", count)?;
        tables.sum_up()?;
    }
    transaction.commit().map_err(|error| WriteError::During(error.into()))
}

/// How many transactions wrote what is in the file.
pub(crate) fn count(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    Ok(transaction.open_table(META)?.get("count")?.map_or(0, |value| value.value()))
}

/// A file without a format is new: it gets a table in one transaction, or stays new.
pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?;
    transaction.commit()?;
    Ok(())
}

/// Makes a member's file of one that is none yet, wholly or not at all.
fn begin(database: &Database, first: impl FnOnce(State) -> Option<Saved>) -> Result<(), ReadError> {
    let transaction = database.begin_write().map_err(disk)?;
    let format = {
        let meta = transaction.open_table(META).map_err(disk)?;
        meta.get("format").map_err(disk)?.map(|value| value.value())
    };
    let state = match format {
        Some(FORMAT) => return Ok(()),
        Some(WITHOUT_SUMS) => return begin_to_sum(transaction),
        None if is_new(&transaction)? => State::default(),
        None => return Err(ReadError::Damaged("it does not say which format it has")),
        Some(WITHOUT_A_LOG) => state_of(&transaction, rows_of(&transaction)?)?,
        Some(WITHOUT_ROWS) => state_of(&transaction, former_rows_of(&transaction)?)?,
        Some(unknown) => return Err(ReadError::Format(unknown)),
    };
    let first = first(state).ok_or(ReadError::Damaged("nothing of a member is in it"))?;
    {
        let mut tables = Tables::open(&transaction).map_err(disk)?;
        tables.whole(&first).map_err(unwritten)?;
        tables.number("format", FORMAT).map_err(unwritten)?;
    }
    // Anew: what was there before was in no sum.
    sum_anew(&transaction)?;
    if format == Some(WITHOUT_ROWS) {
        transaction.delete_table(FORMER_BROADCASTS).map_err(disk)?;
        transaction.delete_table(FORMER_SETTINGS).map_err(disk)?;
    }
    transaction.commit().map_err(disk)
}

/// Whether a file without a format is a new one: it has nothing but the table that [`prepare`] makes.
fn is_new(transaction: &WriteTransaction) -> Result<bool, ReadError> {
    let others = transaction.list_tables().map_err(disk)?.filter(|table| table.name() != META.name()).count();
    Ok(others == 0 && transaction.open_table(META).map_err(disk)?.is_empty().map_err(disk)?)
}

/// A file of the format before gets its sum: from now on it is compared.
fn begin_to_sum(transaction: WriteTransaction) -> Result<(), ReadError> {
    transaction.open_table(META).map_err(disk)?.insert("format", FORMAT).map_err(disk)?;
    sum_anew(&transaction)?;
    transaction.commit().map_err(disk)
}

/// Sums up all that is there, whatever the sum was.
fn sum_anew(transaction: &WriteTransaction) -> Result<(), ReadError> {
    let tables = Content {
        meta: transaction.open_table(META).map_err(disk)?,
        texts: transaction.open_table(TEXTS).map_err(disk)?,
        log: transaction.open_table(LOG).map_err(disk)?,
        rows: transaction.open_table(ROWS).map_err(disk)?,
        requests: transaction.open_table(REQUESTS).map_err(disk)?,
    };
    let sum = tables.sum().map_err(disk)?;
    transaction.open_table(SUMS).map_err(disk)?.insert(ALL, sum).map_err(disk)?;
    Ok(())
}

/// All that is summed up.
struct Content<M, T, L, R, Q> {
    meta: M,
    texts: T,
    log: L,
    rows: R,
    requests: Q,
}

impl<M, T, L, R, Q> Content<M, T, L, R, Q>
where
    M: ReadableTable<&'static str, u64>,
    T: ReadableTable<&'static str, &'static [u8]>,
    L: ReadableTable<u64, (u64, &'static [u8])>,
    R: ReadableTable<(u8, &'static str), &'static [u8]>,
    Q: ReadableTable<u64, &'static [u8]>,
{
    fn sum(&self) -> Result<u64, redb::StorageError> {
        let sums = [
            sum_of(1, &self.meta)?,
            sum_of(2, &self.texts)?,
            sum_of(3, &self.log)?,
            sum_of(4, &self.rows)?,
            sum_of(5, &self.requests)?,
        ];
        Ok(sums.into_iter().fold(0, u64::wrapping_add))
    }
}

/// What kept a member's first content from being written.
fn unwritten(error: WriteError) -> ReadError {
    match error {
        WriteError::Row(error) => ReadError::Row("row", error),
        WriteError::Before(error) | WriteError::During(error) => ReadError::Disk(error),
        WriteError::Open(_) | WriteError::Closed => ReadError::Disk(redb::Error::DatabaseClosed),
    }
}

/// A row that cannot be read is named.
fn change_of(kind: RowKind, key: &str, value: &[u8]) -> Result<Change, ReadError> {
    Change::of_row(kind, key, value).map_err(|error| ReadError::Row(kind.name(), error))
}

fn changes_of(
    rows: &impl ReadableTable<(u8, &'static str), &'static [u8]>,
) -> Result<Vec<Change>, ReadError> {
    let mut changes = Vec::new();
    for row in rows.iter().map_err(disk)? {
        let (key, value) = row.map_err(disk)?;
        let (kind, key) = key.value();
        let kind = RowKind::try_from(kind).map_err(|error| ReadError::Row("row", error))?;
        changes.push(change_of(kind, key, value.value())?);
    }
    Ok(changes)
}

fn rows_of(transaction: &WriteTransaction) -> Result<Vec<Change>, ReadError> {
    changes_of(&transaction.open_table(ROWS).map_err(disk)?)
}

fn former_rows_of(transaction: &WriteTransaction) -> Result<Vec<Change>, ReadError> {
    let mut changes = Vec::new();
    for row in transaction.open_table(FORMER_BROADCASTS).map_err(disk)?.iter().map_err(disk)? {
        let (key, value) = row.map_err(disk)?;
        let (app, stream) = key.value();
        changes.push(change_of(RowKind::Broadcast, &format!("{app}\0{stream}"), value.value())?);
    }
    for row in transaction.open_table(FORMER_SETTINGS).map_err(disk)?.iter().map_err(disk)? {
        let (key, value) = row.map_err(disk)?;
        changes.push(change_of(RowKind::Settings, key.value(), value.value())?);
    }
    Ok(changes)
}

fn state_of(transaction: &WriteTransaction, changes: Vec<Change>) -> Result<State, ReadError> {
    let meta = transaction.open_table(META).map_err(disk)?;
    let requests = transaction.open_table(REQUESTS).map_err(disk)?;
    state_from(&meta, &requests, changes)
}

fn number_of(meta: &impl ReadableTable<&'static str, u64>, name: &'static str) -> Result<u64, ReadError> {
    Ok(meta.get(name).map_err(disk)?.map_or(0, |value| value.value()))
}

fn state_from(
    meta: &impl ReadableTable<&'static str, u64>,
    requests: &impl ReadableTable<u64, &'static [u8]>,
    changes: Vec<Change>,
) -> Result<State, ReadError> {
    let (revision, now) = (Revision(number_of(meta, "revision")?), WallTime(number_of(meta, "now_ms")?));
    let mut state = State::default();
    state.absorb(revision, now, &changes);
    for row in requests.iter().map_err(disk)? {
        let (at, value) = row.map_err(disk)?;
        let request = decode_request(value.value()).map_err(|error| ReadError::Row("request", error))?;
        state.remember(request.0, Revision(at.value()), request.1);
    }
    Ok(state)
}

fn read(database: &Database) -> Result<(Saved, u64), ReadError> {
    let transaction = database.begin_read().map_err(disk)?;
    let tables = Content {
        meta: transaction.open_table(META).map_err(disk)?,
        texts: transaction.open_table(TEXTS).map_err(disk)?,
        log: transaction.open_table(LOG).map_err(disk)?,
        rows: transaction.open_table(ROWS).map_err(disk)?,
        requests: transaction.open_table(REQUESTS).map_err(disk)?,
    };
    let sum = transaction.open_table(SUMS).map_err(disk)?.get(ALL).map_err(disk)?.map(|sum| sum.value());
    if sum != Some(tables.sum().map_err(disk)?) {
        return Err(ReadError::Damaged("what it holds is not what was written"));
    }
    let Content { meta, texts, log, rows, requests } = tables;
    let number = |name| number_of(&meta, name);
    let malformed =
        |error: serde_json::Error| ReadError::Row(MEMBERS, FormatError::Malformed(error.to_string()));
    let members = match texts.get(MEMBERS).map_err(disk)? {
        Some(text) => serde_json::from_slice(text.value()).map_err(malformed)?,
        None => return Err(ReadError::Row(MEMBERS, FormatError::Empty)),
    };
    let mut entries = Vec::new();
    for row in log.iter().map_err(disk)? {
        let (index, value) = row.map_err(disk)?;
        let (term, bytes) = value.value();
        entries.push(LogEntry { index: index.value(), term, bytes: bytes.to_vec() });
    }
    let changes = changes_of(&rows)?;
    let level = number("level")?;
    let saved = Saved {
        boot: number("boot")?,
        vote: Vote { term: number("term")?, voted_for: number("voted_for")?, commit: number("commit")? },
        compacted: (number("compacted")?, number("compacted_term")?),
        entries,
        members,
        level: u32::try_from(level)
            .map_err(|_| ReadError::Row("level", FormatError::Malformed(format!("{level} is none"))))?,
        applied: number("applied")?,
        state: state_from(&meta, &requests, changes)?,
    };
    Ok((saved, number("count")?))
}

#[cfg(test)]
mod tests;
