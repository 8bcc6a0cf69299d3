//! What is secret is told to nobody: not by the log at its most talkative, not by the metrics, not by an error, and not by an
//! answer of REST to anybody but an administrator. Every secret of a node is a canary here; everybody comes by every protocol
//! with right and with wrong credentials, which are canaries as well; then all that was written is searched for them.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use security::credential::{hash, jwt, totp};
use serde_json::{Value, json};
use test_support::{
    Marker, MarkerOptions, Node, NodeOptions, Response, RtmpClient, Signalling, Streaming, ask, offer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

const APP: &str = "LiveApp";
const LIVE: &str = "live1";
const PATIENCE: Duration = Duration::from_secs(20);
/// More lines than these a node's log does not keep for us.
const LINES_MAX: usize = 19_000;
/// 2030.
const LATER: i64 = 1_893_456_000;
/// Somebody on another machine, as a trusted proxy says.
const FAR: (&str, &str) = ("X-Forwarded-For", "203.0.113.7");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

const STREAM_JWT_SECRET: &str = "canary-of-the-jwt-secret-for-streams";
const HASH_SECRET: &str = "canary-of-the-hash-secret";
const REST_JWT_SECRET: &str = "canary-of-the-jwt-secret-for-the-rest";
const MANAGEMENT_SECRET: &str = "canary-of-the-jwt-secret-of-the-node";
const SUBSCRIBERS_SECRET: &str = "CANARYOFASUBSCRIBERSSECRETABCDEF";
const PASSWORD: &str = "canary-of-the-password";
const WEBHOOK_PASSWORD: &str = "canary-of-the-webhook";

/// The settings that hold a secret, and it.
const SETTINGS: &[(&str, &str)] = &[
    ("jwtStreamSecretKey", STREAM_JWT_SECRET),
    ("tokenHashSecret", HASH_SECRET),
    ("tokenHashSecretPrevious", "canary-of-the-hash-secret-before"),
    ("timeTokenSecretForPublish", "canary-of-the-totp-secret-to-publish"),
    ("timeTokenSecretForPlay", "canary-of-the-totp-secret-to-play"),
    ("jwtSecretKey", REST_JWT_SECRET),
    ("s3AccessKey", "canary-of-the-access-key"),
    ("s3SecretKey", "canary-of-the-s3-secret"),
    ("clusterCommunicationKey", "canary-of-the-cluster-key"),
    ("subscriberAuthenticationKey", "canary-of-the-authentication-key"),
    ("firebaseAccountKeyJSON", "canary-of-the-firebase-key"),
    ("apnPrivateKey", "canary-of-the-apn-key"),
    ("stalkerDBPassword", "canary-of-the-stalker-password"),
    // WebRTC clients are told this one, which is what it is for: in no log all the same.
    ("turnServerCredential", "canary-of-the-turn-password"),
];

/// The canaries, and where they may be heard.
#[derive(Default)]
struct Canaries(RefCell<Vec<String>>);

impl Canaries {
    fn add(&self, canary: &str) {
        self.0.borrow_mut().push(canary.to_owned());
    }

    /// A wrong credential, of which nobody speaks.
    fn wrong(&self, of: &str) -> String {
        let canary = format!("canary-wrong-{}-{of}", self.0.borrow().len());
        self.add(&canary);
        canary
    }

    fn in_text(&self, text: &str) -> Option<String> {
        self.0.borrow().iter().find(|canary| text.contains(canary.as_str())).cloned()
    }

    fn not_in(&self, whose: &str, text: &str) -> Result<()> {
        match self.in_text(text) {
            None => Ok(()),
            Some(canary) => {
                let at = text.find(&canary).unwrap_or_default();
                let around: String = text.chars().skip(at.saturating_sub(300)).take(700).collect();
                anyhow::bail!("{whose} tells {canary}: …{around}…")
            }
        }
    }

    /// An answer, with its headers.
    fn not_told(&self, whose: &str, answer: &Response) -> Result<()> {
        self.not_in(whose, &answer.text())?;
        self.not_in(whose, &format!("{:?}", answer.headers))
    }
}

struct Stage {
    node: Node,
    canaries: Canaries,
    streams: RefCell<usize>,
}

impl Stage {
    fn stream(&self) -> String {
        *self.streams.borrow_mut() += 1;
        format!("s{}", self.streams.borrow())
    }

    async fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Response> {
        let answer = ask(verb, &self.node.http_url(path), headers, body).await;
        let answer = answer.with_context(|| format!("{verb} {path}"))?;
        Ok(answer)
    }

    /// Asks, and nothing in the answer may be a canary.
    async fn quietly(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response> {
        let answer = self.ask(verb, path, headers, body).await?;
        self.canaries.not_told(&format!("{verb} {path}"), &answer)?;
        Ok(answer)
    }

    /// The administrator's answer shows addresses of webhooks as they are.
    async fn settings(&self, changes: &Value) -> Result<()> {
        let path = format!("/rest/v2/applications/settings/{APP}");
        let answer = self.ask("PATCH", &path, &[JSON], &changes.to_string()).await?;
        ensure!(answer.status == 200 && answer.json()["success"] == true, "{}", answer.text());
        Ok(())
    }

    async fn log_is_clean(&self, after: &str) -> Result<()> {
        let lines = self.node.log_lines();
        ensure!(lines.len() < LINES_MAX, "after {after}: the log has more lines than are kept");
        for line in &lines {
            self.canaries.not_in(&format!("after {after}: the log"), line)?;
        }
        ensure!(self.node.panics().is_empty(), "{:?}", self.node.panics());
        Ok(())
    }

    /// One-time token, JWT or code of a stream; what is secret in it is a canary from now on.
    async fn right(&self, mechanism: &str, stream: &str, kind: &str) -> Result<Credential> {
        let path = format!("/{APP}/rest/v2/broadcasts/{stream}");
        let of_rest = async |what: &str| -> Result<String> {
            let path = format!("{path}/{what}?expireDate={LATER}&type={kind}");
            let answer = self.ask("GET", &path, &[], "").await?.json();
            Ok(answer["tokenId"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
        };
        let token = match mechanism {
            "token" => of_rest("token").await?,
            "JWT" => of_rest("jwt-token").await?,
            "hash" => {
                let direction =
                    if kind == "publish" { security::Direction::Publish } else { security::Direction::Play };
                hash::stream_hash(stream, direction, HASH_SECRET)
            }
            _ => {
                let id = format!("sub-{}", self.stream());
                let body = json!({ "subscriberId": id, "b32Secret": SUBSCRIBERS_SECRET, "type": kind });
                let (path, body) = (format!("{path}/subscribers"), body.to_string());
                let answer = self.quietly("POST", &path, &[JSON], &body).await?;
                ensure!(answer.json()["success"] == true, "no subscriber: {}", answer.text());
                let key = totp::key_of_base32(SUBSCRIBERS_SECRET).context("no base 32")?;
                let code = totp::code(&key, 60, SystemClock.wall());
                return Ok(Credential { token: String::new(), id, code });
            }
        };
        self.canaries.add(&token);
        Ok(Credential { token, ..Credential::default() })
    }

    fn wrong(&self) -> Credential {
        Credential {
            token: self.canaries.wrong("token"),
            id: "anna".to_owned(),
            code: self.canaries.wrong("code"),
        }
    }
}

#[derive(Clone, Default)]
struct Credential {
    token: String,
    id: String,
    code: String,
}

impl Credential {
    fn query(&self) -> String {
        format!("?token={}&subscriberId={}&subscriberCode={}", self.token, self.id, self.code)
    }
}

/// An encoder asks to publish, and is told something or sent away.
async fn rtmp(stage: &Stage, app: &str, name: &str) -> Result<String> {
    let client = RtmpClient::publishing(stage.node.rtmp_address(), app, name).await?;
    let (mut socket, mut said) = (client.into_stream(), Vec::new());
    let told = async {
        let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
        while !["NetStream.Publish.Start", "BadName", "NetStream.Failed", "Rejected"]
            .iter()
            .any(|word| text(&said).contains(word))
        {
            if socket.read_buf(&mut said).await.unwrap_or_default() == 0 {
                break;
            }
        }
        text(&said)
    };
    let said = timeout(PATIENCE, told).await.context("no answer to publish")?;
    stage.canaries.not_in("an RTMP server", &said)?;
    Ok(said)
}

/// A browser asks to publish or play.
async fn websocket(stage: &Stage, message: &Value) -> Result<Value> {
    let mut socket = Signalling::open(&stage.node.signalling_url(APP)).await?;
    socket.send(message).await?;
    let answer = socket.receive_until(|answer| {
        ["error", "start", "takeConfiguration"].iter().any(|command| answer["command"] == *command)
    });
    let answer = answer.await?;
    stage.canaries.not_in("signalling", &answer.to_string())?;
    Ok(answer)
}

/// Comes by every protocol; how many were let in.
async fn comes_by_all(stage: &Stage, kind: &str, credentials: &[(String, Credential)]) -> Result<usize> {
    let mut let_in = 0;
    let mut all = credentials.iter();
    let mut next = || all.next().context("too few credentials");
    let socket = async |(stream, credential): &(String, Credential)| {
        let message = json!({
            "command": kind, "streamId": stream, "video": true, "audio": true, "token": credential.token,
            "subscriberId": credential.id, "subscriberCode": credential.code
        });
        websocket(stage, &message).await
    };
    let_in += usize::from(socket(next()?).await?["command"] != "error");
    let (stream, credential) = next()?;
    let what = if kind == "publish" { "whip" } else { "whep" };
    let bearer = format!("Bearer {}", credential.token);
    let path = format!(
        "/{APP}/{what}/{stream}{}",
        Credential { token: String::new(), ..credential.clone() }.query()
    );
    let path = path.replacen("token=&", "", 1);
    let body = if kind == "publish" { offer::chromium() } else { String::new() };
    let mut headers = vec![("Authorization", bearer.as_str())];
    if kind == "publish" {
        headers.push(SDP);
    }
    let_in += usize::from(stage.quietly("POST", &path, &headers, &body).await?.status == 201);
    let (stream, credential) = next()?;
    if kind == "publish" {
        let said = rtmp(stage, APP, &format!("{stream}{}", credential.query())).await?;
        let_in += usize::from(said.contains("NetStream.Publish.Start"));
    } else {
        let path = format!("/{APP}/live/{stream}.flv{}", credential.query());
        match Streaming::get(&stage.node.http_url(&path), 64 * 1024).await {
            Ok(_playing) => let_in += 1,
            Err(error) => stage.canaries.not_in("FLV", &error.to_string())?,
        }
    }
    let (stream, credential) = next()?;
    if kind == "publish" {
        // The other form, and one with the credentials before the name of the stream.
        let Credential { token, id, code } = credential;
        // A place that stays empty is none in a path.
        let token = if token.is_empty() { "none" } else { token };
        let said = rtmp(stage, APP, &format!("{stream}/{token}/{id}/{code}")).await?;
        let_in += usize::from(said.contains("NetStream.Publish.Start"));
        rtmp(stage, &format!("{APP}{}", credential.query()), stream).await?;
    } else {
        let path = format!("/{APP}/streams/{stream}.m3u8{}", credential.query());
        let_in += usize::from(stage.quietly("GET", &path, &[], "").await?.status == 404);
    }
    Ok(let_in)
}

/// Everybody who asks by a webhook is let in, until it is gone.
async fn webhook() -> Result<(String, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://hook:{WEBHOOK_PASSWORD}@{}/ask", listener.local_addr()?);
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = vec![0; 16 * 1_024];
                let _ = stream.read(&mut read).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    Ok((url, answering))
}

async fn user(node: &Node, arguments: &[&str], typed: &str) -> Result<()> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.arg("user").args(arguments).env("PENSTOCK_DATA_FOLDER", node.data_folder());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no input")?.write_all(typed.as_bytes()).await?;
    let done = child.wait_with_output().await?;
    ensure!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

async fn log_in(stage: &Stage, email: &str, password: &str) -> Result<(Value, String)> {
    let body = json!({ "email": email, "password": password }).to_string();
    let answer = stage.ask("POST", "/rest/v2/users/authenticate", &[JSON, FAR], &body).await?;
    stage.canaries.not_in("the log-in", &answer.text())?;
    let cookie =
        answer.header("set-cookie").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    if let Some((_, session)) = cookie.split_once('=').filter(|(_, session)| !session.is_empty()) {
        stage.canaries.add(session);
    }
    Ok((answer.json(), cookie))
}

/// Asks everything that is there to be read.
async fn reads_everything(stage: &Stage, who: &str, headers: &[(&str, &str)], mints: bool) -> Result<usize> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/routes.json");
    let routes: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut answered = 0;
    for route in routes.as_array().context("no routes")? {
        let path = route["route"].as_str().unwrap_or_default();
        // Who may hand tokens out is handed them.
        let hands_out = path.contains("token") || path.ends_with("/totp") || path == "/rest/v2/request";
        if route["verb"] != "GET" || (mints && hands_out) {
            continue;
        }
        let path = path.replace("{app}", APP).replace("{App}", APP).replace("{offset}", "0");
        let path = path.replace("{size}", "50").replace("{subscriber}", "anna").replace("{mail}", "reader");
        let path = path.replace("{search}", "s").replace("{id}", LIVE);
        let query = format!(
            "?expireDate={LATER}&type=publish&_path={APP}/rest/v2/broadcasts/{LIVE}/tokens/list/0/50"
        );
        let answer = stage.ask("GET", &format!("{path}{query}"), headers, "").await?;
        stage.canaries.not_told(&format!("{path} to {who}"), &answer)?;
        // Nor is one handed out that nobody knew before.
        ensure!(answer.json()["tokenId"].is_null(), "{path} hands a token to {who}: {}", answer.text());
        answered += usize::from(answer.status == 200);
    }
    Ok(answered)
}

async fn start() -> Result<Stage> {
    let canaries = Canaries::default();
    let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .environment("PENSTOCK_LOG_LEVEL", "trace")
        .environment("PENSTOCK_HTTP_TRUSTED_PROXIES", "127.0.0.1")
        .environment("PENSTOCK_MANAGEMENT_JWT_CONTROL_ENABLED", "true")
        .environment("PENSTOCK_MANAGEMENT_JWT_SECRET_KEY", MANAGEMENT_SECRET)
        .environment("PENSTOCK_METRICS_TOKEN", "canary-of-the-metrics-token");
    for (key, canary) in SETTINGS {
        options = options.setting(APP, key, canary);
        canaries.add(canary);
    }
    for canary in
        [MANAGEMENT_SECRET, SUBSCRIBERS_SECRET, PASSWORD, WEBHOOK_PASSWORD, "canary-of-the-metrics-token"]
    {
        canaries.add(canary);
    }
    Ok(Stage { node: Node::start(options).await?, canaries, streams: RefCell::new(0) })
}

async fn the_gate(stage: &Stage) -> Result<()> {
    let (url, answering) = webhook().await?;
    stage.settings(&json!({ "webhookAuthenticateURL": url, "webhookPlayAuthUrl": url })).await?;
    let play = [
        ("token", "playTokenControlEnabled", "publishTokenControlEnabled"),
        ("hash", "hashControlPlayEnabled", "hashControlPublishEnabled"),
        ("JWT", "playJwtControlEnabled", "publishJwtControlEnabled"),
        ("code", "enableTimeTokenForPlay", "enableTimeTokenForPublish"),
    ];
    for (mechanism, to_play, to_publish) in play {
        stage.settings(&json!({ to_play: true, to_publish: true })).await?;
        for kind in ["play", "publish"] {
            let (mut right, mut wrong) = (Vec::new(), Vec::new());
            for _ in 0..4 {
                let stream = if kind == "play" { LIVE.to_owned() } else { stage.stream() };
                right.push((stream.clone(), stage.right(mechanism, &stream, kind).await?));
                wrong.push((stream, stage.wrong()));
            }
            let let_in = comes_by_all(stage, kind, &wrong).await?;
            ensure!(let_in == 0, "{mechanism}, {kind}: {let_in} with wrong credentials");
            let let_in = comes_by_all(stage, kind, &right).await?;
            ensure!(let_in == 4, "{mechanism}, {kind}: {let_in} of 4 with right credentials");
        }
        stage.settings(&json!({ to_play: false, to_publish: false })).await?;
        stage.log_is_clean(mechanism).await?;
    }
    // Nobody answers for the webhook any more.
    answering.abort();
    let _ = answering.await;
    let wrong: Vec<_> = (0..4).map(|_| (stage.stream(), stage.wrong())).collect();
    ensure!(comes_by_all(stage, "publish", &wrong).await? == 0, "the webhook is gone");
    stage.settings(&json!({ "webhookAuthenticateURL": "", "webhookPlayAuthUrl": "" })).await?;
    stage.log_is_clean("the webhook").await
}

/// What is no request at all.
async fn what_is_malformed(stage: &Stage) -> Result<()> {
    for name in [format!("a b{}", stage.wrong().query()), format!("../{}", stage.canaries.wrong("path"))] {
        rtmp(stage, APP, &name).await?;
        rtmp(stage, &format!("NoApp{}", stage.wrong().query()), "s").await?;
        let path = format!("/{APP}/live/%ff.flv{}", stage.wrong().query());
        stage.quietly("GET", &path, &[], "").await?;
    }
    let wrong = stage.wrong();
    let mut socket = Signalling::open(&stage.node.signalling_url(APP)).await?;
    for text in [
        format!("{{ command: play, token: {} }}", wrong.token),
        format!("{{\"command\":\"play\",\"token\":\"{}\"", wrong.token),
        json!({ "command": "unheard of", "streamId": "s", "token": wrong.token }).to_string(),
        json!({ "command": "play", "token": wrong.token }).to_string(),
    ] {
        socket.send_text(text).await?;
    }
    let answer = socket.receive_until(|answer| answer["command"] == "error").await?;
    stage.canaries.not_in("signalling", &answer.to_string())?;
    let of_streams = format!("/{APP}/rest/v2/broadcasts");
    let settings = format!("/rest/v2/applications/settings/{APP}");
    let (base, text) = (format!("{of_streams}/{LIVE}"), stage.canaries.wrong("body"));
    for (verb, path, body) in [
        ("POST", format!("{base}/subscribers"), json!({ "subscriberId": "x", "b32Secret": text })),
        ("POST", format!("{base}/subscribers"), json!({ "subscriberId": "x", "b32Secret": [text] })),
        ("POST", format!("{base}/subscribers"), json!({ "b32Secret": { "a": text } })),
        ("POST", format!("{of_streams}/validate-token"), json!({ "tokenId": text, "streamId": LIVE })),
        ("POST", format!("{of_streams}/validate-token"), json!({ "tokenId": { "a": text } })),
        ("DELETE", format!("{base}/tokens/{text}"), Value::Null),
        ("PATCH", settings.clone(), json!({ "jwtStreamSecretKey": &text[..20] })),
        ("PATCH", settings.clone(), json!({ "tokenHashSecret": [text] })),
        ("PATCH", settings.clone(), json!({ "customSettings": text })),
        ("PATCH", format!("{settings}?dryRun=true"), json!({ "tokenHashSecret": text })),
        ("POST", settings.clone(), json!({ "jwtSecretKey": { "a": text } })),
        ("POST", "/rest/v2/users".to_owned(), json!({ "email": "x", "password": { "a": text } })),
        ("POST", "/rest/v2/users".to_owned(), json!({ "email": "", "password": text })),
        ("POST", "/rest/v2/users/password".to_owned(), json!({ "password": text, "newPassword": [text] })),
        (
            "POST",
            format!("/rest/v2/applications/{APP}/explain"),
            json!({ "streamId": LIVE, "type": "play", "token": text, "subscriberCode": text }),
        ),
    ] {
        stage.quietly(verb, &path, &[JSON], &body.to_string()).await?;
    }
    for broken in [format!("{{\"b32Secret\":\"{text}\""), format!("\"{text}\""), text.clone()] {
        stage.quietly("POST", &format!("{base}/subscribers"), &[JSON], &broken).await?;
        stage.quietly("POST", "/rest/v2/users/authenticate", &[JSON], &broken).await?;
        stage.quietly("PATCH", &settings, &[JSON], &broken).await?;
    }
    // By hand, in the file.
    let file = stage.node.properties(APP);
    let good = std::fs::read_to_string(&file)?;
    for (mistake, complaint) in [
        (format!("settings.jwtStreamSecretKey={}", &text[..20]), "jwtStreamSecretKey has 20 bytes"),
        (format!("settings.customSettings={text}"), "customSettings is ***"),
    ] {
        std::fs::write(&file, format!("{good}\n{mistake}\n"))?;
        let told = stage.node.wait_for_log(PATIENCE, |line| line.contains(complaint)).await;
        ensure!(told.is_some(), "nothing is said of a file with a mistake: {complaint}");
        std::fs::write(&file, &good)?;
    }
    stage.log_is_clean("what is malformed").await
}

async fn the_door_of_rest(stage: &Stage) -> Result<()> {
    user(&stage.node, &["add", "admin"], &format!("{PASSWORD}\n")).await?;
    for (name, kind) in [("reader", "read-only"), ("writer", "user")] {
        let arguments = ["add", name, "--kind", kind, "--scope", APP];
        user(&stage.node, &arguments, &format!("{PASSWORD}\n")).await?;
    }
    let (refused, _) = log_in(stage, "admin", &stage.canaries.wrong("password")).await?;
    ensure!(refused["success"] == false, "{refused}");
    let (let_in, admin) = log_in(stage, "admin", PASSWORD).await?;
    ensure!(let_in["success"] == true, "{let_in}");
    let (_, reader) = log_in(stage, "reader", PASSWORD).await?;
    let (_, writer) = log_in(stage, "writer", PASSWORD).await?;

    // There is something to be found.
    let token = stage.right("token", LIVE, "publish").await?.token;
    stage.right("code", LIVE, "play").await?;
    let body = json!({ "subscriberId": "anna", "b32Secret": SUBSCRIBERS_SECRET, "type": "play" }).to_string();
    stage.quietly("POST", &format!("/{APP}/rest/v2/broadcasts/{LIVE}/subscribers"), &[JSON], &body).await?;
    let list = format!("/{APP}/rest/v2/broadcasts/{LIVE}/tokens/list/0/50");
    let settings = format!("/rest/v2/applications/settings/{APP}");
    for (path, canary) in [(&list, token.as_str()), (&settings, HASH_SECRET)] {
        let shown = stage.ask("GET", path, &[FAR, ("Cookie", &admin)], "").await?;
        ensure!(shown.status == 200 && shown.text().contains(canary), "{path} is not the administrator's");
    }
    let of_reader = reads_everything(stage, "a reader", &[FAR, ("Cookie", &reader)], false).await?;
    let of_writer = reads_everything(stage, "a user", &[FAR, ("Cookie", &writer)], true).await?;
    let of_public = reads_everything(stage, "anybody", &[FAR], false).await?;
    ensure!(of_reader > of_public && of_writer > of_public, "{of_reader} {of_writer} {of_public}");

    // With a JWT, right and wrong.
    stage.settings(&json!({ "jwtControlEnabled": true })).await?;
    let signed = |secret: &str| jwt::sign(secret, &json!({ "sub": "anybody" })).context("not signed");
    let (of_rest, of_node) = (signed(REST_JWT_SECRET)?, signed(MANAGEMENT_SECRET)?);
    for canary in [&of_rest, &of_node] {
        stage.canaries.add(canary);
    }
    let count = format!("/{APP}/rest/v2/broadcasts/count");
    let wrong = stage.canaries.wrong("jwt");
    for (path, name, token, status) in [
        (count.as_str(), "Authorization", of_rest.clone(), 200),
        (&count, "Authorization", format!("Bearer {wrong}"), 403),
        (&count, "Authorization", format!("{of_rest}x"), 403),
        ("/rest/v2/version", "ProxyAuthorization", of_node.clone(), 200),
        ("/rest/v2/version", "ProxyAuthorization", wrong.clone(), 403),
        ("/metrics", "Authorization", format!("Bearer {wrong}"), 401),
    ] {
        let answer = stage.quietly("GET", path, &[(name, &token)], "").await?;
        ensure!(answer.status == status, "{path} {name}: {} {}", answer.status, answer.text());
    }
    stage.settings(&json!({ "jwtControlEnabled": false })).await?;
    stage.log_is_clean("the door of REST").await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_log_nor_metrics_nor_errors_nor_who_is_no_administrator() -> Result<()> {
    let stage = start().await?;
    let small = MarkerOptions {
        width: 320,
        height: 180,
        video_bitrate: 200_000,
        ..MarkerOptions::to_rtmp(stage.node.rtmp_url(APP, LIVE))
    };
    let marker = Marker::start(small)?;
    let playable = async || {
        let url = stage.node.http_url(&format!("/{APP}/live/{LIVE}.flv"));
        Streaming::get(&url, 64 * 1024).await.ok()
    };
    drop(Node::eventually(PATIENCE, playable).await.context("the stream cannot be played")?);
    the_gate(&stage).await?;
    the_door_of_rest(&stage).await?;
    what_is_malformed(&stage).await?;
    let metrics = [("Authorization", "Bearer canary-of-the-metrics-token")];
    let metrics = stage.quietly("GET", "/metrics", &metrics, "").await?;
    ensure!(metrics.status == 200 && metrics.text().contains("penstock_gate_decisions_total"), "no metrics");
    marker.stop()?;
    let Stage { mut node, canaries, .. } = stage;
    node.terminate().await?;
    let stage = Stage { node, canaries, streams: RefCell::default() };
    stage.log_is_clean("its end").await?;
    Ok(())
}
