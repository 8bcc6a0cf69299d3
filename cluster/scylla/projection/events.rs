//! What happened, in rows that outlive the state.

use base::{AppName, SessionId, StreamId};
use cluster_model::{
    Change, Connection, ConnectionEvent, Direction, Fact, FactKind, Figures, NodeId, SubscriberId,
};

use super::{DAY_MS, Deeds, Horizon, exact};
use crate::Table;
use crate::planned::{Cell, Deed};

/// The day of a time, since 1970.
pub(crate) fn day_of(at_ms: u64) -> i32 {
    i32::try_from(at_ms / DAY_MS).unwrap_or(i32::MAX)
}

/// Adds what `change` tells of history. An event is told twice, as a row of the state and as a fact: both are the same
/// row, to which each adds what it alone knows.
pub(super) fn add(change: &Change, horizon: Horizon, deeds: &mut Deeds) {
    match change {
        Change::Event { app, stream, subscriber, number, now: Some(event) } => {
            let mut columns = vec![("number", Cell::from(*number))];
            columns.extend(event.connection.as_ref().map(connection).into_iter().flatten());
            columns.extend(event.ended.as_deref().map(|reason| ("reason", reason.into())));
            let (at_ms, session, node) = (event.at_ms, event.session, event.node);
            let ended = event.ended.is_some();
            let key = event_key(app, stream, subscriber.as_str(), at_ms, session, node, ended);
            put(key, at_ms, columns, horizon, deeds);
        }
        Change::Fact { owner, fact, .. } => add_fact(owner.node, fact, horizon, deeds),
        Change::HistoryDeleted { app, stream, subscriber } => {
            for day in horizon.days() {
                let key = vec![
                    app.as_str().into(),
                    stream.as_str().into(),
                    Cell::Int(day),
                    subscriber.as_str().into(),
                ];
                deeds.insert((Table::ConnectionEvents, key), Deed::Delete);
            }
        }
        _ => {}
    }
}

/// Whether a list of the state made later will not have it: a fact of nobody is in no state, and an event that makes
/// room may never have been written.
pub(super) fn is_fleeting(change: &Change) -> bool {
    match change {
        // Figures on the way are written nowhere.
        Change::Fact { fact, .. } => fact.subscriber.is_none() && !matches!(fact.what, FactKind::Summary(_)),
        Change::Event { now, .. } => now.is_none(),
        _ => false,
    }
}

fn add_fact(node: NodeId, fact: &Fact, horizon: Horizon, deeds: &mut Deeds) {
    let Fact { app, stream, subscriber, session, at, what } = fact;
    let at_ms = at.as_millis();
    let subscriber = subscriber.as_ref().map_or("", SubscriberId::as_str);
    let (ended, columns) = match what {
        FactKind::Connected(how) => (false, connection(how)),
        // What it came to is told with its end.
        FactKind::Summary(_) => return,
        FactKind::Disconnected { reason, figures } => {
            let mut columns = figures_of(figures);
            columns.push(("reason", reason.as_str().into()));
            (true, columns)
        }
    };
    let key = event_key(app, stream, subscriber, at_ms, *session, node, ended);
    put(key, at_ms, columns, horizon, deeds);
}

fn put(
    key: Vec<Cell>,
    at_ms: u64,
    mut columns: Vec<(&'static str, Cell)>,
    horizon: Horizon,
    deeds: &mut Deeds,
) {
    let Some(ttl_s) = horizon.ttl_s(at_ms) else { return };
    columns.push(("seen", Cell::Boolean(true)));
    let place = (Table::ConnectionEvents, key);
    if let Some(Deed::Put { columns: known, .. }) = deeds.get(&place) {
        let told = columns.clone();
        columns.extend(known.iter().filter(|(name, _)| !told.iter().any(|(of, _)| of == name)).cloned());
    }
    deeds.insert(place, Deed::Put { columns, ttl_s });
}

fn event_key(
    app: &AppName,
    stream: &StreamId,
    subscriber: &str,
    at_ms: u64,
    session: SessionId,
    node: NodeId,
    ended: bool,
) -> Vec<Cell> {
    vec![
        app.as_str().into(),
        stream.as_str().into(),
        Cell::Int(day_of(at_ms)),
        subscriber.into(),
        at_ms.into(),
        session.to_string().into(),
        exact(node.0),
        Cell::Boolean(ended),
    ]
}

fn connection(how: &Connection) -> Vec<(&'static str, Cell)> {
    let mut columns =
        vec![("direction", how.direction.as_str().into()), ("protocol", how.protocol.as_str().into())];
    columns.extend(how.peer.as_deref().map(|peer| ("peer", peer.into())));
    columns.extend(how.proof.as_deref().map(|proof| ("proof", proof.into())));
    columns
}

fn figures_of(figures: &Figures) -> Vec<(&'static str, Cell)> {
    vec![
        ("duration_ms", figures.duration_ms.into()),
        ("bytes", figures.bytes.into()),
        ("video_bytes", figures.video_bytes.into()),
        ("audio_bytes", figures.audio_bytes.into()),
    ]
}

/// An event as a row has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventRow {
    pub at_ms: i64,
    pub session: String,
    pub node: i64,
    pub ended: bool,
    pub reason: Option<String>,
    pub direction: Option<String>,
    pub protocol: Option<String>,
    pub peer: Option<String>,
    pub proof: Option<String>,
}

/// The event of a row; `None`: nobody of ours wrote it.
pub(crate) fn event_of_row(row: EventRow) -> Option<ConnectionEvent> {
    let EventRow { at_ms, session, node, ended, reason, direction, protocol, peer, proof } = row;
    let direction = match direction.as_deref() {
        Some("play") => Some(Direction::Play),
        Some("publish") => Some(Direction::Publish),
        _ => None,
    };
    let connection = direction.map(|direction| Connection {
        direction,
        protocol: protocol.unwrap_or_default(),
        peer,
        proof,
    });
    Some(ConnectionEvent {
        at_ms: u64::try_from(at_ms).ok()?,
        node: NodeId(node.cast_unsigned()),
        session: SessionId::try_from(session).ok()?,
        connection,
        ended: ended.then(|| reason.unwrap_or_default()),
    })
}
