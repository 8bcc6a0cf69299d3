//! Subscribers over REST.

use cluster_model::{Connection, Direction, Fact, FactKind, Facts, Figures, NodeCard, NodeId, SubscriberId};

use super::*;

const NOT_BASE32: &str = "Secret code is not multiple of 8 bytes length. Use b32Secret which is a string and its lenght \
                          is multiple of 8 bytes and allowed characters A-Z, 2-7";
const MISSING: &str = "Missing parameter: Make sure you set subscriber object correctly and make subscriberId's length at \
                       least 3";

async fn add(node: &Node, body: Value) -> Value {
    let path = "/LiveApp/rest/v2/broadcasts/stream1/subscribers";
    let (status, result) = json_of(node.call(from(HERE, Method::POST, path).set_json(body)).await).await;
    assert_eq!(status, StatusCode::OK, "{result}");
    result
}

async fn listed(node: &Node) -> Vec<Value> {
    let list = node.ask(Method::GET, "/stream1/subscribers/list/0/10").await;
    list.as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_subscriber_is_registered_as_the_guide_does_it_and_its_secret_is_never_shown() {
    let node = Node::new();
    node.set(json!({ "timeTokenPeriod": 45 })).await;
    let body = json!({ "subscriberId": "playerB", "b32Secret": "mysecret", "type": "play" });
    assert_eq!(add(&node, body).await, done(""));
    let expected = json!({
        "subscriberId": "playerB", "subscriberName": null, "streamId": "stream1", "type": "play",
        "connected": false, "currentConcurrentConnections": 0, "concurrentConnectionsLimit": 1,
        "blockedType": null, "blockedUntilUnitTimeStampMs": 0, "registeredNodeIp": null,
        "avgVideoBitrate": 0, "avgAudioBitrate": 0, "totpExpiryPeriodSeconds": 45,
    });
    assert_eq!(listed(&node).await, [expected]);
    for path in ["/subscribers/list/0/10", "/subscribers/playerB", "/subscriber-stats/list/0/5"] {
        let text = node.ask(Method::GET, &format!("/stream1{path}")).await.to_string();
        assert!(text.contains("playerB") && !text.contains("mysecret") && !text.contains("ecret"), "{text}");
    }
}

#[actix_web::test]
async fn what_is_no_subscriber_is_refused_in_ams_s_words() {
    let node = Node::new();
    let with = |key: &str, value: Value| {
        let mut body = json!({ "subscriberId": "anna", "type": "play" });
        body[key] = value;
        body
    };
    let period = "Custom TOTP expiry period must be between 10 and 2147483647";
    for (body, message) in [
        (Value::Null, MISSING),
        (json!({}), MISSING),
        (json!({ "subscriberId": "abc" }), MISSING),
        (json!({ "subscriberId": "    " }), MISSING),
        (with("b32Secret", json!("mysecre")), NOT_BASE32),
        (with("b32Secret", json!("mysecr10")), NOT_BASE32),
        (with("totpExpiryPeriodSeconds", json!(9)), period),
        (with("totpExpiryPeriodSeconds", json!(0)), period),
        (with("subscriberId", json!("x".repeat(257))), "subscriberId: the name is longer than 256 bytes"),
    ] {
        assert_eq!(add(&node, body.clone()).await, refused(message), "{body}");
    }
    assert_eq!(listed(&node).await, [] as [Value; 0]);
    for (key, value) in [
        ("b32Secret", json!("")),
        ("b32Secret", json!("6qsp6qhndryqs56zjmvs37i6gqtjsdvc")),
        ("totpExpiryPeriodSeconds", json!(10)),
        ("totpExpiryPeriodSeconds", json!(i32::MAX)),
        ("type", json!("other")),
        ("connected", json!(true)),
        ("currentConcurrentConnections", json!(7)),
    ] {
        assert_eq!(add(&node, with(key, value)).await, done(""), "{key}");
    }
    let row = &listed(&node).await[0];
    assert_eq!((&row["connected"], &row["currentConcurrentConnections"]), (&json!(false), &json!(0)));
    let path = "/LiveApp/rest/v2/broadcasts/stream1/subscribers";
    let unknown = from(HERE, Method::POST, path).set_json(json!({ "subscriberId": "anna", "colour": 1 }));
    let (status, text) = text_of(node.call(unknown).await).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.starts_with("Unrecognized field \"colour\" (class Subscriber"), "{text}");
}

