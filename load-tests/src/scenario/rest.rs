//! REST that is asked as fast as it answers, by those whom its door lets in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use security::credential::jwt;
use serde_json::json;
use test_support::{Node, NodeOptions, ask};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Goal, Outcome, Stage};
use crate::asking::{Asked, ask_on};
use crate::machine::{self, Gauge, Used};

/// Requests per second with authentication.
const PER_SECOND_MIN: f64 = 50_000.0;
/// The application whose REST asks for a JWT, and the one that is open to this machine.
const SIGNED_APP: &str = "LiveApp";
const OPEN_APP: &str = "WebRTCAppEE";
const SECRET: &str = "a secret of thirty-two characters";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Who asks, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RestOptions {
    /// Connections that ask at a time.
    pub connections: usize,
    /// How often each way is measured, in turn.
    pub turns: usize,
    /// How long is measured each time.
    pub window: Duration,
}

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// A server that answers with a body of the same size and does nothing else.
    Plain,
    /// One broadcast, by who may because of its address.
    Address,
    /// One broadcast, by a JWT and the address.
    Jwt,
    /// One broadcast, by who logged in.
    Session,
    /// What is asked of nobody else: the version, by a JWT and the address.
    Version,
}

const WAYS: [Way; 5] = [Way::Plain, Way::Address, Way::Jwt, Way::Session, Way::Version];

/// One way, once.
#[derive(Debug, serde::Serialize)]
struct Row {
    #[serde(flatten)]
    asked: Asked,
    /// Time on a processor that one answer took, microseconds.
    cpu_us: f64,
    used: Used,
}

/// One broadcast asked for over kept connections, by all that opens the door; and beside it a plain server in the place of
/// the node.
///
/// # Errors
/// The node or the plain server failed, or an answer was not 200.
pub async fn rest(stage: &Stage, options: RestOptions) -> anyhow::Result<Outcome> {
    let RestOptions { connections, turns, window } = options;
    let mut node = start(stage, connections).await?;
    let heads = Heads::prepare(&node).await?;
    let address: SocketAddr =
        node.http_url("").trim_start_matches("http://").parse().context("no address of the node")?;
    let mut plain = Plain::start(stage, heads.body_bytes).await?;
    let mut rows: BTreeMap<Way, Vec<Row>> = BTreeMap::new();
    for _ in 0..turns {
        for way in WAYS {
            let (pid, address) = match way {
                Way::Plain => (plain.pid, plain.address),
                _ => (node.pid(), address),
            };
            let gauge = Gauge::start(pid)?;
            let asked = ask_on(address, &heads.of(way), connections, window).await?;
            let used = gauge.stop()?;
            // The warm-up is in what was used, and not in what was answered.
            let answers = asked.per_second * used.seconds;
            let cpu_us = used.server_cpu_seconds() / answers.max(1.0) * 1e6;
            rows.entry(way).or_default().push(Row { asked, cpu_us, used });
        }
    }
    plain.child.kill().await?;
    ensure!(node.terminate().await?.success(), "the node did not end well");
    judge(options, &rows)
}

