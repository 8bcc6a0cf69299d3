//! The handlers as a client meets them.

mod applications;
mod bodies;
mod clients;
mod cluster;
mod health;
mod history;
mod lists;
mod messages;
mod pages;
mod rest;
mod said;
mod settings;
mod statistics;
mod subscribers;
mod table;
mod tokens;
mod users;
mod vods;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use async_trait::async_trait;
use base::{AppName, ManualClock, Secret, SeededRandomness, StreamId, WallTime};
use cluster_model::testing::{InMemory, Unsteady, seals};
use cluster_model::{Broadcasts, Heartbeat, Meta, Nodes, Settings, StreamStarted, Subscribers, Tokens, Vods};
use config::AppSettings;
use observe::{Component, Metrics, Readiness};
use serde_json::{Value, json};
use sessions::rtc::{ClientFigures, Received, SentFigures};

use security::AddressRanges;
use security::door::Users;
use security::{JwksFault, JwksSource, KeySets};

use crate::{ApiState, Doorkeeper, Live, Spoken, StreamControl, configure};

const HERE: &str = "127.0.0.1:40000";
const ELSEWHERE: &str = "192.0.2.7:40000";

/// A live stream of this id ends when it is told to; what is said to it is kept.
struct OneLive(&'static str, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl StreamControl for OneLive {
    async fn stop(&self, _: &AppName, id: &StreamId) -> bool {
        id.as_str() == self.0
    }

    fn live(&self, app: &AppName, id: &StreamId) -> Option<Live> {
        (app.as_str() == "LiveApp" && id.as_str() == self.0).then(|| Live {
            heartbeat: Heartbeat {
                bitrate_bps: 2_500_000,
                width: 1280,
                height: 720,
                webrtc_viewers: 7,
                duration_ms: 61_000,
                ..Heartbeat::default()
            },
            video_codec: Some("h264"),
            video_bitrate_bps: 2_400_000,
            audio_bitrate_bps: 96_000,
        })
    }

    fn webrtc_clients(&self, app: &AppName, id: &StreamId, offset: usize, size: usize) -> Vec<ClientFigures> {
        let count = if self.live(app, id).is_some() { 70 } else { 0 };
        (1..=count).skip(offset).take(size).map(clients::figures).collect()
    }

    fn webrtc_sent(&self, app: &AppName) -> SentFigures {
        if app.as_str() == "LiveApp" { clients::sent() } else { SentFigures::default() }
    }

    fn webrtc_received(&self, app: &AppName) -> Received {
        if app.as_str() == "LiveApp" { clients::received() } else { Received::default() }
    }

    async fn send_message(&self, app: &AppName, id: &StreamId, text: String) -> Spoken {
        match self.live(app, id) {
            None if id.as_str() == "there" => Spoken::Elsewhere("node 2 (10.0.0.2)".to_owned()),
            None => Spoken::NotLive,
            Some(_) if text.is_empty() => Spoken::Refused,
            Some(_) => {
                self.1.lock().unwrap().push(text);
                Spoken::Sent
            }
        }
    }
}