#[actix_web::test]
async fn subscribers_are_deleted_one_by_one_or_all_together() {
    let node = Node::new();
    for id in ["zora", "anna", "Bert"] {
        add(&node, json!({ "subscriberId": id })).await;
    }
    let ids: Vec<_> = listed(&node).await.iter().map(|row| row["subscriberId"].clone()).collect();
    assert_eq!(ids, ["Bert", "anna", "zora"], "byte order");
    assert_eq!(node.ask(Method::DELETE, "/stream1/subscribers/anna").await, done(""));
    assert_eq!(node.ask(Method::DELETE, "/stream1/subscribers/anna").await, refused(""));
    assert_eq!(node.ask(Method::DELETE, "/stream1/subscribers").await, done(""));
    assert_eq!(node.ask(Method::DELETE, "/stream1/subscribers").await, refused(""));
    assert_eq!(listed(&node).await, [] as [Value; 0]);
    assert_eq!(node.ask(Method::GET, "/stream1/subscribers/anna").await, refused("Not Found"));
}

#[actix_web::test]
async fn codes_are_those_of_the_subscriber_or_of_the_application() {
    let node = Node::new();
    let secretless = "Secret is not set in AppSettings. Please set timetokensecret publish or play in Application settings";
    assert_eq!(node.ask(Method::GET, "/stream1/subscribers/sub1/totp").await, refused(secretless));
    node.set(json!({ "timeTokenSecretForPublish": "secret", "timeTokenSecretForPlay": "secret" })).await;
    add(&node, json!({ "subscriberId": "playerB", "b32Secret": "mysecret" })).await;
    add(&node, json!({ "subscriberId": "playerC", "b32Secret": "MYSECRET", "totpExpiryPeriodSeconds": 30 }))
        .await;
    let code = async |who: &str, query: &str| {
        let answer = node.ask(Method::GET, &format!("/stream1/subscribers/{who}/totp{query}")).await;
        assert_eq!((&answer["success"], &answer["message"]), (&json!(true), &json!("")), "{answer}");
        answer["dataId"].as_str().unwrap().to_owned()
    };
    assert_eq!(code("playerB", "?type=play").await, "806136");
    assert_eq!(code("playerB", "?type=publish").await, "806136", "its own secret knows no type");
    assert_eq!(code("playerC", "").await, "109463");
    assert_eq!(code("sub1", "?type=publish").await, "645454");
    assert_eq!(code("sub1", "?type=play").await, "055648");
    let blank = node.ask(Method::GET, "/stream1/subscribers/%20/totp").await;
    assert_eq!(blank, refused("streamId or subscriberId is blank"));
}

#[actix_web::test]
async fn a_block_needs_no_subscriber_and_no_seconds_lift_it() {
    let node = Node::new();
    let block = async |path: &str| node.ask(Method::PUT, &format!("/stream1/subscribers/{path}")).await;
    assert_eq!(block("anna/block/60/play").await, done(""));
    let row = &listed(&node).await[0];
    assert_eq!((&row["blockedType"], &row["type"]), (&json!("play"), &Value::Null));
    assert_eq!(row["blockedUntilUnitTimeStampMs"], 1_700_000_060_000_u64);
    assert_eq!(row["totpExpiryPeriodSeconds"], Value::Null);
    // Registering lifts no block, any type is taken, and so are seconds below 0.
    add(&node, json!({ "subscriberId": "anna", "type": "play" })).await;
    assert_eq!(listed(&node).await[0]["blockedType"], "play");
    assert_eq!(block("anna/block/60/whatever").await, done(""));
    assert_eq!(listed(&node).await[0]["blockedType"], "whatever");
    assert_eq!(block("anna/block/0/publish_play").await, done(""));
    assert_eq!(listed(&node).await[0]["blockedUntilUnitTimeStampMs"], 0);
    assert_eq!(block("anna/block/-5/play").await, done(""));
    for path in ["anna/block/soon/play", "anna/block/1.5/play", "anna/block/2147483648/play"] {
        assert_eq!(block(path).await, refused("Not Found"), "{path}");
    }
    assert_eq!(block("%20/block/5/play").await, refused("streamId or subscriberId is blank"));
    // One that is registered as blocked is blocked.
    let until = 1_700_000_030_000_u64;
    add(
        &node,
        json!({ "subscriberId": "bert", "blockedType": "publish", "blockedUntilUnitTimeStampMs": until }),
    )
    .await;
    assert_eq!(listed(&node).await[1]["blockedUntilUnitTimeStampMs"], until);
}

