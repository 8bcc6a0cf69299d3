//! Who is in and may not be any more notices, by whichever protocol it is in: a blocked viewer's picture stops and comes back
//! on the same connection when the block is lifted, where the protocol can pause; everybody else who is blocked, kicked,
//! stopped, or whose token is revoked or secret replaced is told the end. Log and REST say why. Each within a second of the
//! answer of REST (a replaced secret two), also when REST is asked on another node than the one that serves the session.

mod clients;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock};
use clients::{Client, Kind, Shown};
use futures_util::future::try_join_all;
use load_tests::Identity;
use security::credential::jwt;
use serde_json::{Value, json};
use test_support::{Cluster, Load, Marker, MarkerOptions, Node, NodeOptions, Turn, Verdict, in_full, note};

pub(crate) const APP: &str = "LiveApp";
/// What is played.
const STREAM: &str = "stream1";
/// 2100, in seconds.
const LATER: i64 = 4_102_444_800;
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// From the answer of REST to what the client sees of it.
pub(crate) const REACHED_MAX: Duration = Duration::from_secs(1);
/// What comes when nothing may come any more was on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// Signs JWTs, and then the other does.
const KEYS: [&str; 2] = ["zautXStXM9iW3aD3FuyPH0TdK4GHPmHq", "qHmPHG4KdT0HPyuF3Da3Wi9MXtSXtuaz"];

/// Sessions that are in together, and each is ended for itself.
const AT_A_TIME: usize = 8;

/// How often so many come, for each kind of session and each thing that may befall it: 200 trials in full.
fn rounds() -> usize {
    if in_full() { 25 } else { 1 }
}

/// What befalls somebody who is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Block,
    Kick,
    Stop,
    Revoke,
    RevokeSigned,
    Rotate,
}

impl Act {
    const ALL: [Self; 6] =
        [Self::Block, Self::Kick, Self::Stop, Self::Revoke, Self::RevokeSigned, Self::Rotate];

    /// In the words of log and REST.
    const fn reason(self) -> &'static str {
        match self {
            Self::Block => "blocked",
            Self::Kick | Self::Stop => "kicked",
            Self::Revoke | Self::RevokeSigned | Self::Rotate => "revoked",
        }
    }

    const fn reached_max(self) -> Duration {
        if matches!(self, Self::Rotate) { Duration::from_secs(2) } else { REACHED_MAX }
    }

    /// Whether it is done to sessions of this kind. To stop a stream is told its publisher; its players see it end.
    const fn is_done_to(self, kind: Kind) -> bool {
        !matches!(self, Self::Stop) || kind.publishes()
    }

    /// What has to be switched on for it.
    fn settings(self, on: bool) -> Value {
        match self {
            Self::Revoke => json!({ "publishTokenControlEnabled": on, "playTokenControlEnabled": on }),
            Self::RevokeSigned | Self::Rotate => {
                json!({ "publishJwtControlEnabled": on, "playJwtControlEnabled": on,
                "jwtStreamSecretKey": KEYS[0] })
            }
            _ => json!({}),
        }
    }
}

/// The node that serves the sessions, and the one that is asked to end them.
struct Stage<'a> {
    serving: &'a Node,
    asked: &'a Node,
    identity: Arc<Identity>,
    /// The next session's number.
    next: usize,
    key: usize,
    /// Who was ended, and why, of which REST is to know.
    ended: Vec<(&'static str, Shown)>,
}

async fn rest(node: &Node, method: &str, path: &str) -> Result<Value> {
    let answer = node.send(method, &format!("/{APP}/rest/v2/broadcasts/{path}"), &Value::Null).await?;
    ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
    Ok(answer.json())
}

