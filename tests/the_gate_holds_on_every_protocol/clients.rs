//! A client of each protocol, as far as the gate: it asks with what it has, and is let in or told something.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use load_tests::{Hostile, Identity, Refused};
use serde_json::{Value, json};
use test_support::{Node, RtmpClient, Signalling, ask, offer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::APP;
use super::cells::{Cell, Direction, Protocol};

/// Time for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What a client brings.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    pub token: Option<String>,
    pub subscriber_id: Option<String>,
    pub subscriber_code: Option<String>,
}

impl Credential {
    pub fn token(token: String) -> Self {
        Self { token: Some(token), ..Self::default() }
    }

    pub fn code(id: String, code: String) -> Self {
        Self { token: None, subscriber_id: Some(id), subscriber_code: Some(code) }
    }

    /// Changes a letter in the middle.
    pub fn tamper(&mut self) {
        let text = self.token.as_mut().or(self.subscriber_code.as_mut());
        if let Some(text) = text {
            let middle = text.len() / 2;
            let other = if text.as_bytes()[middle] == b'1' { "2" } else { "1" };
            text.replace_range(middle..=middle, other);
        }
    }

    pub fn query(&self) -> String {
        let mut text = String::new();
        let pairs = [
            ("token", &self.token),
            ("subscriberId", &self.subscriber_id),
            ("subscriberCode", &self.subscriber_code),
        ];
        for (key, value) in pairs {
            if let Some(value) = value {
                let _ = write!(text, "{}{key}={value}", if text.is_empty() { '?' } else { '&' });
            }
        }
        text
    }

    pub fn into_json(self, mut message: Value) -> Value {
        let pairs = [
            ("token", self.token),
            ("subscriberId", self.subscriber_id),
            ("subscriberCode", self.subscriber_code),
        ];
        for (key, value) in pairs {
            if let Some(value) = value {
                message[key] = value.into();
            }
        }
        message
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was let in.
    In,
    /// What it was told.
    Refused(String),
}

/// Somebody who asked, and who is let in to play has media by then. What is held keeps them in.
pub struct Entered {
    pub outcome: Outcome,
    held: Held,
}

enum Held {
    Nothing,
    Socket(TcpStream),
    Signalling(Box<Signalling>, Value),
    Session(String),
    Player(Box<Hostile>),
}

impl Entered {
    fn refused(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused(words.into()), held: Held::Nothing }
    }

    /// Goes, in the way of its protocol.
    pub async fn leave(self) {
        match self.held {
            Held::Nothing => {}
            Held::Socket(mut socket) => drop(socket.shutdown().await),
            Held::Signalling(mut socket, stop) => {
                let _ = socket.send(&stop).await;
                let _ = socket.receive().await;
            }
            Held::Session(url) => drop(ask("DELETE", &url, &[], "").await),
            Held::Player(player) => player.leave().await,
        }
    }
}

/// Asks.
pub async fn enter(node: &Node, cell: &Cell, stream: &str, credential: &Credential) -> Result<Entered> {
    match (cell.protocol, cell.direction) {
        (Protocol::Rtmp, _) => rtmp(node, stream, credential).await,
        (Protocol::WebSocket, Direction::Publish) => socket_publisher(node, stream, credential.clone()).await,
        (Protocol::WebSocket, Direction::Play) => {
            let message = json!({ "command": "play", "streamId": stream, "video": true, "audio": true });
            let message = credential.clone().into_json(message);
            plays(Hostile::ask_with(&node.signalling_url(APP), message, &identity()?).await?).await
        }
        (Protocol::Whip, _) => whip(node, stream, credential).await,
        (Protocol::Whep, _) => {
            let (url, bearer) = named_in_http(node, "whep", stream, credential);
            let headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
            plays(Hostile::ask_by_whep(&url, &headers, &identity()?).await?).await
        }
        (Protocol::Flv, _) => flv(node, stream, credential).await,
    }
}

fn identity() -> Result<Arc<Identity>> {
    Ok(Arc::new(Identity::new()?))
}

async fn plays(asked: Result<Hostile, Refused>) -> Result<Entered> {
    let mut player = match asked {
        Ok(player) => player,
        Err(Refused(words)) => return Ok(Entered::refused(words)),
    };
    player.answer().await?;
    player.behave_until(|receiver| receiver.first_media_at().is_some()).await?;
    Ok(Entered { outcome: Outcome::In, held: Held::Player(Box::new(player)) })
}

