//! Ant Media Server's guide "Stream security" is true of a running node: each command line, address and snippet that it
//! prints is taken to the letter by the client it is meant for (ffmpeg, curl, sha256sum, a browser). Hosts, ports, tokens and
//! the names that the guide leaves open are filled in, and nothing else. What the guide has and Penstock has not yet is
//! refused in words. `page.rs` has all of it.

mod page;
mod stage;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use page::{Must, PAGE, Role, Row, Section};
use serde_json::{Value, json};
use stage::{APP, LATER, PATIENCE, STREAM, Stage};
use test_support::{Node, RtmpClient, ask, skipped};

const FOREIGN: &str = "https://page.example";

/// Does with each row of a section what the guide says.
async fn is_true(section: Section) -> Result<()> {
    let mut stage = Stage::set(section).await?;
    for row in rows(section) {
        attempt(&mut stage, row).await.with_context(|| format!("{section:?}: {}", row.text))?;
    }
    ensure!(stage.node.panics().is_empty(), "{:?}", stage.node.panics());
    Ok(())
}

fn rows(section: Section) -> impl Iterator<Item = &'static Row> {
    PAGE.iter().filter(move |row| row.section == section)
}

async fn attempt(stage: &mut Stage, row: &Row) -> Result<()> {
    match row.must {
        Must::BroadcastInABrowser => stage.broadcast(row.text).await,
        Must::ShowInABrowser => stage.show(row.text).await,
        Must::MakeAToken(role) => makes_a_token(stage, row.text, role).await,
        Must::PublishByRtmp => publishes_by_rtmp(stage, row.text).await,
        Must::OpenASocket => stage.open_socket(row.text).await,
        Must::LetInBySocket(role) => lets_in_by_socket(stage, row.text, role).await,
        Must::LetAllOriginsIn { root } => lets_all_origins_in(&stage.node, row.text, root).await,
        Must::BeASetting => match row.section {
            Section::Address => publishers_are_told_by_their_addresses(stage).await,
            // Without it the other rows of the section fail.
            _ => Ok(()),
        },
        Must::BeAHash => is_a_hash(stage, row.text).await,
        Must::BeASecret => is_a_secret(stage, row.text).await,
        Must::AddASubscriber => {
            let said: Value = serde_json::from_str(&stage.shell(row.text).await?)?;
            let succeeded = json!({ "success": true, "message": "", "dataId": "", "errorId": 0 });
            ensure!(said == succeeded, "{said}");
            Ok(())
        }
        Must::ListStatistics => lists_statistics(stage, row.text).await,
        Must::HaveNoFile(reason) => has_no_file(stage, row.text, reason).await,
        Must::HaveNoListener(reason) => has_no_listener(stage, row.text, reason).await,
        Must::OnlyBeRead(_) => Ok(()),
    }
}

async fn makes_a_token(stage: &Stage, address: &str, role: Role) -> Result<()> {
    let answer = test_support::request("GET", &stage.filled(address, ""), None).await?;
    let token = answer.json();
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    ensure!(token["tokenId"].as_str().is_some_and(|id| id.len() >= 32), "{token}");
    ensure!(token["type"] == role.word() && token["streamId"] == STREAM, "{token}");
    ensure!(token["expireDate"] == json!(LATER) && token["roomId"].is_null(), "{token}");
    Ok(())
}

async fn publishes_by_rtmp(stage: &mut Stage, address: &str) -> Result<()> {
    stage.be_silent().await?;
    let token = stage.credential(Role::Publish).await?;
    stage.publishes(&stage.filled(address, &token)).await?;
    let other = stage.credential(Role::Play).await?;
    for wrong in [other.as_str(), "no-token-of-this-node"] {
        stage.is_refused(&stage.filled(address, wrong)).await?;
    }
    Ok(())
}

