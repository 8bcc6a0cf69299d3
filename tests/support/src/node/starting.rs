//! A process that is not ready yet, and may never be.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Child;

use super::log::{Discretion, Log};
use super::{
    Node, NodeError, NodeOptions, Running, copy_folder, data_of, properties_of, set_property, spawn,
    until_ready,
};

/// A node on its way. Dropping it kills the process.
pub struct Starting {
    discretion: Discretion,
    options: NodeOptions,
    folder: TempDir,
    log: Log,
    child: Child,
}

impl Starting {
    /// Starts the process and waits for nothing.
    ///
    /// # Errors
    /// The process or its folders could not be made.
    pub fn spawn(options: NodeOptions) -> Result<Self, NodeError> {
        let folder = tempfile::Builder::new().prefix("penstock-test-").tempdir()?;
        fs::create_dir(folder.path().join("data"))?;
        copy_folder(&options.webapps, &folder.path().join("webapps"))?;
        for (application, key, value) in &options.settings {
            set_property(&properties_of(folder.path(), application), key, value)?;
        }
        let log = Log::default();
        let child = spawn(&options, folder.path(), &log)?;
        let discretion = Discretion::of(log.clone(), data_of(&options, folder.path()));
        Ok(Self { discretion, options, folder, log, child })
    }

    /// Waits until it says it is ready.
    ///
    /// # Errors
    /// It is not; the error carries its last log lines.
    pub async fn ready(mut self) -> Result<Node, NodeError> {
        let endpoints = until_ready(&mut self.child, &self.options, self.folder.path(), &self.log).await?;
        let Self { discretion, options, folder, log, child } = self;
        Ok(Node { discretion, options, folder, running: Running { child, endpoints }, log })
    }

    /// Waits for a log line; `None` when it did not come in time.
    pub async fn wait_for_log(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.log.wait_for(patience, wanted).await
    }

    /// The log lines so far, oldest first.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Kills the process without a warning and waits until it is gone.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub async fn kill9(mut self) -> Result<(), NodeError> {
        Ok(self.child.kill().await?)
    }
}
