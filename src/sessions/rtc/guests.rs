//! Peers that share a play shard's ports and have connections of their own: publishers.
//!
//! The shard's loop reads the ports and hands on here what is a guest's: checks by the ICE name in them, everything else by
//! an address from which a proven check came. A guest's connection sees a socket of its own ([`GuestSocket`]) and one
//! address ([`THE_PEER`]) whatever its peer's are. ICE is settled here: every check is answered at once, and the connection
//! only learns that there was one; its own checks are answered in the peer's name. Left to itself it keeps to the pair that
//! it prefers, gives up when the peer goes on with another, and takes no notice of a nomination that comes before its own
//! check was answered, which peers that nominate once do not repeat.

mod runtime;
mod sender;
mod socket;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base::limits;
use observe::metric;
use parking_lot::Mutex;
use rtc::{Checks, Datagram, IceCredentials, demux};

use super::tcp::{self, TcpPeers};
pub(super) use runtime::GuestRuntime;
pub(super) use sender::PortSender;
pub(super) use socket::GuestSocket;
use socket::Inbox;

/// What a guest's connection takes for its peer's address (RFC 5737: nobody has it).
const THE_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
/// The first byte of STUN messages, at most (RFC 7983).
const STUN_MAX: u8 = 3;

/// One guest: whose checks are its own, and what has come for it.
#[derive(Debug)]
pub(super) struct Guest {
    credentials: IceCredentials,
    /// The peer's own.
    theirs: IceCredentials,
    port: Arc<GuestPort>,
    /// What came, until its connection takes it.
    inbox: Inbox,
    route: Mutex<Option<Route>>,
    /// The newest check that nominated.
    nomination: Mutex<Option<Vec<u8>>>,
}

/// The way to a guest's peer.
#[derive(Clone, Copy, Debug)]
struct Route {
    to: SocketAddr,
    /// The address of ours that it sends to, and is answered from.
    from: Option<IpAddr>,
    /// When something came over it.
    heard: Instant,
}

impl Guest {
    /// Something came from a peer's address. The way to the peer moves to where it was nominated, once nothing comes over
    /// the old one: a check that was overheard and is repeated moves nothing.
    fn heard(&self, from: SocketAddr, to: Option<IpAddr>, nominated: bool, now: Instant) {
        let mut route = self.route.lock();
        match &mut *route {
            Some(held) if held.to == from => held.heard = now,
            Some(held)
                if !nominated
                    || now.saturating_duration_since(held.heard) < limits::PLAYER_ADDRESS_SILENCE_MAX => {}
            _ => *route = Some(Route { to: from, from: to, heard: now }),
        }
    }

    fn receive(&self, datagram: &[u8]) {
        if datagram.len() > limits::GUEST_DATAGRAM_BYTES_MAX || !self.inbox.push(datagram) {
            metric::guest_datagrams_dropped("no room").increment(1);
        }
    }

    /// Sends what its connection sends. The peer's checks were answered before; the connection's own are here, and then
    /// it is told of the nomination once more.
    fn send(&self, datagram: &[u8]) {
        if datagram.first().is_some_and(|first| *first <= STUN_MAX) {
            if let Some(check) = self.port.checks.answer(datagram, THE_PEER, &self.theirs) {
                self.receive(&check.reply);
                if let Some(nomination) = &*self.nomination.lock() {
                    self.receive(nomination);
                }
            }
            return;
        }
        let route = *self.route.lock();
        match route {
            Some(Route { to, from, .. }) => self.port.send(to, from, datagram),
            None => metric::guest_datagrams_dropped("no way").increment(1),
        }
    }
}

/// Who is where.
#[derive(Debug, Default)]
struct Names {
    by_ufrag: HashMap<String, Held>,
    by_address: HashMap<SocketAddr, Arc<Guest>>,
}

#[derive(Debug)]
struct Held {
    guest: Arc<Guest>,
    /// Its addresses, oldest first.
    addresses: VecDeque<SocketAddr>,
}

/// The guests of one shard's ports.
#[derive(Debug)]
pub(super) struct GuestPort {
    names: Mutex<Names>,
    /// How many guests there are, for the many datagrams that come while there is none.
    count: AtomicUsize,
    checks: Checks,
    sender: PortSender,
    tcp: Arc<TcpPeers>,
    shard: usize,
    number: u16,
}

