//! What a request may bring.

use super::*;

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

async fn send(node: &Node, verb: Method, path: &str, body: String) -> (StatusCode, String, String) {
    let request = from(HERE, verb, &format!("/LiveApp/rest/v2/broadcasts{path}"))
        .insert_header(header::ContentType::json())
        .set_payload(body);
    let response = node.call(request).await;
    let kind = header_of(&response, "content-type").to_owned();
    let (status, text) = text_of(response).await;
    (status, kind, text)
}

#[actix_web::test]
async fn a_body_announced_as_too_large_is_refused_before_it_is_read() {
    let node = Node::new();
    let request = from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create")
        .insert_header(header::ContentType::json())
        .insert_header((header::CONTENT_LENGTH, "20971520"));
    let (status, result) = json_of(node.call(request).await).await;
    assert_eq!((status, result), (StatusCode::PAYLOAD_TOO_LARGE, refused("Payload Too Large")));
}

/// Codes and beginnings of the texts as AMS's; the rest of Jackson's texts names Java classes.
#[actix_web::test]
async fn bodies_that_cannot_be_read_are_answered_in_plain_text() {
    let node = Node::new();
    node.create(json!({ "streamId": "s", "name": "kept" })).await;
    let deep = format!("{{\"hlsParameters\":{}", "{\"a\":".repeat(100_000));
    let nested = format!("{{\"endPointList\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!("{{\"{}\":1}}", "x".repeat(900_000));
    for (body, beginning) in [
        (r#"{"colour":1}"#, "Unrecognized field \"colour\" (class Broadcast"),
        (r#"{"anyoneWatching":true}"#, "Unrecognized field \"anyoneWatching\" (class Broadcast"),
        (r#"{"dbId":"1"}"#, "Unrecognized field \"dbId\" (class Broadcast"),
        (
            r#"{"endPointList":[{"url":""}]}"#,
            "Unrecognized field \"url\" (class Endpoint), not marked as ignorable",
        ),
        (r#"{"date":"soon"}"#, "Cannot deserialize value of type `long` from String \"soon\""),
        (r#"{"name":{}}"#, "Cannot deserialize value of type `java.lang.String` from Object value"),
        (r#"{"width":1e99}"#, "Cannot deserialize value of type `int`"),
        (r#"[]"#, "Cannot deserialize value of type `Broadcast` from Array value"),
        (r#"7"#, "Cannot deserialize value of type `Broadcast` from Number 7"),
        (r#"{"name":"#, ""),
        ("{\"name\":\"\u{1}\"}", ""),
        (deep.as_str(), ""),
        (nested.as_str(), ""),
        (wide.as_str(), "Unrecognized field \"xxxx"),
    ] {
        for (verb, path) in [(Method::POST, "/create"), (Method::PUT, "/s"), (Method::PUT, "/unknown")] {
            let (status, kind, text) = send(&node, verb.clone(), path, body.to_owned()).await;
            let begins = text.replace("BroadcastUpdate", "Broadcast");
            let asked = &body[..body.len().min(40)];
            assert_eq!(
                (status, kind.as_str()),
                (StatusCode::BAD_REQUEST, "text/plain; charset=utf-8"),
                "{asked}"
            );
            assert!(begins.starts_with(beginning), "{verb} {asked}: {text}");
            assert!(!text.is_empty() && text.len() < 300, "{verb} {asked}: {} bytes", text.len());
        }
    }
    let null_id = send(&node, Method::POST, "/create", r#"{"streamId":null}"#.to_owned()).await;
    assert_eq!((null_id.0, null_id.2.as_str()), (StatusCode::BAD_REQUEST, "stream id cannot be null"));
    // A name alone is a broadcast, but no change of one.
    assert_eq!(send(&node, Method::PUT, "/s", "\"abc\"".to_owned()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(node.ask(Method::GET, "/s").await["name"], "kept");
    assert_eq!(node.ids("0/10").await, ["s"]);
}

#[actix_web::test]
async fn values_are_converted_as_in_ams() {
    let node = Node::new();
    let (status, made) = node
        .create(json!({
            "streamId": 7, "name": true, "plannedStartDate": "100", "expireDurationMS": 5.9,
            "is360": "true", "publish": 0, "speed": "1.5", "subTrackStreamIds": ["x"], "conferenceMode": "mcu",
            "endPointList": [{ "rtmpUrl": "rtmp://a/b" }],
        }))
        .await;
    assert_eq!(status, StatusCode::OK, "{made}");
    assert_eq!((&made["streamId"], &made["name"]), (&json!("7"), &json!("true")));
    assert_eq!((&made["plannedStartDate"], &made["expireDurationMS"]), (&json!(100), &json!(5)));
    assert_eq!(
        (&made["is360"], &made["publish"], &made["speed"]),
        (&json!(true), &json!(false), &json!(1.5))
    );
    let endpoint =
        json!({ "status": "created", "type": null, "endpointUrl": "rtmp://a/b", "endpointServiceId": null });
    assert_eq!(made["endPointList"], json!([endpoint]));
    // AMS stores what a client says of these, too.
    let sent = json!({ "streamId": "s", "zombi": true, "hlsViewerCount": 3, "publishType": "SRT", "type": "own", "duration": 9 });
    let (_, made) = node.create(sent.clone()).await;
    for (key, value) in sent.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    assert_eq!(made["anyoneWatching"], true);
}

#[actix_web::test]
async fn who_does_not_take_json_is_406() {
    let node = Node::new();
    for (accept, status) in [
        ("application/xml", StatusCode::NOT_ACCEPTABLE),
        ("text/html, image/*;q=0.8", StatusCode::NOT_ACCEPTABLE),
        ("text/html, */*;q=0.8", StatusCode::OK),
        ("Application/JSON;charset=utf-8", StatusCode::OK),
        ("application/*", StatusCode::OK),
    ] {
        let request = from(HERE, Method::GET, "/LiveApp/rest/v2/broadcasts/count");
        let response = node.call(request.insert_header((header::ACCEPT, accept))).await;
        assert_eq!(response.status(), status, "{accept}");
    }
}