async fn lets_in_by_socket(stage: &mut Stage, message: &str, role: Role) -> Result<()> {
    match role {
        Role::Publish => stage.be_silent().await?,
        Role::Play => stage.be_live().await?,
    }
    let wrong = stage.says_over_socket(&stage.filled(message, "no-token-of-this-node")).await?;
    ensure!(wrong["definition"] == "unauthorized_access", "with a wrong token: {wrong}");
    let token = stage.credential(role).await?;
    let answer = stage.says_over_socket(&stage.filled(message, &token)).await?;
    let wanted = if role == Role::Publish { "start" } else { "takeConfiguration" };
    ensure!(answer["command"] == wanted && answer["streamId"] == STREAM, "{answer}");
    stage.until_nobody_publishes_but_the_marker().await
}

async fn lets_all_origins_in(node: &Node, filter: &str, root: bool) -> Result<()> {
    let app = if root { "root" } else { APP };
    let path = if root { "/".to_owned() } else { format!("/{APP}/") };
    let file = node.properties(app).with_file_name("web.xml");
    ensure!(file.is_file(), "there is no {}", file.display());
    let put = |filter: &str| std::fs::write(&file, format!("<web-app>\n{filter}\n</web-app>\n"));
    let until = async |allowed: Option<&str>| {
        let looked = async || {
            let answer = ask("GET", &node.http_url(&path), &[("Origin", FOREIGN)], "").await.ok()?;
            (answer.header("access-control-allow-origin") == allowed).then_some(())
        };
        Node::eventually(PATIENCE, looked).await.with_context(|| format!("{path}: not {allowed:?}"))
    };
    // It says what was the case before, so something else has to be first.
    let closed = "<param-value>https://other.example</param-value>";
    put(&filter.replacen("<param-value>*</param-value>", closed, 1))?;
    until(None).await?;
    put(filter)?;
    until(Some("*")).await?;
    let asked = [("Origin", FOREIGN), ("Access-Control-Request-Method", "PUT")];
    let answer = ask("OPTIONS", &node.http_url(&path), &asked, "").await?;
    let methods = answer.header("access-control-allow-methods");
    ensure!(methods == Some("GET,POST,HEAD,OPTIONS,PUT,DELETE"), "{answer:?}");
    Ok(())
}

/// "allows IPs 10.20.30.[0-255] and 127.0.0.1".
async fn publishers_are_told_by_their_addresses(stage: &mut Stage) -> Result<()> {
    stage.be_live().await?;
    stage.be_silent().await?;
    let server: SocketAddr = stage.node.rtmp_address().parse()?;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())?;
    let mut elsewhere = RtmpClient::over(socket.connect(server).await?)?;
    elsewhere.handshake().await?;
    elsewhere.publish(APP, STREAM).await?;
    let ended = elsewhere.await_end().await;
    ensure!(ended.refused("NetStream.Publish.BadName"), "127.0.0.2: {ended:?}");
    for (address, allowed) in [
        ("10.20.29.255", false),
        ("10.20.30.0", true),
        ("10.20.30.255", true),
        ("10.20.31.0", false),
        ("127.0.0.1", true),
        ("127.0.0.2", false),
    ] {
        let question = json!({ "streamId": STREAM, "type": "publish", "address": address });
        let path = format!("/rest/v2/applications/{APP}/explain");
        let answer = stage.node.send("POST", &path, &question).await?.json();
        ensure!(answer["allowed"] == allowed, "{address}: {answer}");
    }
    Ok(())
}

async fn is_a_hash(stage: &mut Stage, formula: &str) -> Result<()> {
    let text = formula.strip_prefix("sha256(").and_then(|text| text.strip_suffix(')')).context("no hash")?;
    let secret = text.strip_prefix(STREAM).and_then(|text| text.strip_prefix("publish"));
    let hash = stage.sha256(text).await?;
    ensure!(hash == "f980129315cb9ed4f02b615dc089eb10f9ada6a13228f28c875fcf4969eb2077", "{hash}");
    let before = stage.change(json!({ "tokenHashSecret": secret.context("no secret")? })).await?;
    stage.be_silent().await?;
    let address = format!("{}?token={hash}", stage.node.rtmp_url(APP, STREAM));
    stage.publishes(&address).await?;
    stage.change(json!({ "tokenHashSecret": before["tokenHashSecret"] })).await?;
    Ok(())
}

