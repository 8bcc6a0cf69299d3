use super::*;

fn at(ms: u64) -> WallTime {
    WallTime(ms)
}

/// The whole record as AMS writes a fresh one, `anyoneWatching` included.
#[test]
fn a_fresh_broadcast_has_the_fields_defaults_and_nulls_of_ams() {
    let shown = serde_json::to_value(Broadcast::default().shown_at(at(0))).unwrap();
    let expected: Value = serde_json::from_str(
        r#"{
            "streamId": null, "status": "created", "playListStatus": null, "type": null, "publishType": null,
            "name": null, "description": null, "category": null, "listenerHookURL": null, "publish": true,
            "date": 0, "plannedStartDate": 0, "plannedEndDate": 0, "duration": 0, "endPointList": null,
            "playListItemList": null, "publicStream": true, "is360": false, "ipAddr": null, "username": null,
            "password": null, "quality": null, "speed": 0.0, "streamUrl": null, "originAdress": null,
            "mp4Enabled": 0, "webMEnabled": 0, "seekTimeInMs": 0, "subtracksLimit": -1, "expireDurationMS": 0,
            "rtmpURL": null, "zombi": false, "pendingPacketSize": 0, "encoderQueueSize": 0,
            "hlsViewerCount": 0, "dashViewerCount": 0, "webRTCViewerCount": 0, "rtmpViewerCount": 0,
            "startTime": 0, "receivedBytes": 0, "bitrate": 0, "width": 0, "height": 0,
            "dropPacketCountInIngestion": 0, "dropFrameCountInEncoding": 0, "packetsLost": 0, "jitterMs": 0,
            "rttMs": 0, "packetLostRatio": 0.0, "userAgent": "N/A", "remoteIp": null, "latitude": null,
            "longitude": null, "altitude": null, "mainTrackStreamId": null, "absoluteStartTimeMs": 0,
            "webRTCViewerLimit": -1, "hlsViewerLimit": -1, "dashViewerLimit": -1, "subFolder": null,
            "currentPlayIndex": 0, "metaData": null, "playlistLoopEnabled": true, "updateTime": 0,
            "role": null, "hlsParameters": null, "autoStartStopEnabled": false, "encoderSettingsList": null,
            "virtual": false, "maxIdleTime": 0, "anyoneWatching": false,
            "subTrackStreamIds": [], "conferenceMode": null}"#,
    )
    .unwrap();
    assert_eq!(shown, expected);
}

