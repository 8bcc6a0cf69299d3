//! Settings and applications over REST.

use config::AppSettings;

use super::*;
use crate::SettingsFiles;

/// Keeps what it was told to write.
#[derive(Default)]
pub(super) struct Rewritten(Mutex<Vec<Arc<AppSettings>>>);

#[async_trait]
impl SettingsFiles for Rewritten {
    async fn rewrite(&self, _: &AppName, settings: Arc<AppSettings>) {
        self.0.lock().unwrap().push(settings);
    }
}

const PATH: &str = "/rest/v2/applications/settings/LiveApp";

async fn node(settings: Value) -> (Node, Arc<Rewritten>) {
    let written = Arc::new(Rewritten::default());
    let files = Arc::clone(&written);
    let node = Node::with(|state| state.settings_files = files);
    let mut settings = settings;
    settings["appName"] = json!("LiveApp");
    node.set(settings).await;
    (node, written)
}

async fn send(node: &Node, verb: Method, query: &str, body: Value) -> (StatusCode, Value) {
    json_of(node.call(from(HERE, verb, &format!("{PATH}{query}")).set_json(body)).await).await
}

async fn shown(node: &Node) -> Value {
    json_of(node.get(PATH).await).await.1
}

#[actix_web::test]
async fn settings_are_shown_with_every_key_and_their_version() {
    let (node, _) = node(json!({ "tokenHashSecret": "s" })).await;
    let response = node.get(PATH).await;
    assert_eq!(header_of(&response, "etag"), "\"1\"");
    let (status, settings) = json_of(response).await;
    assert_eq!((status, &settings["tokenHashSecret"]), (StatusCode::OK, &json!("s")));
    assert!(settings.as_object().unwrap().len() > 170);
    let unknown = node.get("/rest/v2/applications/settings/NoApp").await;
    assert_eq!(unknown.status(), StatusCode::NO_CONTENT);
    for (verb, status) in
        [(Method::POST, StatusCode::INTERNAL_SERVER_ERROR), (Method::PATCH, StatusCode::NOT_FOUND)]
    {
        let request = from(HERE, verb, "/rest/v2/applications/settings/NoApp").set_json(json!({}));
        assert_eq!(node.call(request).await.status(), status);
    }
}

#[actix_web::test]
async fn a_post_replaces_all_but_secrets_that_were_not_sent() {
    let (node, written) =
        node(json!({ "tokenHashSecret": "s", "jwtSecretKey": "j".repeat(32), "webRTCViewerLimit": 7 })).await;
    let body = json!({ "h264Enabled": "false", "jwtSecretKey": "", "hlsTime": "0", "hlsListSize": 3, "unknown": 1, "appName": "x" });
    assert_eq!(send(&node, Method::POST, "", body).await, (StatusCode::OK, done("")));
    let settings = shown(&node).await;
    let value = |key: &str| settings[key].clone();
    assert_eq!([value("tokenHashSecret"), value("jwtSecretKey")], [json!("s"), json!("")]);
    assert_eq!([value("h264Enabled"), value("webRTCViewerLimit")], [json!(false), json!(-1)]);
    assert_eq!(
        [value("hlsTime"), value("hlsListSize"), value("appName")],
        [json!("1"), json!("5"), json!("LiveApp")]
    );
    assert_eq!(written.0.lock().unwrap().len(), 1);
    // And the round trip changes nothing.
    assert_eq!(send(&node, Method::POST, "", settings.clone()).await.1, done(""));
    assert_eq!(shown(&node).await, settings);
}

#[actix_web::test]
async fn a_post_refuses_what_ams_refuses_and_what_lets_nobody_in() {
    let (node, written) = node(json!({})).await;
    for body in [
        json!({ "publishTokenControlEnabled": true, "enableTimeTokenForPublish": true }),
        json!({ "playJwtControlEnabled": true, "playTokenControlEnabled": true }),
        json!({ "encoderSettings": [{ "height": 0, "videoBitrate": 1, "audioBitrate": 1 }] }),
        json!({ "encoderSettingsString": "0,1,1" }),
    ] {
        assert_eq!(
            send(&node, Method::POST, "", body.clone()).await,
            (StatusCode::OK, refused("")),
            "{body}"
        );
    }
    let (_, result) = send(&node, Method::POST, "", json!({ "hashControlPlayEnabled": true })).await;
    assert_eq!(result["success"], false);
    assert!(result["message"].as_str().unwrap().starts_with("tokenHashSecret is blank"), "{result}");
    for body in [json!({ "h264Enabled": "maybe" }), json!([]), json!("a"), json!({ "timeTokenPeriod": {} })] {
        let response = node.call(from(HERE, Method::POST, PATH).set_json(&body)).await;
        let kind = header_of(&response, "content-type").to_owned();
        let (status, text) = text_of(response).await;
        assert_eq!((status, kind.as_str()), (StatusCode::BAD_REQUEST, "text/plain; charset=utf-8"), "{body}");
        assert!(!text.is_empty());
    }
    let nothing = node.call(from(HERE, Method::POST, PATH)).await;
    assert_eq!(json_of(nothing).await.1["success"], false, "no body resets nothing");
    assert_eq!(written.0.lock().unwrap().len(), 0);
    assert_eq!(header_of(&node.get(PATH).await, "etag"), "\"1\"");
}

