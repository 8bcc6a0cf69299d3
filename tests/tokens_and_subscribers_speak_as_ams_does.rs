//! Tokens and subscribers over REST, as Ant Media Server's own tests ask for them and its guide "Stream security" prints them:
//! every request of the guide is taken literally, host and port aside. And the command line says the same.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::{Node, NodeOptions};
use tokio::process::Command;

/// The key that the guide prints.
const KEY: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
/// 2030.
const LATER: u64 = 1_893_456_000;

/// The requests of the guide that are printed as command lines.
const ADD_PUBLISHER: &str = r#"curl -X POST -H "Accept: Application/json" -H "Content-Type: application/json" http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscribers -d '{"subscriberId":"publisherA", "b32Secret":"mysecret", "type":"publish"}'"#;
const ADD_PLAYER: &str = r#"curl -X POST -H "Accept: Application/json" -H "Content-Type: application/json" http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscribers -d '{"subscriberId":"playerB", "b32Secret":"mysecret", "type":"play"}'"#;
const STATISTICS: &str = r#"curl -i -H "Accept: Application/json" -X GET "http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscriber-stats/list/0/5""#;

/// Those that are printed as addresses.
const TOKENS: [&str; 2] = [
    "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/token?expireDate=<Expire_Date>&type=publish",
    "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/token?expireDate=<Expire_Date>&type=play",
];
const JWTS: [&str; 2] = [
    "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/jwt-token?expireDate=<Expire_Date>&type=publish",
    "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/jwt-token?expireDate=<Expire_Date>&type=play",
];

async fn start() -> Result<Node> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let options = options.setting("WebRTCAppEE", "jwtStreamSecretKey", KEY);
    Ok(Node::start(options.setting("LiveApp", "tokenHashSecret", "this_is_secret")).await?)
}

