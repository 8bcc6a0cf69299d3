//! A stream that ends when its peer drags things out, and says why.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use base::Clock;
use observe::metric;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::connections::OpenConnection;
use crate::patience::{Overdue, Patience};

struct Shared {
    patience: Patience,
    overdue: Option<Overdue>,
    open: Option<OpenConnection>,
    clock: Arc<dyn Clock>,
    /// Of who waits for bytes, or for room for some.
    waiting: Option<Waker>,
}

/// The handle of a connection that is served on this thread.
#[derive(Clone)]
pub struct Watch(Rc<RefCell<Shared>>);

impl Watch {
    /// The connection is another protocol's from now on, which has limits of its own: it no longer counts as
    /// one of HTTP. When the guard is dropped it is closed, at the latest after a moment for the last words.
    pub fn upgraded(&self) -> Upgraded {
        let mut shared = self.0.borrow_mut();
        shared.patience.upgrade();
        shared.open = None;
        Upgraded(self.clone())
    }

    /// A request on it did not become whole in time: it is closed with the answer, for this reason.
    pub fn is_slow(&self) {
        self.is_overdue(Overdue::SlowRequest);
    }

    /// It does not take what it is sent: noted, for whoever cuts it.
    pub(crate) fn is_too_slow(&self) {
        self.is_overdue(Overdue::TooSlow);
    }

    /// Notes why it is closed.
    pub(crate) fn is_overdue(&self, why: Overdue) {
        self.0.borrow_mut().overdue.get_or_insert(why);
    }
}

/// Held by the protocol that a connection was upgraded to, as long as it speaks.
#[must_use = "the connection is closed when this is dropped"]
pub struct Upgraded(Watch);

impl Upgraded {
    /// Closes the connection at once, whatever waits to be sent on it.
    pub fn cut(self) {
        self.change(Patience::cut);
    }

    fn change(&self, change: impl FnOnce(&mut Patience, Instant)) {
        let mut shared = self.0.0.borrow_mut();
        let now = shared.clock.now();
        change(&mut shared.patience, now);
        if let Some(waiting) = shared.waiting.take() {
            waiting.wake();
        }
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.change(Patience::end);
    }
}

/// A stream of bytes under a [`Patience`].
pub struct Watched<S> {
    stream: S,
    watch: Watch,
    /// Set to the deadline of some earlier moment; looked at again when it is reached.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Watches `stream`, which counts as `open`.
    pub fn new(stream: S, open: OpenConnection, clock: Arc<dyn Clock>) -> Self {
        metric::http_connections().increment(1.0);
        let patience = Patience::new(clock.now());
        let shared = Shared { patience, overdue: None, open: Some(open), clock, waiting: None };
        Self { stream, watch: Watch(Rc::new(RefCell::new(shared))), timer: None }
    }

    /// Its handle.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    fn tell(&self, tell: impl FnOnce(&mut Patience, Instant)) {
        let mut shared = self.watch.0.borrow_mut();
        let now = shared.clock.now();
        tell(&mut shared.patience, now);
    }

    /// Ready, with the error for the peer's driver, when it has been waited for long enough.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut shared = self.watch.0.borrow_mut();
            if !shared.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(context.waker())) {
                shared.waiting = Some(context.waker().clone());
            }
            let Some((at, why)) = shared.patience.deadline() else { return Poll::Pending };
            if shared.clock.now() >= at {
                shared.overdue.get_or_insert(why);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            drop(shared);
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
            // A timer that is too early only costs a look; one that is too late would be.
            if timer.deadline() > at.into() || timer.is_elapsed() {
                timer.as_mut().reset(at.into());
            }
            ready!(timer.as_mut().poll(context));
        }
    }

    /// What a write came to.
    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) if count > 0 => self.tell(Patience::went),
            Poll::Pending => {
                self.tell(Patience::stalls);
                return self.poll_overdue(context).map(Err);
            }
            Poll::Ready(_) => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // First: of a peer that always has more to say, no read is ever waited for.
        if let Poll::Ready(overdue) = self.poll_overdue(context) {
            return Poll::Ready(Err(overdue));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.tell(Patience::came);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        metric::http_connections().decrement(1.0);
        let overdue = self.watch.0.borrow().overdue;
        metric::http_connections_ended(overdue.map_or("closed", Overdue::label)).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use base::{ManualClock, PeerAddr, WallTime, limits};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::Connections;

    fn watched(
        stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> (Watched<impl AsyncRead + AsyncWrite + Unpin>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(WallTime(0)));
        let peer = PeerAddr::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let open = Connections::new(1, 1).open(peer).unwrap();
        (Watched::new(stream, open, Arc::clone(&clock) as _), clock)
    }

    fn pair() -> (DuplexStream, DuplexStream) {
        tokio::io::duplex(64)
    }

    #[tokio::test]
    async fn a_request_that_never_ends_is_cut_though_its_bytes_never_pause() {
        let (mut stream, clock) = watched(tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink()));
        stream.read_u8().await.unwrap();
        clock.advance(limits::HTTP_REQUEST_MAX);
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_is_not_waited_for_though_its_peer_reads_nothing() {
        let (_peer, ours) = pair();
        let (mut stream, clock) = watched(ours);
        let upgraded = stream.watch().upgraded();
        let writing = async move {
            loop {
                if let Err(error) = stream.write_all(&[0; 64]).await {
                    return error;
                }
            }
        };
        let (error, ()) = tokio::join!(writing, async {
            tokio::task::yield_now().await;
            upgraded.cut();
        });
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(clock);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_when_the_protocol_it_was_upgraded_to_is_over() {
        let (mut peer, ours) = pair();
        let (mut stream, clock) = watched(ours);
        let upgraded = stream.watch().upgraded();
        clock.advance(Duration::from_secs(3_600));
        peer.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1, "while it speaks it has limits of its own");

        let reading = tokio::task::unconstrained(stream.read_u8());
        tokio::pin!(reading);
        assert!(tokio::time::timeout(Duration::from_secs(3_600), reading.as_mut()).await.is_err());
        drop(upgraded);
        clock.advance(limits::HTTP_GOODBYE_MAX);
        // Woken: nothing comes from the peer.
        let ended = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is waited for");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