impl GuestPort {
    /// The guests of a shard's port, which send through `sender` and to the shard's TCP connections.
    pub(super) fn new(shard: usize, sender: PortSender, tcp: Arc<TcpPeers>, number: u16) -> Arc<Self> {
        let (names, checks) = (Mutex::default(), Checks::default());
        Arc::new(Self { names, count: AtomicUsize::new(0), checks, sender, tcp, shard, number })
    }

    /// What a guest's ICE name begins with.
    pub(super) fn prefix(&self) -> String {
        tcp::prefix(self.shard)
    }

    /// The port's number.
    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    /// Guests now.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets a guest in, by the name and password that it was told, and its own. Dropped, what is returned takes it off again.
    pub(super) fn admit(self: &Arc<Self>, credentials: IceCredentials, theirs: IceCredentials) -> Stay {
        let name = credentials.ufrag.clone();
        let guest = Arc::new(Guest {
            credentials,
            theirs,
            port: Arc::clone(self),
            inbox: Inbox::default(),
            route: Mutex::new(None),
            nomination: Mutex::new(None),
        });
        let held = Held { guest: Arc::clone(&guest), addresses: VecDeque::new() };
        let mut names = self.names.lock();
        names.by_ufrag.insert(name.clone(), held);
        self.count.store(names.by_ufrag.len(), Ordering::Relaxed);
        drop(names);
        Stay { guest, name }
    }

    /// Takes a datagram if it is a guest's.
    pub(super) fn take(&self, from: SocketAddr, to: Option<IpAddr>, datagram: &[u8], now: Instant) -> bool {
        if self.count() == 0 {
            return false;
        }
        if let Datagram::Stun { local_ufrag: Some(ufrag) } = demux(datagram) {
            return self.take_check(ufrag, from, to, datagram, now);
        }
        let Some(guest) = self.names.lock().by_address.get(&from).cloned() else { return false };
        guest.heard(from, to, false, now);
        guest.receive(datagram);
        true
    }

    fn take_check(
        &self,
        ufrag: &str,
        from: SocketAddr,
        to: Option<IpAddr>,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        let Some(guest) = self.names.lock().by_ufrag.get(ufrag).map(|held| Arc::clone(&held.guest)) else {
            return false;
        };
        let Some(check) = self.checks.answer(datagram, from, &guest.credentials) else {
            metric::guest_datagrams_dropped("not proven").increment(1);
            return true;
        };
        if !self.learn(ufrag, from) {
            // Its source was forged, or the one that has it is soon gone.
            metric::guest_datagrams_dropped("address held").increment(1);
            return true;
        }
        guest.heard(from, to, check.nominated, now);
        self.send(from, to, &check.reply);
        if check.nominated {
            *guest.nomination.lock() = Some(datagram.to_vec());
        }
        guest.receive(datagram);
        true
    }

    /// An address is a guest's from now on, unless another has it.
    fn learn(&self, ufrag: &str, from: SocketAddr) -> bool {
        let names = &mut *self.names.lock();
        let Some(held) = names.by_ufrag.get_mut(ufrag) else { return false };
        if let Some(holder) = names.by_address.get(&from) {
            return Arc::ptr_eq(holder, &held.guest);
        }
        if held.addresses.len() >= limits::PLAYER_ADDRESSES_MAX
            && let Some(oldest) = held.addresses.pop_front()
        {
            names.by_address.remove(&oldest);
        }
        held.addresses.push_back(from);
        names.by_address.insert(from, Arc::clone(&held.guest));
        true
    }

    /// Sends a datagram. What the kernel does not take is lost, as on any path.
    fn send(&self, to: SocketAddr, from: Option<IpAddr>, datagram: &[u8]) {
        if tcp::is_tcp(to) {
            self.tcp.send(to, datagram, None);
        } else if self.sender.send(to, from, datagram).is_err() {
            metric::guest_datagrams_dropped("not sendable").increment(1);
        }
    }

    fn forget(&self, name: &str) {
        let mut names = self.names.lock();
        if let Some(held) = names.by_ufrag.remove(name) {
            for address in held.addresses {
                names.by_address.remove(&address);
            }
        }
        self.count.store(names.by_ufrag.len(), Ordering::Relaxed);
    }
}

/// A guest's stay on a port.
#[derive(Debug)]
pub(super) struct Stay {
    guest: Arc<Guest>,
    name: String,
}

impl Stay {
    /// The guest.
    pub(super) const fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.guest.port.forget(&self.name);
    }
}

#[cfg(test)]
mod tests;
