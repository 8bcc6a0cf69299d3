//! Sessions of WHIP and WHEP: what they are asked and answer, and a page's half of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::browser::Browser;
use crate::http::{Response, ask};
use crate::node::Node;

/// The header of a description.
pub const SDP: (&str, &str) = ("Content-Type", "application/sdp");
/// The header of a fragment.
pub const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

/// What is asked in words, the status it is answered with, and the request: verb, path, headers and body.
pub type Asked<'a> = (&'a str, u16, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// One request.
///
/// # Errors
/// There is no answer.
pub async fn send(
    node: &Node,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response> {
    ask(method, &node.http_url(path), headers, body).await.with_context(|| format!("{method} {path}"))
}

/// Asks one after the other. Pages of any origin may read each answer, and each refusal is one of REST.
///
/// # Errors
/// An answer is another one.
pub async fn check(node: &Node, rows: &[Asked<'_>]) -> Result<()> {
    for (name, status, method, path, headers, body) in rows {
        // As a page of somebody else's.
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "Origin") {
            headers.push(("Origin", "https://page.example"));
        }
        let answer = send(node, method, path, &headers, body).await?;
        ensure!(answer.status == *status, "{name}: {} {}", answer.status, answer.text());
        ensure!(answer.header("access-control-allow-origin").is_some(), "{name}: {:?}", answer.headers);
        if *status >= 400 {
            let json = answer.json();
            ensure!(json["success"] == false && json["message"].is_string(), "{name}: {}", answer.text());
        }
    }
    Ok(())
}

/// Begins a session: where it is, and what was answered.
///
/// # Errors
/// There is no session.
pub async fn begin(
    node: &Node,
    path: &str,
    headers: &[(&str, &str)],
    offer: &str,
) -> Result<(String, Response)> {
    let answer = send(node, "POST", path, headers, offer).await?;
    ensure!(answer.status == 201, "{path}: {} {}", answer.status, answer.text());
    let place = answer.header("location").context("no Location")?.to_owned();
    Ok((place, answer))
}

/// Waits until there is no such session any more.
///
/// # Errors
/// It goes on.
pub async fn until_gone(node: &Node, place: &str, patience: Duration) -> Result<()> {
    let is_gone = async || {
        let asked = send(node, "PATCH", place, &[FRAGMENT], "").await.ok()?;
        (asked.status == 404).then_some(())
    };
    Node::eventually(patience, is_gone).await.context("it goes on")
}

/// Makes a page one that publishes by `publish(url)` or plays by `play(url)` with [`begin_in`], ends by `leave()`, and
/// has in `told` what it was told.
///
/// # Errors
/// The page cannot run it.
pub async fn teach(page: &Browser) -> Result<()> {
    page.run(include_str!("../http_session.js")).await?;
    Ok(())
}

/// Has a page begin, by that call.
///
/// # Errors
/// It was refused, or may not read of its session.
pub async fn begin_in(page: &Browser, call: &str) -> Result<()> {
    page.run(&format!("return {call}.catch((error) => {{ window.told.error = String(error); }})")).await?;
    let told = page.run("return window.told").await?;
    ensure!(told["status"] == 201 && told["etag"].is_string() && told["error"].is_null(), "{told}");
    Ok(())
}
