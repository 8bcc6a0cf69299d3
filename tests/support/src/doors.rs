//! The TCP doors of a node, for those who do with a connection as they like.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Node, RtmpClient};

/// A stream of bytes, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Where a node listens, as `address:port`.
pub struct Doors {
    /// Of pages, REST and signalling.
    pub http: String,
    /// The same, encrypted.
    pub https: String,
    /// Of publishers.
    pub rtmp: String,
    tls: TlsConnector,
}

impl Doors {
    /// The doors of a node.
    ///
    /// # Errors
    /// The node's own certificate cannot be read.
    pub fn of(node: &Node) -> Result<Self> {
        let bare = |url: &str, scheme: &str| url.trim_start_matches(scheme).to_owned();
        // The node trusts nobody but itself, and so do we.
        let certificate = node.data_folder().join("tls/self-made.crt");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate)?)?;
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // As a browser does.
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            http: bare(&node.endpoints().http, "http://"),
            https: bare(&node.endpoints().https, "https://"),
            rtmp: node.rtmp_address().to_owned(),
            tls: TlsConnector::from(Arc::new(tls)),
        })
    }

    /// A connection for HTTP.
    ///
    /// # Errors
    /// It is refused.
    pub async fn http(&self) -> Result<Box<dyn Duplex>> {
        Self::raw(&self.http).await
    }

    /// A connection for HTTPS, after the TLS handshake.
    ///
    /// # Errors
    /// It is refused.
    pub async fn https(&self) -> Result<Box<dyn Duplex>> {
        let socket = TcpStream::connect(&self.https).await?;
        let line = self.tls.connect(ServerName::try_from("localhost")?, socket).await?;
        ensure!(line.get_ref().1.alpn_protocol() == Some(b"http/1.1"), "only HTTP/1.1 has limits");
        Ok(Box::new(line))
    }

    /// One for RTMP after the handshake, and after `connect` and `publish` of a stream if there is one.
    ///
    /// # Errors
    /// It is refused.
    pub async fn rtmp(&self, stream: Option<&str>) -> Result<Box<dyn Duplex>> {
        let mut client = RtmpClient::connect(&self.rtmp).await?;
        client.handshake().await?;
        if let Some(stream) = stream {
            client.publish("LiveApp", stream).await?;
        }
        Ok(Box::new(client.into_stream()))
    }

    /// A connection to a door, and nothing more.
    ///
    /// # Errors
    /// It is refused.
    pub async fn raw(door: &str) -> Result<Box<dyn Duplex>> {
        Ok(Box::new(TcpStream::connect(door).await?))
    }
}
