use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::{AppName, StreamId, WallTime};
use cluster_core::{AppliedEntry, Installed, LogEntry, Members, NodeId, Rows, Vote};
use cluster_model::{Command, Outcome, RequestId, Revision, Stamped, apply};

use super::*;
use crate::testing::FailingDisk;

fn open(disk: &FailingDisk) -> (MemberStore, Saved) {
    disk.open(|state| Saved::first([NodeId(1)], state)).unwrap()
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, bytes: format!("{index} of {term}").into_bytes() }
}

/// A command that was applied at `index`, as rows.
fn applied(state: &mut State, index: u64, stream: &str) -> Rows {
    let request = RequestId::from_u128(index.into());
    let command = Command::CreateBroadcast {
        app: AppName::new("a").unwrap(),
        stream: StreamId::new(stream).unwrap(),
        broadcast: Box::default(),
    };
    let done = apply(state, Stamped { request, at: WallTime(index), command });
    let command = AppliedEntry {
        index,
        term: 1,
        revision: done.revision,
        request: Some(request),
        outcome: Some(done.outcome),
        now: state.now(),
        changes: done.changes.into(),
        repeated: false,
    };
    Rows { index, now: state.now(), level: 1, members: None, commands: vec![command] }
}

fn writes() -> Vec<Persist> {
    let mut state = State::default();
    let vote = |commit| Some(Vote { term: 2, voted_for: 1, commit });
    vec![
        Persist { n: 1, sync: true, boot: Some(1), ..Persist::default() },
        Persist {
            n: 2,
            sync: true,
            entries: vec![entry(2, 1), entry(3, 1), entry(4, 1)],
            ..Persist::default()
        },
        Persist { n: 3, rows: Some(applied(&mut state, 2, "s")), vote: vote(2), ..Persist::default() },
        // Another leader has other entries.
        Persist { n: 4, sync: true, entries: vec![entry(3, 2)], vote: vote(3), ..Persist::default() },
        Persist { n: 5, rows: Some(applied(&mut state, 3, "t")), ..Persist::default() },
        Persist { n: 6, compacted: Some((2, 1)), ..Persist::default() },
    ]
}

fn text(saved: &Saved) -> String {
    format!("{saved:?}")
}

/// The file says the same as [`Saved::write`].
#[test]
fn what_was_written_is_there_again() {
    let disk = FailingDisk::new();
    let (mut store, mut expected) = open(&disk);
    for persist in writes() {
        store.write(std::slice::from_ref(&persist)).unwrap();
        expected.write(persist);
    }
    // The last two were not synced: a store that is closed in order has them all the same, or neither.
    store.write(&[Persist { n: 7, sync: true, ..Persist::default() }]).unwrap();
    drop(store);
    let (_, saved) = open(&disk);
    assert_eq!(text(&saved), text(&expected));
    assert_eq!(saved.entries, [entry(3, 2)]);
    assert_eq!(saved.state.revision(), Revision(2));
    assert_eq!(saved.state.requests().last(), Some((RequestId::from_u128(3), Revision(2), Outcome::Done)));
}

#[test]
fn many_in_one_transaction_are_as_many_in_their_own() {
    let disk = FailingDisk::new();
    let (mut store, mut expected) = open(&disk);
    store.write(&writes()).unwrap();
    writes().into_iter().for_each(|persist| expected.write(persist));
    drop(store);
    assert_eq!(text(&open(&disk).1), text(&expected));
}

#[test]
fn a_snapshot_takes_the_place_of_all_that_was() {
    let disk = FailingDisk::new();
    let (mut store, mut expected) = open(&disk);
    store.write(&writes()).unwrap();
    writes().into_iter().for_each(|persist| expected.write(persist));
    let mut state = State::default();
    applied(&mut state, 90, "elsewhere");
    let members = Members::first([1, 2, 3].map(NodeId));
    let installed = Installed { index: 90, term: 7, members, level: 2, state };
    let persist = Persist { n: 7, sync: true, snapshot: Some(Box::new(installed)), ..Persist::default() };
    store.write(std::slice::from_ref(&persist)).unwrap();
    expected.write(persist);
    drop(store);
    let (_, saved) = open(&disk);
    assert_eq!(text(&saved), text(&expected));
    assert_eq!((saved.applied, saved.compacted, saved.entries.len()), (90, (90, 7), 0));
}

