//! aiortc, a WebRTC stack in Python that has no line in common with browsers or with ours, as a publisher of the marker
//! and as a player that counts it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::tools;

/// The packages, where `scripts/setup` fetched them.
pub struct Aiortc(PathBuf);

/// A running publisher or player; killed when dropped.
pub struct AiortcPeer {
    lines: Lines<BufReader<ChildStdout>>,
    stdin: Option<ChildStdin>,
    heard: Vec<String>,
    _child: Child,
}

impl Aiortc {
    /// Finds it.
    ///
    /// # Errors
    /// Why there is none, in words for [`crate::skipped`].
    pub fn find() -> Result<Self, String> {
        tools::aiortc().map(Self)
    }

    /// Publishes 640 x 360 at 30 frames a second with a beep to a WHIP endpoint, in `codec` (`H264` or `VP8`) and Opus.
    ///
    /// # Errors
    /// Python does not start.
    pub fn publish(&self, url: &str, codec: &str) -> io::Result<AiortcPeer> {
        self.start(&["publish", url, codec])
    }

    /// Plays from a WHEP endpoint.
    ///
    /// # Errors
    /// Python does not start.
    pub fn play(&self, url: &str) -> io::Result<AiortcPeer> {
        self.start(&["play", url])
    }

    fn start(&self, arguments: &[&str]) -> io::Result<AiortcPeer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("aiortc/peer.py");
        let mut python = Command::new("python3");
        // Nothing is written beside the script.
        python.arg("-B").arg(script).args(arguments).env("PYTHONPATH", &self.0);
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = python.spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let stdin = child.stdin.take();
        Ok(AiortcPeer { lines: BufReader::new(stdout).lines(), stdin, heard: Vec::new(), _child: child })
    }
}

impl AiortcPeer {
    /// The next thing it says for which `wanted` holds: `state` with its `state`, `refused` with `status` and `text`,
    /// or `left` (see [`leave`](Self::leave)).
    ///
    /// # Errors
    /// It ended before, or did not say so within `patience`; the error has what it said.
    pub async fn hear(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let search = async {
            while let Some(line) = self.lines.next_line().await? {
                let said: Value = serde_json::from_str(&line).context("aiortc did not say JSON")?;
                self.heard.push(line);
                if wanted(&said) {
                    return Ok(said);
                }
            }
            bail!("aiortc ended")
        };
        let found = timeout(patience, search).await.unwrap_or_else(|_| bail!("nothing within {patience:?}"));
        found.with_context(|| format!("aiortc said {:?}", self.heard))
    }

    /// Waits until it is connected.
    ///
    /// # Errors
    /// As for [`hear`](Self::hear).
    pub async fn until_connected(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.hear(patience, |said| said["state"] == "connected").await.map(drop)
    }

    /// Has it delete its session and end. It says the `status` of that and, as a player, what came: `frames` and how many
    /// of them were `unreadable`, how many numbers were `seen` from `first` to `last`, the first 50 `missing` between
    /// them, pieces of sound (`sounds`), and the `size` of the pictures.
    ///
    /// # Errors
    /// As for [`hear`](Self::hear).
    pub async fn leave(mut self, patience: Duration) -> anyhow::Result<Value> {
        self.stdin = None;
        self.hear(patience, |said| said["event"] == "left").await
    }
}