async fn rtmp(node: &Node, stream: &str, credential: &Credential) -> Result<Entered> {
    let name = format!("{stream}{}", credential.query());
    let client = RtmpClient::publishing(node.rtmp_address(), APP, &name).await?;
    let mut socket = client.into_stream();
    let mut said = Vec::new();
    let answer = timeout(ANSWER_MAX, async {
        loop {
            for words in ["NetStream.Publish.Start", "NetStream.Publish.BadName", "NetStream.Failed"] {
                if said.windows(words.len()).any(|window| window == words.as_bytes()) {
                    return Ok(words);
                }
            }
            if socket.read_buf(&mut said).await? == 0 {
                bail!("the connection was closed without a word");
            }
        }
    });
    match answer.await.context("no answer to publish")?? {
        "NetStream.Publish.Start" => Ok(Entered { outcome: Outcome::In, held: Held::Socket(socket) }),
        words => Ok(Entered::refused(words)),
    }
}

async fn socket_publisher(node: &Node, stream: &str, credential: Credential) -> Result<Entered> {
    let mut socket = Signalling::open(&node.signalling_url(APP)).await?;
    let message = json!({ "command": "publish", "streamId": stream, "video": true, "audio": true });
    socket.send(&credential.into_json(message)).await?;
    let answer =
        socket.receive_until(|message| message["command"] == "error" || message["command"] == "start");
    let answer = answer.await?;
    if answer["command"] == "error" {
        return Ok(Entered::refused(answer["definition"].as_str().unwrap_or_default()));
    }
    let stop = json!({ "command": "stop", "streamId": stream });
    Ok(Entered { outcome: Outcome::In, held: Held::Signalling(Box::new(socket), stop) })
}

/// The address of WHIP or WHEP, and the token for the header beside it.
fn named_in_http(node: &Node, what: &str, stream: &str, credential: &Credential) -> (String, Option<String>) {
    let bearer = credential.token.as_ref().map(|token| format!("Bearer {token}"));
    let named = Credential { token: None, ..credential.clone() };
    (node.http_url(&format!("/{APP}/{what}/{stream}{}", named.query())), bearer)
}

async fn whip(node: &Node, stream: &str, credential: &Credential) -> Result<Entered> {
    let (url, bearer) = named_in_http(node, "whip", stream, credential);
    let mut headers = vec![("Content-Type", "application/sdp")];
    headers.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
    let answer = ask("POST", &url, &headers, &offer::chromium()).await?;
    if answer.status != 201 {
        return Ok(Entered::refused(answer.status.to_string()));
    }
    let place = answer.header("location").context("no Location")?.to_owned();
    let place = if place.starts_with('/') { node.http_url(&place) } else { place };
    Ok(Entered { outcome: Outcome::In, held: Held::Session(place) })
}

/// In is who gets the first bytes of the file's pictures or sound.
async fn flv(node: &Node, stream: &str, credential: &Credential) -> Result<Entered> {
    let address = node.http_url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut socket = TcpStream::connect(&address).await?;
    let path = format!("/{APP}/live/{stream}.flv{}", credential.query());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut said = Vec::new();
    let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
    let reading = timeout(ANSWER_MAX, async {
        loop {
            let head = text(&said);
            let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
            // The header of the file, then tags.
            if status == "200" && said.windows(3).any(|window| window == b"FLV") && said.len() > 4_096 {
                return Ok(None);
            }
            if !status.is_empty() && status != "200" && head.contains('}') {
                let body = head.split("\r\n\r\n").nth(1).unwrap_or_default();
                let body = body.find('{').map_or(body, |begin| &body[begin..]);
                let body: Value = serde_json::from_str(body.trim_end()).unwrap_or_default();
                return Ok(Some(format!("{status} {}", body["message"].as_str().unwrap_or_default())));
            }
            if socket.read_buf(&mut said).await? == 0 {
                bail!("the connection was closed: {}", text(&said));
            }
        }
    });
    match reading.await.with_context(|| text(&said))?? {
        None => Ok(Entered { outcome: Outcome::In, held: Held::Socket(socket) }),
        Some(words) => Ok(Entered::refused(words)),
    }
}
