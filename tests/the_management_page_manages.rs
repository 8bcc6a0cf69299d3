//! The management page is part of the program, and everything it is for can be done by keyboard alone: the first user is
//! made, JWT is switched on, a token is minted, somebody plays by it, it is withdrawn, and they see why it is over.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use test_support::{Browser, BrowserOptions, Marker, MarkerOptions, Node, NodeOptions, Turn};

const APP: &str = "LiveApp";
const STREAM: &str = "stream1";
const PATIENCE: Duration = Duration::from_secs(20);
/// Between the answer to a revocation and the end of what it ends.
const END_MAX: Duration = Duration::from_secs(3);

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const SPACE: &str = " ";
/// More controls than any page has.
const CONTROLS_MAX: usize = 250;

/// What the control with the keyboard's place is called, as a screen reader would say it.
const NAME: &str = r"
  const it = document.activeElement;
  return (it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent ?? it.textContent ?? '').trim();
";

/// Keeps the text of every heading of a page, and of those that came without the keyboard's place.
const HEADINGS: &str = r"
  window.headings = { came: [], late: [] };
  const look = (heading) => {
    headings.came.push(heading.textContent);
    if (document.activeElement !== heading) headings.late.push(heading.textContent);
  };
  new MutationObserver((changes) => {
    for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
      if (node.nodeName === 'H1') look(node);
      else if (node.querySelectorAll) node.querySelectorAll('h1').forEach(look);
    }
  }).observe(document, { childList: true, subtree: true });
";

/// The management page of a node, with nobody's hand on a mouse.
struct Panel {
    node: Node,
    page: Browser,
    _turn: Turn,
}

impl Panel {
    /// As the first user of a new node; a node without log-in lets its own machine in as it is.
    async fn enter() -> Result<Self> {
        let turn = Turn::take().await?;
        let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
        let scripts = vec![HEADINGS.to_owned()];
        let page = Browser::start_with(BrowserOptions { scripts, ..BrowserOptions::default() }).await?;
        page.open(&node.http_url("/panel/")).await?;
        let panel = Self { node, page, _turn: turn };
        panel.shows("The first user").await?;
        panel.write("E-mail", "admin@example.org").await?;
        panel.write("Password", "correct horse battery").await?;
        panel.write("Password again", "correct horse battery").await?;
        panel.page.press(ENTER).await?;
        panel.shows("Each is a place of its own").await?;
        panel.shows(APP).await?;
        Ok(panel)
    }

    /// Goes on with Tab until the control of that name has the keyboard's place.
    async fn tab_to(&self, name: &str) -> Result<()> {
        let mut seen = Vec::new();
        for _ in 0..CONTROLS_MAX {
            self.page.press(TAB).await?;
            let here = self.page.run(NAME).await?;
            let here = here.as_str().unwrap_or_default();
            if here == name {
                return Ok(());
            }
            seen.push(here.to_owned());
        }
        bail!("Tab does not come to “{name}”, but to {seen:?}")
    }

    /// Goes to a button or link and presses it.
    async fn press(&self, name: &str) -> Result<()> {
        self.tab_to(name).await?;
        Ok(self.page.press(ENTER).await?)
    }

    async fn write(&self, name: &str, text: &str) -> Result<()> {
        self.tab_to(name).await?;
        Ok(self.page.press(text).await?)
    }

    async fn shows(&self, text: &str) -> Result<()> {
        let script = format!("return document.body.innerText.includes({})", Value::from(text));
        Ok(self.page.wait_until(text, PATIENCE, &script).await?)
    }

    /// The value of the field with that label.
    async fn value_of(&self, label: &str) -> Result<String> {
        let script = format!(
            "return [...document.querySelectorAll('input')]
               .find((input) => input.labels[0]?.textContent === {})?.value",
            Value::from(label)
        );
        let value = self.page.run(&script).await?;
        Ok(value.as_str().with_context(|| format!("no field {label}"))?.to_owned())
    }

    /// Looks at what changes of the settings, and saves it.
    async fn save(&self) -> Result<()> {
        self.press("Review and save").await?;
        self.shows("What changes").await?;
        self.press("Save").await?;
        self.shows("Saved.").await
    }

