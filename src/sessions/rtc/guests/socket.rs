//! What a guest's connection takes for its socket.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base::limits;
use parking_lot::Mutex;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::{Guest, THE_PEER};

/// Datagrams that have come and were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    datagrams: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Puts a datagram in; `false`: there is no room, it is lost.
    pub(super) fn push(&self, datagram: &[u8]) -> bool {
        let mut waiting = self.0.lock();
        if waiting.datagrams.len() >= limits::GUEST_DATAGRAMS_MAX {
            return false;
        }
        waiting.datagrams.push_back(datagram.to_vec());
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
        true
    }
}

/// A guest's socket.
#[derive(Debug)]
pub(in super::super) struct GuestSocket {
    guest: Arc<Guest>,
    /// What the connection calls it: an address nobody else is told of.
    name: SocketAddr,
}

impl GuestSocket {
    pub(super) const fn new(guest: Arc<Guest>, name: SocketAddr) -> Self {
        Self { guest, name }
    }
}

impl AsyncUdpSocket for GuestSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.name)
    }

    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.guest.send(transmit.contents);
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = self.guest.inbox.0.lock();
        let mut filled = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(datagram) = waiting.datagrams.pop_front() else { break };
            let length = datagram.len().min(buffer.len());
            if let (Some(room), Some(bytes)) = (buffer.get_mut(..length), datagram.get(..length)) {
                room.copy_from_slice(bytes);
            }
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (THE_PEER, length, length.max(1));
            filled += 1;
        }
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
