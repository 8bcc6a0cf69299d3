//! Connections that others make: counted, recognised, served, and closed when they ask for nothing.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{PeerAddr, limits};
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::body::Body;

use crate::authority::{ALPN, peer_name};
use crate::connect::tls_cause;
use crate::doors::Open;
use crate::service::Service;
use crate::shared::Shared;
use crate::{PeerName, Refusal};

/// Between two tries to accept, when one has failed.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// How long a connection that is closed may take for its last words.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Accepts until `close` says so or its sender is gone; then all connections end.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, mut close: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = close.wait_for(|close| *close) => break,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that was gone again: neither ends the listener.
                tracing::warn!(%error, "a connection to the cluster's port could not be accepted");
                sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let peer = PeerAddr::new(address);
        match shared.doors.open(peer) {
            Ok(open) => drop(connections.spawn(serve(Arc::clone(&shared), socket, peer, open))),
            Err(why) => shared.counters.refused(why, peer, ""),
        }
    }
    connections.shutdown().await;
}

async fn serve(shared: Arc<Shared>, socket: TcpStream, address: PeerAddr, mut open: Open) {
    // Failing to set this only costs time.
    let _ = socket.set_nodelay(true);
    let (tls, name) = match recognise(&shared, socket).await {
        Ok(recognised) => recognised,
        Err((why, detail)) => return shared.counters.refused(why, address, &detail),
    };
    open.known();
    let asked = Asked(watch::Sender::new(0));
    let mut open_requests = asked.0.subscribe();
    let service = Counted { service: Service::new(Arc::clone(&shared), name, address), asked };
    let connection = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(limits::CLUSTER_PROBE_EVERY)
        .keep_alive_timeout(limits::CLUSTER_PROBE_ANSWER_MAX)
        .initial_stream_window_size(limits::CLUSTER_WINDOW_BYTES)
        .initial_connection_window_size(limits::CLUSTER_WINDOW_BYTES)
        .max_concurrent_streams(limits::CLUSTER_STREAMS_MAX)
        .max_header_list_size(limits::CLUSTER_HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(tls), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is seen by its requests.
        _ = &mut connection => return,
        asked = idle(&mut open_requests) => if !asked {
            shared.counters.refused(Refusal::Silent, address, &name.to_string());
        },
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GOODBYE_MAX, connection).await;
}

/// Waits until there was no request for too long; gives whether there was one ever.
async fn idle(open_requests: &mut watch::Receiver<usize>) -> bool {
    let mut ever = false;
    loop {
        if open_requests.wait_for(|count| *count == 0).await.is_err() {
            return ever;
        }
        match timeout(limits::CLUSTER_SILENCE_MAX, open_requests.wait_for(|count| *count > 0)).await {
            Ok(Ok(_)) => ever = true,
            Ok(Err(_)) | Err(_) => return ever,
        }
    }
}

type Recognised = (TlsStream<TcpStream>, PeerName);

async fn recognise(shared: &Shared, socket: TcpStream) -> Result<Recognised, (Refusal, String)> {
    let server = Arc::clone(&shared.identity.borrow().credentials.server);
    let accepting = TlsAcceptor::from(server).accept(socket).into_fallible();
    let tls = match timeout(limits::CLUSTER_HANDSHAKE_MAX, accepting).await {
        Ok(Ok(tls)) => tls,
        Ok(Err((error, socket))) => {
            let refusal = refusal(&error);
            // Not a reset, which would overtake the alert that tells a node why.
            let _ = timeout(GOODBYE_MAX, part(socket)).await;
            return Err(refusal);
        }
        Err(_) => return Err((Refusal::Slow, String::new())),
    };
    let session = tls.get_ref().1;
    if session.alpn_protocol() != Some(ALPN) {
        return Err((Refusal::OtherTls, "it does not speak HTTP/2".to_owned()));
    }
    match peer_name(session.peer_certificates()) {
        Some(name) => Ok((tls, name)),
        None => Err((Refusal::Nameless, String::new())),
    }
}

/// Says the last word, and waits until the other side has taken it.
async fn part(mut socket: TcpStream) -> std::io::Result<()> {
    socket.shutdown().await?;
    let mut rest = [0; 1_024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

fn refusal(error: &std::io::Error) -> (Refusal, String) {
    let cause = tls_cause(error);
    let why = match cause {
        Some(rustls::Error::InvalidMessage(_)) => Refusal::NotTls,
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => Refusal::OtherTls,
        Some(rustls::Error::NoCertificatesPresented) => Refusal::NoCertificate,
        Some(rustls::Error::InvalidCertificate(_)) => Refusal::OtherSecret,
        // It found out first that ours is of another one.
        Some(rustls::Error::AlertReceived(
            rustls::AlertDescription::UnknownCA | rustls::AlertDescription::DecryptError,
        )) => Refusal::OtherSecret,
        _ => Refusal::Handshake,
    };
    (why, cause.map_or_else(|| error.to_string(), ToString::to_string))
}

/// Requests on one connection that are open.
#[derive(Clone)]
struct Asked(watch::Sender<usize>);

/// One of them.
struct Request(Asked);

impl Asked {
    fn one_more(&self) -> Request {
        self.0.send_modify(|count| *count += 1);
        Request(self.clone())
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// The service, with its open requests counted.
struct Counted {
    service: Service,
    asked: Asked,
}

impl hyper::service::Service<http::Request<Incoming>> for Counted {
    type Response = http::Response<CountedBody>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let counted = self.asked.one_more();
        let answer = self.service.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| CountedBody { body, _request: counted })) })
    }
}

/// An answer that counts as open until it is sent.
struct CountedBody {
    body: Body,
    _request: Request,
}

impl HttpBody for CountedBody {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
