//! The same mechanisms after a restart, and while the metadata plane is away (what each does then is DESIGN's table).

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use load_tests::{Publisher, Recording, RecordingOptions};
use serde_json::json;
use test_support::{Cluster, Marker, MarkerOptions, Node, Plan, Turn, in_full, note};

use super::cells::{Cell, Direction, Mechanism, Protocol, State, expected, told};
use super::clients::{Credential, Outcome, enter};
use super::{APP, KEY, LIVE, PATIENCE, SECRET, credential, playable, settings, with_secrets};

/// Those that a client brings something for.
const MECHANISMS: [Mechanism; 4] =
    [Mechanism::OneTimeToken, Mechanism::Hash, Mechanism::Jwt, Mechanism::Totp];
/// What is tried of them: what is right, and what is wrong in a way that no time changes.
const STATES: [State; 3] = [State::Valid, State::Tampered, State::Absent];
const VOTERS: usize = 3;
/// The one that is cut off.
const ALONE: usize = 3;

/// In `make test` the first of the mechanisms for all, which asks the plane, and one that does not.
fn mechanisms() -> impl Iterator<Item = Mechanism> {
    MECHANISMS.into_iter().step_by(if in_full() { 1 } else { 2 })
}

fn cells(mechanism: Mechanism, direction: Direction) -> impl Iterator<Item = Cell> {
    let all = move |protocol| STATES.map(|state| Cell { mechanism, direction, protocol, state });
    Protocol::ALL.into_iter().flat_map(all).filter(|cell| expected(cell).is_ok())
}

/// Makes what each cell brings.
async fn bring(
    node: &Node,
    mechanism: Mechanism,
    direction: Direction,
) -> Result<Vec<(Cell, String, Credential)>> {
    let mut brought = Vec::new();
    for (number, cell) in cells(mechanism, direction).enumerate() {
        let stream = match direction {
            Direction::Play => LIVE.to_owned(),
            Direction::Publish => format!("{}-{number}", mechanism.word().replace(' ', "-")),
        };
        // One subscriber for each protocol: it has one connection.
        let mut shown = credential(node, &cell, &stream).await?;
        if let Some(id) = &mut shown.subscriber_id {
            let own = format!("{id}-{number}");
            super::subscriber(node, &stream, &own, direction.word()).await?;
            *id = own;
        }
        brought.push((cell, stream, shown));
    }
    Ok(brought)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_before_a_restart_is_good_after_it() -> Result<()> {
    let _turn = Turn::take().await?;
    let mut node = with_secrets().await?;
    let (mut asked, mut wrong) = (0, Vec::new());
    for mechanism in mechanisms() {
        for direction in [Direction::Publish, Direction::Play] {
            settings(&node, mechanism.switch(direction, true)).await?;
            let brought = bring(&node, mechanism, direction).await?;
            node.kill9().await?;
            node.restart().await?;
            let marker = match direction {
                Direction::Publish => None,
                Direction::Play => {
                    let marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url(APP, LIVE)))?;
                    let is_live = |broadcast: &serde_json::Value| broadcast["status"] == "broadcasting";
                    node.until_broadcast(APP, LIVE, PATIENCE, is_live).await?;
                    // Who may not play is not told whether there is a picture.
                    node.until_metric("penstock_units_total", &[], PATIENCE, |units| units > 100.0).await?;
                    Some(marker)
                }
            };
            for (cell, stream, shown) in brought {
                let wanted =
                    told(&cell, &expected(&cell).map_err(anyhow::Error::msg)?, shown.token.is_some());
                let entered = enter(&node, &cell, &stream, &shown).await?;
                asked += 1;
                if entered.outcome != wanted {
                    wrong.push(format!("{} | {}: {:?}", cell.row(), cell.state.word(), entered.outcome));
                }
                entered.leave().await;
            }
            if let Some(marker) = marker {
                marker.stop()?;
            }
            settings(&node, mechanism.switch(direction, false)).await?;
        }
    }
    note(&format!("{asked} cells asked after a kill and a restart, {} wrong", wrong.len()));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What a cell is told while the plane is away: whoever publishes is refused, whatever it brings; of players' credentials those
/// that need the plane are refused, and what is known here is decided here.
fn told_without_the_plane(cell: &Cell, has_token: bool) -> Outcome {
    let away = Outcome::Refused(
        match cell.protocol {
            Protocol::Rtmp => "NetStream.Failed",
            Protocol::WebSocket => "data_store_not_available",
            Protocol::Whip | Protocol::Whep => "503",
            Protocol::Flv => "503 the server is not ready: try again in some seconds",
        }
        .to_owned(),
    );
    let usual = || expected(cell).map_or(Outcome::In, |expected| told(cell, &expected, has_token));
    match (cell.direction, cell.mechanism, cell.state) {
        (Direction::Publish, ..) => away,
        // Whether it brought one at all is seen without asking anybody.
        (_, Mechanism::OneTimeToken, State::Valid | State::Tampered) => away,
        // The node will not decide it, whatever comes.
        (_, Mechanism::Totp, _) if cell.protocol == Protocol::Flv => {
            Outcome::Refused("403 the application's security settings do not let you in".to_owned())
        }
        (_, Mechanism::Totp, State::Valid) => {
            let tampered = Cell { state: State::Tampered, ..*cell };
            expected(&tampered).map_or(Outcome::In, |expected| told(&tampered, &expected, has_token))
        }
        _ => usual(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_decides_what_it_can_know() -> Result<()> {
    let _turn = Turn::take().await?;
    let plan = Plan::new(env!("CARGO_BIN_EXE_penstock"), VOTERS, VOTERS).await?.over_ways().await?;
    let cluster = Cluster::of(plan).await?;
    let node = cluster.node(ALONE);
    let recording = Arc::new(Recording::make(RecordingOptions::default()).await?);
    let mut publisher = Publisher::start(&recording, node.rtmp_address(), APP, LIVE)?;
    playable(node).await?;
    settings(node, json!({ "tokenHashSecret": SECRET, "jwtStreamSecretKey": KEY })).await?;
    let (mut asked, mut wrong) = (0, Vec::new());
    for mechanism in mechanisms() {
        for direction in [Direction::Publish, Direction::Play] {
            settings(node, mechanism.switch(direction, true)).await?;
            let brought = bring(node, mechanism, direction).await?;
            let before = node.log_lines().len();
            let says = async |words: &str| {
                let is_said = async || {
                    node.log_lines().into_iter().skip(before).any(|line| line.contains(words)).then_some(())
                };
                Node::eventually(PATIENCE, is_said).await.with_context(|| format!("it did not say {words:?}"))
            };
            cluster.plan().cut_off(ALONE);
            says("the metadata plane does not answer: the node's streams go on").await?;
            for (cell, stream, shown) in brought {
                let wanted = told_without_the_plane(&cell, shown.token.is_some());
                let entered = enter(node, &cell, &stream, &shown).await?;
                asked += 1;
                if entered.outcome != wanted {
                    let name = format!("{} | {}", cell.row(), cell.state.word());
                    wrong.push(format!("{name}: {:?}, not {wanted:?}", entered.outcome));
                }
                entered.leave().await;
            }
            cluster.plan().heal(ALONE);
            says("the metadata plane answers again, all claims are renewed").await?;
            publisher.check()?;
            settings(node, mechanism.switch(direction, false)).await?;
        }
    }
    note(&format!("{asked} cells asked of a node that is cut off, {} wrong", wrong.len()));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
