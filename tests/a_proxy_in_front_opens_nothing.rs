//! A web server that stands in front of a node on the same machine, and says for whom it speaks, opens REST, the metrics and
//! lists of addresses to nobody; one that says nothing opens nothing behind the lines that README.md gives. Real nginx, with
//! the lines of README.md to the letter.

use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use test_support::{Nginx, Node, NodeOptions, Response, Signalling, ask, nginx, offer, skipped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

const ANSWER_MAX: Duration = Duration::from_secs(10);
const FORWARDED_FOR: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
const COUNT: &str = "/LiveApp/rest/v2/broadcasts/count";
const VERSION: &str = "/rest/v2/version";
/// What is the machine's own, or a list's.
const CLOSED: &[&str] = &[
    COUNT,
    VERSION,
    "/WebRTCAppEE/rest/v2/broadcasts/list/0/10",
    "/LiveApp/rest/v2/broadcasts/stream1/token?expireDate=1893456000&type=publish",
    "/rest/v2/applications/settings/LiveApp",
    "/rest/v2/user-list",
    "/rest/v2/backup",
    "/metrics",
];
/// What is everybody's.
const OPEN: &[&str] = &["/", "/LiveApp/play.html?id=stream1", "/livez", "/panel/"];

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

/// `None`: there is no nginx, and that was said.
fn program(test: &str) -> Option<PathBuf> {
    nginx().map_err(|why| skipped(test, &why)).ok()
}

/// What README.md has nginx told: the way to the node, and what to keep from it.
fn readme(node: &Node) -> Result<(String, String)> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))?;
    let mut blocks = text.split("```nginx\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (way, closed) = (blocks.next().context("no way")?, blocks.next().context("nothing is kept")?);
    ensure!(blocks.next().is_none() && way.contains(FORWARDED_FOR), "README.md has other lines");
    let host = node.endpoints().http.trim_start_matches("http://");
    Ok((way.replace("127.0.0.1:5080", host), closed.to_owned()))
}

async fn get(server: &Nginx, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    ask("GET", &server.url(path), headers, "").await.context("no answer")
}

async fn is_open(server: &Nginx, path: &str) -> Result<()> {
    let answer = get(server, path, &[]).await?;
    // The management page may not have been built.
    let is = answer.status == 200 || (path == "/panel/" && answer.status == 503);
    ensure!(is, "{path}: {} {}", answer.status, answer.text());
    Ok(())
}

