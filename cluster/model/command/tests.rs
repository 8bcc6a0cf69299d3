mod samples;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::{
    Block, Change, Claim, Connection, ConnectionEvent, EncoderSettings, Endpoint, FactKind, Figures, Hidden,
    History, Life, Node, Outcome, Refusal, Revision, RowKind, Session, SettingsRecord, Slot, Spent, State,
    Status, Subscriber, Token, decode_request, encode_request,
};
use samples::{app, epoch, every_command, every_row, owner, stream};

/// The golden files live in `schemas/golden`. `UPDATE_GOLDEN=1 cargo test` writes them anew: for a new
/// form only, since a file that changes is a stored form that older nodes can no longer read.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden").join(name)
}

fn compare(name: &str, bytes: &[u8]) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(golden(name), bytes).unwrap();
    }
    let kept = fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        kept == bytes,
        "{name}\n kept: {}\n  now: {}",
        String::from_utf8_lossy(&kept),
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn every_command_has_its_golden_form_and_comes_back_from_it() {
    let mut names = Vec::new();
    for (file, command) in every_command() {
        assert_eq!(file, command.name());
        names.push(file);
        let bytes = command.encode().unwrap();
        compare(&format!("command_{file}.bin"), &bytes);
        assert_eq!(Command::decode(&bytes).unwrap(), command, "{file}");
    }
    assert_eq!(names, Command::NAMES);
}

/// The golden form of a start is that of a publisher which says nothing of its stream and claimed nothing: older
/// nodes read it.
#[test]
fn what_a_publisher_says_of_its_stream_and_its_claim_comes_back() {
    for (_, command) in every_command() {
        let Command::StreamStarted { app, stream, mut facts, .. } = command else { continue };
        (facts.name, facts.meta_data) = (Some("n".to_owned()), Some("{}".to_owned()));
        let command = Command::StreamStarted { app, stream, facts, epoch: Some(epoch()) };
        assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }
}

/// Logs of before name the fields of facts and figures; what was left out was nothing.
#[test]
fn facts_that_were_written_with_names_are_read() {
    let kept = fs::read(golden("command_record_facts_named.bin")).unwrap();
    let read = Command::decode(&kept).unwrap();
    let now = every_command().into_iter().find(|(file, _)| *file == "record_facts");
    assert_eq!(Some(read), now.map(|(_, command)| command));
    let terse = br#"["LiveApp","s",null,"00000000000000000000000000000001",9,{"summary":[5,6]}]"#;
    let fact: crate::Fact = serde_json::from_slice(terse).unwrap();
    assert_eq!(fact.what, FactKind::Summary(Figures { duration_ms: 5, bytes: 6, ..Figures::default() }));
}

/// As above: only where a room's token is spent the command says more than older nodes read.
#[test]
fn that_a_token_is_spent_outside_its_room_comes_back() {
    for (_, command) in every_command() {
        let Command::SpendToken { app, stream, token, direction, session, fingerprint, .. } = command else {
            continue;
        };
        let outside_room = true;
        let command =
            Command::SpendToken { app, stream, token, direction, session, fingerprint, outside_room };
        assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }
}

#[test]
fn stored_rows_have_their_golden_form_and_come_back_from_it() {
    let mut kinds = Vec::new();
    for (file, change) in every_row() {
        let row = change.row().unwrap().unwrap();
        let value = row.value.unwrap();
        compare(&format!("row_{file}.bin"), &value);
        assert_eq!(Change::of_row(row.kind, &row.key, &value), Ok(change), "{file}");
        assert_eq!(RowKind::try_from(row.kind.number()), Ok(row.kind));
        kinds.push(row.kind);
    }
    assert_eq!(kinds, RowKind::ALL);
}

/// The golden file holds a row of each kind, keys included.
#[test]
fn a_snapshot_has_its_golden_form_and_comes_back_from_it() {
    let mut state = State::default();
    let rows: Vec<_> = every_row().into_iter().map(|(_, change)| change).collect();
    state.absorb(Revision(50), WallTime(1_700_000_000_000), &rows);
    state.remember(RequestId::from_u128(1), Revision(49), Outcome::Claimed { epoch: epoch() });
    state.remember(RequestId::from_u128(2), Revision(50), Outcome::Refused(Refusal::Superseded));
    let bytes = state.snapshot().unwrap();
    compare("snapshot.bin", &bytes);
    assert_eq!(State::restore(&bytes).unwrap(), state);
}

#[test]
fn a_remembered_request_has_its_golden_form_and_comes_back_from_it() {
    let request = RequestId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let outcome = Outcome::Refused(Refusal::TooLarge);
    let row = encode_request(request, outcome).unwrap();
    compare("store_request.bin", &row);
    assert_eq!(decode_request(&row), Ok((request, outcome)));
}

#[test]
fn a_row_whose_key_does_not_fit_is_malformed() {
    let claim = Claim { epoch: epoch(), owner: owner(), lease_until_ms: 1 };
    let change = Change::Claim { app: app(), stream: stream(), now: Some(Arc::new(claim)) };
    let value = change.row().unwrap().unwrap().value.unwrap();
    for key in ["", "a", "a\0s\0more", "a b\0s"] {
        let read = Change::of_row(RowKind::Claim, key, &value);
        assert!(matches!(read, Err(FormatError::Malformed(_))), "{key:?} {read:?}");
    }
    assert!(RowKind::try_from(0).is_err() && RowKind::try_from(16).is_err());
}

#[test]
fn another_version_is_named() {
    let mut bytes = Command::ResetAfterRestart.encode().unwrap();
    bytes[0] = 9;
    let error = Command::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "format version 9 is unknown, this program reads version 1");
    assert_eq!(Command::decode(&[]), Err(FormatError::Empty));
}

#[test]
fn what_is_no_command_is_malformed() {
    for json in [
        "",
        "{}",
        "null",
        "\"walk\"",
        r#"{"stream_ended":{"app":"a b","stream":"s"}}"#,
        r#"{"stream_ended":{"app":"a"}}"#,
    ] {
        let bytes = [&[1], json.as_bytes()].concat();
        assert!(matches!(Command::decode(&bytes), Err(FormatError::Malformed(_))), "{json}");
    }
}

#[test]
fn no_command_shows_credentials_or_addresses() {
    for (_, command) in every_command() {
        let shown = format!("{command:?}");
        assert_nothing_hidden_in(&shown);
    }
    for (_, change) in every_row() {
        assert_nothing_hidden_in(&format!("{change:?} {:?}", change.row()));
    }
}

fn assert_nothing_hidden_in(shown: &str) {
    for hidden in ["192.0.2.7", "rtmp://host/app/key", "listenerHookURL", "47114711", "mysecret", "canary"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
