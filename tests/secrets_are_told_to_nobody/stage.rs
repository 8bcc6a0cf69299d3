//! A node, what is secret in it, and those who come to it.

use std::cell::RefCell;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use security::credential::{hash, totp};
use serde_json::{Value, json};
use test_support::{Node, Response, RtmpClient, Signalling, Streaming, ask, offer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{APP, FAR, HASH_SECRET, JSON, LATER, PATIENCE, SUBSCRIBERS_SECRET, WEBHOOK_PASSWORD};

/// More lines than these a node's log does not keep for us.
const LINES_MAX: usize = 19_000;
const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// The canaries, and where they may be heard.
#[derive(Default)]
pub struct Canaries(RefCell<Vec<String>>);

impl Canaries {
    pub fn add(&self, canary: &str) {
        self.0.borrow_mut().push(canary.to_owned());
    }

    /// A wrong credential, of which nobody speaks.
    pub fn wrong(&self, of: &str) -> String {
        let canary = format!("canary-wrong-{}-{of}", self.0.borrow().len());
        self.add(&canary);
        canary
    }

    pub fn in_text(&self, text: &str) -> Option<String> {
        self.0.borrow().iter().find(|canary| text.contains(canary.as_str())).cloned()
    }

    pub fn not_in(&self, whose: &str, text: &str) -> Result<()> {
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
    pub fn not_told(&self, whose: &str, answer: &Response) -> Result<()> {
        self.not_in(whose, &answer.text())?;
        self.not_in(whose, &format!("{:?}", answer.headers))
    }
}

pub struct Stage {
    pub node: Node,
    pub canaries: Canaries,
    pub streams: RefCell<usize>,
}

impl Stage {
    pub fn stream(&self) -> String {
        *self.streams.borrow_mut() += 1;
        format!("s{}", self.streams.borrow())
    }

    pub async fn ask(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response> {
        let answer = ask(verb, &self.node.http_url(path), headers, body).await;
        answer.with_context(|| format!("{verb} {path}"))
    }

    /// Asks, and nothing in the answer may be a canary.
    pub async fn quietly(
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
    pub async fn settings(&self, changes: &Value) -> Result<()> {
        let path = format!("/rest/v2/applications/settings/{APP}");
        let answer = self.ask("PATCH", &path, &[JSON], &changes.to_string()).await?;
        ensure!(answer.status == 200 && answer.json()["success"] == true, "{}", answer.text());
        Ok(())
    }

    pub async fn log_is_clean(&self, after: &str) -> Result<()> {
        let lines = self.node.log_lines();
        ensure!(lines.len() < LINES_MAX, "after {after}: the log has more lines than are kept");
        for line in &lines {
            self.canaries.not_in(&format!("after {after}: the log"), line)?;
        }
        ensure!(self.node.panics().is_empty(), "{:?}", self.node.panics());
        Ok(())
    }

    /// One-time token, JWT, hash or code of a stream. Tokens are canaries from now on; a code is six digits, which come by
    /// chance too, and its secret is one already.
    pub async fn right(&self, mechanism: &str, stream: &str, kind: &str) -> Result<Credential> {
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

    pub fn wrong(&self) -> Credential {
        Credential {
            token: self.canaries.wrong("token"),
            id: "anna".to_owned(),
            code: self.canaries.wrong("code"),
        }
    }
}

#[derive(Clone, Default)]
pub struct Credential {
    pub token: String,
    pub id: String,
    pub code: String,
}

impl Credential {
    pub fn query(&self) -> String {
        format!("?token={}&subscriberId={}&subscriberCode={}", self.token, self.id, self.code)
    }
}

/// An encoder asks to publish, and is told something or sent away.
pub async fn rtmp(stage: &Stage, app: &str, name: &str) -> Result<String> {
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
pub async fn websocket(stage: &Stage, message: &Value) -> Result<Value> {
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
pub async fn comes_by_all(stage: &Stage, kind: &str, credentials: &[(String, Credential)]) -> Result<usize> {
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
pub async fn webhook() -> Result<(String, tokio::task::JoinHandle<()>)> {
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

pub async fn user(node: &Node, arguments: &[&str], typed: &str) -> Result<()> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.arg("user").args(arguments).env("PENSTOCK_DATA_FOLDER", node.data_folder());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no input")?.write_all(typed.as_bytes()).await?;
    let done = child.wait_with_output().await?;
    ensure!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

pub async fn log_in(stage: &Stage, email: &str, password: &str) -> Result<(Value, String)> {
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