    /// Goes from the list of streams to the stream's tokens and makes one; the address of a player with it.
    async fn mints(&self, what: &str) -> Result<String> {
        self.press(STREAM).await?;
        self.press("Tokens").await?;
        self.press("Make it").await?;
        self.shows(what).await?;
        let address = self.value_of("Browser").await?;
        ensure!(address.contains("token="), "{address}");
        Ok(address)
    }

    async fn mints_another_than(&self, address: &str) -> Result<String> {
        self.press("Make it").await?;
        let another = Node::eventually(PATIENCE, || async {
            self.value_of("Browser").await.ok().filter(|shown| shown != address)
        });
        another.await.context("no other token is shown")
    }

    /// Somebody publishes, and the page shows the stream.
    async fn publishes(&self) -> Result<Marker> {
        let marker = Marker::start(MarkerOptions::to_rtmp(self.node.rtmp_url(APP, STREAM)))?;
        self.node
            .until_broadcast(APP, STREAM, PATIENCE, |broadcast| broadcast["status"] == "broadcasting")
            .await?;
        self.shows(STREAM).await?;
        Ok(marker)
    }
}

async fn is(page: &Browser, state: &str) -> Result<()> {
    let script = format!("return document.body.dataset.state === '{state}'");
    Ok(page.wait_until(state, PATIENCE, &script).await?)
}

