//! A stream that ends when its peer drags things out, and says why.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
}

/// The handle of a connection that is served on this thread.
#[derive(Clone)]
pub struct Watch(Rc<RefCell<Shared>>);

impl Watch {
    /// The connection is another protocol's from now on, which has limits of its own: it no longer counts as
    /// one of HTTP.
    pub fn upgraded(&self) {
        let mut shared = self.0.borrow_mut();
        shared.patience.upgrade();
        shared.open = None;
    }

    /// A request on it did not become whole in time: it is closed with the answer, for this reason.
    pub fn is_slow(&self) {
        self.is_overdue(Overdue::SlowRequest);
    }

    /// Notes why it is closed.
    pub(crate) fn is_overdue(&self, why: Overdue) {
        self.0.borrow_mut().overdue.get_or_insert(why);
    }
}

/// A stream of bytes under a [`Patience`].
pub struct Watched<S> {
    stream: S,
    watch: Watch,
    clock: Arc<dyn Clock>,
    /// Set to the deadline of some earlier moment; looked at again when it is reached.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Watches `stream`, which counts as `open`.
    pub fn new(stream: S, open: OpenConnection, clock: Arc<dyn Clock>) -> Self {
        metric::http_connections().increment(1.0);
        let shared = Shared { patience: Patience::new(clock.now()), overdue: None, open: Some(open) };
        Self { stream, watch: Watch(Rc::new(RefCell::new(shared))), clock, timer: None }
    }

    /// Its handle.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    fn tell<T>(&self, tell: impl FnOnce(&mut Patience, Instant) -> T) -> T {
        tell(&mut self.watch.0.borrow_mut().patience, self.clock.now())
    }

    /// Ready, with the error for the peer's driver, when it has been waited for long enough.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let Some((at, why)) = self.tell(|patience, _| patience.deadline()) else { return Poll::Pending };
            if self.clock.now() >= at {
                self.watch.is_overdue(why);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
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
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.poll_overdue(context).map(Err),
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    self.tell(Patience::came);
                }
                Poll::Ready(read)
            }
        }
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
