//! REST: broadcasts, lists, who may ask.

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
    let app = AppName::new("LiveApp").unwrap();
    node.create(json!({ "streamId": "live1" })).await;
    node.state
        .broadcasts
        .started(
            &app,
            &StreamId::new("live1").unwrap(),
            StreamStarted {
                publish_type: "RTMP".into(),
                remote_ip: String::new(),
                user_agent: String::new(),
            },
        )
        .await
        .unwrap();
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
        (json!({ "streamId": null }), "stream id cannot be null"),
        (json!({ "subFolder": "../up" }), "Subfolder is not valid. "),
        (json!({ "colour": 1 }), "Unrecognized field \"colour\", not marked as ignorable"),
    ] {
        assert_eq!(node.create(body).await, (StatusCode::BAD_REQUEST, refused(message)));
    }
    let malformed = from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create")
        .insert_header(header::ContentType::json())
        .set_payload("{\"name\":");
    assert_eq!(node.call(malformed).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(node.ids("0/10").await, ["taken"]);
}

#[actix_web::test]
async fn a_body_may_be_absent_null_or_a_name_but_must_be_json() {
    let node = Node::new();
    let create = |body: &'static str, kind: &'static str| {
        let mut request = from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create").set_payload(body);
        if !kind.is_empty() {
            request = request.insert_header((header::CONTENT_TYPE, kind));
        }
        node.call(request)
    };
    for (body, kind, name) in [
        ("", "", Value::Null),
        ("null", "application/json", Value::Null),
        ("\"abc\"", "application/json;charset=UTF-8", json!("abc")),
    ] {
        let (status, created) = json_of(create(body, kind).await).await;
        assert_eq!((status, &created["name"]), (StatusCode::OK, &name), "{body:?}");
        assert!(created["streamId"].as_str().unwrap().len() > 16, "an id is generated");
    }
    for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
        assert_eq!(create("{}", kind).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
}

#[actix_web::test]
async fn a_body_beyond_the_limit_is_413() {
    let node = Node::new();
    let request = from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create")
        .insert_header(header::ContentType::json())
        .set_payload(vec![b' '; base::limits::REST_BODY_BYTES_MAX + 1]);
    let (status, result) = json_of(node.call(request).await).await;
    assert_eq!((status, result), (StatusCode::PAYLOAD_TOO_LARGE, refused("Payload Too Large")));
}

#[actix_web::test]
async fn auto_start_is_for_sources_and_stores_nothing() {
    let node = Node::new();
    let create = |body| {
        let path = "/LiveApp/rest/v2/broadcasts/create?autoStart=true";
        node.call(from(HERE, Method::POST, path).set_json(body))
    };
    let answer = json_of(create(json!({ "streamId": "a" })).await).await;
    let needs_source = "Auto start query needs an IP camera or stream source.";
    assert_eq!(answer, (StatusCode::OK, refused(needs_source)));
    let (status, answer) = json_of(create(json!({ "streamId": "a", "type": "ipCamera" })).await).await;
    assert_eq!((status, &answer["success"]), (StatusCode::OK, &json!(false)));
    assert_eq!(node.ids("0/10").await, [""; 0]);
}

#[actix_web::test]
async fn lists_are_paged_filtered_and_sorted_as_in_ams() {
    let node = Node::new();
    for (id, name, kind) in [
        ("b", json!("Zebra"), "liveStream"),
        ("a", json!("apple"), "ipCamera"),
        ("d", Value::Null, "liveStream"),
        ("c", json!("Mango"), "liveStream"),
    ] {
        node.clock.advance(Duration::from_secs(1));
        node.create(json!({ "streamId": id, "name": name, "type": kind })).await;
    }
    for (path, expected) in [
        ("0/10", vec!["a", "b", "c", "d"]),
        ("1/2", vec!["b", "c"]),
        ("-5/2", vec!["a", "b"]),
        ("0/0", vec![]),
        ("0/-1", vec![]),
        ("9/10", vec![]),
        ("0/10?type_by=ipCamera", vec!["a"]),
        ("0/10?type_by=nothing", vec![]),
        ("0/10?search=MANG", vec!["c"]),
        ("0/10?search=D", vec!["d"]),
        ("0/10?sort_by=name&order_by=asc", vec!["a", "c", "b", "d"]),
        ("1/2?sort_by=name&order_by=asc", vec!["c", "b"]),
        ("0/10?sort_by=date&order_by=desc", vec!["c", "d", "a", "b"]),
        ("0/10?sort_by=date", vec!["a", "b", "c", "d"]),
        ("0/10?sort_by=colour&order_by=asc", vec!["a", "b", "c", "d"]),
        ("0/1?search=a&sort_by=date&order_by=asc", vec!["b"]),
    ] {
        assert_eq!(node.ids(path).await, expected, "{path}");
    }
    for path in ["x/10", "0/y", "0/99999999999", "0/1.5"] {
        let response = node.get(&format!("/LiveApp/rest/v2/broadcasts/list/{path}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn a_list_has_at_most_250_and_a_filter_sees_beyond_them() {
    let node = Node::new();
    for i in 0..260 {
        node.create(json!({ "streamId": format!("s{i:03}") })).await;
    }
    assert_eq!(node.ids("0/1000").await.len(), 250);
    assert_eq!(node.ids("250/1000").await.len(), 10);
    assert_eq!(node.ids("0/10?search=s259").await, ["s259"]);
}

#[actix_web::test]
async fn the_node_tells_its_applications_and_version() {
    let node = Node::new();
    let (status, applications) = json_of(node.get("/rest/v2/applications").await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(applications, json!({ "applications": ["LiveApp", "WebRTCAppEE"] }));
    let (_, version) = json_of(node.get("/rest/v2/version").await).await;
    assert_eq!(version["versionName"], env!("CARGO_PKG_VERSION"));
}

#[actix_web::test]
async fn every_rest_path_is_closed_to_other_machines() {
    let node = Node::new();
    let paths = crate::ROUTES.iter().map(|route| {
        let prefix = match route.scope {
            crate::Scope::Application => "/LiveApp/rest/v2",
            crate::Scope::Node => "/rest/v2",
        };
        (route.verb.clone(), format!("{prefix}{}", route.path.replace(['{', '}'], "")))
    });
    let unknown =
        ["/LiveApp/rest/v2/nothing", "/rest/v2/nothing", "/rest", "/LiveApp/%72est/v2/broadcasts/a"]
            .map(|path| (Method::GET, path.to_owned()));
    for (verb, path) in paths.chain(unknown) {
        let request = from(ELSEWHERE, verb, &path)
            .insert_header(("x-forwarded-for", "127.0.0.1"))
            .insert_header(("x-real-ip", "127.0.0.1"));
        let answer = json_of(node.call(request).await).await;
        assert_eq!(answer, (StatusCode::FORBIDDEN, refused("Not allowed IP")), "{path}");
    }
}

#[actix_web::test]
async fn what_the_route_table_lacks_is_404_and_a_wrong_verb_names_the_right_ones() {
    let node = Node::new();
    for path in [
        "/rest/v2/nothing",
        "/rest",
        "/rest/v1/version",
        "/LiveApp/rest/v2/broadcasts",
        "/LiveApp/rest/v2/broadcasts/a/b",
        "/NoApp/rest/v2/broadcasts/a",
        "/liveapp/rest/v2/broadcasts/a",
    ] {
        let answer = json_of(node.get(path).await).await;
        assert_eq!(answer, (StatusCode::NOT_FOUND, refused("Not Found")), "{path}");
    }
    let response = node.call(from(HERE, Method::PATCH, "/LiveApp/rest/v2/broadcasts/a")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header_of(&response, "allow"), "GET, HEAD, DELETE");
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
        (Method::GET, "active-live-stream-count"),
    ] {
        let response = node.call(from(HERE, verb, &format!("/LiveApp/rest/v2/broadcasts/{path}"))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(header_of(&response, "retry-after"), "1", "{path}");
        assert_eq!(json_of(response).await.1["success"], false, "{path}");
    }
}
