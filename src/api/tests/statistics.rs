//! Who watches, and what a live stream is.

use super::*;

#[actix_web::test]
async fn a_live_stream_shows_what_it_is_doing_now_and_one_that_is_over_what_was_stored() {
    let node = Node::new();
    node.create(json!({ "streamId": "live1", "name": "n" })).await;
    node.create(json!({ "streamId": "idle", "webRTCViewerCount": 2, "bitrate": 5 })).await;
    // Live on this node, but its record says otherwise (a client may write that): the record stands.
    assert_eq!(node.ask(Method::GET, "/live1").await["webRTCViewerCount"], 0);
    node.begin("live1").await;
    // Far beyond the silence that would make it terminated_unexpectedly.
    node.clock.advance(Duration::from_secs(500));
    let list = node.ask(Method::GET, "/list/0/10").await;
    for shown in [&node.ask(Method::GET, "/live1").await, &list[1]] {
        assert_eq!((&shown["status"], &shown["name"]), (&json!("broadcasting"), &json!("n")));
        assert_eq!((&shown["webRTCViewerCount"], &shown["anyoneWatching"]), (&json!(7), &json!(true)));
        assert_eq!((&shown["width"], &shown["height"]), (&json!(1280), &json!(720)));
        assert_eq!((&shown["bitrate"], &shown["duration"]), (&json!(2_500_000), &json!(61_000)));
        assert_eq!(shown["updateTime"], 1_700_000_500_000_i64);
    }
    assert_eq!((&list[0]["webRTCViewerCount"], &list[0]["bitrate"]), (&json!(2), &json!(5)));
}

/// Of a stream of another node everybody knows what that node stored last.
#[actix_web::test]
async fn a_stream_of_another_node_shows_what_that_node_told_of_it() {
    let node = Node::new();
    for id in ["live1", "there", "silent"] {
        node.create(json!({ "streamId": id })).await;
    }
    let told = |webrtc_viewers| Heartbeat {
        bitrate_bps: 1_500_000,
        width: 640,
        height: 360,
        webrtc_viewers,
        rtmp_viewers: 2,
        ..Heartbeat::default()
    };
    let tell = async |id: &str, viewers| {
        node.begin(id).await;
        let (app, id) = (AppName::new("LiveApp").unwrap(), StreamId::new(id).unwrap());
        assert!(node.state.broadcasts.heartbeat(&app, &id, told(viewers)).await.unwrap());
    };
    tell("silent", 100).await;
    node.clock.advance(Duration::from_secs(500));
    tell("there", 5).await;
    // What is stored of an own stream is older than what it does.
    tell("live1", 1).await;
    let there = node.ask(Method::GET, "/there/broadcast-statistics").await;
    assert_eq!(
        (&there["totalWebRTCWatchersCount"], &there["totalRTMPWatchersCount"]),
        (&json!(5), &json!(2))
    );
    let total = node.ask(Method::GET, "/total-broadcast-statistics").await;
    assert_eq!(
        (&total["totalWebRTCWatchersCount"], &total["totalRTMPWatchersCount"]),
        (&json!(12), &json!(-1)),
        "seven here and five there; of the silent one nobody knows"
    );
    let info = json!([{
        "videoHeight": 360, "videoWidth": 640, "videoBitrate": 1_500_000, "audioBitrate": 0, "videoCodec": null,
    }]);
    assert_eq!(node.ask(Method::GET, "/there/stream-info").await, info);
    assert_eq!(node.ask(Method::GET, "/silent/stream-info").await, json!([]));
}

/// Recorded answers, key by key in their order.
#[actix_web::test]
async fn statistics_are_the_texts_of_ams() {
    let node = Node::new();
    node.create(json!({ "streamId": "live1" })).await;
    node.create(json!({ "streamId": "idle" })).await;
    node.begin("live1").await;
    for (path, text) in [
        (
            "/live1/broadcast-statistics",
            r#"{"totalRTMPWatchersCount":0,"totalHLSWatchersCount":0,"totalWebRTCWatchersCount":7,"totalDASHWatchersCount":0}"#,
        ),
        (
            "/idle/broadcast-statistics/",
            r#"{"totalRTMPWatchersCount":-1,"totalHLSWatchersCount":0,"totalWebRTCWatchersCount":0,"totalDASHWatchersCount":0}"#,
        ),
        (
            "/unknown/broadcast-statistics",
            r#"{"totalRTMPWatchersCount":-1,"totalHLSWatchersCount":-1,"totalWebRTCWatchersCount":-1,"totalDASHWatchersCount":-1}"#,
        ),
        (
            "/no%20id/broadcast-statistics",
            r#"{"totalRTMPWatchersCount":-1,"totalHLSWatchersCount":-1,"totalWebRTCWatchersCount":-1,"totalDASHWatchersCount":-1}"#,
        ),
        (
            "/total-broadcast-statistics",
            r#"{"totalRTMPWatchersCount":-1,"totalHLSWatchersCount":0,"totalWebRTCWatchersCount":7,"totalDASHWatchersCount":0,"activeLiveStreamCount":1}"#,
        ),
        ("/active-live-stream-count", r#"{"number":1}"#),
        (
            "/live1/stream-info",
            r#"[{"videoHeight":720,"videoWidth":1280,"videoBitrate":2400000,"audioBitrate":96000,"videoCodec":"h264"}]"#,
        ),
        ("/idle/stream-info", "[]"),
        ("/unknown/stream-info", "[]"),
    ] {
        let answer = text_of(node.get(&format!("/LiveApp/rest/v2/broadcasts{path}")).await).await;
        assert_eq!(answer, (StatusCode::OK, text.to_owned()), "{path}");
    }
}
