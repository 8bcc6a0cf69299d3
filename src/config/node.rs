//! The configuration of one node: the types whose comments are the documentation its users read.
//!
//! A doc comment here becomes the text in `penstock.toml` and in the JSON schema, so it speaks to the
//! user. A key's environment variable, its type and its range are derived from the types as well.

mod cluster;
mod example;
mod kind;
mod load;
mod schema;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base::{Secret, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use cluster::{ClusterBootstrap, ClusterConfig, ClusterRole, ScyllaConfig};
pub use example::{example_toml, json_schema};

/// Configuration of a Penstock node.
///
/// Every key may be left out. A key `section.key` is overridden by the environment variable
/// `PENSTOCK_SECTION_KEY`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Web pages, REST and WebRTC signalling.
    pub http: HttpConfig,
    /// The certificate of HTTPS and WSS.
    pub tls: TlsConfig,
    /// Publishing by RTMP.
    pub rtmp: RtmpConfig,
    /// Publishers that vanish, and second ones.
    pub publish: PublishConfig,
    /// Playing by WebRTC.
    pub webrtc: WebrtcConfig,
    /// Transcoding by other programs.
    pub transcode: TranscodeConfig,
    /// Who may ask the node itself by REST, beside its users and this machine.
    pub management: ManagementConfig,
    /// Folders.
    pub data: DataConfig,
    /// Several nodes as one: broadcasts, settings, tokens and subscribers are the same on all of them.
    pub cluster: ClusterConfig,
    /// A database below the metadata: ScyllaDB, or any other that speaks CQL. It keeps what happened in the past, and a
    /// copy of everything from which a cluster can be restored. Nothing ever waits for it.
    pub scylla: ScyllaConfig,
    /// Log lines, on standard error.
    pub log: LogConfig,
    /// The page /metrics for Prometheus.
    pub metrics: MetricsConfig,
    /// What outsiders may use up at most.
    pub limits: LimitsConfig,
}

/// See [`NodeConfig::http`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// TCP port of HTTP and WS. 0: any free port.
    pub port: u16,
    /// TCP port of HTTPS and WSS. 0: any free port.
    pub https_port: u16,
    /// IP addresses of this machine to listen on. Empty: all of them, IPv4 and IPv6.
    pub bind_addresses: Vec<IpAddr>,
    /// Worker threads of the web server. 0: one per processor core.
    #[schemars(range(max = 1024))]
    pub workers: usize,
    /// Reverse proxies that are believed in whom they speak for, as ranges of addresses ("10.0.0.0/8") or single ones: of
    /// their `X-Forwarded-For` the last address counts that is in none of these. With that header from anybody else, who
    /// asks is unknown, and no filter of addresses lets it in.
    pub trusted_proxies: Vec<String>,
    /// Whether connections of HTTP begin with a header of the PROXY protocol, version 2: "off", or "required", and whoever
    /// sends none is closed. Its addresses are believed, so nobody but the proxy may reach the port.
    pub proxy_protocol: ProxyProtocol,
    /// The same for connections of HTTPS.
    pub https_proxy_protocol: ProxyProtocol,
}

/// Whether connections begin with a header of the PROXY protocol.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    Off,
    Required,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            port: 5080,
            https_port: 5443,
            bind_addresses: Vec::new(),
            workers: 0,
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            https_proxy_protocol: ProxyProtocol::Off,
        }
    }
}

/// See [`NodeConfig::tls`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and its chain. Empty: the node makes a certificate of its own,
    /// which browsers warn about, and keeps it in the data folder.
    pub certificate_file: PathBuf,
    /// PEM file with the certificate's private key. Set both or none.
    pub key_file: PathBuf,
}

impl TlsConfig {
    /// The user's certificate and key; `None`: the node makes its own.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        let none = self.certificate_file.as_os_str().is_empty();
        (!none).then_some((&self.certificate_file, &self.key_file))
    }
}

/// See [`NodeConfig::rtmp`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RtmpConfig {
    /// Whether RTMP is listened for at all.
    pub enabled: bool,
    /// TCP port. 0: any free port.
    pub port: u16,
    /// IP addresses of this machine to listen on. Empty: all of them, IPv4 and IPv6.
    pub bind_addresses: Vec<IpAddr>,
    /// Whether connections begin with a header of the PROXY protocol, as for http.proxy_protocol.
    pub proxy_protocol: ProxyProtocol,
}

