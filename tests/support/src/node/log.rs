//! What a node says while it runs.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::canaries;

/// Log lines that are kept.
const LINES_MAX: usize = 20_000;
/// Time for the last lines of a process that is gone. Its pipes end with it, unless a child of its own holds them.
const LAST_LINES_MAX: Duration = Duration::from_secs(2);

/// Lines of the node's log, oldest first.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    news: Arc<watch::Sender<()>>,
    /// Pipes that are still read.
    open: Arc<watch::Sender<usize>>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            lines: Arc::default(),
            news: Arc::new(watch::channel(()).0),
            open: Arc::new(watch::channel(0).0),
        }
    }
}

impl Log {
    /// Keeps what comes out of a pipe until it ends.
    pub(super) fn follow(&self, output: impl AsyncRead + Unpin + Send + 'static) {
        let log = self.clone();
        log.open.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                {
                    let mut kept = log.lines.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() == LINES_MAX {
                        kept.pop_front();
                    }
                    kept.push_back(line);
                }
                log.news.send_replace(());
            }
            log.open.send_modify(|open| *open -= 1);
        });
    }

    /// Waits until all is read that a process said which is gone: it may have ended before its last lines were read.
    pub(super) async fn read_to_the_end(&self) {
        let mut open = self.open.subscribe();
        let _ = timeout(LAST_LINES_MAX, open.wait_for(|open| *open == 0)).await;
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The newest 20.
    pub(super) fn last(&self) -> Vec<String> {
        let lines = self.lines();
        lines[lines.len().saturating_sub(20)..].to_vec()
    }

    /// Waits for a line, those read already included; `None` when it did not come in time.
    pub(super) async fn wait_for(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut news = self.news.subscribe();
        let search = async {
            loop {
                news.borrow_and_update();
                if let Some(line) = self.lines().into_iter().find(|line| wanted(line)) {
                    return Some(line);
                }
                news.changed().await.ok()?;
            }
        };
        timeout(patience, search).await.ok().flatten()
    }
}

/// Fails the test when it is dropped and the node has told a secret (`canaries.rs`).
pub(super) struct Discretion {
    log: Log,
    data: PathBuf,
    /// As they were last: what they counted once they go on showing.
    metrics: Mutex<String>,
}

impl Discretion {
    pub(super) const fn of(log: Log, data: PathBuf) -> Self {
        Self { log, data, metrics: Mutex::new(String::new()) }
    }

    pub(super) fn metrics_were(&self, text: &str) {
        text.clone_into(&mut self.metrics.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Discretion {
    fn drop(&mut self) {
        let mut said = self.log.lines();
        said.push(self.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let told = canaries::found(&said, &self.data);
        // A test that has failed already says why.
        assert!(told.is_empty() || std::thread::panicking(), "a node has told a secret: {told:#?}");
    }
}