#[actix_web::test]
async fn statistics_are_what_the_sessions_came_to() {
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let meta = Arc::new(InMemory::new(clock.clone()));
    let facts = Facts::new(meta.clone(), clock.clone(), Arc::new(SeededRandomness::new(2)));
    let node = Node::over(meta, clock, |_| ());
    let card = NodeCard { address: "10.0.0.1".to_owned(), ..NodeCard::default() };
    let owner = node.state.nodes.join(NodeId(1), card).await.unwrap();
    add(&node, json!({ "subscriberId": "playerB" })).await;
    let fact = |session, what| Fact {
        app: AppName::new("LiveApp").unwrap(),
        stream: StreamId::new("stream1").unwrap(),
        subscriber: Some(SubscriberId::new("playerB").unwrap()),
        session: base::SessionId::from_u128(session),
        at: WallTime(1_700_000_000_000),
        what,
    };
    let connection =
        || Connection { direction: Direction::Play, protocol: "webrtc".to_owned(), peer: None, proof: None };
    let figures = Figures { duration_ms: 2_000, bytes: 1_000, video_bytes: 500, audio_bytes: 250 };
    let batch = vec![
        fact(1, FactKind::Connected(connection())),
        fact(1, FactKind::Disconnected { reason: "finished".to_owned(), figures }),
        fact(2, FactKind::Connected(connection())),
    ];
    facts.record(owner, 1, batch).await.unwrap();
    let stats = node.ask(Method::GET, "/stream1/subscriber-stats/list/0/5").await;
    let keys: Vec<_> = stats[0].as_object().unwrap().keys().cloned().collect();
    let expected = ["avgAudioBitrate", "avgVideoBitrate", "connectionEvents", "streamId", "subscriberId"];
    assert_eq!(keys.len(), 5);
    assert!(expected.iter().all(|key| keys.iter().any(|known| known == key)), "{keys:?}");
    assert_eq!((&stats[0]["avgVideoBitrate"], &stats[0]["avgAudioBitrate"]), (&json!(2_000), &json!(1_000)));
    let events = stats[0]["connectionEvents"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["connected", "disconnected", "connected"]);
    assert_eq!(
        (&events[0]["eventProtocol"], &events[0]["instanceIP"]),
        (&json!("webrtc"), &json!("10.0.0.1"))
    );
    let one = node.ask(Method::GET, "/stream1/subscribers/playerB").await;
    assert_eq!((&one["connected"], &one["totalConnections"]), (&json!(true), &json!(2)));
    assert_eq!(one["registeredNodeIp"], "10.0.0.1");
    assert_eq!(listed(&node).await[0]["registeredNodeIp"], "10.0.0.1");
    assert_eq!((&one["totalBytes"], &one["totalDurationMs"]), (&json!(1_000), &json!(2_000)));
    assert_eq!(one["connectionEvents"].as_array().unwrap().len(), 3);
    assert_eq!(node.ask(Method::GET, "/stream1/subscriber-stats/list/1/5").await, json!([]));
    let figures = Figures::default();
    let gone = vec![fact(2, FactKind::Disconnected { reason: "finished".to_owned(), figures })];
    facts.record(owner, 2, gone).await.unwrap();
    assert_eq!(listed(&node).await[0]["registeredNodeIp"], Value::Null, "nobody serves it");
}
