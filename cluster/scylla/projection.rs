//! From the changes of a revision to the rows that are written: no I/O, told the time.

mod events;

use std::collections::BTreeMap;
use std::time::Duration;

use base::{AppName, StreamId, WallTime};
use cluster_model::{Change, FormatError, Owner, Row, SubscriberId};

use crate::planned::{Cell, Deed, Write};
use crate::{Stamp, Table};

pub(crate) use events::{EventRow, day_of, event_of_row};

/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// What history is worth writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    /// The time.
    pub now: WallTime,
    /// How long history is kept.
    pub kept: Duration,
}

impl Horizon {
    /// Seconds that something of `at_ms` has left; `None`: it is over. What is to come counts as now.
    pub fn ttl_s(&self, at_ms: u64) -> Option<i32> {
        let age_ms = self.now.as_millis().saturating_sub(at_ms);
        let left = self.kept.as_secs().saturating_sub(age_ms / 1_000);
        (left > 0).then(|| i32::try_from(left).unwrap_or(i32::MAX))
    }

    /// The days that may hold something, the newest first: tomorrow too, because clocks differ.
    pub fn days(&self) -> impl DoubleEndedIterator<Item = i32> + use<> {
        let today = day_of(self.now.as_millis());
        let kept = i32::try_from(self.kept.as_secs().div_ceil(DAY_MS / 1_000)).unwrap_or(i32::MAX);
        (today.saturating_sub(kept)..=today.saturating_add(1)).rev()
    }
}

/// What one revision comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The revision.
    pub stamp: Stamp,
    /// Its writes: each row once.
    pub writes: Vec<Write>,
    /// The rows of the state it changed, for the archive.
    pub rows: Vec<Row>,
    /// What it holds that cannot be listed later: facts of nobody, and events that the state forgets.
    pub fleeting: u64,
}

impl Item {
    /// Memory it takes, about.
    pub fn bytes(&self) -> usize {
        let rows: usize = self
            .rows
            .iter()
            .map(|row| size_of::<Row>() + row.key.len() + row.value.as_ref().map_or(0, Vec::len))
            .sum();
        rows + self.writes.iter().map(Write::bytes).sum::<usize>()
    }
}

/// Writes of one revision by table and key.
pub(crate) type Deeds = BTreeMap<(Table, Vec<Cell>), Deed>;

/// What the revision of `stamp`, which made `changes`, comes to. Rows of the state are absolute; the same changes give
/// the same writes but for the time that history has left.
pub(crate) fn project(stamp: Stamp, changes: &[Change], horizon: Horizon) -> Result<Item, FormatError> {
    let mut deeds = Deeds::new();
    let mut rows = Vec::new();
    for change in changes {
        if let Some(row) = change.row()? {
            if let Some((table, key)) = place(change) {
                let deed = match &row.value {
                    Some(value) => Deed::Put { columns: columns(change, value)?, ttl_s: 0 },
                    None => Deed::Delete,
                };
                deeds.insert((table, key), deed);
            }
            rows.push(row);
        }
        events::add(change, horizon, &mut deeds);
    }
    let writes = deeds.into_iter().map(|((table, key), deed)| Write { table, key, deed, stamp }).collect();
    let fleeting = changes.iter().filter(|change| events::is_fleeting(change)).count() as u64;
    Ok(Item { stamp, writes, rows, fleeting })
}

/// The row of a table of the state that a change is of.
fn place(change: &Change) -> Option<(Table, Vec<Cell>)> {
    let of_stream = |app: &AppName, stream: &StreamId| vec![app.as_str().into(), stream.as_str().into()];
    let of_subscriber = |app: &AppName, stream: &StreamId, subscriber: &SubscriberId| {
        vec![app.as_str().into(), stream.as_str().into(), subscriber.as_str().into()]
    };
    Some(match change {
        Change::Broadcast { app, stream, .. } => (Table::Broadcasts, of_stream(app, stream)),
        Change::Settings { app, .. } => (Table::Settings, vec![app.as_str().into()]),
        Change::Token { app, stream, token, .. } => {
            (Table::Tokens, vec![app.as_str().into(), stream.as_str().into(), token.as_str().into()])
        }
        Change::TokensRevoked { app, stream, .. } => (Table::TokenRevocations, of_stream(app, stream)),
        Change::Subscriber { app, stream, subscriber, .. } => {
            (Table::Subscribers, of_subscriber(app, stream, subscriber))
        }
        Change::Slot { app, stream, subscriber, session, .. } => {
            let mut key = of_subscriber(app, stream, subscriber);
            key.push(session.to_string().into());
            (Table::Slots, key)
        }
        Change::Claim { app, stream, .. } => (Table::Claims, of_stream(app, stream)),
        Change::Node { node, .. } => (Table::Nodes, vec![exact(node.0)]),
        Change::Life { owner, .. } => (Table::Lives, of_owner(*owner).into()),
        Change::User { name, .. } => (Table::Users, vec![name.as_str().into()]),
        Change::Vod { app, vod, .. } => (Table::Vods, vec![app.as_str().into(), vod.as_str().into()]),
        Change::Session { app, stream, subscriber, session, owner, .. } => {
            let mut key = of_subscriber(app, stream, subscriber);
            key.push(session.to_string().into());
            key.extend(of_owner(*owner));
            (Table::Sessions, key)
        }
        Change::History { app, stream, subscriber, .. } => {
            (Table::SubscriberSummaries, of_subscriber(app, stream, subscriber))
        }
        // The generation is in every stamp; events and facts are history.
        Change::Generation(_)
        | Change::Event { .. }
        | Change::Fact { .. }
        | Change::HistoryDeleted { .. }
        | Change::SessionEnded { .. }
        | Change::StreamContested { .. }
        | Change::CodesSeen { .. } => return None,
    })
}

