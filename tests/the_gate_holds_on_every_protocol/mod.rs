//! One table for the gate: every mechanism, on every protocol, in both directions, with every kind of credential. What is
//! expected of a cell is data (`cells.rs`); what a client of each protocol does and is told is here once (`clients.rs`).
//! Whoever is let in to play gets media, and who publishes with what is valid is played, picture by numbered picture
//! (`pictures.rs`); whoever is not is told what Ant Media Server tells, not a byte of media comes or is taken, and the
//! clause is counted and stands in the log.

mod cells;
mod clients;
mod hard_times;
mod pictures;

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock, WallTime};
use cells::{Cell, Direction, MECHANISMS, Mechanism, Protocol, STATES, State, expected};
use clients::{Credential, Entered, Outcome, enter};
use futures_util::future::try_join_all;
use pictures::Pictures;
use security::credential::{hash, totp};
use serde_json::{Value, json};
use test_support::{FileServer, Marker, MarkerOptions, Node, NodeOptions, Turn, note};
use tokio::task::LocalSet;

pub(crate) const APP: &str = "LiveApp";
const KEY: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
const SECRET: &str = "mysecret";
const PATIENCE: Duration = Duration::from_secs(20);
/// A stream that everybody may publish: the mechanism under test is switched on for players alone.
const LIVE: &str = "live1";

fn now_s() -> i64 {
    i64::try_from(SystemClock.wall().as_millis() / 1_000).unwrap_or_default()
}

fn code_at(seconds: i64) -> String {
    let key = totp::key_of_base32(SECRET).expect("a secret");
    totp::code(&key, 60, WallTime(u64::try_from(seconds).unwrap_or_default() * 1_000))
}

/// A node that knows what hashes and JWTs are signed with.
async fn with_secrets() -> Result<Node> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let options = options.setting(APP, "tokenHashSecret", SECRET).setting(APP, "jwtStreamSecretKey", KEY);
    Ok(Node::start(options).await?)
}

/// Until the stream that all play has a picture.
async fn playable(node: &Node) -> Result<()> {
    let playable = async || {
        let path = format!("/{APP}/whep/{LIVE}");
        let answer = test_support::ask("POST", &node.http_url(&path), &[], "").await.ok()?;
        (answer.status == 201).then_some(())
    };
    Node::eventually(PATIENCE, playable).await.context("the stream cannot be played")
}

async fn rest(node: &Node, method: &str, path: &str, body: Value) -> Result<Value> {
    let answer = node.send(method, &format!("/{APP}/rest/v2/broadcasts{path}"), &body).await?;
    ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
    Ok(answer.json())
}

async fn settings(node: &Node, changes: Value) -> Result<()> {
    let path = format!("/rest/v2/applications/settings/{APP}");
    let answer = node.send("PATCH", &path, &changes).await?;
    ensure!(answer.status == 200 && answer.json()["success"] != false, "{changes}: {}", answer.text());
    Ok(())
}

async fn subscriber(node: &Node, stream: &str, id: &str, kind: &str) -> Result<()> {
    let body = json!({ "subscriberId": id, "b32Secret": SECRET, "type": kind });
    let answer = rest(node, "POST", &format!("/{stream}/subscribers"), body).await?;
    ensure!(answer["success"] == true, "{answer}");
    Ok(())
}

/// The credential of a cell, for `stream`. Of one that was revoked, the revocation is done when this returns.
async fn credential(node: &Node, cell: &Cell, stream: &str) -> Result<Credential> {
    let kind = cell.direction.word();
    let other_kind = if cell.direction == Direction::Publish { "play" } else { "publish" };
    let hour = now_s() + 3_600;
    let (of_stream, of_kind) = match cell.state {
        State::WrongStream => ("another", kind),
        State::WrongType => (stream, other_kind),
        _ => (stream, kind),
    };
    let expire_s = if cell.state == State::Expired { now_s() - 10 } else { hour };
    if cell.state == State::Absent {
        return Ok(Credential::default());
    }
    let mut credential = match cell.mechanism {
        Mechanism::OneTimeToken => {
            Credential::token(node.mint("token", APP, of_stream, of_kind, expire_s).await?)
        }
        Mechanism::Hash => {
            let direction = match of_kind {
                "publish" => security::Direction::Publish,
                _ => security::Direction::Play,
            };
            Credential::token(hash::stream_hash(of_stream, direction, SECRET))
        }
        Mechanism::Jwt => Credential::token(node.mint("jwt-token", APP, of_stream, of_kind, expire_s).await?),
        Mechanism::Totp => {
            let id = format!("sub-{}", cell.state.word().replace(' ', "-"));
            subscriber(node, of_stream, &id, of_kind).await?;
            let at = if cell.state == State::Expired { now_s() - 180 } else { now_s() };
            Credential::code(id, code_at(at))
        }
        _ => Credential::default(),
    };
    match (cell.state, cell.mechanism) {
        (State::Tampered, _) => credential.tamper(),
        (State::Revoked, Mechanism::OneTimeToken) => {
            rest(node, "DELETE", &format!("/{stream}/tokens"), Value::Null).await?;
        }
        (State::Revoked, Mechanism::Hash | Mechanism::Jwt) => {
            let token = credential.token.as_deref().unwrap_or_default();
            let answer = rest(node, "DELETE", &format!("/{stream}/tokens/{token}"), Value::Null).await?;
            ensure!(answer["success"] == true, "{answer}");
        }
        (State::Revoked, Mechanism::Totp) => {
            let id = credential.subscriber_id.clone().unwrap_or_default();
            rest(node, "DELETE", &format!("/{stream}/subscribers/{id}"), Value::Null).await?;
        }
        _ => {}
    }
    Ok(credential)
}

