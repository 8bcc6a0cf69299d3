//! The runtime a guest's connection runs on: that of the thread it was made on, without sockets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Clock;
use webrtc::runtime::{AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime};

use super::{Guest, GuestSocket};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The runtime of one guest.
pub(in super::super) struct GuestRuntime {
    guest: Arc<Guest>,
    clock: Arc<dyn Clock>,
}

impl GuestRuntime {
    /// A runtime whose sockets are those of `guest`.
    pub(in super::super) fn new(guest: Arc<Guest>, clock: Arc<dyn Clock>) -> Self {
        Self { guest, clock }
    }
}

impl std::fmt::Debug for GuestRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestRuntime").finish_non_exhaustive()
    }
}

struct Task(tokio::task::JoinHandle<()>);

impl JoinHandle for Task {
    // A dropped handle of tokio's detaches.
    fn detach(&self) {}

    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

struct Ticks(tokio::time::Interval);

impl AsyncInterval for Ticks {
    fn tick(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.0.tick().await;
        })
    }
}

/// What guests have no use for: they are reached over the shared port alone.
fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Runtime for GuestRuntime {
    fn spawn(&self, future: Boxed<()>) -> Box<dyn JoinHandle> {
        Box::new(Task(tokio::spawn(future)))
    }

    /// The socket that was bound only gives a name; it is closed, and the shared ports take its place.
    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(GuestSocket::new(Arc::clone(&self.guest), socket.local_addr()?)))
    }

    fn wrap_tcp_listener(&self, _: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        unsupported()
    }

    fn connect_tcp<'a>(
        &'a self,
        _: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async { unsupported() })
    }

    fn resolve_host<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async { unsupported() })
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> Boxed<()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        Box::new(Ticks(tokio::time::interval(period)))
    }

    /// Nothing of a connection asks for it.
    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        tokio::runtime::Handle::current().block_on(future);
    }

    fn name(&self) -> &'static str {
        "guest"
    }
}
