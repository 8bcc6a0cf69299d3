//! The management page of a node of its own, with nobody's hand on a mouse.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use test_support::{Browser, BrowserOptions, Marker, MarkerOptions, Node, NodeOptions, Turn};

use super::{APP, EMAIL, PASSWORD, PATIENCE, STREAM};

const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
const SPACE: &str = " ";
/// More controls than any page has.
const CONTROLS_MAX: usize = 250;

/// What the control with the keyboard's place is called, as a screen reader would say it.
pub const NAME: &str = r"
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
pub struct Panel {
    pub node: Node,
    pub page: Browser,
    _turn: Turn,
}

impl Panel {
    /// As the first user of a new node; a node without log-in lets its own machine in as it is.
    pub async fn enter() -> Result<Self> {
        let turn = Turn::take().await?;
        let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
        let scripts = vec![HEADINGS.to_owned()];
        let page = Browser::start_with(BrowserOptions { scripts, ..BrowserOptions::default() }).await?;
        page.open(&node.http_url("/panel/")).await?;
        let panel = Self { node, page, _turn: turn };
        panel.shows("The first user").await?;
        panel.write("E-mail", EMAIL).await?;
        panel.write("Password", PASSWORD).await?;
        panel.write("Password again", PASSWORD).await?;
        panel.page.press(ENTER).await?;
        panel.shows("Each is a place of its own").await?;
        panel.shows(APP).await?;
        Ok(panel)
    }

    /// Goes on with Tab until the control of that name has the keyboard's place.
    pub async fn tab_to(&self, name: &str) -> Result<()> {
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
    pub async fn press(&self, name: &str) -> Result<()> {
        self.tab_to(name).await?;
        Ok(self.page.press(ENTER).await?)
    }

    pub async fn write(&self, name: &str, text: &str) -> Result<()> {
        self.tab_to(name).await?;
        Ok(self.page.press(text).await?)
    }

    pub async fn shows(&self, text: &str) -> Result<()> {
        let script = format!("return document.body.innerText.includes({})", Value::from(text));
        Ok(self.page.wait_until(text, PATIENCE, &script).await?)
    }

    /// The value of the field with that label.
    pub async fn value_of(&self, label: &str) -> Result<String> {
        let script = format!(
            "return [...document.querySelectorAll('input')]
               .find((input) => input.labels[0]?.textContent === {})?.value",
            Value::from(label)
        );
        let value = self.page.run(&script).await?;
        Ok(value.as_str().with_context(|| format!("no field {label}"))?.to_owned())
    }

    /// Goes from the list of applications to the settings, and finds and turns one of them over.
    pub async fn switches(&self, search: &str, setting: &str) -> Result<()> {
        self.press(APP).await?;
        self.press("Settings").await?;
        self.shows("settings are shown").await?;
        self.write("Search settings", search).await?;
        self.tab_to(setting).await?;
        Ok(self.page.press(SPACE).await?)
    }

    /// Looks at what changes of the settings, and saves it.
    pub async fn save(&self) -> Result<()> {
        self.press("Review and save").await?;
        self.shows("What changes").await?;
        self.press("Save").await?;
        self.shows("Saved.").await
    }

    /// Goes from the list of streams to the stream's tokens and makes one; the address of a player with it.
    pub async fn mints(&self, what: &str) -> Result<String> {
        self.press(STREAM).await?;
        self.press("Tokens").await?;
        self.press("Make it").await?;
        self.shows(what).await?;
        let address = self.value_of("Browser").await?;
        ensure!(address.contains("token="), "{address}");
        Ok(address)
    }

    pub async fn mints_another_than(&self, address: &str) -> Result<String> {
        self.press("Make it").await?;
        let another = Node::eventually(PATIENCE, || async {
            self.value_of("Browser").await.ok().filter(|shown| shown != address)
        });
        another.await.context("no other token is shown")
    }

    /// Somebody publishes, and the page shows the stream.
    pub async fn publishes(&self) -> Result<Marker> {
        let marker = Marker::start(MarkerOptions::to_rtmp(self.node.rtmp_url(APP, STREAM)))?;
        self.node
            .until_broadcast(APP, STREAM, PATIENCE, |broadcast| broadcast["status"] == "broadcasting")
            .await?;
        self.shows(STREAM).await?;
        Ok(marker)
    }
}
