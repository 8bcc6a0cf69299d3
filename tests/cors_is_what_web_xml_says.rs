//! Pages of other origins may ask and read what `web.xml` says, of every answer and every refusal; a changed file acts within
//! two seconds, and a broken one leaves in force what it said before. The filter is the one of the guide, word by word.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use test_support::{Node, NodeOptions, Response, ask};

const PAGE: &str = "https://page.example";
const OTHER: &str = "https://other.example";
/// A changed file acts within two seconds; the rest is the machine's.
const ACTS_WITHIN: Duration = Duration::from_secs(4);

/// From the guide's section "CORS Filter", as it stands there.
const GUIDE: &str = include_str!("support/guide/cors_filter.xml");

struct Answers(Node);

impl Answers {
    async fn start() -> Result<Self> {
        Ok(Self(Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?))
    }

    async fn ask(&self, verb: &str, path: &str, origin: &str, headers: &[(&str, &str)]) -> Result<Response> {
        let headers = [&[("Origin", origin)], headers].concat();
        Ok(ask(verb, &self.0.http_url(path), &headers, "").await?)
    }

    /// What a browser asks first.
    async fn preflight(&self, path: &str, origin: &str, verb: &str, names: &str) -> Result<Response> {
        let headers = [("Access-Control-Request-Method", verb), ("Access-Control-Request-Headers", names)];
        self.ask("OPTIONS", path, origin, &headers).await
    }

    fn web_xml(&self, app: &str) -> Result<PathBuf> {
        Ok(self.0.properties(app).parent().context("no folder")?.join("web.xml"))
    }

    fn write(&self, app: &str, filter: &str) -> Result<()> {
        Ok(std::fs::write(self.web_xml(app)?, format!("<web-app>\n{filter}\n</web-app>\n"))?)
    }

    /// Waits until pages of an origin are, or are not, let in.
    async fn until(&self, path: &str, origin: &str, allowed: Option<&str>) -> Result<()> {
        let looked = async || {
            let answer = self.ask("GET", path, origin, &[]).await.ok()?;
            (answer.header("access-control-allow-origin") == allowed).then_some(())
        };
        Node::eventually(ACTS_WITHIN, looked)
            .await
            .with_context(|| format!("{path} {origin}: not {allowed:?}"))
    }
}

fn varies(answer: &Response) -> bool {
    answer.headers.iter().any(|(name, value)| name == "vary" && value.contains("Origin"))
}

