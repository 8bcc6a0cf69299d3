//! A CQL server of a test's own, by `scripts/cassandra`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A server that runs. It ends when this is dropped, and with the test's process.
pub struct CqlServer {
    address: String,
    folder: PathBuf,
    _owned: TempDir,
}

impl CqlServer {
    /// Starts one. Blocks for some seconds.
    ///
    /// # Errors
    /// Why there is none, in words: no Java, say.
    pub fn start() -> Result<Self, String> {
        let owned = tempfile::tempdir().map_err(|error| error.to_string())?;
        let folder = owned.path().join("server");
        let said = script(&["start", "--owner", &std::process::id().to_string()], &folder)?;
        let address = said.split_whitespace().nth(1).unwrap_or_default().to_owned();
        Ok(Self { address, folder, _owned: owned })
    }

    /// Where it answers, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for CqlServer {
    fn drop(&mut self) {
        // One that is gone already has ended.
        let _ = script(&["stop", "--kill"], &self.folder);
    }
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
