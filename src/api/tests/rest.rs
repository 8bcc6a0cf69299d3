//! REST: broadcasts, lists, who may ask.

use std::time::Instant;

use cluster_model::{
    Command, Consistency, Filter, NotApplied, Proposal, Query, ReadFailed, Reading, RequestId, Revision,
    Watch,
};
use futures_util::FutureExt;

use super::*;

#[actix_web::test]
async fn a_created_broadcast_is_shown_listed_counted_and_deleted() {
    let node = Node::new();
    let (status, created) = node.create(json!({ "streamId": " s1 ", "name": "One" })).await;
    assert_eq!(status, StatusCode::OK, "{created}");
    assert_eq!(created["streamId"], "s1");
    assert_eq!(created["status"], "created");
    assert_eq!(created["type"], "liveStream");
    assert_eq!(created["date"], 1_700_000_000_000_i64);
    assert_eq!(created["rtmpURL"], "rtmp://media.example/LiveApp/s1");
    assert_eq!(created["anyoneWatching"], false);
    assert!(created.as_object().unwrap().contains_key("description"), "nulls are shown");

    let (status, shown) = json_of(node.get("/LiveApp/rest/v2/broadcasts/s1/").await).await;
    assert_eq!((status, &shown), (StatusCode::OK, &created));
    assert_eq!(node.ids("0/10").await, ["s1"]);
    let (_, other) = json_of(node.get("/WebRTCAppEE/rest/v2/broadcasts/list/0/10").await).await;
    assert_eq!(other, json!([]));

    let delete = || node.call(from(HERE, Method::DELETE, "/LiveApp/rest/v2/broadcasts/s1"));
    let (status, result) = json_of(delete().await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(result["success"], true);
    assert_eq!(result["message"], "broadcast is deleted but could not stopped ");
    assert_eq!(json_of(delete().await).await, (StatusCode::OK, refused("")));
    let gone = json_of(node.get("/LiveApp/rest/v2/broadcasts/s1").await).await;
    assert_eq!(gone, (StatusCode::NOT_FOUND, refused("Not Found")));
}

#[actix_web::test]
async fn a_live_stream_is_counted_and_deleting_it_stops_it() {
    let node = Node::new();
    node.create(json!({ "streamId": "live1" })).await;
    node.begin("live1").await;
    let count = || node.get("/LiveApp/rest/v2/broadcasts/active-live-stream-count");
    assert_eq!(json_of(count().await).await, (StatusCode::OK, json!({ "number": 1 })));

    let (_, result) =
        json_of(node.call(from(HERE, Method::DELETE, "/LiveApp/rest/v2/broadcasts/live1")).await).await;
    assert_eq!(result["success"], true);
    assert_eq!(result["message"], "broadcast is deleted and stopped successfully");
    assert_eq!(json_of(count().await).await.1, json!({ "number": 0 }));
}

#[actix_web::test]
async fn a_broadcast_that_cannot_be_created_says_why() {
    let node = Node::new();
    node.create(json!({ "streamId": "taken" })).await;
    for (body, message) in [
        (
            json!({ "streamId": "taken" }),
            "Stream id is already being used. Please change stream id or keep it empty",
        ),
        (json!({ "streamId": "no/slash" }), "Stream id is not valid."),
        (json!({ "streamId": "ü" }), "Stream id is not valid."),
        (json!({ "subFolder": "../up" }), "Subfolder is not valid. "),
        (json!({ "type": "ipCamera" }), "Stream url is not valid. "),
        (json!({ "type": "streamSource", "streamUrl": "file:///etc/passwd" }), "Stream url is not valid. "),
    ] {
        assert_eq!(node.create(body).await, (StatusCode::BAD_REQUEST, refused(message)));
    }
    assert_eq!(node.ids("0/10").await, ["taken"]);
}

#[actix_web::test]
async fn auto_start_is_for_sources_and_stores_nothing() {
    let node = Node::new();
    node.create(json!({ "streamId": "taken" })).await;
    let create = |body: Value| {
        let path = "/LiveApp/rest/v2/broadcasts/create?autoStart=true";
        node.call(from(HERE, Method::POST, path).set_json(body))
    };
    let needs_source = "Auto start query needs an IP camera or stream source.";
    for (body, status, message) in [
        (json!({ "streamId": "a" }), StatusCode::OK, needs_source),
        (Value::Null, StatusCode::OK, "unexpected parameters received"),
        (json!({ "streamId": "b/c" }), StatusCode::BAD_REQUEST, "Stream id is not valid."),
        (
            json!({ "streamId": "taken" }),
            StatusCode::BAD_REQUEST,
            "Stream id is already being used. Please change stream id or keep it empty",
        ),
        (
            json!({ "streamId": "a", "type": "ipCamera" }),
            StatusCode::OK,
            "This server does not pull streams, so it cannot start one.",
        ),
    ] {
        assert_eq!(json_of(create(body.clone()).await).await, (status, refused(message)), "{body}");
    }
    assert_eq!(node.ids("0/10").await, ["taken"]);
}

/// The text as AMS sends it: every key in its order, nulls included.
#[actix_web::test]
async fn a_created_broadcast_is_the_text_of_ams() {
    let node = Node::new();
    let request = from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create");
    let response = node.call(request.set_json(json!({ "streamId": "s1", "name": "demo" }))).await;
    assert_eq!(header_of(&response, "content-type"), "application/json");
    let (status, text) = text_of(response).await;
    let golden = include_str!("../../../schemas/golden/rest_broadcast.json");
    assert_eq!((status, text.as_str()), (StatusCode::OK, golden.trim_end()));
}

#[actix_web::test]
async fn an_application_can_give_its_broadcasts_a_webhook() {
    let node = Node::new();
    node.set(json!({ "listenerHookURL": "http://hook" })).await;
    for (body, hook) in [
        (json!({ "streamId": "a" }), "http://hook"),
        (json!({ "streamId": "b", "listenerHookURL": "" }), "http://hook"),
        (json!({ "streamId": "c", "listenerHookURL": "http://own" }), "http://own"),
    ] {
        assert_eq!(node.create(body).await.1["listenerHookURL"], hook);
    }
}

#[actix_web::test]
async fn an_update_changes_what_is_not_null_and_what_ams_lets_be_changed() {
    let node = Node::new();
    let (_, before) = node.create(json!({ "streamId": "s", "name": "n", "description": "d" })).await;
    let ignored = json!({
        "streamId": "t", "type": "VoD", "publishType": "SRT", "publish": false, "date": 1, "publicStream": false,
        "is360": true, "category": "c", "mp4Enabled": 1, "webMEnabled": 1, "expireDurationMS": 1, "rtmpURL": "x",
        "zombi": true, "rtmpViewerCount": 9, "hlsParameters": { "hlsTime": "4" }, "name": null,
    });
    assert_eq!(node.put("s", ignored).await, (StatusCode::OK, done("")));
    assert_eq!(node.ask(Method::GET, "/s").await, before);

    let applied = json!({
        "name": "new", "status": "my own", "hlsViewerCount": 3, "originAdress": "there", "startTime": 5,
        "virtual": true, "metaData": "{}", "plannedStartDate": 7, "webRTCViewerLimit": 2,
        "encoderSettingsList": [{ "height": 240, "videoBitrate": 500_000, "audioBitrate": 32_000, "forceEncode": true, "forceSameResolutionEncode": false }],
    });
    assert_eq!(node.put("s", applied.clone()).await, (StatusCode::OK, done("")));
    let after = node.ask(Method::GET, "/s").await;
    for (key, value) in applied.as_object().unwrap() {
        assert_eq!(&after[key], value, "{key}");
    }
    assert_eq!((&after["description"], &after["streamId"]), (&json!("d"), &json!("s")));
}

#[actix_web::test]
async fn an_update_that_cannot_be_is_a_result_that_says_why() {
    let node = Node::new();
    let camera = json!({ "streamId": "camera", "type": "ipCamera", "ipAddr": "192.0.2.7" });
    assert_eq!(node.create(camera).await.0, StatusCode::OK);
    node.create(json!({ "streamId": "s" })).await;
    for (id, body, message) in [
        ("unknown", json!({ "name": "n" }), "Broadcast with streamId: unknown does not exist"),
        ("a%0Ab", json!({}), "Broadcast with streamId: a_b does not exist"),
        ("s", Value::Null, ""),
        ("s", json!({ "subFolder": "a/../b" }), "Subfolder is not valid. "),
        ("camera", json!({ "streamUrl": "file:///etc/passwd" }), "Stream URL is not valid"),
    ] {
        assert_eq!(node.put(id, body.clone()).await, (StatusCode::OK, refused(message)), "{id} {body}");
    }
    let nothing = node.call(from(HERE, Method::PUT, "/LiveApp/rest/v2/broadcasts/s")).await;
    assert_eq!(json_of(nothing).await, (StatusCode::OK, refused("")));
    // The status of a source is the server's.
    assert_eq!(node.put("camera", json!({ "status": "finished", "name": "n" })).await.1, done(""));
    let camera = node.ask(Method::GET, "/camera").await;
    assert_eq!((&camera["status"], &camera["name"]), (&json!("created"), &json!("n")));
}

#[actix_web::test]
async fn several_are_deleted_in_order_up_to_the_first_that_fails() {
    let node = Node::new();
    let idle = "broadcast is deleted but could not stopped ";
    let with_body = |body: Value| {
        let path = "/LiveApp/rest/v2/broadcasts/bulk";
        node.call(from(HERE, Method::DELETE, path).set_json(body))
    };
    for id in ["a", "b", "c", "d", "e", "f"] {
        node.create(json!({ "streamId": id })).await;
    }
    for blank in ["", "?ids=", "?ids=%20", "?other=a"] {
        assert_eq!(node.ask(Method::DELETE, blank).await, refused("ids parameter is blank"), "{blank}");
    }
    assert_eq!(node.ask(Method::DELETE, "/?ids=a,b,").await, done(idle));
    assert_eq!(node.ask(Method::DELETE, "?ids=c,unknown,d").await, refused(""));
    assert_eq!(node.ids("0/10").await, ["d", "e", "f"]);
    assert_eq!(json_of(with_body(json!(["d", "e"])).await).await, (StatusCode::OK, done(idle)));
    assert_eq!(json_of(with_body(json!([])).await).await, (StatusCode::OK, refused("")));
    for wrong in [json!({ "ids": [] }), json!("f".repeat(900_000)), json!([["f"]])] {
        let (status, text) = text_of(with_body(wrong).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(text.starts_with("Cannot deserialize value of type `java.") && text.len() < 300, "{text}");
    }
    node.create(json!({ "streamId": "7" })).await;
    assert_eq!(json_of(with_body(json!([7])).await).await, (StatusCode::OK, done(idle)), "as other numbers");
    let too_many = vec!["f"; base::limits::REST_IDS_MAX + 1];
    assert_eq!(with_body(json!(too_many)).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(node.ids("0/10").await, ["f"]);
}

#[actix_web::test]
async fn the_tracks_of_a_room_go_with_it_unless_told_otherwise() {
    let node = Node::new();
    for room in ["r1", "r2", "r3"] {
        node.create(json!({ "streamId": room, "virtual": true })).await;
        for track in ["a", "b"] {
            node.create(json!({ "streamId": format!("{room}{track}"), "mainTrackStreamId": room })).await;
        }
    }
    node.ask(Method::DELETE, "/r1").await;
    node.ask(Method::DELETE, "/r2?deleteSubtracks=false&deleteSubtracks=true").await;
    node.ask(Method::DELETE, "?ids=r3").await;
    assert_eq!(node.ids("0/10").await, ["r2a", "r2b", "r3a", "r3b"]);
}

/// A metadata plane that deletes nothing while it is stuck.
struct Stuck {
    inner: InMemory,
    on: Mutex<Option<&'static str>>,
}

#[async_trait]
impl Meta for Stuck {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        let stuck = *self.on.lock().unwrap();
        match &command {
            Command::DeleteBroadcast { stream, .. } if Some(stream.as_str()) == stuck => {
                Proposal::NotApplied(NotApplied::DiskFull)
            }
            _ => self.inner.propose(request, command, deadline).await,
        }
    }

    async fn read(&self, query: Query, how: Consistency, deadline: Instant) -> Result<Reading, ReadFailed> {
        self.inner.read(query, how, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.inner.watch(filter, from)
    }
}

#[actix_web::test]
async fn a_room_whose_delete_failed_half_way_can_be_deleted_again() {
    let clock = Arc::new(ManualClock::new(WallTime(1)));
    let stuck = Arc::new(Stuck { inner: InMemory::new(clock.clone()), on: Mutex::new(Some("b")) });
    let node = Node::over(stuck.clone(), clock, |_| ());
    node.create(json!({ "streamId": "room", "virtual": true })).await;
    for track in ["a", "b", "c"] {
        node.create(json!({ "streamId": track, "mainTrackStreamId": "room" })).await;
    }
    let delete = || node.call(from(HERE, Method::DELETE, "/LiveApp/rest/v2/broadcasts/room"));
    assert_eq!(delete().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(node.ids("0/10").await, ["b", "c", "room"]);
    *stuck.on.lock().unwrap() = None;
    assert_eq!(json_of(delete().await).await.1["success"], true);
    assert!(node.ids("0/10").await.is_empty());
}

#[actix_web::test]
async fn a_delete_goes_on_when_nobody_waits_for_it() {
    let node = Node::new();
    for id in ["a", "b", "c"] {
        node.create(json!({ "streamId": id })).await;
    }
    let path = "/LiveApp/rest/v2/broadcasts?ids=a,b,c";
    let asked = node.call(from(HERE, Method::DELETE, path));
    // The connection is cut before the first answer of the store.
    assert!(asked.now_or_never().is_none(), "it was done at once");
    while !node.ids("0/10").await.is_empty() {
        actix_web::rt::task::yield_now().await;
    }
}

#[actix_web::test]
async fn a_stop_succeeds_only_when_something_was_running() {
    let node = Node::new();
    node.create(json!({ "streamId": "idle" })).await;
    node.create(json!({ "streamId": "room", "virtual": true })).await;
    assert_eq!(node.ask(Method::POST, "/live1/stop").await, refused(""), "nobody registered it");
    node.create(json!({ "streamId": "live1", "mainTrackStreamId": "room" })).await;
    assert_eq!(node.ask(Method::POST, "/live1/stop").await, done(""));
    assert_eq!(node.ask(Method::POST, "/room/stop").await, done(""));
    for path in ["/idle/stop", "/room/stop?stopSubtracks=false", "/unknown/stop", "/no%20id/stop"] {
        assert_eq!(node.ask(Method::POST, path).await, refused(""), "{path}");
    }
}

#[actix_web::test]
async fn the_node_tells_its_applications_and_version() {
    let node = Node::new();
    let (status, applications) = json_of(node.get("/rest/v2/applications").await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(applications, json!({ "applications": ["LiveApp", "WebRTCAppEE"] }));
    let (_, version) = json_of(node.get("/rest/v2/version").await).await;
    assert_eq!(version, json!({ "versionName": env!("CARGO_PKG_VERSION"), "versionType": "Penstock" }));
    let (_, text) = text_of(node.get("/LiveApp/rest/v2/version").await).await;
    let expected = concat!(
        r#"{"versionName":""#,
        env!("CARGO_PKG_VERSION"),
        r#"","versionType":"Penstock","buildNumber":null}"#
    );
    assert_eq!(text, expected);
    let (status, document) = json_of(node.get("/rest/v2/openapi.json").await).await;
    assert_eq!((status, &document["info"]["title"]), (StatusCode::OK, &json!("Penstock REST v2")));
}

#[actix_web::test]
async fn a_store_that_does_not_answer_is_503_and_promises_nothing() {
    let clock = Arc::new(ManualClock::new(WallTime(1)));
    let meta = Unsteady::new(InMemory::new(clock.clone()), 1);
    meta.go_silent();
    let node = Node::over(Arc::new(meta), clock, |state| {
        state.broadcasts = state.broadcasts.within(Duration::from_millis(20));
    });
    for (verb, path) in [
        (Method::POST, "create"),
        (Method::GET, "s1"),
        (Method::DELETE, "s1"),
        (Method::GET, "list/0/10"),
        (Method::GET, "list/0/10?search=a"),
        (Method::GET, "list/0/10?sort_by=name&order_by=asc"),
        (Method::GET, "active-live-stream-count"),
        (Method::GET, "count/a"),
        (Method::GET, "total-broadcast-statistics"),
        (Method::GET, "s1/broadcast-statistics"),
        (Method::POST, "s1/stop"),
    ] {
        let response = node.call(from(HERE, verb, &format!("/LiveApp/rest/v2/broadcasts/{path}"))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(header_of(&response, "retry-after"), "1", "{path}");
        assert_eq!(json_of(response).await.1["success"], false, "{path}");
    }
}
