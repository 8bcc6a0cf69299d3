//! Node configuration and application settings: two schemas, each standing once.
//!
//! - [`NodeConfig`]: one `penstock.toml` and the environment over it. Its types and their comments are the
//!   schema: [`example_toml`] and [`json_schema`] are generated from them, names of environment variables
//!   are derived from them, and the reader checks against them.
//! - [`AppSettings`]: what AMS keeps in `webapps/<App>/WEB-INF/red5-web.properties`, through one table of
//!   all its keys with AMS's names, types and defaults. The management page's form is made of the same
//!   table ([`settings_table_json`]).
//! - [`CorsFilter`]: what `webapps/<App>/WEB-INF/web.xml` says of pages of other origins.
//!
//! Nothing here opens a socket, keeps a cache or watches a file: the caller reads again when it wants to.
//!
//! Invariants: an unknown key of `penstock.toml` or an unknown `PENSTOCK_*` variable never passes; no
//! secret is ever in a `Debug`, an error or a notice; no setting that is marked as protecting ([`Concerns`]) is kept without being acted on.

mod applications;
mod cors;
mod error;
mod file;
mod nearest;
mod node;
mod settings;

pub use applications::{AppFolder, Found, discover_applications, may_be_made};
pub use cors::CorsFilter;
pub use error::{ConfigError, Place, Problem};
pub use node::{
    BFrames, ClusterBootstrap, ClusterConfig, ClusterRole, DataConfig, DuplicatePublish, HttpConfig,
    LimitsConfig, LogConfig, LogFormat, ManagementConfig, MetricsConfig, NodeConfig, ProxyProtocol,
    PublishConfig, RtmpConfig, ScyllaConfig, TlsConfig, TranscodeConfig, WebrtcConfig, example_toml,
    json_schema,
};
pub use settings::{
    AppSettings, ChangeError, Concerns, Difference, Finding, Findings, LoadedSettings, Notice, WriteError,
    settings_table_json,
};

/// Whether a text is a range of addresses or one of them, as `security` reads them.
fn is_range(text: &str) -> bool {
    text.trim().parse::<ipnet::IpNet>().is_ok() || text.trim().parse::<std::net::IpAddr>().is_ok()
}