#[test]
fn what_found_no_room_is_written_when_there_is_some() {
    let disk = FailingDisk::new();
    let (mut store, mut expected) = open(&disk);
    let mut all = writes();
    let failing = all.split_off(3);
    store.write(&all).unwrap();
    disk.breaks(ErrorKind::StorageFull);
    let error = store.write(&failing).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(matches!(store.write(&failing), Err(WriteError::Closed)));
    let error = store.write_again(&failing).unwrap_err();
    assert!(error.is_full(), "{error}");
    disk.breaks(None);
    store.write_again(&failing).unwrap();
    store.write(&[Persist { n: 7, sync: true, boot: Some(9), ..Persist::default() }]).unwrap();
    drop(store);
    writes().into_iter().for_each(|persist| expected.write(persist));
    expected.boot = 9;
    assert_eq!(text(&open(&disk).1), text(&expected));
}

/// Written without a sync and lost: it is written with the next attempt.
#[test]
fn what_was_not_synced_is_written_again_too() {
    let disk = FailingDisk::new();
    let (mut store, mut expected) = open(&disk);
    for persist in &writes()[..3] {
        store.write(std::slice::from_ref(persist)).unwrap();
    }
    disk.breaks(ErrorKind::StorageFull);
    store.write(&writes()[3..4]).unwrap_err();
    disk.breaks(None);
    store.write_again(&writes()[3..4]).unwrap();
    drop(store);
    writes().into_iter().take(4).for_each(|persist| expected.write(persist));
    assert_eq!(text(&open(&disk).1), text(&expected));
}

#[test]
fn a_backup_becomes_a_cluster_of_a_new_generation_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let mut state = State::default();
    applied(&mut state, 2, "s");
    let members = Members::first([1, 2, 3].map(NodeId));
    let backup = cluster_core::Backup { applied: 90, level: 1, members, state };
    let restore = |generation| MemberStore::restore(&path, backup.clone(), [NodeId(1)], generation);
    let error = restore(Some(0)).unwrap_err();
    assert!(error.to_string().contains("generation 0 is not greater"), "{error}");
    restore(None).unwrap();
    let (_, saved) = MemberStore::open(&path, |_| panic!("it is restored")).unwrap();
    assert_eq!((saved.members, saved.applied), (Members::first([NodeId(1)]), 1));
    assert_eq!((saved.state.generation(), saved.state.revision()), (1, Revision(2)));
    let error = restore(None).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

#[test]
fn a_member_that_has_begun_does_not_begin_again_in_a_file_without_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    // No data at all is in it.
    drop(Database::create(&path).unwrap());
    for _ in 0..2 {
        let error = MemberStore::open_begun(&path).err().unwrap();
        assert!(
            error.to_string().contains("metadata.redb is damaged: nothing of a member is in it"),
            "{error}"
        );
    }
    // Whoever has not begun, and was cut short before it had written anything, goes on.
    let (_, first) = MemberStore::open(&path, |state| Saved::first([NodeId(1)], state)).unwrap();
    assert_eq!(MemberStore::open_begun(&path).unwrap().1, first);
    std::fs::File::create(&path).unwrap();
    let error = MemberStore::open_begun(&path).err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = MemberStore::open_begun(&path).err().unwrap();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(!path.exists());
}

/// What damage does to redb when the file is opened anew: by an opener that panics, since none of its own is known.
#[test]
fn a_file_that_leads_redb_astray_when_it_is_opened_again_is_named() {
    let disk = FailingDisk::new();
    let (astray, opened) = (Arc::new(AtomicBool::new(false)), disk.clone());
    let path = Path::new("metadata.redb");
    let open: Opener = Box::new({
        let astray = Arc::clone(&astray);
        move || {
            assert!(!astray.load(Ordering::Relaxed), "a page of no type");
            crate::file::database_in(opened.clone(), path)
        }
    });
    let (mut store, _) =
        MemberStore::open_by(open, path, |state| Some(Saved::first([NodeId(1)], state))).unwrap();
    disk.breaks(ErrorKind::StorageFull);
    store.write(&writes()).unwrap_err();
    disk.breaks(None);
    astray.store(true, Ordering::Relaxed);
    let error = store.write_again(&writes()).unwrap_err();
    assert!(error.to_string().contains("metadata.redb is damaged"), "{error}");
    assert!(matches!(store.write(&writes()), Err(WriteError::Closed)));
    // What is on disk is as it was.
    astray.store(false, Ordering::Relaxed);
    store.write_again(&writes()).unwrap();
}
