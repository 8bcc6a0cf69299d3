//! What the handlers work with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::applications::ApplicationKeeper;
use crate::cluster::Cluster;
use crate::door::Doorkeeper;
use crate::history::History;
use crate::settings::SettingsFiles;
use async_trait::async_trait;
use base::{AppName, AppNames, Clock, Secret, StreamId};
use cluster_model::{Broadcasts, Heartbeat, Nodes, Settings, Subscribers, Tokens, Vods};
use observe::{Metrics, Readiness};
use security::Gate;
use sessions::rtc::{ClientFigures, Received, SentFigures};
use tokio::sync::Mutex;

/// Everything the handlers need, put into the server's app data as `web::Data<ApiState>`.
pub struct ApiState {
    /// Stored broadcasts.
    pub broadcasts: Broadcasts,
    /// Records of recordings.
    pub vods: Vods,
    /// The applications' settings.
    pub settings: Settings,
    /// Who changes them over this node does so one after the other.
    pub settings_turn: Mutex<()>,
    /// What people read of them on this node.
    pub settings_files: Arc<dyn SettingsFiles>,
    /// Tokens of streams.
    pub tokens: Tokens,
    /// Subscribers of streams.
    pub subscribers: Subscribers,
    /// The nodes of the cluster.
    pub nodes: Nodes,
    /// Who may ask the node.
    pub door: Doorkeeper,
    /// This node's place among them.
    pub cluster: Arc<dyn Cluster>,
    /// What happened in the past.
    pub history: Arc<dyn History>,
    /// Live streams.
    pub streams: Arc<dyn StreamControl>,
    /// Who is in, and why.
    pub gate: Arc<Gate>,
    /// The applications of this node.
    pub applications: AppNames,
    /// Who makes and deletes them.
    pub keeper: Arc<dyn ApplicationKeeper>,
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
    /// The name of the machine.
    pub host: String,
    /// The port publishers use, for the pages.
    pub rtmp_port: u16,
    /// The port of HTTPS: where browsers give pages a camera.
    pub https_port: u16,
    /// The certificate there is this node's own make, which browsers warn about.
    pub self_made_certificate: bool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What REST asks of live streams.
#[async_trait]
pub trait StreamControl: Send + Sync {
    /// Ends the stream's publisher and players, as kicked. Returns once the stream is gone; false when it
    /// was not live.
    async fn stop(&self, app: &AppName, id: &StreamId) -> bool;

    /// What a stream is doing now; `None` when it is not live on this node.
    fn live(&self, app: &AppName, id: &StreamId) -> Option<Live>;

    /// WebRTC players of a stream on this node, in the order they came: so many of them, from `offset` on.
    fn webrtc_clients(&self, app: &AppName, id: &StreamId, offset: usize, size: usize) -> Vec<ClientFigures>;

    /// What the WebRTC players of an application that are on this node now were sent together.
    fn webrtc_sent(&self, app: &AppName) -> SentFigures;

    /// What comes from the WebRTC publishers of an application that are on this node now.
    fn webrtc_received(&self, app: &AppName) -> Received;

    /// Says a text to all players of a stream that is live on this node, and to its publisher.
    async fn send_message(&self, app: &AppName, id: &StreamId, text: String) -> Spoken;
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// It is on its way.
    Sent,
    /// The stream is not live.
    NotLive,
    /// Another node has the stream: which, in words.
    Elsewhere(String),
    /// It cannot be handed on: it is too large, or nothing.
    Refused,
}

/// What a live stream is doing now.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// What the broadcast's record shows of it.
    pub heartbeat: Heartbeat,
    /// The codec of its pictures by AMS's name; `None`: it has no pictures.
    pub video_codec: Option<&'static str>,
    /// Bits per second of its pictures.
    pub video_bitrate_bps: u64,
    /// Bits per second of its sound.
    pub audio_bitrate_bps: u64,
}

impl ApiState {
    /// The application of this name, which is case-sensitive.
    pub(crate) fn application(&self, name: &str) -> Option<AppName> {
        self.applications.get(name)
    }

    pub(crate) fn has_application(&self, name: &str) -> bool {
        self.applications.contains(name)
    }
}
