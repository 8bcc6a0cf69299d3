//! The settings as a value, as JSON and as a properties file.

use std::path::{Path, PathBuf};

use base::{SeededRandomness, SystemRandomness};
use serde_json::json;

use super::*;
use crate::{ConfigError, Problem, discover_applications};

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn read(properties: &str) -> Result<LoadedSettings, ConfigError> {
    read_bytes(properties.as_bytes())
}

fn read_bytes(properties: &[u8]) -> Result<LoadedSettings, ConfigError> {
    AppSettings::from_properties(
        &app(),
        Path::new("red5-web.properties"),
        properties,
        &SeededRandomness::new(1),
    )
}

fn notices(properties: &str) -> Vec<String> {
    read(properties).unwrap().notices.iter().map(Notice::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_ams() {
    let settings = AppSettings::new(&app(), &SystemRandomness);
    assert_eq!(settings.app_name(), "LiveApp");
    assert!(!settings.accept_only_streams_in_data_store());
    assert!(settings.webrtc_enabled() && settings.h264_enabled() && !settings.vp8_enabled());
    assert!(settings.play_webrtc_stream_once_for_each_session());
    assert!(settings.disable_ipv6_candidates());
    assert_eq!(settings.webrtc_viewer_limit(), None);
    assert_eq!(settings.ingesting_stream_limit(), None);
    assert_eq!(settings.webrtc_client_start_timeout(), Duration::from_secs(10));
    assert_eq!(settings.stun_server_uri(), "stun:stun1.l.google.com:19302");
    assert_eq!(*settings.turn_server_credential().expose(), "");
}

#[test]
fn the_keys_of_an_application_are_its_own() {
    let key = |settings: &AppSettings, name| settings.get(name).unwrap().as_str().unwrap().to_owned();
    let settings = AppSettings::new(&app(), &SystemRandomness);
    let cluster = key(&settings, "clusterCommunicationKey");
    assert!(cluster.len() == 32 && cluster.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cluster}");
    assert_ne!(cluster, key(&settings, "subscriberAuthenticationKey"));
    assert_ne!(cluster, key(&AppSettings::new(&app(), &SystemRandomness), "clusterCommunicationKey"));

    let given = read("clusterCommunicationKey=mine\nsubscriberAuthenticationKey=\n").unwrap();
    assert_eq!(key(&given.settings, "clusterCommunicationKey"), "mine");
    assert_eq!(key(&given.settings, "subscriberAuthenticationKey").len(), 32);
    assert_eq!(given.notices, []);
}

#[test]
fn old_and_new_names_are_read() {
    let settings = read(
        "settings.acceptOnlyStreamsInDataStore=true\nwebRTCViewerLimit = 7\nsettings.webrtc.stunServerURI: stun:a\n\
         settings.ingestingStreamLimit 3\nsettings.turnServerUsername=u\n",
    );
    let LoadedSettings { settings, notices } = settings.unwrap();
    assert!(settings.accept_only_streams_in_data_store());
    assert_eq!((settings.webrtc_viewer_limit(), settings.ingesting_stream_limit()), (Some(7), Some(3)));
    assert_eq!((settings.stun_server_uri(), settings.turn_server_username()), ("stun:a", "u"));
    assert_eq!(notices, []);
}

#[test]
fn every_name_of_every_setting_reaches_it() {
    for row in ROWS {
        let text = match row.kind {
            Kind::Flag(default) => (!default).to_string(),
            Kind::Integer { default, .. } => (default + 1).to_string(),
            Kind::Decimal(default) => (default + 1.0).to_string(),
            Kind::Object(_) => r#"{"a":["b"]}"#.into(),
            Kind::Ladder => "480,300000,96000".into(),
            Kind::Text(_) | Kind::OptionalText | Kind::RandomText => "LiveApp".into(),
        };
        for name in row.names() {
            let loaded = read(&format!("{name}={text}\n")).unwrap();
            assert_eq!(*loaded.settings.get(row.json).unwrap(), row.kind.read_text(&text).unwrap(), "{name}");
            assert!(!matches!(loaded.notices.first(), Some(Notice::UnknownKey { .. })), "{name}");
        }
    }
}

#[test]
fn of_two_names_the_new_one_wins_and_a_notice_says_so() {
    let told = "webRTCEnabled and settings.webRTCEnabled are the same setting; webRTCEnabled counts, remove the other";
    for properties in [
        "webRTCEnabled=false\nsettings.webRTCEnabled=true\n",
        "settings.webRTCEnabled=true\nwebRTCEnabled=false\n",
    ] {
        let loaded = read(properties).unwrap();
        assert!(!loaded.settings.webrtc_enabled());
        assert_eq!(loaded.notices.iter().map(Notice::to_string).collect::<Vec<_>>(), [told]);
    }
    let twice = read("webRTCEnabled=true\n\nwebRTCEnabled=false\n").unwrap();
    assert!(!twice.settings.webrtc_enabled());
    assert_eq!(twice.notices[0].to_string(), "webRTCEnabled stands more than once; line 3 counts");
}

#[test]
fn wrong_values_are_all_told_with_file_line_key_and_value() {
    let error = read(
        "settings.webRTCEnabled=maybe\nwebRTCViewerLimit=-2\ntokenHashSecret=${SECRET}\ncustomSettings=[hunter2]\n",
    );
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let ConfigError::Invalid(problems) = error else { panic!("{error}") };
    assert_eq!(
        problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
        [
            "red5-web.properties:1: settings.webRTCEnabled is \"maybe\"; it must be true or false",
            "red5-web.properties:2: webRTCViewerLimit is \"-2\"; it must be a whole number from -1 to 2147483647",
            "red5-web.properties:3: tokenHashSecret holds a placeholder ${…}, which is not filled in; write the value",
            "red5-web.properties:4: customSettings is ***; it must be a JSON object",
        ]
    );
}

#[test]
fn unknown_keys_have_no_effect_but_are_told() {
    assert_eq!(
        notices(
            "webapp.contextPath=/LiveApp\nwebapp.virtualHosts=*\ndb.type=mapdb\n\nsettings.playTokenControlEnable=true\nfoo=1\n"
        ),
        [
            "line 5: the setting settings.playTokenControlEnable is unknown and has no effect; \
             did you mean settings.playTokenControlEnabled?",
            "line 6: the setting foo is unknown and has no effect",
        ]
    );
}

#[test]
fn settings_without_effect_are_kept_and_summed_up() {
    let loaded =
        read("settings.hlsTime=4\nsettings.mp4MuxingEnabled=true\nsettings.hlsListSize=15\n").unwrap();
    assert_eq!(loaded.settings.get("hlsTime"), Some(&json!("4")));
    assert_eq!(
        loaded.notices.iter().map(Notice::to_string).collect::<Vec<_>>(),
        ["kept, but without effect in this version: mp4MuxingEnabled, hlsTime"]
    );
}

/// Who believes a stream protected must not find it open. That each has the effect it should is shown where that is: at the gate
/// and the door.
#[test]
fn every_setting_that_is_marked_as_protecting_is_acted_on() {
    let without: Vec<_> =
        ROWS.iter().filter(|row| row.gates.is_some() && !row.acted_on).map(|row| row.json).collect();
    assert_eq!(without, [""; 0]);
}

#[test]
fn old_switches_and_new_ones_turn_mechanisms_on_in_their_directions() {
    type Asks = fn(&AppSettings, bool) -> bool;
    let cases: [(&str, Asks, bool, bool); 11] = [
        ("settings.publishTokenControlEnabled=true", AppSettings::wants_token, true, false),
        ("playTokenControlEnabled=true", AppSettings::wants_token, false, true),
        ("settings.tokenControlEnabled=true", AppSettings::wants_token, true, true),
        ("publishJwtControlEnabled=true", AppSettings::wants_jwt, true, false),
        ("playJwtControlEnabled=true", AppSettings::wants_jwt, false, true),
        ("settings.hashControlPublishEnabled=true", AppSettings::wants_hash, true, false),
        ("settings.hashControlPlayEnabled=true", AppSettings::wants_hash, false, true),
        ("enableTimeTokenForPublish=true", AppSettings::wants_totp, true, false),
        ("enableTimeTokenForPlay=true", AppSettings::wants_totp, false, true),
        ("settings.timeTokenSubscriberOnly=true", AppSettings::wants_totp, true, true),
        ("", AppSettings::wants_totp, false, false),
    ];
    for (properties, asks, publish, play) in cases {
        let loaded = read(properties).unwrap();
        assert_eq!(loaded.notices, [], "{properties}");
        // The same when the setting came as JSON.
        let json = serde_json::to_string(&loaded.settings).unwrap();
        for settings in [loaded.settings, serde_json::from_str(&json).unwrap()] {
            assert_eq!((asks(&settings, true), asks(&settings, false)), (publish, play), "{properties}");
        }
    }
}

#[test]
fn the_folder_names_the_application() {
    let loaded = read("db.app.name=Other\n").unwrap();
    assert_eq!(loaded.settings.app_name(), "LiveApp");
    assert_eq!(loaded.notices, [Notice::OtherAppName { named: "Other".into() }]);
    assert_eq!(notices("db.app.name=LiveApp\n"), [""; 0]);
    assert_eq!(read("appName=\n").unwrap().settings.app_name(), "LiveApp");
}

#[test]
fn a_file_that_is_no_properties_file_is_told_by_line() {
    for bad in [&b"#\n\nturnServerUsername=\xe4\n"[..], b"\n\nturnServerUsername=\\u00g0\n"] {
        let error = read_bytes(bad).unwrap_err().to_string();
        assert!(error.starts_with("red5-web.properties:3: "), "{error}");
    }
}

#[test]
fn json_is_that_of_ams_and_reads_back() {
    let settings = read(
        "settings.encoderSettingsString=480,300000,96000\ntokenHashSecret=s\nabrUpScalePacketLostRatio=0.5\n",
    );
    let settings = settings.unwrap().settings;
    let json = serde_json::to_value(&settings).unwrap();
    assert_eq!(json.as_object().unwrap().len(), ROWS.len() + 1);
    assert_eq!(json["encoderSettings"][0]["height"], 480);
    assert!(json["encoderSettingsString"].as_str().unwrap().starts_with("[{"));
    assert_eq!(serde_json::from_value::<AppSettings>(json).unwrap(), settings);
}

#[test]
fn json_that_lacks_keys_or_has_more_is_read() {
    let settings: AppSettings = serde_json::from_value(json!({
        "acceptOnlyStreamsInDataStore": true, "webRTCViewerLimit": "5", "hlsTime": 4, "timeTokenSecretForPlay": null,
        "previewHeight": null, "noSuchKey": { "a": 1 }, "encoderSettingsString": "480,1,2",
    }))
    .unwrap();
    assert!(settings.accept_only_streams_in_data_store());
    assert_eq!(settings.webrtc_viewer_limit(), Some(5));
    assert_eq!(settings.get("hlsTime"), Some(&json!("4")));
    assert_eq!(settings.get("previewHeight"), Some(&json!(480)));
    assert_eq!(settings.get("encoderSettings").unwrap()[0]["videoBitrate"], 1);
    assert!(settings.webrtc_enabled());
    for (json, told) in [
        (json!({ "webRTCEnabled": 5 }), "webRTCEnabled must be true or false"),
        (
            json!({ "webRTCViewerLimit": -2 }),
            "webRTCViewerLimit must be a whole number from -1 to 2147483647",
        ),
        (json!({ "tokenHashSecret": ["hunter2"] }), "tokenHashSecret must be a text"),
    ] {
        assert_eq!(serde_json::from_value::<AppSettings>(json).unwrap_err().to_string(), told);
    }
}

#[test]
fn debug_shows_what_was_set_and_no_secret() {
    let settings = read(
        "tokenHashSecret=hunter2\nturnServerCredential=hunter2\njwtSecretKey=hunter2\njwtStreamSecretKey=hunter2\n\
         customSettings={\"key\":\"hunter2\"}\nturnServerUsername=bob\n",
    );
    let shown = format!("{:?}", settings.unwrap());
    assert!(
        shown.contains("bob") && shown.contains("tokenHashSecret: ***") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(!shown.contains("stunServerURI"), "{shown}");
}

#[test]
fn the_stored_form_stays_as_it_was() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/settings/golden.json"));
    let form = format!("{:#}\n", serde_json::to_value(AppSettings::default()).unwrap());
    if std::env::var_os("PENSTOCK_BLESS").is_some() {
        std::fs::write(&file, &form).unwrap();
    }
    let golden: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let now = serde_json::to_value(AppSettings::default()).unwrap();
    assert!(now == golden, "keys or defaults changed; if that is meant, run this test with PENSTOCK_BLESS=1");
    assert_eq!(serde_json::from_value::<AppSettings>(golden).unwrap(), AppSettings::default());
}

#[test]
fn the_applications_that_come_with_the_node_have_nothing_to_complain_about() {
    let webapps = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../webapps"));
    let found = discover_applications(&webapps).unwrap();
    assert_eq!(found.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["LiveApp", "WebRTCAppEE"]);
    for app in found {
        let loaded = AppSettings::load(&app, &SystemRandomness).unwrap();
        assert_eq!(loaded.notices, []);
        assert_eq!(loaded.settings.app_name(), app.name.as_str());
    }
}