/// Undoes what revoking a credential of this mechanism did to the settings.
async fn restore(node: &Node, mechanism: Mechanism) -> Result<()> {
    match mechanism {
        // The hash of a stream is the same for all who play it.
        Mechanism::Hash | Mechanism::Jwt => settings(node, json!({ "revokedTokens": "" })).await,
        _ => Ok(()),
    }
}

/// The settings, broadcasts and blocks by which a mechanism without credentials lets in (`right`) or not.
async fn arrange(
    node: &Node,
    webhook: &FileServer,
    cell: &Cell,
    stream: &str,
    right: bool,
) -> Result<Credential> {
    match cell.mechanism {
        Mechanism::Registered => {
            settings(node, json!({ "acceptOnlyStreamsInDataStore": true })).await?;
            if right {
                node.create_broadcast(APP, stream).await?;
            }
        }
        Mechanism::Address => {
            let ranges = if right { "10.0.0.0/8,127.0.0.1/32" } else { "10.0.0.0/8" };
            settings(node, json!({ "allowedPublisherCIDR": ranges })).await?;
        }
        Mechanism::Window => {
            let (start, end) = if right { (1, now_s() + 3_600) } else { (1, 2) };
            let body = json!({ "streamId": stream, "plannedStartDate": start, "plannedEndDate": end });
            rest(node, "POST", "/create", body).await?;
        }
        Mechanism::Block => {
            let seconds = if right { 0 } else { 600 };
            let path = format!("/{stream}/subscribers/sub1/block/{seconds}/{}", cell.direction.word());
            rest(node, "PUT", &path, Value::Null).await?;
            return Ok(Credential { subscriber_id: Some("sub1".to_owned()), ..Credential::default() });
        }
        Mechanism::ViewerLimit => {
            settings(node, json!({ "webRTCViewerLimit": if right { -1 } else { 0 } })).await?;
        }
        Mechanism::Webhook => {
            let url = webhook.url(if right { "yes" } else { "no" });
            settings(node, json!({ "webhookAuthenticateURL": url, "webhookPlayAuthUrl": url })).await?;
        }
        Mechanism::Connections => {
            subscriber(node, stream, "sub2", cell.direction.word()).await?;
            return Ok(Credential::code("sub2".to_owned(), code_at(now_s())));
        }
        _ => {}
    }
    Ok(Credential::default())
}

async fn refused_by(node: &Node, clause: &str) -> Result<f64> {
    let label = format!("outcome=\"{clause}\"");
    Ok(node.metric("penstock_gate_decisions_total", &[&label]).await?)
}

/// Whether a line of the log says that the gate let somebody in, in the direction of a cell, or which clause did not.
fn says_so(line: &str, cell: &Cell, clause: Option<&str>) -> bool {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let is_so = match clause {
        Some(clause) => line["message"] == "denied" && line["clause"] == clause,
        None => line["message"] == "admitted",
    };
    is_so && line["direction"] == cell.direction.word()
}

struct Table {
    node: Node,
    /// It says yes to who asks for what it has.
    webhook: FileServer,
    seen: Vec<(Cell, String)>,
    cells: usize,
    wrong: Vec<String>,
    pictures: Rc<Pictures>,
}

