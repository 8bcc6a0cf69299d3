//! What a revision comes to.

use std::sync::Arc;

use base::{SessionId, StreamId};
use cluster_model::{
    Connection, ConnectionEvent, Direction, Fact, FactKind, Figures, Fingerprint, History, Incarnation,
    NodeId, Revision, RowKind, Spent, SubscriberTerms, Token, TokenId, TokenTerms, User, UserName,
};

use super::*;

const HOUR_MS: u64 = 3_600 * 1_000;
const NOW: WallTime = WallTime(20_000 * DAY_MS + 5 * HOUR_MS);

fn horizon() -> Horizon {
    Horizon { now: NOW, kept: Duration::from_secs(2 * 24 * 3_600) }
}

fn stamp() -> Stamp {
    Stamp::new(2, Revision(77))
}

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn on() -> StreamId {
    StreamId::new("s").unwrap()
}

fn by() -> SubscriberId {
    SubscriberId::new("Zoë").unwrap()
}

fn token(spent: bool) -> Change {
    let spent =
        spent.then(|| Spent { session: SessionId::from_u128(1), fingerprint: Fingerprint(2), at_ms: 3 });
    let terms = TokenTerms { direction: Direction::Play, expire_s: 4, room: None };
    let now = Some(Arc::new(Token { terms, made_at: Revision(1), generation: 2, spent }));
    Change::Token { app: app(), stream: on(), token: TokenId::new("t").unwrap(), now }
}

fn connection() -> Connection {
    Connection {
        direction: Direction::Play,
        protocol: "webrtc".to_owned(),
        peer: Some("192.0.2.7".to_owned()),
        proof: None,
    }
}

fn event(at_ms: u64, ended: bool) -> Change {
    let event = ConnectionEvent {
        at_ms,
        node: NodeId(3),
        session: SessionId::from_u128(9),
        connection: Some(connection()),
        ended: ended.then(|| "left".to_owned()),
    };
    Change::Event { app: app(), stream: on(), subscriber: by(), number: 4, now: Some(Arc::new(event)) }
}

fn fact(by: Option<SubscriberId>, at_ms: u64, what: FactKind) -> Change {
    let session = SessionId::from_u128(9);
    let fact = Fact { app: app(), stream: on(), subscriber: by, session, at: WallTime(at_ms), what };
    let owner = Owner { node: NodeId(3), incarnation: Incarnation(1) };
    Change::Fact { owner, sequence: 1, index: 0, fact: Arc::new(fact) }
}

fn left() -> FactKind {
    let figures = Figures { duration_ms: 10, bytes: 20, video_bytes: 12, audio_bytes: 8 };
    FactKind::Disconnected { reason: "left".to_owned(), figures }
}

fn columns_of(write: &Write) -> std::collections::BTreeMap<&'static str, Cell> {
    match &write.deed {
        Deed::Put { columns, .. } => columns.iter().cloned().collect(),
        Deed::Delete => panic!("{write:?}"),
    }
}

#[test]
fn a_row_is_written_once_per_revision_as_it_is_at_its_end() {
    let item = project(stamp(), &[token(false), token(true)], horizon()).unwrap();
    assert_eq!((item.writes.len(), item.rows.len()), (1, 2));
    let write = &item.writes[0];
    assert_eq!((write.table, write.stamp), (Table::Tokens, stamp()));
    assert_eq!(write.key, ["LiveApp", "s", "t"].map(Cell::from));
    assert_eq!(columns_of(write)["spent"], Cell::Boolean(true));
    // And comes back equal.
    let columns = columns_of(write);
    let (Cell::Int(format), Cell::Text(document)) = (&columns["format"], &columns["document"]) else {
        panic!()
    };
    assert_eq!(change_of(Table::Tokens, &write.key, *format, document), Ok(token(true)));
    assert!(change_of(Table::Tokens, &write.key, 300, document).is_err());
    assert!(change_of(Table::DeadLetters, &write.key, 1, document).is_err());
}

#[test]
fn what_is_gone_is_deleted_under_the_same_stamp() {
    let name = UserName::new("u@example.org").unwrap();
    let item = project(stamp(), &[Change::User { name, now: None }], horizon()).unwrap();
    let wanted =
        Write { table: Table::Users, key: vec!["u@example.org".into()], deed: Deed::Delete, stamp: stamp() };
    assert_eq!(item.writes, [wanted]);
    assert_eq!((item.rows[0].kind, &item.rows[0].value), (RowKind::User, &None));
}

#[test]
fn an_event_that_is_told_twice_is_one_row_that_has_all_that_is_known() {
    let at = NOW.as_millis() - HOUR_MS;
    let row = event(at, true);
    let fact = fact(Some(by()), at, left());
    for changes in [[row.clone(), fact.clone()], [fact, row]] {
        let item = project(stamp(), &changes, horizon()).unwrap();
        let tables: Vec<_> = item.writes.iter().map(|write| write.table).collect();
        assert_eq!(tables, [Table::ConnectionEvents]);
        let columns = columns_of(&item.writes[0]);
        assert_eq!(columns["number"], Cell::BigInt(4));
        assert_eq!(columns["bytes"], Cell::BigInt(20));
        assert_eq!(columns["protocol"], Cell::from("webrtc"));
        assert_eq!(columns["reason"], Cell::from("left"));
        assert_eq!(item.writes[0].key[2], Cell::Int(20_000));
        assert_eq!(item.fleeting, 0);
    }
}

