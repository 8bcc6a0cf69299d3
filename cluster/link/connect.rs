//! A connection to another node: found, reached, recognised.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};

use base::limits;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;

use crate::PeerName;
use crate::authority::{ALPN, peer_name};
use crate::name::ANY_NODE;
use crate::proto::link_client::LinkClient;

/// What requests are addressed to; nobody looks at it.
const ORIGIN: &str = "https://node.penstock.internal";

/// Why another node cannot be spoken to, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the name is not found: {0}")]
    Name(String),
    #[error("no connection: {0}")]
    Tcp(String),
    #[error("no answer within {max:?}", max = limits::CLUSTER_CONNECT_MAX)]
    Slow,
    #[error("{0}")]
    Tls(String),
    #[error("its certificate names nobody: is it of a newer version?")]
    Nameless,
}

/// One connection; ends when it is dropped.
pub(crate) struct Connection {
    /// Who is at the other end.
    pub(crate) peer: PeerName,
    requests: SendRequest<Body>,
    driver: AbortHandle,
}

impl Connection {
    /// Connects to `address`, whose name is looked up anew each time, and shows who we are. For `lookups` see [`look_up`].
    pub(crate) async fn open(
        address: &str,
        lookups: Arc<Semaphore>,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, ConnectError> {
        timeout(limits::CLUSTER_CONNECT_MAX, Self::open_slowly(address, lookups, tls))
            .await
            .unwrap_or(Err(ConnectError::Slow))
    }

    async fn open_slowly(
        address: &str,
        lookups: Arc<Semaphore>,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, ConnectError> {
        let tcp = reach(address, lookups).await?;
        let name = ServerName::try_from(ANY_NODE).map_err(|error| ConnectError::Tls(error.to_string()))?;
        let tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| tls_error(&error))?;
        let peer = recognise(&tls)?;
        let (requests, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(limits::CLUSTER_PROBE_EVERY)
            .keep_alive_timeout(limits::CLUSTER_PROBE_ANSWER_MAX)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(limits::CLUSTER_WINDOW_BYTES)
            .initial_connection_window_size(limits::CLUSTER_WINDOW_BYTES)
            .max_header_list_size(limits::CLUSTER_HEADERS_BYTES_MAX)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|error| tls_error(&error))?;
        // How it ends is seen by its requests.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { peer, requests, driver })
    }

    /// Where requests go.
    pub(crate) fn channel(&self) -> Channel {
        Channel(self.requests.clone())
    }

    /// Asks by it.
    pub(crate) fn client(&self) -> LinkClient<Channel> {
        LinkClient::with_origin(self.channel(), http::Uri::from_static(ORIGIN))
            .max_decoding_message_size(limits::CLUSTER_CALL_BYTES_MAX)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The addresses of a name. `lookups` has one permit: a lookup goes on when nobody waits for it any more, for as long as the
/// system takes, and until it ends no other one of the same node begins. So a name that nobody answers for takes one thread,
/// however often its node is tried.
async fn look_up(address: &str, lookups: Arc<Semaphore>) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let failed = |error: String| ConnectError::Name(error);
    let permit = lookups.acquire_owned().await.map_err(|error| failed(error.to_string()))?;
    let name = address.to_owned();
    let found = spawn_blocking(move || {
        let _until_it_ends = permit;
        let found = name.to_socket_addrs()?;
        Ok::<_, io::Error>(found.take(limits::CLUSTER_ADDRESSES_TRIED_MAX).collect())
    });
    found.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

async fn reach(address: &str, lookups: Arc<Semaphore>) -> Result<TcpStream, ConnectError> {
    let mut failed = ConnectError::Name("it has no address".to_owned());
    for address in look_up(address, lookups).await? {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // Failing to set this only costs time.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(error) => failed = ConnectError::Tcp(error.to_string()),
        }
    }
    Err(failed)
}

fn recognise(tls: &TlsStream<TcpStream>) -> Result<PeerName, ConnectError> {
    let session = tls.get_ref().1;
    if session.alpn_protocol() != Some(ALPN) {
        return Err(ConnectError::Tls("it does not speak HTTP/2: it is no node".to_owned()));
    }
    peer_name(session.peer_certificates()).ok_or(ConnectError::Nameless)
}

fn tls_error(error: &(dyn Error + 'static)) -> ConnectError {
    ConnectError::Tls(explain(error))
}

/// What TLS found, if an error comes from there.
pub(crate) fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error's source is that of the error in it.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inside.map(|inside| inside as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// An error of a connection, in words for an operator.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> String {
    match tls_cause(error) {
        Some(alert @ rustls::Error::AlertReceived(_)) => alerted(&alert.to_string()),
        Some(rustls::Error::InvalidCertificate(_)) => {
            "its certificate is of another cluster secret: give all nodes the same".to_owned()
        }
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS: it is no node".to_owned(),
        Some(other) => format!("TLS failed: {other}"),
        None => {
            let mut innermost = error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            alerted(&innermost.to_string())
        }
    }
}

/// The text of an error, in which there may be an alert of TLS: HTTP/2 hands on the words of what ended its connection, and
/// not the error.
fn alerted(text: &str) -> String {
    let about_us = [
        AlertDescription::UnknownCA,
        AlertDescription::DecryptError,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateUnknown,
    ];
    if about_us.iter().any(|alert| text.contains(&rustls::Error::AlertReceived(*alert).to_string())) {
        return "it does not accept our certificate: give all nodes the same cluster secret".to_owned();
    }
    format!("the connection ended: {text}")
}

/// The sending side of a connection as a service.
#[derive(Clone)]
pub(crate) struct Channel(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
