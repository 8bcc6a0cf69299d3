//! How a node is started.

use std::path::{Path, PathBuf};

use crate::canaries;

/// How to start a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub(super) binary: PathBuf,
    pub(super) webapps: PathBuf,
    pub(super) data: Option<PathBuf>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) settings: Vec<(String, String, String)>,
}

impl NodeOptions {
    /// A node with every default: `binary` is `env!("CARGO_BIN_EXE_penstock")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let webapps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../webapps");
        Self { binary: binary.into(), webapps, data: None, environment: Vec::new(), settings: Vec::new() }
    }

    /// Has the node keep its data in this folder, which outlives it.
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Sets an environment variable, a key of `penstock.toml` under its `PENSTOCK_…` name.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        canaries::learn(name, value);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a setting of an application in its `red5-web.properties` before the first start.
    #[must_use]
    pub fn setting(mut self, application: &str, key: &str, value: &str) -> Self {
        canaries::learn(key, value);
        self.settings.push((application.to_owned(), key.to_owned(), value.to_owned()));
        self
    }
}