#[test]
fn what_a_client_sends_is_read_with_defaults() {
    let read =
        Broadcast::parse(br#"{"streamId":"s","name":null,"date":null,"virtual":true,"webRTCViewerLimit":3}"#);
    let expected = Broadcast {
        stream_id: Some("s".to_owned()),
        is_virtual: true,
        web_rtc_viewer_limit: 3,
        ..Broadcast::default()
    };
    assert_eq!(read, Ok(expected));
    assert_eq!(Broadcast::parse(b"{}"), Ok(Broadcast::default()));
}

#[test]
fn keys_that_ams_does_not_know_are_refused_by_name() {
    for key in ["nmae", "anyoneWatching", "dbId", "stream_id", "kind"] {
        let json = format!(r#"{{"name":"n","{key}":null}}"#);
        assert_eq!(
            Broadcast::parse(json.as_bytes()),
            Err(Unreadable::UnrecognizedField { field: key.to_owned(), class: "Broadcast" })
        );
    }
}

#[test]
fn what_is_no_broadcast_is_malformed() {
    for json in
        ["", "null", "[]", "\"s\"", "{", r#"{"width":"wide"}"#, r#"{"name":[]}"#, r#"{"width":3000000000}"#]
    {
        assert!(matches!(Broadcast::parse(json.as_bytes()), Err(Unreadable::Malformed(_))), "{json}");
    }
    let deep = format!(r#"{{"name":{}"#, "[".repeat(100_000));
    assert!(matches!(Broadcast::parse(deep.as_bytes()), Err(Unreadable::Malformed(_))));
}

#[test]
fn a_live_stream_that_stopped_reporting_is_shown_as_terminated() {
    let live = |status| Broadcast { status, update_time: 100_000, ..Broadcast::default() };
    for status in [Status::Broadcasting, Status::Preparing] {
        assert_eq!(live(status.clone()).status_at(at(120_000)), status);
        assert_eq!(live(status.clone()).status_at(at(120_001)), Status::TerminatedUnexpectedly);
        let room = Broadcast { is_virtual: true, ..live(status.clone()) };
        assert_eq!(room.status_at(at(500_000)), status);
    }
    assert_eq!(live(Status::Finished).status_at(at(500_000)), Status::Finished);
    // A clock that went back is no silence.
    assert_eq!(live(Status::Broadcasting).status_at(at(0)), Status::Broadcasting);
    let shown = serde_json::to_value(live(Status::Broadcasting).shown_at(at(500_000))).unwrap();
    assert_eq!(shown["status"], "terminated_unexpectedly");
}

#[test]
fn one_viewer_of_any_kind_is_somebody_watching() {
    let fields: [fn(&mut Broadcast) -> &mut i32; 4] = [
        |b| &mut b.hls_viewer_count,
        |b| &mut b.dash_viewer_count,
        |b| &mut b.web_rtc_viewer_count,
        |b| &mut b.rtmp_viewer_count,
    ];
    for field in fields {
        let mut broadcast = Broadcast::default();
        *field(&mut broadcast) = 1;
        assert_eq!(serde_json::to_value(broadcast.shown_at(at(0))).unwrap()["anyoneWatching"], true);
    }
}

#[test]
fn the_planned_window_needs_both_ends_and_includes_them() {
    let planned =
        |start, end| Broadcast { planned_start_date: start, planned_end_date: end, ..Broadcast::default() };
    assert!(planned(100, 200).may_be_published_at(at(100_000)));
    assert!(planned(100, 200).may_be_published_at(at(200_000)));
    assert!(!planned(100, 200).may_be_published_at(at(99_999)));
    assert!(!planned(100, 200).may_be_published_at(at(200_001)));
    assert!(planned(0, 200).may_be_published_at(at(500_000)));
    assert!(planned(100, 0).may_be_published_at(at(0)));
}

#[test]
fn an_expired_registration_is_not_published() {
    let expiring = Broadcast { date: 10_000, expire_duration_ms: 1_000, ..Broadcast::default() };
    assert!(expiring.may_be_published_at(at(11_000)));
    assert!(!expiring.may_be_published_at(at(11_001)));
    assert!(Broadcast { date: 10_000, ..Broadcast::default() }.may_be_published_at(at(u64::MAX)));
}

#[test]
fn who_may_not_see_secrets_sees_none_in_urls_either() {
    let url = |url: &str| Some(url.to_owned());
    let broadcast = Broadcast {
        password: url("hunter2"),
        stream_url: url("rtsp://anna:hunter2@192.0.2.7/door"),
        listener_hook_url: url("https://anna:hunter2@hooks.example/x"),
        end_point_list: Some(vec![Endpoint {
            endpoint_url: url("rtmp://live.example/app/hunter2"),
            ..Endpoint::default()
        }]),
        play_list_item_list: Some(vec![PlayListItem {
            stream_url: url("https://anna:hunter2@vod.example/1.mp4"),
            ..PlayListItem::default()
        }]),
        ..Broadcast::default()
    };
    let shown = serde_json::to_string(&broadcast.shown_at(at(0)).without_secrets()).unwrap();
    assert!(!shown.contains("hunter2") && !shown.contains("anna"), "{shown}");
    for kept in [
        "rtsp://192.0.2.7/door",
        "https://hooks.example/x",
        "rtmp://live.example/app/***",
        "https://vod.example/1.mp4",
    ] {
        assert!(shown.contains(kept), "{kept}: {shown}");
    }
}

#[test]
fn a_broadcast_shows_nobody_its_credentials() {
    let camera = Broadcast { password: Some("hunter2".to_owned()), ..Broadcast::default() };
    assert_eq!(format!("{camera:?}"), r#"Broadcast("", created)"#);
}
