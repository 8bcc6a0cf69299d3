//! What a running node listens on, and every way by which media comes in or goes out over it, stand in one table; and
//! each of these ways asks the gate. A port or a way that is new fails here until it is in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::http_session::SDP;
use test_support::{Cluster, Node, NodeOptions, RtmpClient, Signalling, ask, offer};

const PATIENCE: Duration = Duration::from_secs(10);

/// What listens, by its key in `endpoints.json`, and what stands before media there.
const LISTENERS: &[(&str, &str)] = &[
    ("http", "ways of the table below; REST has its door, and pages are everybody's"),
    ("https", "as http"),
    ("rtmp", "publishers: the gate, at `publish`"),
    ("media_tcp_port", "only who names a session that the gate let in, by its ICE password"),
    ("media_udp_ports", "as media_tcp_port"),
];

/// What is mounted on the web server (`src/wiring.rs`), and what it asks.
const MOUNTED: &[(&str, &str)] = &[
    ("SIGNALLING_PATH", "the gate, at each `play` and `publish`"),
    ("whep", "the gate"),
    ("whip", "the gate"),
    ("sessions::http::flv", "the gate"),
    ("sessions::http::files", "the gate"),
    ("|server| api::configure_rest(server", "the door of REST. No media"),
    ("api::configure", "the door of REST; pages without it. No media"),
    ("crate::faults::configure", "is in no node that serves anybody"),
];

/// Files in which something is mounted on a web server; those of one room mount what the table above names.
const MOUNTING: &[(&str, &str)] = &[
    ("src/wiring.rs", "the table above"),
    ("src/anteroom.rs", "while there is no node yet: no media, nothing but that it is not ready"),
    ("src/api/lib.rs", "REST, pages, and what the anteroom says"),
    ("src/sessions/rtc/resource/endpoint.rs", "whep and whip"),
    ("src/sessions/http/flv.rs", "sessions::http::flv"),
    ("src/sessions/http/files.rs", "sessions::http::files"),
    ("src/faults.rs", "crate::faults::configure"),
];

/// A way that media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    RtmpPublish,
    SignallingPublish,
    SignallingPlay,
    Whip,
    Whep,
    Flv,
    Files,
}

const WAYS: &[(Way, &str)] = &[
    (Way::RtmpPublish, "publish"),
    (Way::SignallingPublish, "publish"),
    (Way::SignallingPlay, "play"),
    (Way::Whip, "publish"),
    (Way::Whep, "play"),
    (Way::Flv, "play"),
    (Way::Files, "play"),
];

/// The ports a process listens on: TCP sockets in the state LISTEN, and all of UDP.
fn listening(pid: u32) -> Result<BTreeSet<(&'static str, u16)>> {
    let mut sockets = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        // One may be closed meanwhile.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        sockets.extend(target.strip_prefix("socket:[").map(|inode| inode.trim_end_matches(']').to_owned()));
    }
    let mut ports = BTreeSet::new();
    for (table, protocol, wanted) in
        [("tcp", "TCP", "0A"), ("tcp6", "TCP", "0A"), ("udp", "UDP", "07"), ("udp6", "UDP", "07")]
    {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")) else { continue };
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else { continue };
            if state == wanted && sockets.contains(inode) {
                let (_, port) = local.rsplit_once(':').context("no port")?;
                ports.insert((protocol, u16::from_str_radix(port, 16)?));
            }
        }
    }
    Ok(ports)
}

/// What `endpoints.json` says of where a node listens. Each is in the table.
fn said_by(node: &Node) -> Result<BTreeSet<(&'static str, u16)>> {
    let text = std::fs::read(node.data_folder().join("endpoints.json"))?;
    let said: BTreeMap<String, Value> = serde_json::from_slice(&text)?;
    let mut ports = BTreeSet::new();
    for (key, value) in said.iter().filter(|(key, _)| *key != "pid") {
        ensure!(LISTENERS.iter().any(|(known, _)| known == key), "{key} is not in the table");
        let protocol = if key.contains("udp") { "UDP" } else { "TCP" };
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let port = match &value {
                Value::String(url) => url.rsplit(':').next().context("no port")?.parse()?,
                number => u16::try_from(number.as_u64().context("no port")?)?,
            };
            ports.insert((protocol, port));
        }
    }
    ensure!(said.len() == LISTENERS.len() + 1, "{said:?}");
    Ok(ports)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_port_is_open_that_is_not_in_the_table() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    // While somebody publishes, too.
    let _publisher = RtmpClient::publishing(node.rtmp_address(), "LiveApp", "stream1").await?;
    let (found, wanted) = (listening(node.pid())?, said_by(&node)?);
    ensure!(found == wanted, "it listens on {found:?}, and says {wanted:?}");
    Ok(())
}