impl Default for RtmpConfig {
    fn default() -> Self {
        Self { enabled: true, port: 1935, bind_addresses: Vec::new(), proxy_protocol: ProxyProtocol::Off }
    }
}

/// See [`NodeConfig::publish`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PublishConfig {
    /// How long a stream waits for its publisher to come back when the connection is lost without a
    /// goodbye, in seconds. Its players stay connected. 0: it ends at once.
    #[schemars(range(max = 300))]
    pub grace_s: u16,
    /// What becomes of a second publisher of a live stream: "refuse" it, or let it "replace" the first.
    /// A first one that has sent nothing for 3 seconds is replaced in any case.
    pub duplicate: DuplicatePublish,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self { grace_s: 5, duplicate: DuplicatePublish::Refuse }
    }
}

/// What becomes of a second publisher.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DuplicatePublish {
    Refuse,
    Replace,
}

/// See [`NodeConfig::webrtc`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebrtcConfig {
    /// First UDP port of media; each shard takes one port, counting up. 0: any free ports.
    pub udp_port_base: u16,
    /// The TCP port of media, for peers whose network lets no UDP through. They are told of it where an application's
    /// `webRTCTcpCandidatesEnabled` says so. 0: any free port.
    pub tcp_port: u16,
    /// Play shards: threads that send media, with one UDP port each. 0: one per processor core.
    #[schemars(range(max = 256))]
    pub shards: u16,
    /// IP addresses that players are told to send to, in the order of preference. Needed behind NAT and
    /// in containers. Empty: the machine's own addresses.
    pub public_addresses: Vec<IpAddr>,
    /// What becomes of H.264 with B-frames, which WebRTC cannot show: "transcode" it, once per stream and
    /// while somebody watches; "refuse" its players; or "drop" the B-frames, which costs nothing, is not
    /// smooth, and may leave traces in the picture.
    pub b_frames: BFrames,
}

impl Default for WebrtcConfig {
    fn default() -> Self {
        Self {
            udp_port_base: 50_000,
            tcp_port: 50_000,
            shards: 0,
            public_addresses: Vec::new(),
            b_frames: BFrames::Transcode,
        }
    }
}

/// What becomes of B-frames on their way to WebRTC players.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BFrames {
    Transcode,
    Refuse,
    Drop,
}

/// See [`NodeConfig::transcode`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TranscodeConfig {
    /// The ffmpeg program that transcodes what this node cannot by itself: a path, or a name to be found on PATH.
    #[schemars(length(min = 1))]
    pub ffmpeg: PathBuf,
}

impl Default for TranscodeConfig {
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into() }
    }
}

/// See [`NodeConfig::management`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ManagementConfig {
    /// Ranges of addresses that may ask `/rest/v2` at all, and from which a log-in counts for applications (Ant Media Server's
    /// `server.allowed_dashboard_CIDR`). The machine itself always may. Empty: all; who they are is asked in any case.
    pub allowed_addresses: Vec<String>,
    /// Whether a JWT in the header `ProxyAuthorization` opens `/rest/v2` (Ant Media Server's
    /// `server.jwtServerControlEnabled`).
    pub jwt_control_enabled: bool,
    /// What such a JWT is signed by, with HS256 (`server.jwtServerSecretKey`).
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub jwt_secret_key: Secret,
    /// Where the keys are published that it is signed by with RS256, below which `/.well-known/jwks.json` is
    /// (`server.jwksURL`). Empty: the secret counts.
    pub jwks_url: String,
}

/// See [`NodeConfig::data`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder of what the node has to remember. Relative paths start at the folder it is started in.
    #[schemars(length(min = 1))]
    pub folder: PathBuf,
    /// Folder of the applications: their pages and settings.
    #[schemars(length(min = 1))]
    pub webapps: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { folder: "data".into(), webapps: "webapps".into() }
    }
}

/// See [`NodeConfig::log`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The least important lines to write: error, warn, info, debug or trace. Also per part of the
    /// program, as in "info,penstock_rtmp=debug".
    #[schemars(length(min = 1))]
    pub level: String,
    /// Lines for people, or JSON objects for machines.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

// Without doc comments on the variants: with them the schema is no longer a plain list of words.
/// How log lines look.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// See [`NodeConfig::metrics`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// What a reader of /metrics must send as `Authorization: Bearer`. Empty: anybody may read it.
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub token: Secret,
}

