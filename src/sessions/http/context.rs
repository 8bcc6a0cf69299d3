//! What players by HTTP are served with.

use std::sync::Arc;

use actix_rt::ArbiterHandle;
use base::{AppName, Clock, Randomness};
use cluster_model::Settings;
use security::Gate;
use streams::Applications;
use tokio::sync::watch;

use super::refusal::Refusal;
use crate::connections::Connections;

/// Shared by all players by HTTP of the node.
pub struct HttpMediaContext {
    /// Who may play.
    pub gate: Arc<Gate>,
    /// The applications' settings.
    pub settings: Settings,
    /// The streams.
    pub applications: Applications,
    /// Turns true when the node stops: new players are refused.
    pub draining: watch::Receiver<bool>,
    /// The players.
    pub players: Connections,
    /// Where their actors live. Their media goes out on the threads of the web server.
    pub arbiter: ArbiterHandle,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The node's randomness.
    pub randomness: Arc<dyn Randomness>,
}

impl HttpMediaContext {
    /// The application of that name.
    pub(super) fn application(&self, name: &str) -> Result<AppName, Refusal> {
        let app = AppName::new(name).ok().filter(|app| self.applications.contains(app));
        app.ok_or_else(Refusal::no_such_application)
    }
}
