//! A CQL server of a test's own, by `scripts/cassandra`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A server that runs. It ends when this is dropped, and with the test's process. Whatever is done with it blocks, for some
/// seconds.
#[derive(Debug)]
pub struct CqlServer {
    address: String,
    folder: PathBuf,
    _owned: TempDir,
}

impl CqlServer {
    /// Starts one.
    ///
    /// # Errors
    /// Why there is none, in words: no Java, say.
    pub fn start() -> Result<Self, String> {
        let owned = tempfile::tempdir().map_err(|error| error.to_string())?;
        let folder = owned.path().join("server");
        let address = started(&[], &folder)?;
        Ok(Self { address, folder, _owned: owned })
    }

    /// Where it answers, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends it as a crash does.
    ///
    /// # Errors
    /// Why it goes on, in words.
    pub fn kill(&self) -> Result<(), String> {
        script(&["stop", "--kill"], &self.folder).map(drop)
    }

    /// Starts it again where it was, with what it had.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn start_again(&self) -> Result<(), String> {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        started(&["--port", port], &self.folder).map(drop)
    }
}

impl Drop for CqlServer {
    fn drop(&mut self) {
        // One that is gone already has ended.
        let _ = script(&["stop", "--kill"], &self.folder);
    }
}

/// Starts a server and says where.
fn started(arguments: &[&str], folder: &Path) -> Result<String, String> {
    let owner = std::process::id().to_string();
    let arguments: Vec<_> =
        ["start", "--owner", &owner].into_iter().chain(arguments.iter().copied()).collect();
    let said = script(&arguments, folder)?;
    said.split_whitespace().nth(1).map(str::to_owned).ok_or_else(|| format!("it says {said:?}"))
}

fn script(arguments: &[&str], folder: &Path) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/cassandra");
    let output = Command::new(path)
        .args(arguments)
        .arg("--dir")
        .arg(folder)
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