struct Node {
    state: web::Data<ApiState>,
    component: Component,
    clock: Arc<ManualClock>,
    said: Arc<Mutex<Vec<String>>>,
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
        let randomness = Arc::new(SeededRandomness::new(1));
        let gate = security::testing::plain_gate(meta.clone(), clock.clone(), &["LiveApp", "WebRTCAppEE"]);
        let said = Arc::default();
        let mut state = ApiState {
            broadcasts: Broadcasts::new(meta.clone(), seals(), clock.clone(), randomness.clone(), "10.0.0.1"),
            vods: Vods::new(meta.clone(), clock.clone(), randomness.clone()),
            // Known to a node also while the metadata plane is away.
            settings: Settings::new(
                Arc::new(InMemory::new(clock.clone())),
                seals(),
                clock.clone(),
                randomness.clone(),
            ),
            settings_turn: tokio::sync::Mutex::default(),
            settings_files: Arc::new(settings::Rewritten::default()),
            tokens: Tokens::new(meta.clone(), clock.clone(), randomness.clone()),
            subscribers: Subscribers::new(meta.clone(), seals(), clock.clone(), randomness.clone()),
            nodes: Nodes::new(meta.clone(), clock.clone(), randomness.clone()),
            door: doorkeeper(meta, &clock, randomness),
            cluster: Arc::new(cluster::Alone),
            history: Arc::new(history::Twice),
            gate,
            streams: Arc::new(OneLive("live1", Arc::clone(&said))),
            applications: ["LiveApp", "WebRTCAppEE"]
                .map(|name| AppName::new(name).unwrap())
                .into_iter()
                .collect(),
            keeper: Arc::new(applications::Names::default()),
            webapps: folder.path().to_owned(),
            readiness,
            metrics: Metrics::isolated(|| observe::metric::plis().increment(5)),
            metrics_token: None,
            server_name: "media.example".to_owned(),
            host: "node1".to_owned(),
            rtmp_port: 1935,
            https_port: 5443,
            self_made_certificate: true,
            clock: clock.clone(),
        };
        change(&mut state);
        Self { state: web::Data::new(state), component, clock, said, _folder: folder }
    }

    async fn call(&self, request: TestRequest) -> ServiceResponse {
        for app in self.state.applications.all().iter() {
            if self.state.settings.snapshot(app).is_none() {
                self.state.settings.seed(app, &AppSettings::default()).await.unwrap();
            }
        }
        let app = init_service(App::new().app_data(self.state.clone()).configure(configure)).await;
        call_service(&app, request.to_request()).await
    }

    /// Makes these the application's settings, whatever they were.
    async fn set(&self, settings: Value) {
        let app = AppName::new("LiveApp").unwrap();
        let settings: AppSettings = serde_json::from_value(settings).unwrap();
        let version = self.state.settings.get(&app).await.unwrap().map_or(0, |(version, _)| version);
        self.state.settings.put(&app, version, &settings).await.unwrap();
    }

    async fn get(&self, path: &str) -> ServiceResponse {
        self.call(from(HERE, Method::GET, path)).await
    }

    /// Answers with its JSON, whatever the status.
    async fn ask(&self, verb: Method, path: &str) -> Value {
        json_of(self.call(from(HERE, verb, &format!("/LiveApp/rest/v2/broadcasts{path}"))).await).await.1
    }

    async fn put(&self, id: &str, body: Value) -> (StatusCode, Value) {
        let path = format!("/LiveApp/rest/v2/broadcasts/{id}");
        json_of(self.call(from(HERE, Method::PUT, &path).set_json(body)).await).await
    }

    async fn begin(&self, id: &str) {
        let started = StreamStarted { publish_type: "RTMP".into(), ..StreamStarted::default() };
        let (app, id) = (AppName::new("LiveApp").unwrap(), StreamId::new(id).unwrap());
        self.state.broadcasts.started(&app, &id, started).await.unwrap();
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

/// Nothing is published anywhere.
struct NoKeys;

#[async_trait]
impl JwksSource for NoKeys {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, JwksFault> {
        Err(JwksFault::NotFetched("there is no web".into()))
    }
}

fn doorkeeper(
    meta: Arc<dyn Meta>,
    clock: &Arc<ManualClock>,
    randomness: Arc<SeededRandomness>,
) -> Doorkeeper {
    let stored = cluster_model::Users::new(meta, clock.clone(), randomness.clone());
    Doorkeeper {
        users: Arc::new(Users::new(stored, clock.clone(), randomness)),
        keys: Arc::new(KeySets::new(Arc::new(NoKeys), clock.clone())),
        management_allowed: AddressRanges::default(),
        management_jwt: None,
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

fn done(message: &str) -> Value {
    json!({ "success": true, "message": message, "dataId": "", "errorId": 0 })
}