/// "You can use any payload", and "When it expires, the JWT token becomes invalid."
async fn is_a_secret(stage: &mut Stage, secret: &str) -> Result<()> {
    stage.be_silent().await?;
    let of = |secret: &str, payload: Value| {
        security::credential::jwt::sign(secret, &payload).context("it is not signed")
    };
    let payload = json!({ "sub": "1234567890", "name": "anybody", "iat": 1_516_239_022 });
    let address = |token: String| format!("{}?token={token}", stage.node.rtmp_url(APP, STREAM));
    let any = address(of(secret, payload.clone())?);
    // Mar 08, 2021 02:14:08 GMT+3
    let expired = address(of(secret, json!({ "exp": 1_615_158_848 }))?);
    let anothers = address(of(&secret.to_uppercase(), payload)?);
    stage.publishes(&any).await?;
    for wrong in [expired, anothers] {
        stage.is_refused(&wrong).await?;
    }
    Ok(())
}

async fn lists_statistics(stage: &Stage, line: &str) -> Result<()> {
    let listed = async || {
        let said = stage.shell(line).await.ok()?;
        let (head, body) = said.split_once("\r\n\r\n")?;
        let all: Vec<Value> = serde_json::from_str(body).ok()?;
        let ids: Vec<_> = all.iter().map(|one| one["subscriberId"].as_str().unwrap_or_default()).collect();
        let were_here =
            all.iter().all(|one| one["connectionEvents"].as_array().is_some_and(|all| !all.is_empty()));
        (head.starts_with("HTTP/1.1 200") && ids == ["playerB", "publisherA"] && were_here).then_some(())
    };
    if Node::eventually(PATIENCE, listed).await.is_none() {
        bail!("not what the subscribers did: {}", stage.shell(line).await?);
    }
    Ok(())
}

async fn has_no_file(stage: &Stage, address: &str, reason: &str) -> Result<()> {
    let get = async |token: &str, end: &str| {
        let (path, query) = stage.filled(address, token).split_once('?').map(own).context("no query")?;
        test_support::request("GET", &format!("{path}{end}?{query}"), None).await.context("no answer")
    };
    // A name without an ending belongs to no stream (AMS), and "Source_Name" has one.
    let named = address.contains("streamID");
    if !named {
        let answer = get(&stage.credential(Role::Play).await?, "").await?;
        let message = &answer.json()["message"];
        ensure!(
            answer.status == 403 && message == "Cannot specified the stream id from the url",
            "{answer:?}"
        );
    }
    let end = if named { "" } else { ".m3u8" };
    let let_in = get(&stage.credential(Role::Play).await?, end).await?;
    ensure!(let_in.status == 404, "{reason}, and yet: {} {}", let_in.status, let_in.text());
    ensure!(let_in.json()["success"] == false, "it is not said in words: {}", let_in.text());
    let refused = get("no-token-of-this-node", end).await?;
    ensure!(refused.status == 403, "{} {}", refused.status, refused.text());
    Ok(())
}

fn own((left, right): (&str, &str)) -> (String, String) {
    (left.to_owned(), right.to_owned())
}

async fn has_no_listener(stage: &Stage, address: &str, reason: &str) -> Result<()> {
    if !stage::ffmpeg_speaks("srt") {
        skipped(address, "this ffmpeg speaks no SRT");
        return Ok(());
    }
    // It is the guide's port that is meant: somebody else may have it.
    if std::net::UdpSocket::bind("127.0.0.1:4200").is_err() {
        skipped(address, "somebody else on this machine has UDP port 4200");
        return Ok(());
    }
    let token = stage.credential(Role::Publish).await?;
    let said = stage::send_by_srt(&stage.filled(address, &token)).await?;
    ensure!(said.contains("4200"), "{reason}, and ffmpeg does not say so: {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_is() -> Result<()> {
    is_true(Section::Beginning).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_time_token_control_is() -> Result<()> {
    is_true(Section::OneTimeToken).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cors_filter_is() -> Result<()> {
    is_true(Section::Cors).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hash_based_token_is() -> Result<()> {
    is_true(Section::Hash).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_ip_filter_is() -> Result<()> {
    is_true(Section::Address).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jwt_filter_is() -> Result<()> {
    is_true(Section::Jwt).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_based_one_time_password_is() -> Result<()> {
    is_true(Section::Totp).await
}
