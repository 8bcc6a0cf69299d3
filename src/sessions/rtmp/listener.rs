//! Accepts RTMP connections and spreads them over Arbiters.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use base::{Clock, PeerAddr, Randomness, limits};
use observe::metric;
use security::Gate;
use streams::Applications;
use tokio::net::{TcpListener, TcpStream};

use super::connection;
use crate::connections::{Connections, TooMany, accept};
use crate::proxy;

/// Shared by all RTMP connections of the node.
pub struct RtmpContext {
    /// Who may publish.
    pub gate: Arc<Gate>,
    /// The streams.
    pub applications: Applications,
    /// The open connections.
    pub connections: Connections,
    /// How long a publisher may send no whole message.
    pub silence_max: Duration,
    /// Connections begin with a header of the PROXY protocol.
    pub is_proxied: bool,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// The node's randomness.
    pub randomness: Arc<dyn Randomness>,
}

/// Accepts until the task is dropped. Connections run on `arbiters` in turn and outlive this task.
pub async fn listen(
    listener: std::net::TcpListener,
    context: Arc<RtmpContext>,
    arbiters: Vec<ArbiterHandle>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut turn = arbiters.iter().cycle();
    let waiting = Connections::new(limits::PROXY_HEADERS_WAITING_MAX, usize::MAX);
    loop {
        let (socket, address) = accept(&listener, "RTMP").await;
        let peer = PeerAddr::new(address);
        let counted = if context.is_proxied { waiting.open(peer) } else { context.connections.open(peer) };
        let open = match counted {
            Ok(open) => open,
            Err(too_many) => {
                refused(peer, too_many);
                continue;
            }
        };
        let Ok(socket) = socket.into_std() else { continue };
        let context = Arc::clone(&context);
        let serve = async move {
            if context.is_proxied {
                // Counted by the address of who speaks, once that is known.
                let Some((socket, peer)) = behind_proxy(socket, address).await else { return };
                match context.connections.open(peer) {
                    Ok(counted) => {
                        drop(open);
                        connection::serve(socket, peer, context, counted).await;
                    }
                    Err(too_many) => refused(peer, too_many),
                }
            } else {
                connection::serve(socket, peer, context, open).await;
            }
        };
        match turn.next() {
            Some(arbiter) => {
                arbiter.spawn(serve);
            }
            None => {
                actix_rt::spawn(serve);
            }
        }
    }
}

fn refused(peer: PeerAddr, too_many: TooMany) {
    metric::rtmp_refused(too_many.label()).increment(1);
    tracing::info!(%peer, reason = %too_many, "an RTMP connection was refused");
}

/// The connection behind its header of the PROXY protocol, and who speaks over it.
async fn behind_proxy(
    socket: std::net::TcpStream,
    address: SocketAddr,
) -> Option<(std::net::TcpStream, PeerAddr)> {
    let mut stream = TcpStream::from_std(socket).ok()?;
    match proxy::speaker(&mut stream, address).await {
        Ok(speaker) => Some((stream.into_std().ok()?, PeerAddr::new(speaker))),
        Err(error) => {
            tracing::debug!(peer = %PeerAddr::new(address), %error, "an RTMP connection was closed");
            None
        }
    }
}
