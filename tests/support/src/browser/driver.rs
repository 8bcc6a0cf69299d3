//! The programs behind a browser: chromedriver, and the Chromium it starts.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::BrowserError;
use crate::process::end_tree;

/// A running chromedriver; dropping it kills it with all that it started.
pub(super) struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // `None`: it has ended and been waited for, its number may belong to somebody else.
        if let Some(pid) = self.0.id() {
            end_tree(pid);
        }
    }
}

/// The program `chromium`, or what `CHROMIUM` names. chromedriver wants its path.
pub(super) fn chromium() -> Result<PathBuf, BrowserError> {
    let named = std::env::var("CHROMIUM").ok().filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| "chromium".to_owned());
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(&name))
        .find(|program| program.is_file())
        .ok_or_else(|| BrowserError::Start(format!("there is no program {name}")))
}

/// A program that starts `program` by way of `launcher`: chromedriver takes the path of one program.
pub(super) fn write_launcher(
    folder: &Path,
    launcher: &[String],
    program: &Path,
) -> Result<PathBuf, BrowserError> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("launch");
    let words: Vec<String> = launcher.iter().map(|word| quoted(word)).collect();
    let text = format!("#!/bin/sh\nexec {} {} \"$@\"\n", words.join(" "), quoted(&program.to_string_lossy()));
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// A word as the shell takes it for itself.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Starts chromedriver; the port it chose.
pub(super) async fn start_driver() -> Result<(Driver, u16), BrowserError> {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| BrowserError::Start(format!("chromedriver: {error}")))?;
    let stdout = child.stdout.take();
    let driver = Driver(child);
    let mut lines =
        BufReader::new(stdout.ok_or_else(|| BrowserError::Start("no output".to_owned()))?).lines();
    while let Some(line) = lines.next_line().await? {
        // "ChromeDriver was started successfully on port 40123."
        if let Some(port) = line
            .rsplit_once("successfully on port ")
            .and_then(|(_, port)| port.trim_end_matches('.').parse().ok())
        {
            // Its later lines must go somewhere, or it stands still when the pipe is full.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((driver, port));
        }
    }
    Err(BrowserError::Start("chromedriver ended at once".to_owned()))
}
