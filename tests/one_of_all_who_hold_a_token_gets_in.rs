//! Sixty-four clients hold one token and come at once, by each protocol that plays and to whichever of three nodes: one of them
//! gets past the gate, and who comes later does not.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock};
use serde_json::{Value, json};
use test_support::{Cluster, Marker, MarkerOptions, Node, Signalling, Turn, ask, in_full, note};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const APP: &str = "LiveApp";
const LIVE: &str = "live1";
const VOTERS: usize = 3;
const RACERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

/// By what somebody comes, and what keeps it in.
#[derive(Clone, Copy, Debug)]
enum Player {
    Whep,
    Flv,
    WebSocket,
}

const PLAYERS: [Player; 3] = [Player::Whep, Player::Flv, Player::WebSocket];

/// Where a node is asked, apart from it: racers are tasks of their own.
#[derive(Clone)]
struct Door {
    http: String,
    signalling: String,
}

impl Door {
    fn of(node: &Node) -> Self {
        Self { http: node.http_url(""), signalling: node.signalling_url(APP) }
    }

    /// Whether the gate let somebody in who shows the token. On a node that does not have the stream they are told that it is
    /// elsewhere then: streams do not travel yet.
    async fn lets_in(&self, player: Player, token: &str) -> Result<bool> {
        let path = match player {
            Player::Whep => format!("{}/{APP}/whep/{LIVE}", self.http),
            Player::Flv => format!("/{APP}/live/{LIVE}.flv?token={token}"),
            Player::WebSocket => String::new(),
        };
        match player {
            Player::Whep => {
                let bearer = format!("Bearer {token}");
                of_status(ask("POST", &path, &[("Authorization", &bearer)], "").await?.status)
            }
            Player::Flv => of_status(self.flv(&path).await?),
            Player::WebSocket => {
                let mut socket = Signalling::open(&self.signalling).await?;
                let play = json!({ "command": "play", "streamId": LIVE, "token": token, "video": true, "audio": true });
                socket.send(&play).await?;
                let is_answer =
                    |said: &Value| said["command"] == "error" || said["command"] == "takeConfiguration";
                let answer = socket.receive_until(is_answer).await?;
                match answer["definition"].as_str() {
                    None | Some("no_stream_exist") => Ok(true),
                    Some("unauthorized_access") => Ok(false),
                    Some(_) => bail!("{answer}"),
                }
            }
        }
    }

    /// The status of an answer that may not end.
    async fn flv(&self, path: &str) -> Result<u16> {
        let address = self.http.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
        let mut said = Vec::new();
        while !said.contains(&b'\n') {
            ensure!(socket.read_buf(&mut said).await? > 0, "the connection was closed");
        }
        let said = String::from_utf8_lossy(&said);
        said.split(' ').nth(1).and_then(|status| status.parse().ok()).with_context(|| said.to_string())
    }
}

fn of_status(status: u16) -> Result<bool> {
    match status {
        // 404: it is past the gate, and the stream is elsewhere.
        200 | 201 | 404 => Ok(true),
        403 => Ok(false),
        _ => bail!("answered {status}"),
    }
}

/// The three of them, when all have the setting by which a player needs a token.
async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), VOTERS).await?;
    let path = format!("/rest/v2/applications/settings/{APP}");
    let set = cluster.node(1).send("PATCH", &path, &json!({ "playTokenControlEnabled": true })).await?;
    ensure!(set.status == 200, "{}", set.text());
    for number in 1..=VOTERS {
        let has = async || {
            let settings = cluster.node(number).get(&path).await.ok()?.json();
            (settings["playTokenControlEnabled"] == true).then_some(())
        };
        Node::eventually(PATIENCE, has).await.context("a node does not have the setting")?;
    }
    Ok(cluster)
}

async fn token(node: &Node) -> Result<String> {
    let expire_s = SystemClock.wall().as_millis() / 1_000 + 3_600;
    let path = format!("/{APP}/rest/v2/broadcasts/{LIVE}/token?expireDate={expire_s}&type=play");
    let answer = node.get(&path).await?.json();
    Ok(answer["tokenId"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
}

async fn admitted(cluster: &Cluster) -> Result<f64> {
    let labels = ["direction=\"play\"", "outcome=\"admitted\""];
    let mut sum = 0.0;
    for number in 1..=VOTERS {
        sum += cluster.node(number).metric("penstock_gate_decisions_total", &labels).await?;
    }
    Ok(sum)
}

#[tokio::test(flavor = "multi_thread")]
async fn by_whatever_and_wherever_they_come() -> Result<()> {
    let _turn = Turn::take().await?;
    let races = if in_full() { 1_000 } else { 24 };
    let cluster = cluster().await?;
    let small = MarkerOptions {
        width: 320,
        height: 180,
        video_bitrate: 200_000,
        ..MarkerOptions::to_rtmp(cluster.node(1).rtmp_url(APP, LIVE))
    };
    let marker = Marker::start(small)?;
    let is_live = async || {
        let broadcast = cluster.node(1).broadcast(APP, LIVE).await.ok()?;
        (broadcast["status"] == "broadcasting").then_some(())
    };
    Node::eventually(PATIENCE, is_live).await.context("nothing is live")?;
    let doors: Vec<_> = (1..=VOTERS).map(|number| Door::of(cluster.node(number))).collect();
    let before = admitted(&cluster).await?;
    let mut winners = [0; PLAYERS.len()];
    for race in 0..races {
        let token = token(cluster.node(1 + race % VOTERS)).await?;
        let mut racers = JoinSet::new();
        for racer in 0..RACERS {
            let (door, token) = (doors[racer % VOTERS].clone(), token.clone());
            let kind = racer / VOTERS % PLAYERS.len();
            racers.spawn(async move {
                let came = timeout(PATIENCE, door.lets_in(PLAYERS[kind], &token)).await;
                (kind, came.context("no answer").and_then(|came| came))
            });
        }
        let mut let_in = 0;
        for (kind, came) in racers.join_all().await {
            if came.with_context(|| format!("race {race}, by {:?}", PLAYERS[kind]))? {
                let_in += 1;
                winners[kind] += 1;
            }
        }
        ensure!(let_in == 1, "race {race}: {let_in} of {RACERS} got in");
        for (door, player) in doors.iter().zip(PLAYERS) {
            ensure!(
                !door.lets_in(player, &token).await?,
                "race {race}: one that came later got in by {player:?}"
            );
        }
    }
    let admitted = admitted(&cluster).await? - before;
    note(&format!("{races} tokens, {RACERS} players each at {VOTERS} nodes: {PLAYERS:?} won {winners:?}"));
    ensure!(admitted == races as f64, "the gates let {admitted} in by {races} tokens");
    marker.stop()?;
    Ok(())
}
