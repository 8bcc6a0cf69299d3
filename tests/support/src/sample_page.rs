//! The AMS JavaScript SDK as the npm registry has it, and a page of ours around it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::FileServer;

/// Time for npm to fetch.
const FETCH_MAX: Duration = Duration::from_secs(120);

/// A served page that plays with the unmodified SDK.
pub struct SamplePage(FileServer);

/// What came of fetching the SDK.
pub enum Sample {
    /// It is there.
    Ready(SamplePage),
    /// npm could not fetch it, for this reason: nothing can be said of the SDK.
    NotFetched(String),
}

impl SamplePage {
    /// Installs the SDK with `npm ci` (the lock file holds its version and hash) and serves the page.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start() -> std::io::Result<Sample> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        if let Err(why) = install(&folder).await {
            return Ok(Sample::NotFetched(why));
        }
        Ok(Sample::Ready(Self(FileServer::start(folder).await?)))
    }

    /// The page that plays `stream` from the signalling address `socket`.
    pub fn url(&self, socket: &str, stream: &str) -> String {
        self.0.url(&format!("page.html?socket={socket}&stream={stream}"))
    }
}

async fn install(folder: &PathBuf) -> Result<(), String> {
    // `npm ci` leaves this file behind when it is through; the same lock file means the same packages.
    let lock = tokio::fs::read(folder.join("package-lock.json")).await.map_err(|error| error.to_string())?;
    let installed = folder.join("node_modules/.installed-lock.json");
    if tokio::fs::read(&installed).await.is_ok_and(|have| have == lock) {
        return Ok(());
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(FETCH_MAX, npm)
        .await
        .map_err(|_| format!("npm ci took longer than {FETCH_MAX:?}"))?
        .map_err(|error| format!("npm could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "npm ci ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    tokio::fs::write(&installed, lock).await.map_err(|error| error.to_string())
}
