//! The TCP connections of one shard's peers.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::limits;
use media::Bell;
use observe::metric;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What waits to be written to one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Framed already.
    bytes: Mutex<Vec<u8>>,
    news: Notify,
}

impl Outbox {
    /// Waits for frames and takes them all.
    pub(super) async fn next(&self, into: &mut Vec<u8>) {
        loop {
            let news = self.news.notified();
            {
                let mut bytes = self.bytes.lock();
                if !bytes.is_empty() {
                    into.clear();
                    std::mem::swap(&mut *bytes, into);
                    return;
                }
            }
            news.await;
        }
    }

    /// Puts a datagram in; `false`: there is no room.
    fn put(&self, datagram: &[u8]) -> bool {
        let Ok(length) = u16::try_from(datagram.len()) else { return false };
        let mut bytes = self.bytes.lock();
        if bytes.len() + datagram.len() > limits::MEDIA_TCP_OUTBOX_BYTES_MAX {
            return false;
        }
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(datagram);
        drop(bytes);
        self.news.notify_one();
        true
    }
}

/// The connections by the addresses they are known by, and what they brought for the shard.
#[derive(Debug)]
pub(in super::super) struct TcpPeers {
    outboxes: Mutex<HashMap<SocketAddr, Arc<Outbox>>>,
    brought: Mutex<VecDeque<(SocketAddr, Vec<u8>)>>,
    /// How many datagrams wait, for the many turns in which none does.
    waiting: AtomicUsize,
    bell: Bell,
}

impl TcpPeers {
    /// No connection yet; `bell` is rung when one brings something.
    pub(in super::super) fn new(bell: Bell) -> Arc<Self> {
        let (outboxes, brought) = (Mutex::default(), Mutex::default());
        Arc::new(Self { outboxes, brought, waiting: AtomicUsize::new(0), bell })
    }

    /// A connection is there.
    pub(super) fn join(&self, address: SocketAddr) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::default());
        self.outboxes.lock().insert(address, Arc::clone(&outbox));
        outbox
    }

    /// It is gone; another may have its address since.
    pub(super) fn leave(&self, address: SocketAddr, outbox: &Arc<Outbox>) {
        let mut outboxes = self.outboxes.lock();
        if outboxes.get(&address).is_some_and(|held| Arc::ptr_eq(held, outbox)) {
            outboxes.remove(&address);
        }
    }

    /// A connection brought a datagram.
    pub(super) fn bring(&self, from: SocketAddr, datagram: Vec<u8>) {
        let mut brought = self.brought.lock();
        if brought.len() >= limits::MEDIA_TCP_BROUGHT_MAX {
            metric::shard_datagrams_dropped("tcp").increment(1);
            return;
        }
        brought.push_back((from, datagram));
        self.waiting.store(brought.len(), Ordering::Release);
        drop(brought);
        self.bell.ring();
    }

    /// Hands on what was brought, at most `max` datagrams.
    pub(in super::super) fn receive(&self, max: usize, mut each: impl FnMut(SocketAddr, &mut [u8])) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut brought = self.brought.lock();
        let count = brought.len().min(max);
        let now: Vec<_> = brought.drain(..count).collect();
        self.waiting.store(brought.len(), Ordering::Release);
        let more = !brought.is_empty();
        drop(brought);
        for (from, mut datagram) in now {
            each(from, &mut datagram);
        }
        if more {
            self.bell.ring();
        }
    }

    /// Sends datagrams (of one size but the last, where a size is given) to a connection.
    pub(in super::super) fn send(&self, to: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
        let outbox = self.outboxes.lock().get(&to).cloned();
        let size = segment_size.unwrap_or(contents.len()).max(1);
        for datagram in contents.chunks(size) {
            if !outbox.as_ref().is_some_and(|outbox| outbox.put(datagram)) {
                metric::shard_datagrams_dropped("tcp").increment(1);
            }
        }
    }
}
