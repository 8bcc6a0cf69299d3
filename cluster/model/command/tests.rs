use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::{EncoderSettings, Endpoint, SettingsRecord, Status};

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

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn stream() -> StreamId {
    StreamId::new("stream1").unwrap()
}

fn full_broadcast() -> Broadcast {
    Broadcast {
        stream_id: Some("stream1".to_owned()),
        status: Status::Broadcasting,
        name: Some("Näme".to_owned()),
        speed: Ratio::from_millionths(1_030_000),
        end_point_list: Some(vec![Endpoint {
            endpoint_url: Some("rtmp://host/app/key".to_owned()),
            ..Endpoint::default()
        }]),
        encoder_settings_list: Some(vec![EncoderSettings { height: 480, ..EncoderSettings::default() }]),
        ..Broadcast::default()
    }
}

fn document() -> SettingsDocument {
    let fields =
        json!({"acceptOnlyStreamsInDataStore": true, "webRTCViewerLimit": -1, "listenerHookURL": ""});
    SettingsDocument(fields.as_object().unwrap().clone())
}

fn every_command() -> Vec<(&'static str, Command)> {
    let facts = PublishFacts {
        publish_type: "RTMP".to_owned(),
        remote_ip: Some("192.0.2.7".to_owned()),
        user_agent: None,
        origin: "node1".to_owned(),
        rtmp_url: "rtmp://node1/LiveApp/stream1".to_owned(),
        name: None,
        meta_data: None,
        goes_on: false,
    };
    let heartbeat = Heartbeat {
        bitrate_bps: 2_500_000,
        received_bytes: 1 << 40,
        duration_ms: 60_000,
        speed: Ratio::from_millionths(990_000),
        width: 1280,
        height: 720,
        webrtc_viewers: 3,
        hls_viewers: 2,
        rtmp_viewers: 1,
    };
    let patch = BroadcastPatch::parse(br#"{"name":"n","subtracksLimit":4}"#).unwrap();
    let (a, s) = (app, stream);
    vec![
        (
            "create_broadcast",
            Command::CreateBroadcast { app: a(), stream: s(), broadcast: Box::new(full_broadcast()) },
        ),
        ("patch_broadcast", Command::PatchBroadcast { app: a(), stream: s(), patch }),
        ("delete_broadcast", Command::DeleteBroadcast { app: a(), stream: s() }),
        ("stream_started", Command::StreamStarted { app: a(), stream: s(), facts: Box::new(facts) }),
        ("stream_ended", Command::StreamEnded { app: a(), stream: s() }),
        ("stream_heartbeat", Command::StreamHeartbeat { app: a(), stream: s(), heartbeat }),
        ("reset_after_restart", Command::ResetAfterRestart),
        ("put_settings", Command::PutSettings { app: a(), expected: 3, document: document() }),
    ]
}

/// Does not compile when a command is added, and so reminds of `every_command`.
fn name(command: &Command) -> &'static str {
    match command {
        Command::CreateBroadcast { .. } => "create_broadcast",
        Command::PatchBroadcast { .. } => "patch_broadcast",
        Command::DeleteBroadcast { .. } => "delete_broadcast",
        Command::StreamStarted { .. } => "stream_started",
        Command::StreamEnded { .. } => "stream_ended",
        Command::StreamHeartbeat { .. } => "stream_heartbeat",
        Command::ResetAfterRestart => "reset_after_restart",
        Command::PutSettings { .. } => "put_settings",
    }
}

#[test]
fn every_command_has_its_golden_form_and_comes_back_from_it() {
    for (file, command) in every_command() {
        assert_eq!(file, name(&command));
        let bytes = command.encode().unwrap();
        compare(&format!("command_{file}.bin"), &bytes);
        assert_eq!(Command::decode(&bytes).unwrap(), command, "{file}");
    }
}

/// The golden form of a start is that of a publisher which says nothing of its stream: older nodes read it.
#[test]
fn what_a_publisher_says_of_its_stream_comes_back() {
    for (_, command) in every_command() {
        let Command::StreamStarted { app, stream, mut facts } = command else { continue };
        (facts.name, facts.meta_data) = (Some("n".to_owned()), Some("{}".to_owned()));
        let command = Command::StreamStarted { app, stream, facts };
        assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }
}

#[test]
fn stored_rows_have_their_golden_form_and_come_back_from_it() {
    let broadcast = full_broadcast();
    let bytes = broadcast.encode().unwrap();
    compare("row_broadcast.bin", &bytes);
    assert_eq!(Broadcast::decode(&bytes).unwrap(), broadcast);

    let record = SettingsRecord { version: 4, document: document() };
    let bytes = record.encode().unwrap();
    compare("row_settings.bin", &bytes);
    assert_eq!(SettingsRecord::decode(&bytes).unwrap(), record);
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
        for hidden in ["192.0.2.7", "rtmp://host/app/key", "listenerHookURL"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
