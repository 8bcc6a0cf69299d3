//! What the handlers work with.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base::{AppName, Clock, Secret, StreamId};
use cluster_model::Broadcasts;
use observe::{Metrics, Readiness};

/// Everything the handlers need, put into the server's app data as `web::Data<ApiState>`.
pub struct ApiState {
    /// Stored broadcasts.
    pub broadcasts: Broadcasts,
    /// Live streams.
    pub streams: Arc<dyn StreamControl>,
    /// The applications of this node.
    pub applications: Vec<AppName>,
    /// The folder that holds `root` and a folder per application.
    pub webapps: PathBuf,
    /// What `/readyz` reports.
    pub readiness: Readiness,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Opens `/metrics` to who brings it; none: the machine itself only.
    pub metrics_token: Option<Secret>,
    /// The node's public name, empty for none. Shown in `rtmpURL`.
    pub server_name: String,
    /// The port publishers use, for the pages.
    pub rtmp_port: u16,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What REST asks of live streams.
#[async_trait]
pub trait StreamControl: Send + Sync {
    /// Ends the stream's publisher and players, as kicked. Returns once the stream is gone; false when it
    /// was not live.
    async fn stop(&self, app: &AppName, id: &StreamId) -> bool;
}

impl ApiState {
    /// The application of this name, which is case-sensitive.
    pub(crate) fn application(&self, name: &str) -> Option<AppName> {
        self.applications.iter().find(|app| app.as_str() == name).cloned()
    }

    pub(crate) fn has_application(&self, name: &str) -> bool {
        self.applications.iter().any(|app| app.as_str() == name)
    }
}
