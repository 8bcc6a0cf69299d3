//! What HTTP sessions need beside their handlers: listeners and certificates.

mod server;
mod tls;

pub use server::{HttpOptions, serve};
pub use tls::{CertificateFiles, TlsError, server_config};
