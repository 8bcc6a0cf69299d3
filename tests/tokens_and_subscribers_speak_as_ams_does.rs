//! Tokens and subscribers over REST, as Ant Media Server's own tests ask for them, and what is answered stays so. The command
//! line says the same. (The requests that its guide "Stream security" prints: `the_stream_security_page_is_true`.)

use std::process::Output;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use test_support::{Node, NodeOptions};
use tokio::process::Command;

/// The key that the guide prints.
const KEY: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
/// 2030.
const LATER: u64 = 1_893_456_000;

async fn start() -> Result<Node> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let options = options.setting("WebRTCAppEE", "jwtStreamSecretKey", KEY);
    Ok(Node::start(options.setting("LiveApp", "tokenHashSecret", "this_is_secret")).await?)
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

/// What lets strangers in or keeps them out binds nobody who sits at the machine: an application that takes JWTs alone, and one
/// that takes no request from loopback, obey the command line.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_passes_where_an_application_lets_in_others_alone() -> Result<()> {
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
    let secret = "a secret of the rest filter, of 39 bytes";
    let options =
        options.setting("LiveApp", "jwtControlEnabled", "true").setting("LiveApp", "jwtSecretKey", secret);
    let options = options.setting("WebRTCAppEE", "remoteAllowedCIDR", "10.0.0.0/8");
    let options = options.setting("WebRTCAppEE", "jwtStreamSecretKey", KEY);
    let options = options.setting("LiveApp", "jwtStreamSecretKey", KEY);
    let node = Node::start(options).await?;
    for (app, refusal) in [("LiveApp", "Invalid App JWT Token"), ("WebRTCAppEE", "Not allowed IP")] {
        let direct = node.get(&format!("/{app}/rest/v2/broadcasts/s%201/tokens/list/0/10")).await?;
        ensure!(direct.status == 403 && direct.json()["message"] == refusal, "{}", direct.text());
        // The path is a value of a query on its way.
        let token = says(&node, &["token", "create", app, "s.1", "--type", "play"]).await?;
        let list = says(&node, &["token", "list", app, "s.1"]).await?;
        ensure!(list.starts_with(&format!("{token} to play, until ")), "{list}");
        says(&node, &["token", "revoke", app, "s.1", &token]).await?;
        let jwt = says(&node, &["jwt", app, "s1"]).await?;
        ensure!(security::credential::jwt::verify(&jwt, KEY).is_ok(), "{jwt}");
        says(&node, &["subscriber", "add", app, "s1", "anna", "--new-secret"]).await?;
        says(&node, &["subscriber", "block", app, "s1", "anna"]).await?;
        let list = says(&node, &["subscriber", "list", app, "s1"]).await?;
        ensure!(list.starts_with("anna to play, 0 of 1 connections, blocked"), "{list}");
        says(&node, &["subscriber", "delete", app, "s1", "anna"]).await?;
    }
    Ok(())
}
