//! The handlers as a client meets them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use async_trait::async_trait;
use base::{AppName, ManualClock, Secret, SeededRandomness, StreamId, WallTime};
use cluster_model::testing::{InMemory, Unsteady};
use cluster_model::{Broadcasts, Meta, StreamStarted};
use observe::{Component, Metrics, Readiness};
use serde_json::{Value, json};

use crate::{ApiState, StreamControl, configure};

const HERE: &str = "127.0.0.1:40000";
const ELSEWHERE: &str = "192.0.2.7:40000";

/// A live stream of this id ends when it is told to.
struct OneLive(&'static str);

#[async_trait]
impl StreamControl for OneLive {
    async fn stop(&self, _: &AppName, id: &StreamId) -> bool {
        id.as_str() == self.0
    }
}

struct Node {
    state: web::Data<ApiState>,
    component: Component,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
        let meta = Arc::new(InMemory::new(clock.clone()));
        Self::over(meta, clock, change)
    }

    fn over(meta: Arc<dyn Meta>, clock: Arc<ManualClock>, change: impl FnOnce(&mut ApiState)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("root/index.html", "<h1>root"),
            ("root/app/play.html", "<h1>shared play"),
            ("root/app/index.html", "<h1>shared index"),
            ("root/app/play.js", "export {};"),
            ("LiveApp/own.html", "<h1>own"),
            ("LiveApp/play.html", "<h1>LiveApp's play"),
            ("LiveApp/WEB-INF/red5-web.properties", "secret=1"),
            ("LiveApp/WEB-INF/x.html", "hidden"),
            ("LiveApp/streams/s.html", "media"),
            ("LiveApp/.git.html", "hidden"),
            ("LiveApp/notes.properties", "not a page"),
            ("outside.html", "not in a web folder"),
        ];
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let readiness = Readiness::new();
        let component = readiness.component("store");
        let mut state = ApiState {
            broadcasts: Broadcasts::new(meta, clock.clone(), Arc::new(SeededRandomness::new(1)), "10.0.0.1"),
            streams: Arc::new(OneLive("live1")),
            applications: ["LiveApp", "WebRTCAppEE"].map(|name| AppName::new(name).unwrap()).to_vec(),
            webapps: folder.path().to_owned(),
            readiness,
            metrics: Metrics::isolated(|| observe::metric::plis().increment(5)),
            metrics_token: None,
            server_name: "media.example".to_owned(),
            rtmp_port: 1935,
            clock: clock.clone(),
        };
        change(&mut state);
        Self { state: web::Data::new(state), component, clock, _folder: folder }
    }

    async fn call(&self, request: TestRequest) -> ServiceResponse {
        let app = init_service(App::new().app_data(self.state.clone()).configure(configure)).await;
        call_service(&app, request.to_request()).await
    }

    async fn get(&self, path: &str) -> ServiceResponse {
        self.call(from(HERE, Method::GET, path)).await
    }

    async fn create(&self, body: Value) -> (StatusCode, Value) {
        json_of(
            self.call(from(HERE, Method::POST, "/LiveApp/rest/v2/broadcasts/create").set_json(body)).await,
        )
        .await
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        let (status, list) =
            json_of(self.get(&format!("/LiveApp/rest/v2/broadcasts/list/{path}")).await).await;
        assert_eq!(status, StatusCode::OK, "{path}: {list}");
        list.as_array()
            .unwrap()
            .iter()
            .map(|broadcast| broadcast["streamId"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn from(peer: &str, verb: Method, path: &str) -> TestRequest {
    let peer: SocketAddr = peer.parse().unwrap();
    TestRequest::default()
        .method(verb)
        .uri(path)
        .peer_addr(peer)
        .insert_header((header::HOST, "localhost:5080"))
}

async fn text_of(response: ServiceResponse) -> (StatusCode, String) {
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn json_of(response: ServiceResponse) -> (StatusCode, Value) {
    let (status, text) = text_of(response).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}")))
}

fn header_of<'a>(response: &'a ServiceResponse, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn refused(message: &str) -> Value {
    json!({ "success": false, "message": message, "dataId": "", "errorId": 0 })
}

// -- REST

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

// -- health

#[actix_web::test]
async fn readiness_lists_what_is_missing_and_keeps_the_reasons_at_home() {
    let node = Node::new();
    for verb in [Method::GET, Method::HEAD] {
        assert_eq!(node.call(from(ELSEWHERE, verb, "/livez")).await.status(), StatusCode::OK);
    }
    let here = json_of(node.get("/readyz").await).await;
    let missing =
        json!({ "status": "not ready", "missing": [{ "component": "store", "reason": "starting" }] });
    assert_eq!(here, (StatusCode::SERVICE_UNAVAILABLE, missing));
    let elsewhere = json_of(node.call(from(ELSEWHERE, Method::GET, "/readyz")).await).await;
    let missing = json!({ "status": "not ready", "missing": [{ "component": "store" }] });
    assert_eq!(elsewhere, (StatusCode::SERVICE_UNAVAILABLE, missing));
    node.component.ready();
    assert_eq!(node.call(from(ELSEWHERE, Method::GET, "/readyz")).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn metrics_are_for_the_machine_itself_or_for_the_bearer_of_the_token() {
    let node = Node::new();
    let response = node.get("/metrics").await;
    assert_eq!(header_of(&response, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let (status, text) = text_of(response).await;
    assert!(status == StatusCode::OK && text.contains("penstock_plis_total 5"), "{text}");
    let elsewhere = node.call(from(ELSEWHERE, Method::GET, "/metrics")).await;
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);

    let node = Node::with(|state| state.metrics_token = Some(Secret::new("let-me-see".to_owned())));
    for peer in [HERE, ELSEWHERE] {
        for (authorization, expected) in [
            ("", StatusCode::UNAUTHORIZED),
            ("Bearer wrong", StatusCode::UNAUTHORIZED),
            ("Bearer ", StatusCode::UNAUTHORIZED),
            ("Basic let-me-see", StatusCode::UNAUTHORIZED),
            ("Bearer let-me-see", StatusCode::OK),
            ("bearer let-me-see", StatusCode::OK),
        ] {
            let request =
                from(peer, Method::GET, "/metrics").insert_header((header::AUTHORIZATION, authorization));
            assert_eq!(node.call(request).await.status(), expected, "{peer} {authorization:?}");
        }
    }
    let node = Node::with(|state| state.metrics_token = Some(Secret::new(String::new())));
    let request = from(ELSEWHERE, Method::GET, "/metrics").insert_header((header::AUTHORIZATION, "Bearer "));
    assert_eq!(node.call(request).await.status(), StatusCode::UNAUTHORIZED);
}

// -- pages

#[actix_web::test]
async fn pages_come_from_the_application_first_and_from_the_shared_ones_else() {
    let node = Node::new();
    for (path, text) in [
        ("/", "<h1>root"),
        ("/index.html", "<h1>root"),
        ("/app/play.js", "export {};"),
        ("/LiveApp/", "<h1>shared index"),
        ("/LiveApp/own.html", "<h1>own"),
        ("/LiveApp/play.html?id=s", "<h1>LiveApp's play"),
        ("/WebRTCAppEE/play.html?id=s", "<h1>shared play"),
        ("/WebRTCAppEE/play%2Ehtml", "<h1>shared play"),
    ] {
        let answer = text_of(node.call(from(ELSEWHERE, Method::GET, path)).await).await;
        assert_eq!(answer, (StatusCode::OK, text.to_owned()), "{path}");
    }
    let response = node.get("/LiveApp?id=a&token=b").await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(header_of(&response, "location"), "/LiveApp/?id=a&token=b");
}

#[actix_web::test]
async fn nothing_but_pages_can_be_read() {
    let node = Node::new();
    for path in [
        "/LiveApp/WEB-INF/x.html",
        "/LiveApp/web-inf/x.html",
        "/LiveApp/WEB%2DINF/x.html",
        "/LiveApp/WEB-INF/red5-web.properties",
        "/LiveApp/notes.properties",
        "/LiveApp/streams/s.html",
        "/LiveApp/%73treams/s.html",
        "/LiveApp/.git.html",
        "/LiveApp/..%2foutside.html",
        "/LiveApp/../outside.html",
        "/LiveApp/%2e%2e/outside.html",
        "/LiveApp/%252e%252e/outside.html",
        "/LiveApp/..%5coutside.html",
        "/../outside.html",
        "/%2e%2e/outside.html",
        "/outside.html",
        "/LiveApp/own.html/",
        "/LiveApp/own.html/x.html",
        "/LiveApp/own.html%00.html",
        "/LiveApp/own",
        "/app",
        "/nothing.html",
    ] {
        let (status, text) = text_of(node.get(path).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
    }
    for path in ["//LiveApp/own.html", "/LiveApp//own.html", "/LiveApp/%zz.html", "/%ff"] {
        assert_eq!(node.get(path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let response = node.call(from(HERE, Method::POST, "/LiveApp/own.html")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header_of(&response, "allow"), "GET, HEAD");
}

#[actix_web::test]
async fn pages_say_what_they_are_and_what_they_may() {
    let node = Node::new();
    let player = node.get("/WebRTCAppEE/play.html").await;
    assert_eq!(header_of(&player, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header_of(&player, "cache-control"), "no-cache");
    assert_eq!(header_of(&player, "x-content-type-options"), "nosniff");
    assert_eq!(header_of(&player, "referrer-policy"), "no-referrer");
    let policy = header_of(&player, "content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("frame-ancestors") && header_of(&player, "x-frame-options").is_empty());
    assert_eq!(header_of(&node.get("/").await, "x-frame-options"), "DENY");
    let script = node.get("/LiveApp/play.js").await;
    assert_eq!(header_of(&script, "content-type"), "text/javascript; charset=utf-8");
}

#[actix_web::test]
async fn an_unchanged_page_is_not_sent_again() {
    let node = Node::new();
    let first = node.get("/LiveApp/own.html").await;
    let (tag, date) = (header_of(&first, "etag").to_owned(), header_of(&first, "last-modified").to_owned());
    let again = |name: &'static str, value: &str| {
        let value = value.to_owned();
        node.call(from(HERE, Method::GET, "/LiveApp/own.html").insert_header((name, value)))
    };
    let unchanged = again("if-none-match", &tag).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header_of(&unchanged, "etag"), tag);
    assert_eq!(again("if-modified-since", &date).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again("if-none-match", "\"other\"").await.status(), StatusCode::OK);
    std::fs::write(node.state.webapps.join("LiveApp/own.html"), "<h1>new").unwrap();
    assert_eq!(again("if-none-match", &tag).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn the_pages_learn_whether_rest_would_answer_them() {
    let node = Node::new();
    let (_, here) = json_of(node.get("/node.json").await).await;
    assert_eq!(here["applications"], json!(["LiveApp", "WebRTCAppEE"]));
    assert_eq!((&here["rtmpPort"], &here["restAnswersYou"]), (&json!(1935), &json!(true)));
    let (status, elsewhere) = json_of(node.call(from(ELSEWHERE, Method::GET, "/node.json")).await).await;
    assert_eq!((status, &elsewhere["restAnswersYou"]), (StatusCode::OK, &json!(false)));
}

#[test]
fn the_pages_of_this_repository_run_no_inline_script_and_ask_nobody_else() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../webapps/root");
    let mut seen = 0;
    for folder in [pages.clone(), pages.join("app")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                continue;
            }
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).unwrap();
            seen += 1;
            if name.ends_with(".html") {
                for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
                    assert!(!text.contains(forbidden), "{name} holds {forbidden}");
                }
                for script in text.split("<script").skip(1) {
                    let tag = script.split("</script>").next().unwrap();
                    assert!(tag.contains(" src=") && tag.trim_end().ends_with('>'), "{name}: inline script");
                }
            }
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http://") && !foreign.contains("https://"),
                "{name} names another host"
            );
        }
    }
    assert!(seen > 8, "only {seen} files");
}