impl Stage<'_> {
    async fn settings(&self, changes: Value) -> Result<Instant> {
        let path = format!("/rest/v2/applications/settings/{APP}");
        let answer = self.asked.send("PATCH", &path, &changes).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(SystemClock.now())
    }

    /// Until the node that serves knows whether somebody who has nothing may play.
    async fn until_gate(&self, is_open: bool) -> Result<()> {
        let url = self.serving.http_url(&format!("/{APP}/whep/{STREAM}"));
        let said = async || {
            let answer = test_support::ask("POST", &url, &[], "").await.ok()?;
            let place = answer.header("location").map(|place| self.serving.http_url(place));
            if let Some(place) = place {
                let _ = test_support::ask("DELETE", &place, &[], "").await;
            }
            ((answer.status == 201) == is_open).then_some(())
        };
        Node::eventually(PATIENCE, said).await.context("the gate is not as the settings say")
    }

    /// What a session is about to say, and the REST that ends it.
    async fn shown(&self, act: Act, kind: Kind, number: usize) -> Result<Shown> {
        let stream = if kind.publishes() { format!("own{number}") } else { STREAM.to_owned() };
        let token = match act {
            Act::Revoke => Some(self.asked.mint("token", APP, &stream, kind.direction(), LATER).await?),
            Act::RevokeSigned | Act::Rotate => {
                // Each its own, for one that is revoked is revoked for everybody.
                let until = LATER + i64::try_from(number)?;
                let token = jwt::stream_token(KEYS[self.key], &stream, kind.direction(), until);
                Some(token.context("no JWT")?)
            }
            _ => None,
        };
        Ok(Shown { stream, subscriber: format!("sub{number}"), token })
    }

    /// Does it to all of them; when REST had answered for each.
    async fn act(&mut self, act: Act, kind: Kind, all: &[Shown]) -> Result<Vec<Instant>> {
        if act == Act::Rotate {
            self.key = 1 - self.key;
            let answered = self.settings(json!({ "jwtStreamSecretKey": KEYS[self.key] })).await?;
            return Ok(vec![answered; all.len()]);
        }
        try_join_all(all.iter().map(|shown| self.act_on(act, kind, shown))).await
    }

    /// Does it to one.
    async fn act_on(&self, act: Act, kind: Kind, shown: &Shown) -> Result<Instant> {
        let Shown { stream, subscriber, token } = shown;
        match act {
            Act::Block => {
                let path = format!("{stream}/subscribers/{subscriber}/block/600/{}", kind.direction());
                rest(self.asked, "PUT", &path).await?;
            }
            Act::Kick => {
                let session = self.session(shown).await?.context("it is not among the sessions")?;
                let name = session["session"].as_str().context("no name")?.to_owned();
                rest(self.asked, "DELETE", &format!("{stream}/sessions/{name}")).await?;
            }
            Act::Stop => {
                let known = async || rest(self.asked, "GET", stream).await.ok();
                Node::eventually(PATIENCE, known).await.context("the stream is not known")?;
                let answer = rest(self.asked, "POST", &format!("{stream}/stop")).await?;
                ensure!(answer["success"] == true, "{answer}");
            }
            Act::Revoke | Act::RevokeSigned => {
                let token = token.as_deref().unwrap_or_default();
                let answer = rest(self.asked, "DELETE", &format!("{stream}/tokens/{token}")).await?;
                ensure!(answer["success"] == true, "{answer}");
            }
            Act::Rotate => bail!("a secret is everybody's"),
        }
        Ok(SystemClock.now())
    }

    /// The session as the node that serves it shows it.
    async fn session(&self, shown: &Shown) -> Result<Option<Value>> {
        let sessions = rest(self.serving, "GET", &format!("{}/sessions/0/250", shown.stream)).await?;
        let is_it = |session: &&Value| session["subscriberId"] == shown.subscriber.as_str();
        Ok(sessions.as_array().and_then(|all| all.iter().find(is_it)).cloned())
    }

    /// How long it took until the slowest of some clients noticed.
    async fn round(&mut self, act: Act, kind: Kind, is_first: bool) -> Result<Duration> {
        let numbers = self.next..self.next + AT_A_TIME;
        self.next = numbers.end;
        let all = try_join_all(numbers.map(|number| self.shown(act, kind, number))).await?;
        let enter = |shown| Client::enter(self.serving, kind, shown, &self.identity);
        let clients = try_join_all(all.iter().map(enter)).await?;
        if act == Act::Block && kind.can_pause() {
            let paused = clients.into_iter().zip(&all).map(|(client, shown)| self.pause(client, kind, shown));
            return Ok(try_join_all(paused).await?.into_iter().max().unwrap_or_default());
        }
        let over: Vec<_> = clients.into_iter().map(|client| tokio::spawn(client.over())).collect();
        let answered = self.act(act, kind, &all).await?;
        let mut worst = Duration::ZERO;
        for (over, answered) in over.into_iter().zip(answered) {
            worst = worst.max(over.await??.saturating_duration_since(answered));
        }
        if is_first {
            try_join_all(all.iter().map(|shown| self.log_says(act, kind, shown))).await?;
            self.ended.extend(all.into_iter().map(|shown| (act.reason(), shown)));
        }
        Ok(worst)
    }

    /// How long it took until a blocked client heard no more, or, if that was longer, until it heard again when the block
    /// was lifted.
    async fn pause(&self, mut client: Client, kind: Kind, shown: &Shown) -> Result<Duration> {
        let answered = self.act_on(Act::Block, kind, shown).await?;
        let paused = client.falls_silent(answered).await?.saturating_sub(ON_ITS_WAY);
        let session = self.session(shown).await?.context("it is not among the sessions")?;
        ensure!(session["state"] == "suspended", "{session}");
        let lift = format!("{STREAM}/subscribers/{}/block/0/play", shown.subscriber);
        rest(self.asked, "PUT", &lift).await?;
        let heard = client.is_heard(SystemClock.now()).await?;
        client.leave().await;
        Ok(paused.max(heard))
    }

    async fn log_says(&self, act: Act, kind: Kind, shown: &Shown) -> Result<()> {
        let reason = act.reason();
        let (what, label) = (format!("{}er ended", kind.direction()), format!("\"reason\":\"{reason}\""));
        let is_it =
            |line: &str| line.contains(&what) && line.contains(&label) && line.contains(&shown.stream);
        let line = self.serving.wait_for_log(PATIENCE, is_it).await;
        line.with_context(|| format!("no line of the log has {what:?} and {label}"))?;
        Ok(())
    }

    /// Nodes tell such things together every other second.
    async fn rest_says(&self, reason: &str, shown: &Shown) -> Result<()> {
        let path = format!("{}/connection-events/0/50?subscriberId={}", shown.stream, shown.subscriber);
        let told = async || {
            let events = rest(self.asked, "GET", &path).await.ok()?;
            events.as_array()?.iter().any(|event| event["exitReason"] == reason).then_some(())
        };
        Node::eventually(PATIENCE, told).await.with_context(|| format!("REST has no event of {reason}"))
    }

    /// All of it; what each kind's worst was goes into the notes.
    async fn play(&mut self) -> Result<()> {
        let load = Load::watch();
        let (mut seen, mut promises) = (String::new(), Vec::new());
        for act in Act::ALL {
            self.settings(act.settings(true)).await?;
            self.key = 0;
            self.until_gate(act.settings(true) == json!({})).await?;
            for kind in Kind::ALL.into_iter().filter(|kind| act.is_done_to(*kind)) {
                if act == Act::RevokeSigned {
                    // All of them in full are more than an application keeps.
                    self.settings(json!({ "revokedTokens": "" })).await?;
                }
                let mut worst = Duration::ZERO;
                for round in 0..rounds() {
                    let took = self.round(act, kind, round == 0).await;
                    worst = worst.max(took.with_context(|| format!("{act:?}, {}", kind.word()))?);
                }
                seen += &format!("\n{act:?}, {}: {} ms", kind.word(), worst.as_millis());
                promises.push((worst > act.reached_max(), format!("{act:?}, {}: {worst:?}", kind.word())));
            }
            self.settings(act.settings(false)).await?;
            self.until_gate(true).await?;
        }
        try_join_all(self.ended.iter().map(|(reason, shown)| self.rest_says(reason, shown))).await?;
        note(&format!("from the answer of REST, the worst of {} each:{seen}", rounds() * AT_A_TIME));
        Verdict::of(promises, "", &load.report()).into_result()
    }
}

async fn live(node: &Node) -> Result<Marker> {
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url(APP, STREAM)))?;
    node.until_broadcast(APP, STREAM, PATIENCE, |broadcast| broadcast["status"] == "broadcasting").await?;
    Ok(marker)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_be_in_any_more_notices_by_every_protocol() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let marker = live(&node).await?;
    let identity = Arc::new(Identity::new()?);
    Stage { serving: &node, asked: &node, identity, next: 0, key: 0, ended: Vec::new() }.play().await?;
    marker.stop()?;
    ensure!(node.panics().is_empty(), "{:?}", node.panics());
    Ok(())
}

/// Three nodes: whoever is asked, the one that serves the session hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn whichever_node_is_asked() -> Result<()> {
    let _turn = Turn::take().await?;
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), 3).await?;
    let (serving, asked) = (cluster.node(1), cluster.node(2));
    let marker = live(serving).await?;
    let identity = Arc::new(Identity::new()?);
    Stage { serving, asked, identity, next: 0, key: 0, ended: Vec::new() }.play().await?;
    marker.stop()?;
    Ok(())
}
