//! REST is open to whom its door says, and to nobody else: addresses of a list, holders of a JWT, users who logged in. What a
//! request says of its own address changes nothing; what a trusted proxy says does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use security::credential::jwt;
use serde_json::{Value, json};
use test_support::{Node, NodeOptions, Response, Starting, ask};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "a secret of thirty-two characters";
const APP: &str = "/LiveApp/rest/v2/broadcasts/count";
const NODE: &str = "/rest/v2/version";
const PATIENCE: Duration = Duration::from_secs(10);
/// A key of these tests alone, and its modulus.
const KEY: &str = include_str!("../src/security/testdata/rsa.pem");
const MODULUS: &str = include_str!("../src/security/testdata/rsa.n");

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

async fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    Ok(ask("GET", &node.http_url(path), headers, "").await?)
}

fn refused(answer: &Response, message: &str) -> Result<()> {
    let said = &answer.json()["message"];
    ensure!(answer.status == 403 && said == message, "{} {}", answer.status, answer.text());
    Ok(())
}

/// The headers by which somebody may say to be somebody else.
const SPOOFED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-For", "10.0.0.1, 127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1"),
    ("Forwarded", "for=\"[::1]\""),
    ("Via", "1.1 proxy"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_header_opens_nothing_and_closes_what_an_address_opens() -> Result<()> {
    // The machine itself asks. One application is for it, one for addresses elsewhere, and its list holds what is claimed.
    let node = Node::start(options().setting("WebRTCAppEE", "remoteAllowedCIDR", "10.0.0.0/8")).await?;
    let others = APP.replace("LiveApp", "WebRTCAppEE");
    ensure!(get(&node, APP, &[]).await?.status == 200 && get(&node, NODE, &[]).await?.status == 200);
    refused(&get(&node, &others, &[]).await?, "Not allowed IP")?;
    for header in SPOOFED {
        refused(&get(&node, APP, &[*header]).await?, "Not allowed IP")?;
        refused(&get(&node, NODE, &[*header]).await?, "Not authenticated user")?;
    }
    for claimed in ["10.0.0.1", "10.0.0.1, 10.0.0.2"] {
        for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
            refused(&get(&node, &others, &[(name, claimed)]).await?, "Not allowed IP")?;
        }
    }
    // A foreign page, and a foreign name of this machine, are not the machine.
    refused(&get(&node, APP, &[("Origin", "https://evil.example")]).await?, "Not allowed IP")?;
    refused(&get(&node, NODE, &[("Sec-Fetch-Site", "cross-site")]).await?, "Not authenticated user")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_in_whom_it_speaks_for() -> Result<()> {
    let options = options().environment("PENSTOCK_HTTP_TRUSTED_PROXIES", "127.0.0.1,10.9.0.0/16").setting(
        "LiveApp",
        "remoteAllowedCIDR",
        "203.0.113.0/24",
    );
    let node = Node::start(options).await?;
    for (hops, status) in [
        ("203.0.113.7", 200),
        ("8.8.8.8, 203.0.113.7", 200),
        ("203.0.113.7, 10.9.1.1", 200),
        ("203.0.113.7:4711", 200),
        ("203.0.113.7, 8.8.8.8", 403),
        ("127.0.0.1", 403),
        ("203.0.113.7, unknown", 403),
    ] {
        let answer = get(&node, APP, &[("X-Forwarded-For", hops)]).await?;
        ensure!(answer.status == status, "{hops}: {} {}", answer.status, answer.text());
        // It is never the machine itself.
        refused(&get(&node, NODE, &[("X-Forwarded-For", hops)]).await?, "Not authenticated user")?;
    }
    refused(&get(&node, APP, &[("X-Real-IP", "203.0.113.7")]).await?, "Not allowed IP")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_filters_of_an_application_have_to_pass() -> Result<()> {
    let secret = |options: NodeOptions, app| {
        options.setting(app, "jwtControlEnabled", "true").setting(app, "jwtSecretKey", SECRET)
    };
    let options = secret(options(), "LiveApp").setting("WebRTCAppEE", "remoteAllowedCIDR", "10.0.0.0/8");
    let node = Node::start(secret(options, "WebRTCAppEE")).await?;
    let good = jwt::sign(SECRET, &json!({ "anything": 1 })).context("a token")?;
    let others = jwt::sign("another secret of thirty-two characters", &json!({})).context("a token")?;
    let expired = jwt::sign(SECRET, &json!({ "exp": 1_000_000_000 })).context("a token")?;
    let none = "eyJhbGciOiJub25lIn0.e30.";
    for bad in ["", "Bearer", "x", &others, &expired, none, &format!("{good}x"), &"x".repeat(6_000)] {
        refused(&get(&node, APP, &[("Authorization", bad)]).await?, "Invalid App JWT Token")?;
    }
    refused(&get(&node, APP, &[]).await?, "Invalid App JWT Token")?;
    for good in [good.clone(), format!("Bearer {good}"), format!("bearer {good}")] {
        ensure!(get(&node, APP, &[("Authorization", &good)]).await?.status == 200, "{good}");
        let elsewhere = APP.replace("LiveApp", "WebRTCAppEE");
        refused(&get(&node, &elsewhere, &[("Authorization", &good)]).await?, "Not allowed IP")?;
    }
    ensure!(!node.log_lines().iter().any(|line| line.contains(&good)), "a token is in the log");
    Ok(())
}

/// Publishes a set of keys, slowly where it is told to, and counts who asks for it.
async fn publish(kid: &'static str) -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            count.fetch_add(1, Ordering::SeqCst);
            let keys = json!({ "keys": [
                { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": MODULUS.trim(), "e": "AQAB" }
            ] })
            .to_string();
            let (status, body) = if head.starts_with("GET /keys/.well-known/jwks.json ") {
                ("200 OK", keys)
            } else {
                ("404 Not Found", String::new())
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((url, asked))
}

fn signed(kid: &str, claims: &Value) -> Result<String> {
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    header.kid = Some(kid.to_owned());
    Ok(jsonwebtoken::encode(&header, claims, &jsonwebtoken::EncodingKey::from_rsa_pem(KEY.as_bytes())?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_published_key_is_good_and_an_unknown_key_is_looked_for_once() -> Result<()> {
    let (url, asked) = publish("one").await?;
    let options = options()
        .setting("LiveApp", "jwtControlEnabled", "true")
        .setting("LiveApp", "jwtSecretKey", SECRET)
        .setting("LiveApp", "jwksURL", &url);
    let node = Node::start(options).await?;
    let good = signed("one", &json!({}))?;
    for _ in 0..5 {
        let answer = get(&node, APP, &[("Authorization", &good)]).await?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    ensure!(asked.load(Ordering::SeqCst) == 1, "it is not kept");
    // The secret counts no more, and neither do unknown keys, which nobody can have looked for as often as he likes.
    let by_secret = jwt::sign(SECRET, &json!({})).context("a token")?;
    for bad in [by_secret, signed("two", &json!({}))?, signed("one", &json!({ "exp": 1 }))?] {
        for _ in 0..5 {
            refused(&get(&node, APP, &[("Authorization", &bad)]).await?, "Invalid App JWT Token")?;
        }
    }
    ensure!(asked.load(Ordering::SeqCst) == 1, "asked {} times", asked.load(Ordering::SeqCst));
    Ok(())
}

/// A management session as a browser keeps it.
async fn log_in(node: &Node, email: &str, password: &str) -> Result<(Response, String)> {
    let body = json!({ "email": email, "password": password }).to_string();
    let url = node.http_url("/rest/v2/users/authenticate");
    let answer = ask("POST", &url, &[("Content-Type", "application/json")], &body).await?;
    let cookie =
        answer.header("set-cookie").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    Ok((answer, cookie))
}

/// Runs `penstock user ...` for a node.
async fn user(node: &Node, arguments: &[&str], typed: &str) -> Result<(bool, String)> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.arg("user").args(arguments).env("PENSTOCK_DATA_FOLDER", node.data_folder());
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A command that reads nothing may be over before.
        let _ = input.write_all(typed.as_bytes()).await;
    }
    let output = child.wait_with_output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_in_by_a_password_which_the_machine_itself_can_give_them() -> Result<()> {
    let node = Node::start(options().environment("PENSTOCK_HTTP_TRUSTED_PROXIES", "127.0.0.1")).await?;
    let line = node.wait_for_log(PATIENCE, |line| line.contains("set-up code")).await;
    let code = line.as_deref().and_then(|line| line.rsplit(' ').next()).context("no set-up code")?.to_owned();
    // Somebody on another machine, as a trusted proxy says.
    let far = ("X-Forwarded-For", "203.0.113.7");
    let json_type = ("Content-Type", "application/json");
    let first = async |code: &str| {
        let headers = [json_type, far, ("Penstock-Setup-Code", code)];
        let body = json!({ "email": "a@b", "password": "one" }).to_string();
        ask("POST", &node.http_url("/rest/v2/users/initial"), &headers, &body).await
    };
    let guessed = first("guess").await?;
    ensure!(guessed.status == 403, "{}", guessed.text());
    let made = first(&code).await?;
    ensure!(made.json()["success"] == true && made.json()["errorId"] == -1, "{}", made.text());
    let again = first(&code).await?;
    ensure!(again.json()["success"] == false, "{}", again.text());

    let (answer, cookie) = log_in(&node, "a@b", "one").await?;
    ensure!(answer.json()["message"] == "system/ADMIN", "{}", answer.text());
    for path in [NODE, APP] {
        let with = get(&node, path, &[far, ("Cookie", &cookie)]).await?;
        let without = get(&node, path, &[far]).await?;
        ensure!((with.status, without.status) == (200, 403), "{path}: {}", with.text());
    }

    // Roles, and verbs.
    let (made, said) = user(&node, &["add", "reader", "--kind", "read-only"], "pw\n").await?;
    ensure!(made, "{said}");
    let (made, said) = user(&node, &["add", "app", "--kind", "user", "--scope", "LiveApp"], "pw\n").await?;
    ensure!(made, "{said}");
    let (made, said) = user(&node, &["add", "app"], "pw\n").await?;
    ensure!(!made && said.contains("User with the same e-mail already exists"), "{said}");
    let (_, listed) = user(&node, &["list"], "").await?;
    ensure!(listed == "a@b: system/ADMIN\napp: LiveApp/USER\nreader: system/READ_ONLY\n", "{listed}");
    for (email, app, verb, status) in [
        ("reader", "LiveApp", "GET", 200),
        ("reader", "LiveApp", "POST", 403),
        ("app", "LiveApp", "POST", 200),
        ("app", "WebRTCAppEE", "GET", 403),
    ] {
        let (_, cookie) = log_in(&node, email, "pw").await?;
        let path = format!("/{app}/rest/v2/broadcasts/{}", if verb == "GET" { "count" } else { "create" });
        let body = if verb == "GET" { "" } else { "{}" };
        let headers = [far, json_type, ("Cookie", cookie.as_str())];
        let answer = ask(verb, &node.http_url(&path), &headers, body).await?;
        ensure!(answer.status == status, "{email} {app} {verb}: {} {}", answer.status, answer.text());
        let backup = get(&node, "/rest/v2/backup", &[far, ("Cookie", &cookie)]).await?;
        refused(&backup, "Not allowed IP")?;
    }

    // Locked out by wrong passwords, and helped by who is on the machine; that ends what sessions there were.
    for _ in 0..3 {
        ensure!(log_in(&node, "a@b", "wrong").await?.0.json()["message"] == "");
    }
    let (locked, _) = log_in(&node, "a@b", "one").await?;
    let words = "Too many login attempts. User is blocked for 300 secs";
    ensure!(locked.json()["message"] == words, "{}", locked.text());
    let blocked = get(&node, "/rest/v2/users/a@b/blocked", &[far]).await?;
    ensure!(blocked.json()["success"] == true, "{}", blocked.text());
    let (reset, said) = user(&node, &["password", "a@b"], "two\n").await?;
    ensure!(reset, "{said}");
    refused(&get(&node, NODE, &[far, ("Cookie", &cookie)]).await?, "No user in this session")?;
    ensure!(log_in(&node, "a@b", "two").await?.0.json()["success"] == true);
    let written = node.log_lines().join("\n");
    ensure!(!written.contains("argon2") && !written.contains(&cookie), "a secret is in the log");
    Ok(())
}

/// A connection behind a load balancer says for whom it speaks, and one that says nothing is closed.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_protocol_says_who_asks() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = options()
        .data_folder(data.path())
        .environment("PENSTOCK_HTTP_PROXY_PROTOCOL", "required")
        .setting("LiveApp", "remoteAllowedCIDR", "203.0.113.0/24");
    // Nobody without such a header can ask it whether it is ready.
    let starting = Starting::spawn(options)?;
    let ready = starting.wait_for_log(Duration::from_secs(60), |line| line.contains("ready: open")).await;
    ready.context("it does not start")?;
    let endpoints: Value =
        serde_json::from_str(&std::fs::read_to_string(data.path().join("endpoints.json"))?)?;
    let address = endpoints["http"].as_str().and_then(|url| url.strip_prefix("http://"));
    let address = address.context("no address")?.to_owned();
    let asked = |source: Option<[u8; 4]>| {
        let address = address.clone();
        async move {
            let mut stream = tokio::net::TcpStream::connect(&address).await?;
            if let Some(source) = source {
                let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
                header.extend(source);
                header.extend([192, 0, 2, 1, 0x1f, 0x90, 0x13, 0xd8]);
                stream.write_all(&header).await?;
            }
            let request = format!("GET {APP} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
        }
    };
    let inside = asked(Some([203, 0, 113, 9])).await?;
    ensure!(inside.starts_with("HTTP/1.1 200"), "{inside}");
    let outside = asked(Some([8, 8, 8, 8])).await?;
    ensure!(outside.starts_with("HTTP/1.1 403"), "{outside}");
    let silent = asked(None).await?;
    ensure!(silent.is_empty(), "{silent}");
    // The machine's own command line knows that, and speaks for itself.
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.args(["user", "list"]).env("PENSTOCK_DATA_FOLDER", data.path());
    let listed = command.env("PENSTOCK_HTTP_PROXY_PROTOCOL", "required").output().await?;
    let said = String::from_utf8_lossy(&listed.stdout);
    ensure!(listed.status.success() && said.contains("no user yet"), "{said} {listed:?}");
    Ok(())
}
