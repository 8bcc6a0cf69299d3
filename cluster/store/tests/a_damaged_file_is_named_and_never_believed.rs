//! Bits that flip in a member's file, and files that were cut: each ends in an error that names the file, or in what was
//! written. So does what is written after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use base::{AppName, StreamId, WallTime};
use cluster_core::{AppliedEntry, LogEntry, NodeId, Persist, Rows, Saved, Vote};
use cluster_model::{Broadcast, Command, RequestId, Stamped, State, apply};
use penstock_cluster_store::MemberStore;

/// Of the file, so many bytes are looked at one by one, spread over all of it: more in the long proof.
fn samples() -> u64 {
    if std::env::var_os("TESTS_IN_FULL").is_some_and(|value| value == "1") { 3_000 } else { 600 }
}
const ROWS: u64 = 300;

fn open(path: &Path) -> Result<(MemberStore, Saved), String> {
    let opened = MemberStore::open(path, |state| Saved::first([NodeId(1)], state));
    opened.map_err(|error| error.to_string())
}

/// What the `n`th command writes: its entry, and what came of it.
fn writes(state: &mut State, n: u64) -> Persist {
    let index = n + 2;
    let app = AppName::new("a").expect("a name");
    let stream = StreamId::new(&format!("s{}", n % 200)).expect("a name");
    let named = Broadcast { name: Some(format!("name {n}")), ..Broadcast::default() };
    let command = if n.is_multiple_of(5) {
        Command::DeleteBroadcast { app, stream }
    } else {
        Command::CreateBroadcast { app, stream, broadcast: Box::new(named) }
    };
    let bytes = command.encode().expect("it is encoded");
    let request = RequestId::from_u128(n.into());
    let applied = apply(state, Stamped { request, at: WallTime(1_000 + n), command });
    let command = AppliedEntry {
        index,
        term: 1,
        revision: applied.revision,
        request: Some(request),
        outcome: Some(applied.outcome),
        changes: applied.changes.into(),
        repeated: false,
        now: state.now(),
    };
    Persist {
        n,
        sync: true,
        entries: vec![LogEntry { index, term: 1, bytes }],
        vote: Some(Vote { term: 1, voted_for: 1, commit: index }),
        rows: Some(Rows { index, now: state.now(), level: 1, members: None, commands: vec![command] }),
        compacted: (n % 100 == 99).then(|| (index - 40, 1)),
        ..Persist::default()
    }
}

fn text(saved: &Saved) -> String {
    format!("{saved:?}")
}

#[test]
fn a_flipped_bit_or_a_cut_is_found_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let mut state = State::default();
    let (mut store, mut expected) = open(&path).unwrap();
    for n in 0..ROWS {
        let persist = writes(&mut state, n);
        store.write(std::slice::from_ref(&persist)).unwrap();
        expected.write(persist);
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let after = writes(&mut state, ROWS);
    let mut expected_after = expected.clone();
    expected_after.write(after.clone());
    let (expected, expected_after) = (text(&expected), text(&expected_after));

    std::panic::set_hook(Box::new(|_| {}));
    let (mut named, mut harmless) = (0, 0);
    let (mut wrong, mut panics) = (Vec::new(), Vec::new());
    let mut look = |what: String| match open(&path) {
        Err(error) if error.contains("metadata.redb") => named += 1,
        Err(error) => wrong.push(format!("{what}: {error}")),
        Ok((_, saved)) if text(&saved) != expected => {
            wrong.push(format!("{what}: it was read as something else"))
        }
        Ok((mut store, _)) => {
            // What cannot be seen yet may harm what is written next.
            let written = store.write(std::slice::from_ref(&after));
            drop(store);
            match (written, open(&path)) {
                (Err(_), _) | (_, Err(_)) => named += 1,
                (Ok(()), Ok((_, saved))) if text(&saved) == expected_after => harmless += 1,
                (Ok(()), Ok(_)) => {
                    wrong.push(format!("{what}: what was written next was read as something else"))
                }
            }
        }
    };
    let len = whole.len() as u64;
    // The header is looked at as a whole.
    let places = (0..512).chain((0..samples()).map(|n| n * len / samples() + n * 7 % (len / samples())));
    for (n, at) in (0u32..).zip(places) {
        let mut flipped = whole.clone();
        flipped[usize::try_from(at).unwrap()] ^= 1 << (n % 8);
        std::fs::write(&path, &flipped).unwrap();
        let what = format!("bit {} of byte {at}", n % 8);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| look(what.clone()))) {
            panics.push(format!("{what}: {:?}", panic.downcast_ref::<String>()));
        }
    }
    for n in 0..100 {
        let cut = usize::try_from(len * n / 100).unwrap();
        std::fs::write(&path, &whole[..cut]).unwrap();
        look(format!("cut at {cut}"));
    }
    drop(std::panic::take_hook());
    println!("{} bytes: {named} named, {harmless} harmless", whole.len());
    assert!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), named + harmless, wrong.join("\n"));
    assert!(named > 100 && harmless > 100, "{named} {harmless}");
}
