//! JWTs of streams are checked by the keys that their application's `jwtStreamJwksURL` publishes: with RS256, by name, and
//! never by what else the token says it is signed with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::{FileServer, Node, NodeOptions, ask};

const APP: &str = "LiveApp";
const STREAM: &str = "stream1";
const KEY: &str = include_str!("../src/security/testdata/rsa.pem");
const MODULUS: &str = include_str!("../src/security/testdata/rsa.n");
const SECRET: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
const PATIENCE: Duration = Duration::from_secs(10);

fn signed(kid: &str, claims: &Value) -> Result<String> {
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    header.kid = Some(kid.to_owned());
    Ok(jsonwebtoken::encode(&header, claims, &jsonwebtoken::EncodingKey::from_rsa_pem(KEY.as_bytes())?)?)
}

/// Signed with what everybody knows, as if that were a secret.
fn forged(kid: &str) -> Result<String> {
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some(kid.to_owned());
    Ok(jsonwebtoken::encode(
        &header,
        &json!({}),
        &jsonwebtoken::EncodingKey::from_secret(MODULUS.as_bytes()),
    )?)
}

/// Whether a viewer is let in: nobody publishes the stream, and only who is let in is told that.
async fn gets_in(node: &Node, token: &str) -> Result<bool> {
    let bearer = format!("Bearer {token}");
    let url = node.http_url(&format!("/{APP}/whep/{STREAM}"));
    let answer = ask("POST", &url, &[("Authorization", &bearer)], "").await?;
    match answer.status {
        404 => Ok(true),
        401 | 403 => Ok(false),
        status => anyhow::bail!("{status} {}", answer.text()),
    }
}

async fn settings(node: &Node, changes: Value) -> Result<()> {
    let path = format!("/rest/v2/applications/settings/{APP}");
    let answer = node.send("PATCH", &path, &changes).await?;
    ensure!(answer.status == 200 && answer.json()["success"] != false, "{changes}: {}", answer.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_of_a_published_key_opens_its_stream() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = FileServer::start(folder.path()).await?;
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .setting(APP, "playJwtControlEnabled", "true")
        .setting(APP, "jwtStreamSecretKey", SECRET)
        .setting(APP, "jwtStreamJwksURL", &server.url("before"));
    let node = Node::start(options).await?;
    let good = signed("one", &json!({ "streamId": STREAM, "type": "play" }))?;
    // Without the keys nobody gets in, and the log says that it is their absence.
    ensure!(!gets_in(&node, &good).await?);
    let said = node.wait_for_log(PATIENCE, |line| line.contains("published keys (JWKS)")).await;
    ensure!(said.is_some(), "the log does not say that keys are missing");

    let place = folder.path().join("now/.well-known");
    std::fs::create_dir_all(&place)?;
    let keys = json!({ "keys": [
        { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": MODULUS.trim(), "e": "AQAB" }
    ] });
    std::fs::write(place.join("jwks.json"), keys.to_string())?;
    settings(&node, json!({ "jwtStreamJwksURL": server.url("now") })).await?;
    let opens = async || gets_in(&node, &good).await.ok().filter(|is_in| *is_in);
    Node::eventually(PATIENCE, opens).await.context("the published key opens nothing")?;
    let by_secret = security::credential::jwt::sign(SECRET, &json!({})).context("a token")?;
    let others = signed("one", &json!({ "streamId": "another" }))?;
    for bad in [by_secret, forged("one")?, signed("two", &json!({}))?, others, format!("{good}x")] {
        ensure!(!gets_in(&node, &bad).await?, "{bad}");
    }
    ensure!(gets_in(&node, &good).await?);
    ensure!(!node.log_lines().iter().any(|line| line.contains(&good)), "a token is in the log");
    ensure!(node.panics().is_empty(), "{:?}", node.panics());
    Ok(())
}
