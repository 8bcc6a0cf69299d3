//! A page of another origin in a browser that is logged in, on the node's own machine even, reads nothing of REST and changes
//! nothing, while the node's own page may. Ports are no border for cookies, so `SameSite` alone would not do.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_support::{Browser, FileServer, Node, NodeOptions, ask};

/// Asks as a page can, and says what the page could read: a status, or that it could read nothing. `BASE` and what to ask is
/// put in front.
const ASK: &str = r#"
const said = {};
const attempts = {
    read: () => fetch(`${base}/rest/v2/user-list`, { credentials: "include" }),
    readApp: () => fetch(`${base}/LiveApp/rest/v2/broadcasts/list/0/10`, { credentials: "include" }),
    create: () => fetch(`${base}/LiveApp/rest/v2/broadcasts/create`,
        { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: "{}" }),
    createUnasked: () => fetch(`${base}/LiveApp/rest/v2/broadcasts/create`,
        { method: "POST", mode: "no-cors", credentials: "include", body: "{}" }),
    proxied: () => fetch(`${base}/rest/v2/request?_path=LiveApp/rest/v2/broadcasts/create`,
        { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: "{}" }),
    addUser: () => fetch(`${base}/rest/v2/users`,
        { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ email: "eve", password: "x", userType: "ADMIN" }) }),
    logOut: () => fetch(`${base}/rest/v2/users/logout`, { method: "DELETE", credentials: "include" }),
};
for (const [name, attempt] of Object.entries(attempts)) {
    try {
        const answer = await attempt();
        said[name] = answer.status;
        if (answer.ok) said[name] = `read: ${(await answer.text()).slice(0, 200)}`;
    } catch (error) {
        said[name] = "nothing";
    }
}
window.said = JSON.stringify(said);
"#;

async fn attempts(browser: &Browser, base: &str) -> Result<Value> {
    let script = format!("window.said = null; (async () => {{ const base = {}; {ASK} }})();", json!(base));
    browser.run(&script).await?;
    browser
        .wait_until("the attempts", std::time::Duration::from_secs(30), "return window.said !== null")
        .await?;
    let said = browser.run("return window.said").await?;
    serde_json::from_str(said.as_str().context("nothing was said")?).context("no JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_management_cookie_is_worth_nothing_to_another_origin() -> Result<()> {
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let user = json!({ "email": "a@b", "password": "one" }).to_string();
    let json_type = [("Content-Type", "application/json")];
    let made = ask("POST", &node.http_url("/rest/v2/users/initial"), &json_type, &user).await?;
    ensure!(made.json()["success"] == true, "{}", made.text());

    let browser = Browser::start().await?;
    browser.open(&node.http_url("/")).await?;
    let log_in = "window.said = null; fetch('/rest/v2/users/authenticate', { method: 'POST', headers: { 'Content-Type': \
                  'application/json' }, body: JSON.stringify({ email: 'a@b', password: 'one' }) }).then((a) => a.text())\
                  .then((text) => { window.said = text; });";
    browser.run(log_in).await?;
    browser
        .wait_until("the log-in", std::time::Duration::from_secs(30), "return window.said !== null")
        .await?;
    let said = browser.run("return window.said").await?;
    ensure!(said.as_str().is_some_and(|said| said.contains("system/ADMIN")), "{said}");
    ensure!(browser.run("return document.cookie").await? == json!(""), "a script sees the cookie");

    let count = async || -> Result<(Value, usize)> {
        let broadcasts = node.get("/LiveApp/rest/v2/broadcasts/count").await?.json()["number"].clone();
        let users = node.get("/rest/v2/user-list").await?.json().as_array().map_or(0, Vec::len);
        Ok((broadcasts, users))
    };
    let before = count().await?;

    // Another port of the same host is another origin, and the same site: the browser sends the cookie along.
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("page.html"), "<!doctype html><title>elsewhere</title>")?;
    let foreign = FileServer::start(folder.path()).await?;
    browser.open(&foreign.url("page.html")).await?;
    let base = node.http_url("");
    let said = attempts(&browser, &base).await?;
    for (name, outcome) in said.as_object().context("no outcomes")? {
        let refused = [json!("nothing"), json!(403), json!(0)].contains(outcome);
        ensure!(refused, "a foreign page could {name}: {outcome}");
    }
    ensure!(count().await? == before, "a foreign page changed something: {said}");

    // The cookie was good all the time.
    browser.open(&node.http_url("/")).await?;
    let own = attempts(&browser, &base).await?;
    for name in ["read", "readApp", "create", "proxied", "addUser", "logOut"] {
        ensure!(own[name].as_str().is_some_and(|said| said.starts_with("read: ")), "{name}: {own}");
    }
    let after = count().await?;
    ensure!(after != before && after.1 == before.1 + 1, "{before:?} {after:?}");
    Ok(())
}
