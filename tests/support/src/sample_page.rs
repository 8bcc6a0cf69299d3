//! The AMS JavaScript SDK as the npm registry has it, and pages of ours around it.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use crate::turn::lock;
use crate::{FileServer, skipped};

/// Time for npm to fetch.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// Served pages that play and publish with the unmodified SDK.
pub struct SamplePage(FileServer);

/// What came of fetching the SDK.
pub enum Sample {
    /// It is there.
    Ready(SamplePage),
    /// npm could not reach the registry, for this reason: nothing can be said of the SDK.
    Unreachable(String),
}

impl SamplePage {
    /// Installs the SDK with `npm ci` (the lock file holds its version and hash) and serves the pages.
    ///
    /// # Errors
    /// There is no npm, npm refused what it fetched, or no port could be bound.
    pub async fn start() -> anyhow::Result<Sample> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        if let Some(why) = install(&folder).await? {
            return Ok(Sample::Unreachable(why));
        }
        Ok(Sample::Ready(Self(FileServer::start(folder).await?)))
    }

    /// The same for the test `what`; `None`: the registry could not be reached, and that was said. Where there is a
    /// registry by rights (`CI`), that is no excuse.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn or_skip(what: &str) -> anyhow::Result<Option<Self>> {
        match Self::start().await? {
            Sample::Ready(page) => Ok(Some(page)),
            Sample::Unreachable(why) => {
                let why = format!("the npm registry could not be reached: {why}");
                ensure!(std::env::var_os("CI").is_none(), "{why}");
                skipped(what, &why);
                Ok(None)
            }
        }
    }

    /// The page that plays `stream` from the signalling address `socket`.
    pub fn url(&self, socket: &str, stream: &str) -> String {
        self.0.url(&format!("page.html?socket={socket}&stream={stream}"))
    }

    /// The page that publishes its camera and its microphone as `stream` to the signalling address `socket`.
    pub fn publisher_url(&self, socket: &str, stream: &str) -> String {
        self.0.url(&format!("publish.html?socket={socket}&stream={stream}"))
    }

    /// The same, asking as the SDK does with an object: it opens a data channel of its own then.
    pub fn object_url(&self, socket: &str, stream: &str) -> String {
        self.url(socket, stream) + "&object"
    }
}

/// `Some`: why the registry could not be reached.
async fn install(folder: &Path) -> anyhow::Result<Option<String>> {
    // `npm ci` leaves this file behind when it is through; the same lock file means the same packages.
    let wanted = folder.join("package-lock.json");
    // npm takes away what is there before it installs: nobody may install beside it, or open a page of it meanwhile.
    let _alone = lock(&wanted).await.context("package-lock.json")?;
    let wanted = tokio::fs::read(&wanted).await.context("package-lock.json")?;
    let installed = folder.join("node_modules/.installed-lock.json");
    if tokio::fs::read(&installed).await.is_ok_and(|have| have == wanted) {
        return Ok(None);
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(output) = timeout(FETCH_MAX, npm).await else {
        return Ok(Some(format!("npm ci took longer than {FETCH_MAX:?}")));
    };
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("npm is not installed: run scripts/setup")
        }
        output => output.context("npm")?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if !is_unreachable(&said) {
            bail!("npm ci ended with {}: {said}", output.status);
        }
        return Ok(Some(said.into_owned()));
    }
    tokio::fs::write(&installed, wanted).await.context(".installed-lock.json")?;
    Ok(None)
}

/// Whether npm gave up because of the network: its line `npm ERR! code …` (`npm error code …` from version
/// 10 on) has the name of a socket error of Node.js, or the status of a gateway before the registry.
fn is_unreachable(said: &str) -> bool {
    const CODES: &[&str] = &[
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "ENOTFOUND",
        "ERR_SOCKET_TIMEOUT",
        "ETIMEDOUT",
        "E502",
        "E503",
        "E504",
    ];
    said.lines().any(|line| {
        let code = line
            .strip_prefix("npm ERR! code ")
            .or_else(|| line.strip_prefix("npm error code "))
            .unwrap_or_default();
        CODES.contains(&code.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_is_an_excuse() {
        for code in ["ECONNREFUSED", "EAI_AGAIN", "E503"] {
            assert!(is_unreachable(&format!("npm ERR! code {code}\nnpm ERR! errno {code}\n")));
            assert!(is_unreachable(&format!("npm error code {code}\n")));
        }
        for code in ["EINTEGRITY", "E404", "EUSAGE", "EACCES"] {
            assert!(!is_unreachable(&format!("npm ERR! code {code}\n")));
        }
        assert!(!is_unreachable("npm WARN ENOTFOUND\n"));
    }
}
