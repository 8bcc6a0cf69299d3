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
