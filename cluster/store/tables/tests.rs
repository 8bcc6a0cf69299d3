use std::sync::Arc;

use base::{AppName, StreamId};
use cluster_core::NodeId;
use cluster_model::{Broadcast, Outcome, SettingsDocument, SettingsRecord};

use super::*;

fn path() -> &'static Path {
    Path::new("metadata.redb")
}

fn new_database(folder: &tempfile::TempDir) -> Database {
    Database::create(folder.path().join("metadata.redb")).unwrap()
}

fn alone(state: State) -> Option<Saved> {
    Some(Saved::first([NodeId(1)], state))
}

fn never(_: State) -> Option<Saved> {
    panic!("it is a member's file")
}

#[test]
fn a_new_file_begins_as_it_is_told_and_a_members_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let database = new_database(&folder);
    let (saved, count) = load(&database, path(), alone).unwrap();
    assert_eq!((format!("{saved:?}"), count), (format!("{:?}", alone(State::default()).unwrap()), 0));
    let (again, _) = load(&database, path(), never).unwrap();
    assert_eq!(format!("{again:?}"), format!("{saved:?}"));
}

#[test]
fn a_file_of_another_format_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = new_database(&folder);
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 7).unwrap();
    transaction.commit().unwrap();
    let error = load(&database, path(), never).unwrap_err();
    assert!(matches!(error, StoreError::UnknownFormat { found: 7, known: FORMAT, .. }), "{error}");
    assert!(error.to_string().contains("has format 7, this program reads format 4"), "{error}");
}

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = new_database(&folder);
    load(&database, path(), alone).unwrap();
    let transaction = database.begin_write().unwrap();
    let key = (RowKind::Broadcast.number(), "a\0s");
    transaction.open_table(ROWS).unwrap().insert(key, &b"\x63{}"[..]).unwrap();
    transaction.commit().unwrap();
    let error = load(&database, path(), never).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "nobody summed it up: {error}");
    let transaction = database.begin_write().unwrap();
    sum_anew(&transaction).unwrap_or_else(|_| panic!("it is summed up"));
    transaction.commit().unwrap();
    let error = load(&database, path(), never).unwrap_err();
    assert!(matches!(error, StoreError::Row { row: "broadcast", .. }), "{error}");
    assert!(error.to_string().contains("format version 99 is unknown"), "{error}");
}

fn broadcast() -> Broadcast {
    Broadcast { name: Some("Hall".to_owned()), ..Broadcast::default() }
}

fn settings() -> SettingsRecord {
    SettingsRecord { version: 4, document: SettingsDocument::default() }
}

/// A file as the first version wrote it.
fn first_version(database: &Database, broadcast: &[u8]) {
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        for (key, value) in [("format", WITHOUT_ROWS), ("revision", 7), ("now_ms", 5)] {
            meta.insert(key, value).unwrap();
        }
        let mut broadcasts = transaction.open_table(FORMER_BROADCASTS).unwrap();
        broadcasts.insert(("a", "s"), broadcast).unwrap();
        let mut rows = transaction.open_table(FORMER_SETTINGS).unwrap();
        rows.insert("a", &*settings().encode().unwrap()).unwrap();
        let request = encode_request(RequestId::from_u128(3), Outcome::Done).unwrap();
        transaction.open_table(REQUESTS).unwrap().insert(7, &*request).unwrap();
    }
    transaction.commit().unwrap();
}

/// The same as the second one wrote it.
fn second_version(database: &Database) {
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        for (key, value) in [("format", WITHOUT_A_LOG), ("revision", 7), ("now_ms", 5)] {
            meta.insert(key, value).unwrap();
        }
        let mut rows = transaction.open_table(ROWS).unwrap();
        for change in expected().rows() {
            let row = change.row().unwrap().unwrap();
            rows.insert((row.kind.number(), &*row.key), &*row.value.unwrap()).unwrap();
        }
        let request = encode_request(RequestId::from_u128(3), Outcome::Done).unwrap();
        transaction.open_table(REQUESTS).unwrap().insert(7, &*request).unwrap();
    }
    transaction.commit().unwrap();
}

/// The same as the third one wrote it: it had no sum.
fn third_version(database: &Database) {
    load(database, path(), |_| alone(expected())).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", WITHOUT_SUMS).unwrap();
    transaction.delete_table(SUMS).unwrap();
    transaction.commit().unwrap();
}

fn expected() -> State {
    let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
    let mut expected = State::default();
    let changes = [
        Change::Broadcast { app: app.clone(), stream, now: Some(Arc::new(broadcast())) },
        Change::Settings { app, now: Some(Arc::new(settings())) },
    ];
    expected.absorb(Revision(7), WallTime(5), &changes);
    expected.remember(RequestId::from_u128(3), Revision(7), Outcome::Done);
    expected
}

#[test]
fn files_of_former_versions_are_taken_over_with_everything_in_them() {
    let first: fn(&Database) = |database| first_version(database, &broadcast().encode().unwrap());
    for make in [first, second_version, third_version] {
        let folder = tempfile::tempdir().unwrap();
        let database = new_database(&folder);
        make(&database);
        let (saved, _) = load(&database, path(), alone).unwrap();
        assert_eq!(saved.state, expected());
        assert_eq!(saved.members, Members::first([NodeId(1)]));
        // From now on it is one of the present format.
        let (again, _) = load(&database, path(), never).unwrap();
        assert_eq!(again.state, expected());
        let transaction = database.begin_read().unwrap();
        assert!(transaction.open_table(FORMER_BROADCASTS).is_err());
    }
}

#[test]
fn a_file_of_a_former_version_that_cannot_be_read_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let database = new_database(&folder);
    first_version(&database, b"\x63{}");
    let error = load(&database, path(), alone).unwrap_err();
    assert!(matches!(error, StoreError::Row { row: "broadcast", .. }), "{error}");
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.open_table(META).unwrap().get("format").unwrap().unwrap().value(), WITHOUT_ROWS);
    assert!(transaction.open_table(FORMER_BROADCASTS).is_ok());
}