/// Media does not come by the port of the cluster: it speaks to nodes that have the secret, and to nobody else
/// (`foreigners_are_kept_out_of_the_cluster`).
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_has_one_port_more() -> Result<()> {
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), 1).await?;
    let node = cluster.node(1);
    let port = cluster.plan().address(1).rsplit(':').next().context("no port")?.parse()?;
    let (found, mut wanted) = (listening(node.pid())?, said_by(node)?);
    wanted.insert(("TCP", port));
    ensure!(found == wanted, "it listens on {found:?}, and says {wanted:?}");
    Ok(())
}

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn nothing_is_mounted_in_a_file_that_is_not_in_the_table() -> Result<()> {
    // What actix-web is told where to find a handler by, and its attributes.
    const BY: &[&str] = &[
        "web::resource(",
        "web::scope(",
        "web::route(",
        "web::get()",
        "web::post()",
        "web::to(",
        ".route(",
        ".service(",
        "App::new()",
        "#[get(",
        "#[post(",
        "#[route(",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    sources(&root.join("src"), &mut all)?;
    let mut found = BTreeSet::new();
    for path in all.iter().filter(|path| !path.to_string_lossy().contains("/tests")) {
        let text = std::fs::read_to_string(path)?;
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if BY.iter().any(|by| code.contains(by)) {
            found.insert(path.strip_prefix(root)?.to_string_lossy().into_owned());
        }
    }
    let known: BTreeSet<String> = MOUNTING.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(found, known);
    Ok(())
}

#[test]
fn nothing_is_mounted_that_is_not_in_the_table() -> Result<()> {
    let wiring = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wiring.rs"))?;
    let mut found = BTreeSet::new();
    for mount in [".configure(", ".route(", ".service("] {
        for (_, behind) in wiring.match_indices(mount).map(|(at, _)| wiring.split_at(at + mount.len())) {
            let name = behind.split([')', ',']).next().unwrap_or_default().trim();
            found.insert(name.to_owned());
        }
    }
    let known: BTreeSet<String> = MOUNTED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, known);
    assert_eq!(sessions::http::MEDIA_PATHS, ["/{app}/live/{stream}.flv", "/{app}/streams/{file:.*}"]);
    Ok(())
}

/// Tries a way without any credential; that no media comes is not looked at here, but at what the gate was asked.
async fn attempt(node: &Node, way: Way) -> Result<()> {
    match way {
        Way::RtmpPublish => {
            let mut client = RtmpClient::connect(node.rtmp_address()).await?;
            client.handshake().await?;
            client.publish("LiveApp", "stream1").await?;
            let ended = client.await_end().await;
            ensure!(ended.said("NetStream.Publish.BadName"), "an RTMP publisher was let in");
        }
        Way::SignallingPublish | Way::SignallingPlay => {
            let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
            let command = if way == Way::SignallingPlay { "play" } else { "publish" };
            let message = json!({
                "command": command, "streamId": "stream1", "token": "", "video": true, "audio": true, "room": "",
            });
            socket.send(&message).await?;
            let refused = socket.receive_until(|answer| answer["command"] == "error").await?;
            ensure!(refused["definition"] == "unauthorized_access", "{refused}");
        }
        Way::Whip | Way::Whep => {
            let (part, body) =
                if way == Way::Whip { ("whip", offer::chromium()) } else { ("whep", String::new()) };
            let url = node.http_url(&format!("/LiveApp/{part}/stream1"));
            let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[SDP] };
            let answer = ask("POST", &url, headers, &body).await?;
            ensure!(answer.status == 401, "{way:?}: {} {}", answer.status, answer.text());
        }
        Way::Flv | Way::Files => {
            let path =
                if way == Way::Flv { "/LiveApp/live/stream1.flv" } else { "/LiveApp/streams/stream1.m3u8" };
            let answer = node.get(path).await?;
            ensure!(answer.status == 403, "{way:?}: {} {}", answer.status, answer.text());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_media_asks_the_gate() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .setting("LiveApp", "settings.publishTokenControlEnabled", "true")
        .setting("LiveApp", "settings.playTokenControlEnabled", "true");
    let node = Node::start(options).await?;
    let decisions = async |outcome: &str, direction: &str| {
        let direction = format!("direction=\"{direction}\"");
        node.metric("penstock_gate_decisions_total", &[&direction, outcome]).await
    };
    for (way, direction) in WAYS {
        let before = decisions("", direction).await?;
        tokio::time::timeout(PATIENCE, attempt(&node, *way)).await.with_context(|| format!("{way:?}"))??;
        ensure!(decisions("", direction).await? > before, "{way:?} did not ask the gate");
    }
    for direction in ["publish", "play"] {
        ensure!(decisions("outcome=\"admitted\"", direction).await? == 0.0, "somebody was let in");
    }
    Ok(())
}
