//! Headless Chromium, driven through chromedriver.

mod driver;
mod error;

use std::path::Path;
use std::time::Duration;

use base::{Clock, SystemClock};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::http;
use crate::measurement::Measurement;
use driver::{Driver, chromium, start_driver, write_launcher};

pub use error::BrowserError;

/// Time for a first picture after the button was pressed.
const FIRST_PICTURE_MAX: Duration = Duration::from_secs(20);
/// Time for chromedriver and the browser to start.
const START_MAX: Duration = Duration::from_secs(30);
/// The nap between two looks at a page.
const NAP: Duration = Duration::from_millis(50);

/// Installed in every page before its own scripts.
const MEASURE: &str = include_str!("../measure.js");

const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--window-size=800,640",
];

/// What is special about a browser; by default nothing is.
#[derive(Clone, Debug, Default)]
pub struct BrowserOptions {
    /// Scripts that every page runs before its own.
    pub scripts: Vec<String>,
    /// A command that starts the browser, which comes behind it as its arguments; empty: none.
    pub launcher: Vec<String>,
    /// Arguments of the browser besides the usual ones.
    pub flags: Vec<String>,
    /// What pages say of what they may load (`Content-Security-Policy`) is passed over, for scripts that bring more.
    pub passes_over_policies: bool,
}

/// A browser with one page. Dropping it kills chromedriver and every process of the browser.
pub struct Browser {
    client: Client,
    driver: Driver,
    // After `driver`: the profile goes once nobody writes to it.
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with a fresh profile.
    ///
    /// # Errors
    /// chromedriver or chromium is not installed or does not start.
    pub async fn start() -> Result<Self, BrowserError> {
        Self::start_with(BrowserOptions::default()).await
    }

    /// Starts a browser with a fresh profile and options.
    ///
    /// # Errors
    /// chromedriver, chromium or the launcher is not installed or does not start.
    pub async fn start_with(options: BrowserOptions) -> Result<Self, BrowserError> {
        let profile = tempfile::Builder::new().prefix("penstock-browser-").tempdir()?;
        let (driver, port) = timeout(START_MAX, start_driver())
            .await
            .map_err(|_| BrowserError::Start("chromedriver did not say its port".to_owned()))??;
        let mut arguments: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        arguments.extend(options.flags);
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut binary = chromium()?;
        if !options.launcher.is_empty() {
            binary = write_launcher(profile.path(), &options.launcher, &binary)?;
            // Where it runs, a port of it may not be reached from here.
            arguments.push("--remote-debugging-pipe".to_owned());
        }
        let Value::Object(capabilities) =
            json!({ "goog:chromeOptions": { "binary": binary, "args": arguments } })
        else {
            return Err(BrowserError::Start("the options are no object".to_owned()));
        };
        let connect = async {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(Capabilities::from_iter(capabilities))
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
                .map_err(|error| BrowserError::Start(error.to_string()))
        };
        let client = timeout(START_MAX, connect)
            .await
            .map_err(|_| BrowserError::Start("the browser was not there in time".to_owned()))??;
        if options.passes_over_policies {
            tell_devtools("Page.setBypassCSP", &json!({ "enabled": true }), &client, port).await?;
        }
        for script in options.scripts.iter().map(String::as_str).chain([MEASURE]) {
            // Run in every page before the page's own.
            let script = json!({ "source": script });
            tell_devtools("Page.addScriptToEvaluateOnNewDocument", &script, &client, port).await?;
        }
        Ok(Self { client, driver, _profile: profile })
    }

    /// Opens an address and waits until it is loaded.
    ///
    /// # Errors
    /// The page did not load.
    pub async fn open(&self, url: &str) -> Result<(), BrowserError> {
        Ok(self.client.goto(url).await?)
    }

    /// Runs a script in the page (`return …` gives its result).
    ///
    /// # Errors
    /// The script threw.
    pub async fn run(&self, script: &str) -> Result<Value, BrowserError> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Presses keys, one after the other: characters, and WebDriver's names of other keys, such as `\u{E004}` for Tab.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn press(&self, keys: &str) -> Result<(), BrowserError> {
        let typed = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |typed, value| {
            typed.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        Ok(self.client.perform_actions(typed).await?)
    }

    /// The page's visible text.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn text(&self) -> Result<String, BrowserError> {
        let text = self.run("return document.body ? document.body.innerText : ''").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until `script` returns something true.
    ///
    /// # Errors
    /// It did not within `patience`; the error carries the page's text.
    pub async fn wait_until(&self, what: &str, patience: Duration, script: &str) -> Result<(), BrowserError> {
        let wait = async {
            while self.run(script).await? != Value::Bool(true) {
                sleep(NAP).await;
            }
            Ok(())
        };
        match timeout(patience, wait).await {
            Ok(result) => result,
            Err(_) => Err(BrowserError::TimedOut { what: what.to_owned(), page: self.text().await? }),
        }
    }

    /// Measures the video that `selector` finds, for `duration` from its first picture.
    ///
    /// # Errors
    /// No picture within `patience`.
    pub async fn measure(
        &self,
        selector: &str,
        patience: Duration,
        duration: Duration,
    ) -> Result<Measurement, BrowserError> {
        self.begin_to_measure(selector, patience).await?;
        self.measured_after(duration).await
    }