impl Table {
    async fn run(&mut self, cell: &Cell) -> Result<()> {
        let expected = match expected(cell) {
            Ok(expected) => expected,
            Err(reason) => {
                self.seen.push((*cell, format!("– ({reason})")));
                return Ok(());
            }
        };
        self.cells += 1;
        let stream = match cell.direction {
            Direction::Publish => format!("s{}", self.cells),
            Direction::Play => LIVE.to_owned(),
        };
        let shown = if cell.mechanism.has_credentials() {
            credential(&self.node, cell, &stream).await?
        } else {
            arrange(&self.node, &self.webhook, cell, &stream, cell.state == State::Valid).await?
        };
        if cell.state == State::Replayed {
            let first = enter(&self.node, cell, &stream, &shown).await?;
            ensure!(first.outcome == Outcome::In, "the first of two: {:?}", first.outcome);
            first.leave().await;
            self.until_free(cell, &stream).await?;
        }
        // Somebody else of the same name: a player of the stream, for it has one publisher.
        let other = match (cell.mechanism, cell.direction) {
            (Mechanism::Connections, Direction::Publish) if cell.state == State::Absent => {
                Some(self.left_behind(cell, &stream, &shown).await.context("who plays already")?)
            }
            (Mechanism::Connections, Direction::Play) if cell.state == State::Absent => {
                let other = enter(&self.node, cell, &stream, &shown).await?;
                ensure!(other.outcome == Outcome::In, "the first of two: {:?}", other.outcome);
                Some(other)
            }
            _ => None,
        };
        let before = refused_by(&self.node, expected.clause.unwrap_or("admitted")).await?;
        let lines_before = self.node.log_lines().len();
        let received = self.received(&stream).await?;
        let entered = enter(&self.node, cell, &stream, &shown).await?;
        let told = cells::told(cell, &expected, shown.token.is_some());
        ensure!(entered.outcome == told, "{:?}, not {told:?}", entered.outcome);
        if entered.outcome != Outcome::In && cell.direction == Direction::Publish {
            ensure!(self.received(&stream).await? == received, "media of a refused publisher was taken");
        }
        let after = refused_by(&self.node, expected.clause.unwrap_or("admitted")).await?;
        let is_logged = async || {
            let lines = self.node.log_lines();
            lines.iter().skip(lines_before).any(|line| says_so(line, cell, expected.clause)).then_some(())
        };
        Node::eventually(PATIENCE, is_logged).await.context("the log does not say why")?;
        ensure!(after > before, "the clause “{}” was not counted", expected.clause.unwrap_or("admitted"));
        let was_in = entered.outcome == Outcome::In;
        entered.leave().await;
        let was_other = match other {
            Some(other) => {
                other.leave().await;
                true
            }
            None => false,
        };
        if was_in || was_other {
            self.until_free(cell, &stream).await?;
        }
        if was_in && cell.direction == Direction::Publish && cell.state == State::Valid {
            let shown = if cell.mechanism.has_credentials() {
                credential(&self.node, cell, &stream).await?
            } else {
                shown.clone()
            };
            self.pictures.arrive(&self.node, cell.protocol, &stream, &shown).await.context("the pictures")?;
            self.until_free(cell, &stream).await?;
        }
        if cell.state == State::Revoked {
            restore(&self.node, cell.mechanism).await?;
        }
        let outcome = match told {
            Outcome::In => "in".to_owned(),
            Outcome::Refused(words) => format!("`{words}`"),
        };
        self.seen.push((*cell, outcome));
        Ok(())
    }

    /// Has a subscriber play a stream whose publisher was lost: there is a seat for another one, and this one has its connection.
    async fn left_behind(&self, cell: &Cell, stream: &str, shown: &Credential) -> Result<Entered> {
        subscriber(&self.node, stream, "sub3", "publish").await?;
        let publisher = Credential::code("sub3".to_owned(), code_at(now_s()));
        let publisher = self.pictures.begin(&self.node, stream, &publisher).await?;
        // Only who comes by a code has a connection.
        settings(&self.node, json!({ "enableTimeTokenForPlay": true })).await?;
        let play = Cell { direction: Direction::Play, protocol: Protocol::Flv, ..*cell };
        let player = enter(&self.node, &play, stream, shown).await?;
        settings(&self.node, json!({ "enableTimeTokenForPlay": false })).await?;
        ensure!(player.outcome == Outcome::In, "the first of two: {:?}", player.outcome);
        drop(publisher);
        // That of the stream that all play is there.
        self.node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers <= 1.0).await?;
        Ok(player)
    }

    /// What the stream is said to be and to have taken, as far as it is one.
    async fn received(&self, stream: &str) -> Result<(bool, u64)> {
        let broadcast = self.node.get(&format!("/{APP}/rest/v2/broadcasts/{stream}")).await?.json();
        let is_live = broadcast["status"] == "broadcasting";
        Ok((is_live, broadcast["receivedBytes"].as_u64().unwrap_or_default()))
    }

    /// Until the node has forgotten who left: a seat and a subscriber's connection are given back in the background.
    async fn until_free(&self, cell: &Cell, stream: &str) -> Result<()> {
        let path = format!("/{APP}/rest/v2/broadcasts/{stream}/sessions/0/50");
        let is_free = async || {
            let sessions = self.node.get(&path).await.ok()?.json();
            let kind = cell.direction.word();
            let none = sessions.as_array()?.iter().all(|session| session["direction"] != kind);
            none.then_some(())
        };
        Node::eventually(PATIENCE, is_free).await.context("who left is still there")
    }
}