/// The stored form, and what is shown of it to whoever reads with cqlsh.
fn columns(change: &Change, value: &[u8]) -> Result<Vec<(&'static str, Cell)>, FormatError> {
    let (format, json) = value.split_first().ok_or(FormatError::Empty)?;
    let document = String::from_utf8(json.to_vec()).map_err(|e| FormatError::Malformed(e.to_string()))?;
    let mut columns = shown(change);
    columns.push(("format", Cell::Int(i32::from(*format))));
    columns.push(("document", document.into()));
    Ok(columns)
}

fn shown(change: &Change) -> Vec<(&'static str, Cell)> {
    let mut shown: Vec<(&'static str, Cell)> = Vec::new();
    // What there is none of is said too: what was there before must not be shown any longer.
    let mut text = |name, text: Option<&str>| shown.push((name, text.unwrap_or_default().into()));
    match change {
        Change::Broadcast { now: Some(now), .. } => {
            text("kind", now.kind.as_deref());
            text("name", now.name.as_deref());
            text("status", Some(&now.status.to_string()));
        }
        Change::Settings { now: Some(now), .. } => shown.push(("version", now.version.into())),
        Change::Token { now: Some(now), .. } => {
            text("direction", Some(now.terms.direction.as_str()));
            shown.push(("expire_s", Cell::BigInt(now.terms.expire_s)));
            shown.push(("spent", Cell::Boolean(now.spent.is_some())));
        }
        Change::Subscriber { now: Some(now), .. } => {
            let block = now.block.as_ref();
            text("blocked_kind", block.map(|block| block.kind.as_str()));
            shown.push(("blocked_until_ms", block.map_or(0, |block| block.until_ms).into()));
        }
        Change::Slot { now: Some(now), .. } => {
            shown.push(("node", exact(now.owner.node.0)));
            shown.push(("since_ms", now.since_ms.into()));
        }
        Change::Claim { now: Some(now), .. } => {
            text("epoch", Some(&now.epoch.to_string()));
            shown.push(("node", exact(now.owner.node.0)));
            shown.push(("lease_until_ms", now.lease_until_ms.into()));
        }
        Change::Node { now: Some(now), .. } => {
            text("address", Some(&now.card.address));
            shown.push(("incarnation", exact(now.incarnation.0)));
            shown.push(("expired_ms", now.expired_ms.unwrap_or_default().into()));
        }
        Change::Life { now: Some(now), .. } => shown.push(("sequence", now.sequence.into())),
        Change::User { now: Some(now), .. } => text("user_type", Some(&now.user_type)),
        Change::Vod { now: Some(now), .. } => {
            text("stream", now.stream_id.as_deref());
            text("path", now.file_path.as_deref());
            shown.push(("created_ms", Cell::BigInt(now.creation_date)));
        }
        Change::Session { now: Some(now), .. } => {
            shown.push(("since_ms", now.since_ms.into()));
            shown.push(("duration_ms", now.figures.duration_ms.into()));
            shown.push(("bytes", now.figures.bytes.into()));
        }
        Change::History { now: Some(now), .. } => {
            shown.push(("ended", now.ended.into()));
            shown.push(("duration_ms", now.figures.duration_ms.into()));
            shown.push(("bytes", now.figures.bytes.into()));
            shown.push(("touched_ms", now.touched_ms.into()));
        }
        _ => {}
    }
    shown
}

fn of_owner(owner: Owner) -> [Cell; 2] {
    [exact(owner.node.0), exact(owner.incarnation.0)]
}

/// The change that stores a row of `table` as it was read: the reverse of what is written.
pub(crate) fn change_of(
    table: Table,
    key: &[Cell],
    format: i32,
    document: &str,
) -> Result<Change, FormatError> {
    let bad = || FormatError::Malformed(format!("{} holds no rows of the state", table.name()));
    let kind = table.kind().ok_or_else(bad)?;
    let parts: Vec<_> = key
        .iter()
        .map(|cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::BigInt(number) => format!("{number:016x}"),
            _ => String::new(),
        })
        .collect();
    let mut value = vec![u8::try_from(format).map_err(|_| bad())?];
    value.extend(document.as_bytes());
    Change::of_row(kind, &parts.join("\0"), &value)
}

/// A number of a key, where two must never become one: the same bits, signed.
pub(crate) fn exact(number: u64) -> Cell {
    Cell::BigInt(number.cast_signed())
}

#[cfg(test)]
mod tests;
