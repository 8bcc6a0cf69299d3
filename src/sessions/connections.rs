//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base::PeerAddr;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};

/// Between two tries to accept, when one has failed.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The next connection to a listener of that protocol.
pub(crate) async fn accept(listener: &TcpListener, protocol: &'static str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that was gone again: neither ends the listener.
                tracing::warn!(%error, protocol, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Why a connection is refused before a byte of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The node has as many as it may have.
    #[error("the node has too many connections of this kind")]
    OnNode,
    /// This address has as many as one address may have.
    #[error("this address has too many connections of this kind")]
    FromAddress,
}

impl TooMany {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OnNode => "too many connections",
            Self::FromAddress => "too many from one address",
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts the open connections of one kind.
#[derive(Clone, Debug)]
pub struct Connections {
    counts: Arc<Mutex<Counts>>,
    max: usize,
    per_address_max: usize,
}

impl Connections {
    /// Allows `max` connections, `per_address_max` of them from one address (or IPv6 /56).
    pub fn new(max: usize, per_address_max: usize) -> Self {
        Self { counts: Arc::default(), max, per_address_max }
    }

    /// Counts one more, until the guard is dropped.
    pub fn open(&self, peer: PeerAddr) -> Result<OpenConnection, TooMany> {
        let address = peer.limit_key();
        let mut counts = self.counts.lock();
        if counts.total >= self.max {
            return Err(TooMany::OnNode);
        }
        let from_address = counts.by_address.entry(address).or_default();
        if *from_address >= self.per_address_max {
            return Err(TooMany::FromAddress);
        }
        *from_address += 1;
        counts.total += 1;
        Ok(OpenConnection { counts: Arc::clone(&self.counts), address })
    }

    /// Open now.
    pub fn open_now(&self) -> usize {
        self.counts.lock().total
    }
}

/// One open connection.
#[derive(Debug)]
pub struct OpenConnection {
    counts: Arc<Mutex<Counts>>,
    address: IpAddr,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        if let Some(held) = counts.by_address.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerAddr {
        PeerAddr::new(text.parse().unwrap())
    }

    #[test]
    fn both_limits_hold_and_nothing_leaks() {
        let connections = Connections::new(3, 2);
        let a1 = connections.open(peer("10.0.0.1:1")).unwrap();
        let _a2 = connections.open(peer("10.0.0.1:2")).unwrap();
        assert_eq!(connections.open(peer("10.0.0.1:3")).unwrap_err(), TooMany::FromAddress);
        let _b = connections.open(peer("10.0.0.2:1")).unwrap();
        assert_eq!(connections.open(peer("10.0.0.3:1")).unwrap_err(), TooMany::OnNode);
        drop(a1);
        assert_eq!(connections.open_now(), 2);
        let _a3 = connections.open(peer("10.0.0.1:4")).unwrap();
        assert!(
            connections.counts.lock().by_address.len() == 2,
            "an address without connections is forgotten"
        );
    }

    #[test]
    fn one_ipv6_subscriber_counts_once() {
        let connections = Connections::new(10, 1);
        let _first = connections.open(peer("[2001:db8:0:100::1]:1")).unwrap();
        assert!(connections.open(peer("[2001:db8:0:1ff::2]:1")).is_err());
        assert!(connections.open(peer("[2001:db8:0:200::1]:1")).is_ok());
    }
}
