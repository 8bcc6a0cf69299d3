//! HTTP: listeners and certificates, and players that are sent media over it.
//!
//! | | |
//! |---|---|
//! | `/{App}/live/{streamId}.flv` | a live stream as FLV ([`flv()`]) |
//! | `/{App}/streams/...` | AMS's files of streams ([`files()`]): nothing is there yet, but who asks passes the gate first |

mod asked;
mod context;
mod files;
mod flv;
mod refusal;
mod server;
mod stream_id;
mod tls;

pub use context::HttpMediaContext;
pub use files::files;
pub use flv::flv;
pub use server::{HttpOptions, serve};
pub use stream_id::{fuzz as stream_id_fuzz, stream_id_of_path};
pub use tls::{CertificateFiles, TlsError, server_config};

/// Below an application: what each asks the gate for, and by what it is reached. Whatever is mounted here passes it.
pub const MEDIA_PATHS: &[&str] = &[flv::PATH, files::PATH];