/// The table for the documents: a row for each mechanism, direction and protocol.
fn document(seen: &[(Cell, String)]) -> String {
    let mut text = String::from(
        "# What the gate lets in\n\nMade by `tests/the_gate_holds_on_every_protocol` (`PENSTOCK_BLESS=1` writes it anew): each \
         cell was asked of a running node by a client of the protocol. What is not `in` is what the client is told; not a \
         byte of media came or was taken then. Of mechanisms that ask for nothing, “absent” is who does not fulfil them. \
         What is impossible is said below, not in the tables.\n",
    );
    let mut impossible = Vec::new();
    for with_credentials in [true, false] {
        let states = if with_credentials { STATES } else { &[State::Valid, State::Absent] };
        let heads: Vec<_> = states.iter().map(|state| state.word()).collect();
        let _ = write!(text, "\n| mechanism | direction | protocol | {} |\n", heads.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(heads.len() + 3));
        let of_it = |(cell, _): &&(Cell, String)| cell.mechanism.has_credentials() == with_credentials;
        let cells: Vec<_> = seen.iter().filter(of_it).collect();
        for row in cells.chunks(states.len()) {
            let Some((first, _)) = row.first() else { continue };
            if row.iter().all(|(_, outcome)| outcome.starts_with('–')) {
                impossible.push(format!(
                    "- {}: {}",
                    first.row().replace(" | ", ", "),
                    row[0].1.trim_matches(['–', ' ', '(', ')'])
                ));
                continue;
            }
            let outcomes: Vec<_> = row.iter().map(|(_, outcome)| outcome.as_str()).collect();
            let _ = writeln!(text, "| {} | {} |", first.row(), outcomes.join(" | "));
        }
    }
    let _ = write!(text, "\n{}\n", impossible.join("\n"));
    text
}

#[tokio::test]
async fn every_cell_is_as_the_table_says() -> Result<()> {
    LocalSet::new().run_until(every_cell()).await
}

/// Nodes that share the mechanisms: a cell waits for its client most of the time.
const NODES: usize = 3;

async fn every_cell() -> Result<()> {
    let _turn = Turn::take().await?;
    let pictures = Rc::new(Pictures::make().await?);
    let parts = (0..NODES).map(|part| {
        let mechanisms = MECHANISMS.iter().copied().skip(part).step_by(NODES);
        cells_of(mechanisms, Rc::clone(&pictures))
    });
    let (mut asked, mut seen, mut wrong) = (0, Vec::new(), Vec::new());
    for part in try_join_all(parts).await? {
        asked += part.cells;
        seen.extend(part.seen);
        wrong.extend(part.wrong);
        wrong.extend(part.node.panics());
    }
    note(&format!("{asked} cells of the gate's table asked, {} wrong", wrong.len()));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    seen.sort_by_key(|(cell, _)| MECHANISMS.iter().position(|mechanism| *mechanism == cell.mechanism));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gate.md");
    let text = document(&seen);
    if std::env::var_os("PENSTOCK_BLESS").is_some() {
        std::fs::write(file, &text)?;
    }
    if std::fs::read_to_string(file)? != text {
        bail!("docs/gate.md says otherwise: run this test with PENSTOCK_BLESS=1 if that is meant");
    }
    Ok(())
}

/// Asks all cells of these mechanisms of a node of their own.
async fn cells_of(mechanisms: impl Iterator<Item = Mechanism>, pictures: Rc<Pictures>) -> Result<Table> {
    let node = with_secrets().await?;
    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url(APP, LIVE)))?;
    node.until_broadcast(APP, LIVE, PATIENCE, |broadcast| broadcast["status"] == "broadcasting").await?;
    playable(&node).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("yes"), "")?;
    let webhook = FileServer::start(folder.path()).await?;
    let mut table = Table { node, webhook, seen: Vec::new(), cells: 0, wrong: Vec::new(), pictures };
    for mechanism in mechanisms {
        for direction in [Direction::Publish, Direction::Play] {
            settings(&table.node, mechanism.switch(direction, true)).await?;
            let states = if mechanism.has_credentials() { STATES } else { &[State::Valid, State::Absent] };
            for protocol in Protocol::ALL {
                for state in states {
                    let cell = Cell { mechanism, direction, protocol, state: *state };
                    if let Err(error) = table.run(&cell).await {
                        table.wrong.push(format!("{} | {}: {error:#}", cell.row(), state.word()));
                    }
                }
            }
            settings(&table.node, mechanism.switch(direction, false)).await?;
        }
    }
    marker.stop()?;
    Ok(table)
}