#[test]
fn history_lives_as_long_as_what_is_left_of_its_time() {
    let ttl = |at_ms: u64| {
        let item = project(stamp(), &[event(at_ms, false)], horizon()).unwrap();
        item.writes.first().map(|write| match write.deed {
            Deed::Put { ttl_s, .. } => ttl_s,
            Deed::Delete => panic!(),
        })
    };
    assert_eq!(ttl(NOW.as_millis()), Some(2 * 24 * 3_600));
    assert_eq!(ttl(NOW.as_millis() - HOUR_MS), Some(47 * 3_600));
    assert_eq!(ttl(NOW.as_millis() - 2 * DAY_MS), None);
    // A node's clock may be ahead by any time.
    assert_eq!(ttl(NOW.as_millis() + 9 * DAY_MS), Some(2 * 24 * 3_600));
    assert_eq!(ttl(u64::MAX), Some(2 * 24 * 3_600));
}

#[test]
fn viewers_without_a_name_have_history_too_and_it_is_in_no_state() {
    let summary = FactKind::Summary(Figures { bytes: 5, ..Figures::default() });
    let at = NOW.as_millis();
    let changes = [
        fact(None, at, FactKind::Connected(connection())),
        fact(None, at + 1, summary),
        fact(None, at + 2, left()),
    ];
    let item = project(stamp(), &changes, horizon()).unwrap();
    let tables: Vec<_> = item.writes.iter().map(|write| write.table).collect();
    // What they came to is told with their end.
    assert_eq!(tables, [Table::ConnectionEvents; 2]);
    assert_eq!(columns_of(&item.writes[1])["bytes"], Cell::BigInt(20));
    assert_eq!(item.writes[0].key[3], Cell::from(""));
    assert_eq!((item.fleeting, item.rows.len()), (2, 0));
}

#[test]
fn with_a_deleted_history_its_events_go_and_what_the_state_forgets_stays_here() {
    let gone = Change::History { app: app(), stream: on(), subscriber: by(), now: None };
    let item = project(stamp(), std::slice::from_ref(&gone), horizon()).unwrap();
    let tables: Vec<_> = item.writes.iter().map(|write| write.table).collect();
    assert_eq!(tables, [Table::SubscriberSummaries], "what is swept is only old");

    let deleted = Change::HistoryDeleted { app: app(), stream: on(), subscriber: by() };
    let item = project(stamp(), &[gone, deleted], horizon()).unwrap();
    let of = |table| item.writes.iter().filter(|write| write.table == table).collect::<Vec<_>>();
    let events = of(Table::ConnectionEvents);
    let days: Vec<_> = events.iter().map(|write| write.key[2].clone()).collect();
    assert_eq!(days, [19_998, 19_999, 20_000, 20_001].map(Cell::Int));
    assert!(events.iter().all(|write| write.key.len() == 4 && write.deed == Deed::Delete));
    assert_eq!((of(Table::SubscriberSummaries).len(), item.rows.len()), (1, 1));

    let room = Change::Event { app: app(), stream: on(), subscriber: by(), number: 4, now: None };
    let item = project(stamp(), &[room], horizon()).unwrap();
    assert_eq!((item.writes.len(), item.rows.len(), item.fleeting), (0, 1, 1));
}

#[test]
fn what_was_there_and_is_not_any_more_is_shown_no_longer() {
    let unblocked =
        cluster_model::Subscriber { terms: SubscriberTerms::default(), registered_ms: 1, block: None };
    let now = Some(Arc::new(unblocked));
    let change = Change::Subscriber { app: app(), stream: on(), subscriber: by(), now };
    let item = project(stamp(), &[change], horizon()).unwrap();
    let columns = columns_of(&item.writes[0]);
    assert_eq!(columns["blocked_kind"], Cell::from(""));
    assert_eq!(columns["blocked_until_ms"], Cell::BigInt(0));
}

#[test]
fn no_secret_is_in_what_is_logged_of_a_write() {
    let user = User { password: cluster_model::Hidden::new("hush".to_owned()), ..User::default() };
    let name = UserName::new("u@example.org").unwrap();
    let item = project(stamp(), &[Change::User { name, now: Some(Arc::new(user)) }], horizon()).unwrap();
    let said = format!("{item:?}");
    assert!(!said.contains("hush") && !said.contains("example.org"), "{said}");
}

#[test]
fn every_column_that_is_written_is_one_of_its_table() {
    let history = Change::History {
        app: app(),
        stream: on(),
        subscriber: by(),
        now: Some(Arc::new(History::default())),
    };
    let at = NOW.as_millis();
    let changes = [token(true), history, event(at, true), fact(None, at, left())];
    let item = project(stamp(), &changes, horizon()).unwrap();
    for write in &item.writes {
        let shape = &crate::schema::shapes()[write.table.name()];
        assert_eq!(write.key.len(), shape.key.len(), "{write:?}");
        for name in columns_of(write).keys() {
            assert!(shape.values().any(|column| column == *name), "{name} of {}", write.table.name());
        }
    }
}