/// Whoever presses Tab as soon as a page can be seen is not called back to its heading afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_the_keyboards_place_at_once_or_not_at_all() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.shows("Register a stream").await?;
    panel.press("Settings").await?;
    panel.shows("settings are shown").await?;
    panel.press("Users").await?;
    panel.shows("Users").await?;
    panel.press("Applications").await?;
    panel.shows("Each is a place of its own").await?;
    let came = panel.page.run("return headings.came").await?;
    ensure!(came.as_array().is_some_and(|came| came.len() >= 6), "only {came} were seen");
    let late = panel.page.run("return headings.late").await?;
    ensure!(late == json!([]), "of {came}, {late} took the keyboard's place late");
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_registered_stopped_and_deleted_by_keyboard() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.shows("Register a stream").await?;
    panel.write("Name in addresses", "lecture-2").await?;
    panel.page.press(ENTER).await?;
    panel.shows("lecture-2 was created.").await?;

    let _encoder = panel.publishes().await?;
    panel.shows("Viewers").await?;
    panel.press(&format!("Stop {STREAM}")).await?;
    panel.shows(&format!("{STREAM} was stopped.")).await?;
    panel
        .node
        .until_broadcast(APP, STREAM, END_MAX, |broadcast| broadcast["status"] != "broadcasting")
        .await?;

    panel.press("lecture-2").await?;
    panel.shows("Open the publish page").await?;
    ensure!(panel.value_of("Browser").await?.ends_with(&format!("/{APP}/publish.html?id=lecture-2")));
    ensure!(panel.value_of("OBS: stream key").await? == "lecture-2");
    panel.press("Delete").await?;
    panel.shows("Delete lecture-2?").await?;
    // Whoever goes on pressing Enter leaves it.
    ensure!(panel.page.run(NAME).await? == "Leave it");
    panel.press("Delete it").await?;
    panel.node.until_broadcast(APP, "lecture-2", PATIENCE, Value::is_null).await?;
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_and_deleted_by_keyboard() -> Result<()> {
    let panel = Panel::enter().await?;
    let status = async || anyhow::Ok(panel.node.get("/Lectures/rest/v2/version").await?.status);
    panel.write("Name of the new application", "Lectures").await?;
    panel.page.press(ENTER).await?;
    panel.shows("Lectures can be used.").await?;
    ensure!(status().await? == 200, "it cannot be used");
    panel.press("Lectures").await?;
    panel.shows("Register a stream").await?;
    panel.press("Applications").await?;
    panel.press("Delete Lectures").await?;
    panel.shows("Delete the application Lectures?").await?;
    // Whoever goes on pressing Enter leaves it.
    ensure!(panel.page.run(NAME).await? == "Leave it");
    panel.press("Delete it").await?;
    panel.shows("Lectures is gone.").await?;
    ensure!(status().await? == 404, "it is there still");
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_jwt_ends_the_play_and_the_player_says_why() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.press("Settings").await?;
    panel.shows("settings are shown").await?;
    panel.write("Search settings", "jwt").await?;
    panel.tab_to("JWT to play").await?;
    panel.page.press(SPACE).await?;
    panel.write("Secret of JWTs", "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq").await?;
    panel.save().await?;

    panel.press("Streams").await?;
    let _encoder = panel.publishes().await?;
    let viewer = Browser::start().await?;
    viewer.open(&panel.node.http_url(&format!("/{APP}/play.html?id={STREAM}"))).await?;
    is(&viewer, "refused").await?;
    let text = viewer.text().await?;
    ensure!(text.contains("Not everybody may watch this stream."), "{text}");

    let address = panel.mints("JWT to play").await?;
    viewer.open(&address).await?;
    is(&viewer, "playing").await?;

    // A JWT is as good as the secret it was signed with.
    panel.press("Replace the secret of JWTs").await?;
    panel.shows("Replace the secret of JWTs?").await?;
    panel.press("Replace it").await?;
    panel.shows("All JWTs made so far are void.").await?;
    sent_away(&viewer).await?;
    // The same address does not open it again, and a new one does.
    viewer.open(&address).await?;
    is(&viewer, "refused").await?;
    viewer.open(&panel.mints_another_than(&address).await?).await?;
    is(&viewer, "playing").await?;
    viewer.close().await?;
    panel.page.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_own_play_alone() -> Result<()> {
    let panel = Panel::enter().await?;
    panel.press(APP).await?;
    panel.press("Settings").await?;
    panel.shows("settings are shown").await?;
    panel.tab_to("One-time tokens to play").await?;
    panel.page.press(SPACE).await?;
    panel.save().await?;

    panel.press("Streams").await?;
    let _encoder = panel.publishes().await?;
    let (first, second) = (Browser::start().await?, Browser::start().await?);
    let address = panel.mints("One-time token to play").await?;
    first.open(&address).await?;
    is(&first, "playing").await?;
    second.open(&panel.mints_another_than(&address).await?).await?;
    is(&second, "playing").await?;

    panel.press("Revoke it").await?;
    panel.shows("Revoke this token?").await?;
    panel.press("Revoke it").await?;
    panel.shows("The token was revoked.").await?;
    sent_away(&second).await?;
    is(&first, "playing").await?;
    first.close().await?;
    second.close().await?;
    panel.page.close().await?;
    Ok(())
}

/// The player is told to go, and says why.
async fn sent_away(viewer: &Browser) -> Result<()> {
    let over = "return document.body.dataset.state === 'stopped'";
    viewer.wait_until("the end", END_MAX, over).await.context("the player was not sent away")?;
    let text = viewer.text().await?;
    ensure!(text.contains("Your permission to watch has been withdrawn."), "{text}");
    Ok(())
}

/// Whatever the page is made of comes from the node, and it needs no exception from the pages' policy.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere() -> Result<()> {
    let panel = Panel::enter().await?;
    let loaded =
        panel.page.run("return performance.getEntriesByType('resource').map(({ name }) => name)").await?;
    let loaded: Vec<&str> = loaded.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let own = panel.node.http_url("/");
    ensure!(!loaded.is_empty() && loaded.iter().all(|address| address.starts_with(&own)), "{loaded:?}");
    let page = panel.node.get("/panel/").await?;
    ensure!(page.status == 200, "the page was not built: {}", page.status);
    let policy = page.header("content-security-policy").unwrap_or_default();
    ensure!(policy.contains("script-src 'self'; style-src 'self'"), "{policy}");
    let inline = panel
        .page
        .run("return document.querySelectorAll('script:not([src]), style, [style]').length")
        .await?;
    ensure!(inline == 0, "{inline} scripts or styles stand in the page itself");
    Ok(())
}