async fn is_closed(server: &Nginx, path: &str, headers: &[(&str, &str)]) -> Result<()> {
    let answer = get(server, path, headers).await?;
    ensure!(answer.status == 403, "{path} {headers:?}: {} {}", answer.status, answer.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_for_whom_it_speaks_is_not_the_machine() -> Result<()> {
    let Some(program) = program("a proxy that says for whom it speaks") else { return Ok(()) };
    let node = Node::start(options().setting("LiveApp", "allowedPublisherCIDR", "127.0.0.1/32")).await?;
    ensure!(node.get(COUNT).await?.status == 200 && node.get(VERSION).await?.status == 200);
    let (way, _) = readme(&node)?;
    for header in [
        FORWARDED_FOR,
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header Forwarded for=$remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header Via \"1.1 proxy\";",
    ] {
        let server = Nginx::start(&program, &way.replace(FORWARDED_FOR, header))?;
        for path in CLOSED {
            is_closed(&server, path, &[]).await.context(header)?;
        }
        for path in OPEN {
            is_open(&server, path).await.context(header)?;
        }
        // What its visitors say of themselves makes no difference, nor does a name of this machine.
        for spoofed in [
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Real-IP", "127.0.0.1"),
            ("Forwarded", "for=127.0.0.1"),
            ("X-Forwarded-Host", "localhost"),
            ("Connection", "X-Forwarded-For, Forwarded, Via"),
        ] {
            for path in [COUNT, VERSION, "/metrics"] {
                is_closed(&server, path, &[spoofed]).await.context(header)?;
            }
        }
        // The first user is made by who is on the machine.
        let first = json!({ "email": "a@b", "password": "one" }).to_string();
        let kind = [("Content-Type", "application/json")];
        let made = ask("POST", &server.url("/rest/v2/users/initial"), &kind, &first).await?;
        ensure!(made.status == 403, "{header}: {} {}", made.status, made.text());
        // Nor is a publisher at an address that is allowed.
        let kind = [("Content-Type", "application/sdp")];
        let path = "/LiveApp/whip/stream1";
        let refused = ask("POST", &server.url(path), &kind, &offer::chromium()).await?;
        ensure!(refused.status / 100 == 4, "{header}: {} {}", refused.status, refused.text());
        // Whoever may come comes through.
        let address = server.url("/LiveApp/websocket").replacen("http", "ws", 1);
        let mut socket = Signalling::open(&address).await?;
        let answer = socket.ask(&json!({ "command": "ping" })).await?;
        ensure!(answer["command"] == "pong", "{header}: {answer}");
        let refused = socket.ask(&json!({ "command": "publish", "streamId": "stream1" })).await?;
        ensure!(refused["command"] == "error", "{header}: {refused}");
    }
    let kind = [("Content-Type", "application/sdp")];
    let direct = ask("POST", &node.http_url("/LiveApp/whip/stream1"), &kind, &offer::chromium()).await?;
    ensure!(direct.status == 201, "the machine itself may publish");
    Ok(())
}

/// Asks from an address of this machine.
async fn ask_from(source: IpAddr, server: &Nginx, path: &str, header: &str) -> Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let mut stream = socket.connect(server.address()).await?;
    let host = server.address();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(ANSWER_MAX, stream.read_to_end(&mut answer)).await.context("no answer")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_trusted_is_believed_in_its_last_word() -> Result<()> {
    let Some(program) = program("a proxy that is trusted") else { return Ok(()) };
    let Some(own) = own_address() else {
        skipped(
            "a proxy that is trusted",
            "this machine has no address but loopback, which is one to the node",
        );
        return Ok(());
    };
    let options = options()
        .environment("PENSTOCK_HTTP_TRUSTED_PROXIES", "127.0.0.1")
        .setting("LiveApp", "remoteAllowedCIDR", &own.to_string())
        .setting("WebRTCAppEE", "remoteAllowedCIDR", "203.0.113.0/24");
    let node = Node::start(options).await?;
    let server = Nginx::start(&program, &readme(&node)?.0)?;
    let others = COUNT.replace("LiveApp", "WebRTCAppEE");
    for (header, path, status) in [
        ("", COUNT, 200),
        ("X-Forwarded-For: 8.8.8.8\r\n", COUNT, 200),
        ("", &others, 403),
        ("X-Forwarded-For: 203.0.113.7\r\n", &others, 403),
        ("X-Forwarded-For: 203.0.113.7, 127.0.0.1\r\n", &others, 403),
        ("X-Real-IP: 203.0.113.7\r\n", &others, 403),
        ("Forwarded: for=203.0.113.7\r\n", &others, 403),
        // Whomever it speaks for is not the machine.
        ("", VERSION, 403),
        ("X-Forwarded-For: 127.0.0.1\r\n", VERSION, 403),
        ("", "/metrics", 403),
    ] {
        let answer = ask_from(own, &server, path, header).await?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{header}{path}: {answer}");
    }
    Ok(())
}

/// An address of this machine that is none of loopback. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_nothing_is_kept_from_what_is_the_machines() -> Result<()> {
    let Some(program) = program("a proxy that says nothing") else { return Ok(()) };
    let node = Node::start(options()).await?;
    let (way, closed) = readme(&node)?;
    let silent = way.replace(FORWARDED_FOR, "");
    // This is what README.md warns of.
    let open = Nginx::start(&program, &silent)?;
    for path in [COUNT, VERSION, "/metrics"] {
        let answer = get(&open, path, &[]).await?;
        ensure!(answer.status == 200, "README.md warns of what is not so: {path}: {}", answer.status);
    }
    let server = Nginx::start(&program, &format!("{closed}\n{silent}"))?;
    for path in CLOSED {
        is_closed(&server, path, &[]).await?;
    }
    for path in OPEN {
        is_open(&server, path).await?;
    }
    // However it is spelt.
    for path in [
        "/rest",
        "/LiveApp/rest",
        "//rest/v2/version",
        "/%72est/v2/version",
        "/r%65st/v2/version",
        "/x/../rest/v2/version",
        "/x/%2e%2e/rest/v2/version",
        "/./rest/v2/version",
        "/LiveApp//rest/v2/broadcasts/count",
        "/LiveApp/%72est/v2/broadcasts/count",
        "/Live%41pp/rest/v2/broadcasts/count",
        "/LiveApp/./rest/v2/broadcasts/count",
        "/LiveApp/rest;a=b/v2/broadcasts/count",
        "/REST/v2/version",
        "/LiveApp/Rest/v2/broadcasts/count",
        "/LiveApp%2frest/v2/broadcasts/count",
        "/%6detrics",
        "/metrics/",
        "/metrics;x",
    ] {
        let answer = get(&server, path, &[]).await?;
        ensure!(answer.status / 100 == 4, "{path}: {} {}", answer.status, answer.text());
    }
    Ok(())
}
