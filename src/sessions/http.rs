//! What HTTP sessions need beside their handlers: certificates.

mod tls;

pub use tls::{CertificateFiles, TlsError, server_config};
