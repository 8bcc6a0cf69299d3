//! What is secret is told to nobody: not by the log at its most talkative, not by the metrics, not by an error, and not by an
//! answer of REST to anybody but an administrator; nor does the disk hold one that is not sealed. Every secret of a node is a
//! canary here; everybody comes by every protocol with right and with wrong credentials, which are canaries as well; then all
//! that was written is searched for them.

mod stage;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use security::credential::jwt;
use serde_json::{Value, json};
use stage::{Canaries, Stage, comes_by_all, log_in, rtmp, user, webhook};
use test_support::{Marker, MarkerOptions, Node, NodeOptions, Signalling, Streaming};

const APP: &str = "LiveApp";
const LIVE: &str = "live1";
const PATIENCE: Duration = Duration::from_secs(20);
/// 2030.
const LATER: i64 = 1_893_456_000;
/// Somebody on another machine, as a trusted proxy says.
const FAR: (&str, &str) = ("X-Forwarded-For", "203.0.113.7");
const JSON: (&str, &str) = ("Content-Type", "application/json");

const STREAM_JWT_SECRET: &str = "canary-of-the-jwt-secret-for-streams";
const HASH_SECRET: &str = "canary-of-the-hash-secret";
const REST_JWT_SECRET: &str = "canary-of-the-jwt-secret-for-the-rest";
const MANAGEMENT_SECRET: &str = "canary-of-the-jwt-secret-of-the-node";
const SUBSCRIBERS_SECRET: &str = "CANARYOFASUBSCRIBERSSECRETABCDEF";
const PASSWORD: &str = "canary-of-the-password";
const WEBHOOK_PASSWORD: &str = "canary-of-the-webhook";
const CAMERA_PASSWORD: &str = "canary-of-the-camera";

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
    for canary in [
        MANAGEMENT_SECRET,
        SUBSCRIBERS_SECRET,
        PASSWORD,
        WEBHOOK_PASSWORD,
        CAMERA_PASSWORD,
        "canary-of-the-metrics-token",
    ] {
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
    // A token lies in the store as it is: not one that is a secret as well.
    let token = stage.canaries.wrong("token");
    // Too short for a key.
    let short = text[..20].to_owned();
    stage.canaries.add(&short);
    for (verb, path, body) in [
        ("POST", format!("{base}/subscribers"), json!({ "subscriberId": "x", "b32Secret": text })),
        ("POST", format!("{base}/subscribers"), json!({ "subscriberId": "x", "b32Secret": [text] })),
        ("POST", format!("{base}/subscribers"), json!({ "b32Secret": { "a": text } })),
        ("POST", format!("{of_streams}/validate-token"), json!({ "tokenId": text, "streamId": LIVE })),
        ("POST", format!("{of_streams}/validate-token"), json!({ "tokenId": { "a": text } })),
        ("POST", format!("{of_streams}/validate-token"), json!({ "expireDate": text })),
        ("DELETE", format!("{base}/tokens/{token}"), Value::Null),
        ("PATCH", settings.clone(), json!({ "jwtStreamSecretKey": short })),
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
        (format!("jwtStreamSecretKey={short}"), "jwtStreamSecretKey has 20 bytes"),
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
    let of_streams = format!("/{APP}/rest/v2/broadcasts");
    let camera = json!({
        "streamId": "camera", "type": "ipCamera", "ipAddr": "192.0.2.9", "username": "admin", "password": CAMERA_PASSWORD,
    });
    let made = stage.ask("POST", &format!("{of_streams}/create"), &[JSON], &camera.to_string()).await?;
    ensure!(made.status == 200, "{}", made.text());
    let list = format!("{of_streams}/{LIVE}/tokens/list/0/50");
    let cameras = [format!("{of_streams}/camera"), format!("{of_streams}/list/0/50")];
    let settings = format!("/rest/v2/applications/settings/{APP}");
    for (path, canary) in [
        (&list, token.as_str()),
        (&settings, HASH_SECRET),
        (&cameras[0], CAMERA_PASSWORD),
        (&cameras[1], CAMERA_PASSWORD),
    ] {
        let shown = stage.ask("GET", path, &[FAR, ("Cookie", &admin)], "").await?;
        ensure!(shown.status == 200 && shown.text().contains(canary), "{path} is not the administrator's");
    }
    for (who, cookie) in [("a reader", &reader), ("a user", &writer)] {
        let shown = stage.ask("GET", &cameras[0], &[FAR, ("Cookie", cookie)], "").await?;
        ensure!(shown.json()["username"] == "admin", "{who} is not shown the camera: {}", shown.text());
        stage.canaries.not_told(who, &shown)?;
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

/// On the disk there is what is sealed, and no secret of the settings or of a subscriber.
fn disk_is_clean(stage: &Stage) -> Result<()> {
    let (mut seen, mut folders) = (Vec::new(), vec![stage.node.data_folder()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            for secret in
                SETTINGS.iter().map(|(_, secret)| *secret).chain([SUBSCRIBERS_SECRET, CAMERA_PASSWORD])
            {
                ensure!(!has(secret), "{} holds {secret}", path.display());
            }
            if path.ends_with("metadata.redb") {
                ensure!(has("sealed:1:") && has("anna"), "nothing was stored");
            }
            seen.push(path);
        }
    }
    ensure!(seen.iter().any(|path| path.ends_with("metadata.redb")), "{seen:?}");
    Ok(())
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
    disk_is_clean(&stage)
}