fn judge(options: RestOptions, rows: &BTreeMap<Way, Vec<Row>>) -> anyhow::Result<Outcome> {
    let median = |way: Way, figure: fn(&Row) -> f64| {
        let mut all: Vec<_> = rows.get(&way).into_iter().flatten().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let per_second = |way| median(way, |row| row.asked.per_second);
    let plain = per_second(Way::Plain).context("nothing was measured")?;
    let shown: BTreeMap<_, _> = WAYS
        .into_iter()
        .map(|way| {
            let shown = json!({
                "per_second": per_second(way),
                "of_plain": per_second(way).map(|found| (found / plain * 100.0).round() / 100.0),
                "p99_ms": median(way, |row| row.asked.ms.p99),
                "cpu_us": median(way, |row| (row.cpu_us * 10.0).round() / 10.0),
            });
            (format!("{way:?}").to_lowercase(), shown)
        })
        .collect();
    let last = rows.get(&Way::Jwt).and_then(|rows| rows.last()).context("nothing was measured")?;
    let mut details = json!({
        "connections": options.connections,
        "body_bytes": last.asked.body_bytes,
        "rows": rows,
    });
    for (way, shown) in shown {
        details[way] = shown;
    }
    Ok(Outcome {
        scenario: "rest",
        goals: vec![
            Goal::at_least("requests a second by JWT", per_second(Way::Jwt), PER_SECOND_MIN),
            Goal::at_least("requests a second by session", per_second(Way::Session), PER_SECOND_MIN),
        ],
        excuse: Outcome::excuse_of(&last.used),
        details,
        used: last.used,
    })
}

/// A node on its cores, one of whose applications asks for a JWT.
async fn start(stage: &Stage, connections: usize) -> anyhow::Result<Node> {
    let allowed = (connections + 16).to_string();
    let mut options = NodeOptions::new(&stage.node)
        .environment("PENSTOCK_HTTP_BIND_ADDRESSES", "127.0.0.1")
        .environment("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", "127.0.0.1")
        .environment("PENSTOCK_WEBRTC_SHARDS", "1")
        .environment("PENSTOCK_HTTP_WORKERS", "1")
        .environment("PENSTOCK_LIMITS_HTTP_CONNECTIONS_PER_ADDRESS", &allowed)
        .setting(SIGNED_APP, "jwtControlEnabled", "true")
        .setting(SIGNED_APP, "jwtSecretKey", SECRET);
    for (name, value) in &stage.environment {
        options = options.environment(name, value);
    }
    Ok(on_its_cores(stage, Node::start(options)).await??)
}

/// A process starts on the cores of the thread that starts it; afterwards this one is on the players' again.
async fn on_its_cores<T>(stage: &Stage, starting: impl Future<Output = T>) -> anyhow::Result<T> {
    machine::pin_to(&stage.cores.node)?;
    let started = starting.await;
    machine::pin(stage.cores.players)?;
    Ok(started)
}

/// What is sent, by each way.
struct Heads {
    token: String,
    cookie: String,
    body_bytes: usize,
}

impl Heads {
    /// Makes a broadcast in both applications, and a user who logs in.
    async fn prepare(node: &Node) -> anyhow::Result<Self> {
        let token = jwt::sign(SECRET, &json!({})).context("no token")?;
        let mut body_bytes = 0;
        for app in [SIGNED_APP, OPEN_APP] {
            let url = node.http_url(&format!("/{app}/rest/v2/broadcasts/create"));
            let body = json!({ "streamId": "stream", "name": "A stream" }).to_string();
            let made = ask("POST", &url, &[JSON, ("Authorization", &token)], &body).await?;
            ensure!(made.status == 200, "no broadcast: {} {}", made.status, made.text());
            body_bytes = made.body.len();
        }
        let who = json!({ "email": "a@b", "password": "one" });
        let made = node.send("POST", "/rest/v2/users/initial", &who).await?;
        ensure!(made.status == 200, "no user: {} {}", made.status, made.text());
        let in_ = node.send("POST", "/rest/v2/users/authenticate", &who).await?;
        let cookie = in_.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.context("nobody could log in")?.to_owned();
        Ok(Self { token, cookie, body_bytes })
    }

    fn of(&self, way: Way) -> String {
        let broadcast = |app| format!("/{app}/rest/v2/broadcasts/stream");
        let token = format!("Authorization: Bearer {}\r\n", self.token);
        let (path, shows) = match way {
            Way::Plain | Way::Jwt => (broadcast(SIGNED_APP), token),
            Way::Address => (broadcast(OPEN_APP), String::new()),
            Way::Session => (broadcast(SIGNED_APP), format!("Cookie: {}\r\n", self.cookie)),
            Way::Version => (format!("/{SIGNED_APP}/rest/v2/version"), token),
        };
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{shows}\r\n")
    }
}

/// The server beside.
struct Plain {
    child: Child,
    pid: u32,
    address: SocketAddr,
}

impl Plain {
    async fn start(stage: &Stage, bytes: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("this program is not found")?);
        command.arg("--node").arg(&stage.node).args(["plain", &bytes.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = on_its_cores(stage, async { command.spawn() }).await??;
        let out = child.stdout.take().context("it says nothing")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).await?;
        let address = line.trim().parse().context("the plain server did not start")?;
        let pid = child.id().context("the plain server ended")?;
        Ok(Self { child, pid, address })
    }
}