    /// Waits for the first picture of the video that `selector` finds and measures from then on.
    ///
    /// # Errors
    /// No picture within `patience`.
    pub async fn begin_to_measure(&self, selector: &str, patience: Duration) -> Result<(), BrowserError> {
        let script = format!("return window.penstockMeasure.begin({})", Value::from(selector));
        self.wait_until("a picture", patience, &script).await
    }

    /// Measures the video that `selector` finds, which has no picture yet, from its first one on.
    ///
    /// # Errors
    /// There is no such video.
    pub async fn watch(&self, selector: &str) -> Result<(), BrowserError> {
        let script = format!("return window.penstockMeasure.watch({})", Value::from(selector));
        match self.run(&script).await? {
            Value::Bool(true) => Ok(()),
            _ => Err(BrowserError::Command(format!("there is no {selector} to watch"))),
        }
    }

    /// Opens a play page that waits for its button, ready to measure from the first picture on.
    ///
    /// # Errors
    /// The page did not load, or has no video.
    pub async fn open_player(&self, url: &str) -> Result<(), BrowserError> {
        self.open(url).await?;
        self.watch("video").await
    }

    /// Presses the button of a play page and waits for the first picture.
    ///
    /// # Errors
    /// No picture within 20 s.
    pub async fn press_play(&self) -> Result<(), BrowserError> {
        self.run("document.getElementById('toggle').click()").await?;
        self.seen(1, FIRST_PICTURE_MAX).await
    }

    /// Goes on measuring for `duration`, and ends the measurement.
    ///
    /// # Errors
    /// Nothing is being measured.
    pub async fn measured_after(&self, duration: Duration) -> Result<Measurement, BrowserError> {
        sleep(duration).await;
        self.end_measuring().await
    }

    /// Waits until `count` frames of the measured video were looked at.
    ///
    /// # Errors
    /// They were not within `patience`.
    pub async fn seen(&self, count: u32, patience: Duration) -> Result<(), BrowserError> {
        let script = format!("return window.penstockMeasure.count() >= {count}");
        self.wait_until("pictures", patience, &script).await
    }

    /// Waits until `count` more frames were looked at than now.
    ///
    /// # Errors
    /// They were not within `patience`.
    pub async fn sees_more(&self, count: u32, patience: Duration) -> Result<(), BrowserError> {
        let now = self.run("return window.penstockMeasure.count()").await?.as_u64().unwrap_or_default();
        let script = format!("return window.penstockMeasure.count() >= {}", now + u64::from(count));
        self.wait_until("more pictures", patience, &script).await
    }

    /// Waits until a flash of the measured video and its beep are at most `ms` apart; how long it took.
    ///
    /// # Errors
    /// None were within `patience`.
    pub async fn in_step(&self, ms: f64, patience: Duration) -> Result<Duration, BrowserError> {
        let began = SystemClock.now();
        let script = format!("return window.penstockMeasure.isInStep({ms})");
        self.wait_until("sound in step with its picture", patience, &script).await?;
        Ok(SystemClock.now() - began)
    }

    /// What was measured so far; measuring goes on.
    ///
    /// # Errors
    /// Nothing is being measured.
    pub async fn measured(&self) -> Result<Measurement, BrowserError> {
        read(self.run("return window.penstockMeasure.summary()").await?)
    }

    /// Ends the measurement.
    ///
    /// # Errors
    /// Nothing is being measured.
    pub async fn end_measuring(&self) -> Result<Measurement, BrowserError> {
        read(self.run("return window.penstockMeasure.end()").await?)
    }

    /// What the newest connection's receiver of sound counts (`RTCInboundRtpStreamStats`); null without one.
    ///
    /// # Errors
    /// The browser is gone.
    pub async fn sound(&self) -> Result<Value, BrowserError> {
        self.run("return window.penstockMeasure.sound()").await
    }

    /// Writes what the page looks like to a PNG file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn screenshot(&self, path: &Path) -> Result<(), BrowserError> {
        let image = self.client.screenshot().await?;
        Ok(tokio::fs::write(path, image).await?)
    }

    /// Closes the browser in good order.
    ///
    /// # Errors
    /// It did not answer; it is killed then.
    pub async fn close(self) -> Result<(), BrowserError> {
        let Self { client, driver, _profile } = self;
        let closed = client.close().await;
        drop(driver);
        Ok(closed?)
    }
}

/// Gives the browser a command of its DevTools protocol. Not part of WebDriver: chromedriver passes it on.
async fn tell_devtools(
    command: &str,
    parameters: &Value,
    client: &Client,
    port: u16,
) -> Result<(), BrowserError> {
    let session = client.session_id().await?.unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}/session/{session}/goog/cdp/execute");
    let body = json!({ "cmd": command, "params": parameters });
    let answer = http::request("POST", &url, Some(&body))
        .await
        .map_err(|error| BrowserError::Command(error.to_string()))?;
    if answer.status == 200 { Ok(()) } else { Err(BrowserError::Command(answer.text())) }
}

fn read(summary: Value) -> Result<Measurement, BrowserError> {
    serde_json::from_value(summary.clone())
        .map_err(|error| BrowserError::Command(format!("{error} in {summary}")))
}