#[actix_web::test]
async fn a_patch_changes_what_it_names_and_warns_of_what_overlaps() {
    let (node, written) = node(json!({ "webRTCViewerLimit": 7 })).await;
    let body = json!({ "playTokenControlEnabled": true, "enableTimeTokenForPlay": true, "timeTokenSecretForPlay": "hunter2" });
    let (status, told) = send(&node, Method::PATCH, "", body).await;
    assert_eq!(
        (status, &told["success"], &told["version"]),
        (StatusCode::OK, &json!(true), &json!(2)),
        "{told}"
    );
    let overlap = |it: &Value| it["what"].as_str().unwrap().contains("together with playTokenControlEnabled");
    assert!(told["warnings"].as_array().unwrap().iter().any(overlap), "{told}");
    assert!(!told.to_string().contains("hunter2"), "{told}");
    let settings = shown(&node).await;
    assert_eq!(
        (&settings["webRTCViewerLimit"], &settings["playTokenControlEnabled"]),
        (&json!(7), &json!(true))
    );
    assert_eq!(written.0.lock().unwrap().len(), 1);

    for (body, message) in [
        (json!({ "h264Enable": true }), "there is no setting h264Enable; did you mean h264Enabled?"),
        (json!({ "h264Enabled": 7 }), "h264Enabled must be true or false"),
        (json!({ "appName": "x" }), "appName cannot be changed"),
        (json!([]), "The settings to change are to be a JSON object"),
    ] {
        assert_eq!(send(&node, Method::PATCH, "", body).await, (StatusCode::BAD_REQUEST, refused(message)));
    }
    let (status, told) =
        send(&node, Method::PATCH, "", json!({ "jwtStreamSecretKey": "k".repeat(31) })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(told["problems"][0]["field"], "jwtStreamSecretKey");
    assert!(!told.to_string().contains("kkkk"), "{told}");
}

#[actix_web::test]
async fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let (node, written) = node(json!({})).await;
    for verb in [Method::PATCH, Method::POST] {
        let body = json!({ "webRTCViewerLimit": 5, "tokenHashSecret": "hunter2" });
        let (status, told) = send(&node, verb, "?dryRun=true", body).await;
        assert_eq!((status, &told["success"], &told["dryRun"]), (StatusCode::OK, &json!(true), &json!(true)));
        let changes = told["changes"].as_array().unwrap();
        assert!(
            changes
                .contains(&json!({ "key": "webRTCViewerLimit", "secret": false, "before": -1, "after": 5 }))
        );
        assert!(changes.contains(&json!({ "key": "tokenHashSecret", "secret": true })), "{told}");
    }
    let (status, told) =
        send(&node, Method::PATCH, "?dryRun=true", json!({ "allowedPublisherCIDR": "x" })).await;
    assert_eq!((status, &told["success"]), (StatusCode::OK, &json!(false)));
    assert_eq!(told["problems"][0]["field"], "allowedPublisherCIDR");
    assert_eq!(shown(&node).await["webRTCViewerLimit"], -1);
    assert_eq!(written.0.lock().unwrap().len(), 0);
}

#[actix_web::test]
async fn who_names_an_old_version_changes_nothing() {
    let (node, _) = node(json!({})).await;
    let change = async |tag: &str, limit: i32| {
        let body = json!({ "webRTCViewerLimit": limit });
        let request = from(HERE, Method::PATCH, PATH).insert_header((header::IF_MATCH, tag)).set_json(body);
        let response = node.call(request).await;
        (response.status(), header_of(&response, "etag").to_owned())
    };
    assert_eq!(change("\"1\"", 1).await, (StatusCode::OK, "\"2\"".to_owned()));
    assert_eq!(change("\"1\"", 2).await, (StatusCode::PRECONDITION_FAILED, "\"2\"".to_owned()));
    assert_eq!(change("*", 3).await.0, StatusCode::OK);
    assert_eq!(change("W/\"3\"", 4).await.0, StatusCode::OK);
    assert_eq!(change("abc", 5).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(shown(&node).await["webRTCViewerLimit"], 4);
}

#[actix_web::test]
async fn applications_are_shown_with_what_is_in_them() {
    let node = Node::new();
    node.create(json!({ "streamId": "live1" })).await;
    node.begin("live1").await;
    let (_, info) = json_of(node.get("/rest/v2/applications-info").await).await;
    assert_eq!((&info[0]["name"], &info[0]["liveStreamCount"]), (&json!("LiveApp"), &json!(1)));
    assert!(info[0]["storage"].as_u64().unwrap() > 10 && info[1]["liveStreamCount"] == 0, "{info}");
    let (_, live) = json_of(node.get("/rest/v2/applications/live-streams/LiveApp").await).await;
    assert_eq!(live, json!([{ "name": "live1", "watcherCount": 7 }]));
    let (_, none) = json_of(node.get("/rest/v2/applications/live-streams/NoApp").await).await;
    assert_eq!(none, json!([]));
}