impl MetricsConfig {
    /// The token readers must show; `None`: none is asked for.
    pub fn required_token(&self) -> Option<&Secret> {
        (!self.token.expose().is_empty()).then_some(&self.token)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// See [`NodeConfig::limits`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// RTMP connections of the node. More are refused.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rtmp_connections: usize,
    /// RTMP connections of one address (IPv6: of one /56). More are refused.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rtmp_connections_per_address: usize,
    /// HTTP and HTTPS connections of the node, signalling sockets not among them. More are closed unread.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub http_connections: usize,
    /// HTTP and HTTPS connections of one address (IPv6: of one /56), signalling sockets not among them.
    /// More are closed unread. Behind a proxy all viewers have one address: set it higher there.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub http_connections_per_address: usize,
    /// Seconds an RTMP publisher may send no whole message. Longer: its connection is closed.
    #[schemars(range(min = 5, max = 3_600))]
    pub rtmp_silence_s: u16,
    /// Signalling sockets of the node. More are refused with 503.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub signalling_sockets: usize,
    /// Signalling sockets of one address (IPv6: of one /56). More are refused with 429.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub signalling_sockets_per_address: usize,
    /// WebRTC publishers of the node. More are refused with highResourceUsage.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub webrtc_publishers: usize,
    /// WebRTC publishers of one address (IPv6: of one /56). More are refused with highResourceUsage.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub webrtc_publishers_per_address: usize,
    /// WebRTC players of one address, or of one /56 of IPv6. More are refused with highResourceUsage.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub players_per_address: usize,
    /// WebRTC players of one address that are not connected yet. More are refused with highResourceUsage.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub joins_per_address: usize,
    /// WebRTC players of one shard. More are refused with highResourceUsage.
    #[schemars(range(min = 1, max = 4_096))]
    pub players_per_shard: usize,
    /// How busy a shard may have been over the last 2 seconds, in percent of its time, for players to be
    /// let in. Beyond it they are refused with highResourceUsage, before those who play lose anything.
    /// 100: never refused for this.
    #[schemars(range(min = 1, max = 100))]
    pub shard_busy_percent: u8,
    /// How late a shard may begin to send a frame to a player, in milliseconds. Later: the shard does
    /// not catch up, some of its players miss frames and go on with a key frame, so that the others
    /// stay in time.
    #[schemars(range(min = 50, max = 450))]
    pub shard_late_ms: u16,
    /// Memory of all live media together, in MiB. A stream takes the last 10 seconds of what it sends,
    /// twice that while WebRTC players watch: 1024 is for 65 watched streams of 5 Mbit/s. From 80 % on new
    /// publishers are refused; at 100 % the largest streams lose the oldest of what is kept.
    #[schemars(range(min = 64, max = 1_048_576))]
    pub media_memory_mb: usize,
    /// Streams whose pictures are transcoded at once; each takes a third of a core for a calm picture at 720p30
    /// and more for a busy one. Players of more are refused with the reason. 0: one per processor core.
    #[schemars(range(max = 1024))]
    pub video_transcoders: u16,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            rtmp_connections: limits::RTMP_CONNECTIONS_MAX,
            rtmp_connections_per_address: limits::RTMP_CONNECTIONS_PER_ADDRESS_MAX,
            http_connections: limits::HTTP_CONNECTIONS_MAX,
            http_connections_per_address: limits::HTTP_CONNECTIONS_PER_ADDRESS_MAX,
            rtmp_silence_s: limits::RTMP_SILENCE_MAX.as_secs() as u16,
            signalling_sockets: limits::SIGNALLING_SOCKETS_MAX,
            signalling_sockets_per_address: limits::SIGNALLING_SOCKETS_PER_ADDRESS_MAX,
            webrtc_publishers: limits::PUBLISHERS_MAX,
            webrtc_publishers_per_address: limits::PUBLISHERS_PER_ADDRESS_MAX,
            players_per_address: limits::PLAYS_PER_ADDRESS_MAX,
            joins_per_address: limits::JOINS_PER_ADDRESS_MAX,
            players_per_shard: limits::PLAYERS_PER_SHARD_MAX,
            shard_busy_percent: limits::SHARD_BUSY_PERCENT_MAX,
            shard_late_ms: limits::SHARD_LATE_MS_MAX,
            media_memory_mb: limits::MEDIA_MEMORY_MIB_MAX,
            video_transcoders: 0,
        }
    }
}

#[cfg(test)]
mod tests;