/// Runs a line of the guide in a shell, with this node for its host.
async fn shell(node: &Node, line: &str) -> Result<String> {
    let host = node.endpoints().http.trim_start_matches("http://");
    let line = line.replace("localhost:5080", host);
    let done = Command::new("sh").arg("-c").arg(&line).output().await?;
    ensure!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// An address of the guide, filled in.
fn filled(node: &Node, address: &str) -> String {
    let host = node.endpoints().http.trim_start_matches("http://");
    address
        .replace("[IP_Address]:5080", host)
        .replace("<Application_Name>", "WebRTCAppEE")
        .replace("<Stream_Id>", "stream1")
        .replace("<Expire_Date>", &LATER.to_string())
}

fn succeeded() -> Value {
    json!({ "success": true, "message": "", "dataId": "", "errorId": 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_the_guide_are_answered() -> Result<()> {
    let node = start().await?;
    for line in [ADD_PUBLISHER, ADD_PLAYER] {
        let answer: Value = serde_json::from_str(&shell(&node, line).await?)?;
        ensure!(answer == succeeded(), "{line}: {answer}");
    }
    let answer = shell(&node, STATISTICS).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let statistics: Value = serde_json::from_str(body)?;
    let of = |id: &str| json!({ "subscriberId": id, "streamId": "stream1", "connectionEvents": [], "avgVideoBitrate": 0, "avgAudioBitrate": 0 });
    ensure!(statistics == json!([of("playerB"), of("publisherA")]), "{statistics}");

    for (addresses, length) in [(TOKENS, 32), (JWTS, 100)] {
        for address in addresses {
            let answer = test_support::request("GET", &filled(&node, address), None).await?;
            let token = answer.json();
            ensure!(answer.status == 200, "{address}: {}", answer.text());
            ensure!(token["tokenId"].as_str().is_some_and(|id| id.len() >= length), "{token}");
            let kind = address.rsplit('=').next().context("no type")?;
            ensure!(token["type"] == kind && token["streamId"] == "stream1", "{token}");
            ensure!(token["expireDate"] == json!(LATER) && token["roomId"].is_null(), "{token}");
        }
    }
    // What is on the disk and on the screen holds no secret of a subscriber's but where it must be.
    ensure!(!node.log_lines().iter().any(|line| line.contains("mysecret")), "the log holds a secret");
    Ok(())
}

/// What is answered stays so when the node is killed in the next moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_validated_stays_spent() -> Result<()> {
    let mut node = start().await?;
    let path = "/LiveApp/rest/v2/broadcasts";
    let make = format!("{path}/s1/token?expireDate={LATER}&type=play");
    let (spent, kept) = (node.get(&make).await?.json(), node.get(&make).await?.json());
    let validate = format!("{path}/validate-token");
    let good = node.send("POST", &validate, &spent).await?;
    node.kill9().await?;
    ensure!(good.json()["success"] == true, "{}", good.text());
    node.restart().await?;
    ensure!(node.send("POST", &validate, &spent).await?.json()["success"] == false, "it was spent twice");
    let list = node.get(&format!("{path}/s1/tokens/list/0/10")).await?.json();
    ensure!(list == json!([kept]), "{list}");
    ensure!(node.send("POST", &validate, &kept).await?.json()["success"] == true);
    Ok(())
}

async fn penstock(node: &Node, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.env("PENSTOCK_DATA_FOLDER", node.data_folder()).args(arguments);
    Ok(command.output().await?)
}

/// What a command prints, without the end of the line.
async fn says(node: &Node, arguments: &[&str]) -> Result<String> {
    let done = penstock(node, arguments).await?;
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.success(), "{arguments:?}: {error}");
    Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_the_same() -> Result<()> {
    let node = start().await?;
    let token = says(&node, &["token", "create", "LiveApp", "s1", "--type", "publish"]).await?;
    let list = says(&node, &["token", "list", "LiveApp", "s1"]).await?;
    ensure!(list.starts_with(&format!("{token} to publish, until ")), "{list}");
    let json: Value =
        serde_json::from_str(&says(&node, &["token", "list", "LiveApp", "s1", "--json"]).await?)?;
    ensure!(json[0]["tokenId"] == token.as_str(), "{json}");
    says(&node, &["token", "revoke", "LiveApp", "s1", &token]).await?;
    let again = penstock(&node, &["token", "revoke", "LiveApp", "s1", &token]).await?;
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    ensure!(!again.status.success() && error.contains("The stream has no such token"), "{error}");

    let hash = says(&node, &["hash", "LiveApp", "stream1", "--type", "publish"]).await?;
    ensure!(hash == "f980129315cb9ed4f02b615dc089eb10f9ada6a13228f28c875fcf4969eb2077", "{hash}");
    let jwt = says(&node, &["jwt", "WebRTCAppEE", "stream1", "--expire-date", "4102444800"]).await?;
    let claims = security::credential::jwt::verify(&jwt, KEY)?;
    ensure!(claims.text("streamId") == Some("stream1") && claims.text("type") == Some("play"));

    let secret = says(&node, &["subscriber", "add", "LiveApp", "s1", "anna", "--new-secret"]).await?;
    ensure!(secret.len() == 32, "{secret}");
    let code = says(&node, &["subscriber", "code", "LiveApp", "s1", "anna"]).await?;
    let answer = node.get("/LiveApp/rest/v2/broadcasts/s1/subscribers/anna/totp").await?.json();
    // The next step may have begun in between.
    let after = says(&node, &["subscriber", "code", "LiveApp", "s1", "anna"]).await?;
    ensure!(
        answer["dataId"] == code.as_str() || answer["dataId"] == after.as_str(),
        "{answer} {code} {after}"
    );
    says(&node, &["subscriber", "block", "LiveApp", "s1", "anna", "--type", "play"]).await?;
    let list = says(&node, &["subscriber", "list", "LiveApp", "s1"]).await?;
    ensure!(list.starts_with("anna to play, 0 of 1 connections, blocked (play) until "), "{list}");
    says(&node, &["subscriber", "unblock", "LiveApp", "s1", "anna"]).await?;
    let list = says(&node, &["subscriber", "list", "LiveApp", "s1"]).await?;
    ensure!(list == "anna to play, 0 of 1 connections", "{list}");
    says(&node, &["subscriber", "delete", "LiveApp", "s1", "anna"]).await?;
    ensure!(says(&node, &["subscriber", "list", "LiveApp", "s1"]).await? == "there are none");
    Ok(())
}