/// Every answer, whoever gives it.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_read_each_answer_and_each_refusal_at_first() -> Result<()> {
    let node = Answers::start().await?;
    for (verb, path, status) in [
        ("GET", "/", 200),
        ("GET", "/LiveApp/", 200),
        ("GET", "/LiveApp/nothing.html", 404),
        ("GET", "/nothing", 404),
        // A page of another origin is not the machine.
        ("GET", "/LiveApp/rest/v2/broadcasts/count", 403),
        ("GET", "/rest/v2/version", 403),
        ("GET", "/rest/v2/liveness", 200),
        ("GET", "/LiveApp/whep/none/x", 405),
        ("DELETE", "/LiveApp/whep/none/x", 404),
        ("POST", "/LiveApp/whip/none", 415),
        ("GET", "/livez", 200),
        ("GET", "/LiveApp/websocket", 400),
    ] {
        let answer = node.ask(verb, path, PAGE, &[]).await?;
        ensure!(answer.status == status, "{verb} {path}: {} {}", answer.status, answer.text());
        let allowed = answer.header("access-control-allow-origin");
        ensure!(allowed == Some("*") && varies(&answer), "{verb} {path}: {:?}", answer.headers);
        ensure!(answer.header("access-control-allow-credentials").is_none(), "{:?}", answer.headers);
        let alone = ask(verb, &node.0.http_url(path), &[], "").await?;
        ensure!(varies(&alone), "{verb} {path}: {:?}", alone.headers);
        ensure!(alone.header("access-control-allow-origin").is_none(), "{verb} {path}: {:?}", alone.headers);
    }
    // Whose path it is cannot be said of one that is no text: no page reads the answer.
    let answer = node.ask("GET", "/%ff", PAGE, &[]).await?;
    let allowed = answer.header("access-control-allow-origin");
    ensure!(answer.status == 403 && allowed.is_none(), "{answer:?}");
    let alone = ask("GET", &node.0.http_url("/%ff"), &[], "").await?;
    ensure!(alone.status == 400, "{alone:?}");
    let answer = node.preflight("/LiveApp/rest/v2/broadcasts/x", PAGE, "PUT", "content-type, Range").await?;
    ensure!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
    let methods = answer.header("access-control-allow-methods");
    ensure!(methods == Some("GET,POST,HEAD,OPTIONS,PUT,DELETE"), "{methods:?}");
    ensure!(answer.header("access-control-max-age") == Some("1800"), "{answer:?}");
    ensure!(
        answer.header("access-control-allow-headers").is_some_and(|names| names.contains("Range")),
        "{answer:?}"
    );
    for (path, verb, names, status) in [
        ("/LiveApp/rest/v2/broadcasts/x", "PATCH", "", 403),
        ("/LiveApp/whip/s/x", "PATCH", "if-match, content-type", 200),
        ("/LiveApp/rest/v2/broadcasts/x", "GET", "x-unheard-of", 403),
    ] {
        let answer = node.preflight(path, PAGE, verb, names).await?;
        ensure!(answer.status == status, "{verb} {path} {names}: {answer:?}");
        if status == 403 {
            let kind = answer.header("content-type").unwrap_or_default();
            ensure!(answer.body.is_empty() && kind.starts_with("text/plain"), "{answer:?}");
        }
    }
    // The node's own page is no page of another origin.
    let own = node.0.http_url("");
    let answer = node.ask("GET", "/LiveApp/rest/v2/broadcasts/count", &own, &[]).await?;
    ensure!(answer.status == 200 && answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    let unreadable = node.ask("GET", "/", "not an origin", &[]).await?;
    ensure!(unreadable.status == 403, "{unreadable:?}");
    // Who brings a credential of its own is named (AMS).
    let named = node.ask("GET", "/rest/v2/liveness", PAGE, &[("Authorization", "x")]).await?;
    ensure!(named.header("access-control-allow-origin") == Some(PAGE), "{named:?}");
    ensure!(named.header("access-control-allow-credentials") == Some("true"), "{named:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_acts_within_two_seconds_and_a_broken_one_changes_nothing() -> Result<()> {
    let node = Answers::start().await?;
    let path = "/LiveApp/";
    node.write("LiveApp", GUIDE)?;
    node.until(path, PAGE, Some("*")).await?;

    // As the guide says: specific domains, and its lines about credentials opened.
    let open = GUIDE.replace("<param-value>*</param-value>", &format!("<param-value>{PAGE}</param-value>"));
    let open = open
        .replace("<!-- cors.allowed.origins -> * and credentials are not supported at the same time.", "");
    let open = open
        .replace("If you set to cors.allowed.origins to specific domains and support credentials open the below lines", "")
        .replace("-->", "");
    node.write("LiveApp", &open)?;
    node.until(path, OTHER, None).await?;
    let page = node.ask("GET", path, PAGE, &[]).await?;
    ensure!(page.header("access-control-allow-origin") == Some(PAGE), "{page:?}");
    ensure!(page.header("access-control-allow-credentials") == Some("true") && varies(&page), "{page:?}");
    let other = node.ask("GET", path, OTHER, &[]).await?;
    ensure!(other.status == 403 && other.body.is_empty() && varies(&other), "{other:?}");
    // Of this application alone.
    let elsewhere = node.ask("GET", "/WebRTCAppEE/", OTHER, &[]).await?;
    ensure!(elsewhere.header("access-control-allow-origin") == Some("*"), "{elsewhere:?}");

    // `*` with credentials is what the guide forbids; and a DTD is not read.
    let everybody = open.replace(PAGE, "*");
    for broken in [everybody.as_str(), "<filter>", "<!DOCTYPE x [<!ENTITY a \"b\">]>&a;"] {
        node.write("LiveApp", broken)?;
        let said = |line: &str| line.contains("web.xml cannot be used") && line.contains("LiveApp");
        let before = node.0.log_lines().iter().filter(|line| said(line)).count();
        let noticed =
            async || (node.0.log_lines().iter().filter(|line| said(line)).count() > before).then_some(());
        Node::eventually(ACTS_WITHIN, noticed).await.with_context(|| format!("not noticed: {broken}"))?;
        let page = node.ask("GET", path, PAGE, &[]).await?;
        ensure!(page.header("access-control-allow-origin") == Some(PAGE), "{broken}: {page:?}");
        ensure!(node.ask("GET", path, OTHER, &[]).await?.status == 403, "{broken}");
    }
    std::fs::remove_file(node.web_xml("LiveApp")?)?;
    node.until(path, OTHER, Some("*")).await
}
