//! Sixty-four clients hold one token and come at once, by each protocol that plays and to whichever of three nodes: one of them
//! gets past the gate, and who comes later does not.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use test_support::{Cluster, Marker, MarkerOptions, Node, Signalling, Streaming, Turn, ask, in_full, note};
use tokio::task::JoinSet;
use tokio::time::timeout;

const APP: &str = "LiveApp";
const LIVE: &str = "live1";
const VOTERS: usize = 3;
const RACERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);
/// 2100, in seconds.
const LATER: i64 = 4_102_444_800;
/// What the kernel takes in for a player that reads nothing, in bytes.
const WINDOW: u32 = 64 * 1024;

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
        match player {
            Player::Whep => {
                let (url, bearer) = (format!("{}/{APP}/whep/{LIVE}", self.http), format!("Bearer {token}"));
                let answer = ask("POST", &url, &[("Authorization", &bearer)], "").await?;
                match answer.status {
                    201 => {
                        // One address may have so many on their way to a connection, and this one goes no further.
                        let place = answer.header("location").context("no Location")?;
                        ask("DELETE", &format!("{}{place}", self.http), &[], "").await?;
                        Ok(true)
                    }
                    404 => Ok(true),
                    403 => Ok(false),
                    status => bail!("answered {status}"),
                }
            }
            Player::Flv => {
                let url = format!("{}/{APP}/live/{LIVE}.flv?token={token}", self.http);
                match Streaming::get(&url, WINDOW).await.map_err(|error| error.to_string()) {
                    Ok(_) => Ok(true),
                    Err(head) if head.starts_with("http/1.1 404") => Ok(true),
                    Err(head) if head.starts_with("http/1.1 403") => Ok(false),
                    Err(error) => bail!(error),
                }
            }
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
        let token = cluster.node(1 + race % VOTERS).mint("token", APP, LIVE, "play", LATER).await?;
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
