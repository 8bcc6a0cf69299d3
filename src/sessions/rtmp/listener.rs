//! Accepts RTMP connections and spreads them over Arbiters.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use base::{Clock, PeerAddr, Randomness};
use observe::metric;
use security::Gate;
use streams::Applications;
use tokio::net::TcpListener;

use super::connection;
use crate::connections::{Connections, accept};

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
    loop {
        let (socket, address) = accept(&listener, "RTMP").await;
        let peer = PeerAddr::new(address);
        let open = match context.connections.open(peer) {
            Ok(open) => open,
            Err(too_many) => {
                metric::rtmp_refused(too_many.label()).increment(1);
                tracing::info!(%peer, reason = %too_many, "an RTMP connection was refused");
                continue;
            }
        };
        let Ok(socket) = socket.into_std() else { continue };
        let context = Arc::clone(&context);
        let serve = async move { connection::serve(socket, peer, context, open).await };
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
