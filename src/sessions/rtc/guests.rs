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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use base::{Randomness, limits};
use observe::metric;
use parking_lot::Mutex;
use rtc::{Checks, Datagram, IceCredentials, demux, srtp_source};

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
    /// What it was told first, and what its connection knows.
    credentials: IceCredentials,
    /// The peer's own.
    theirs: IceCredentials,
    port: Arc<GuestPort>,
    /// What came, until its connection takes it.
    inbox: Inbox,
    route: Mutex<Option<Route>>,
    /// The newest check that nominated by the first name.
    nomination: Mutex<Option<Vec<u8>>>,
    /// Its addresses, oldest first.
    addresses: Mutex<VecDeque<SocketAddr>>,
    /// The sources it has used. Its connection keeps the state of each, and makes it before it knows whether a packet is
    /// authentic.
    sources: Mutex<Vec<u32>>,
    /// The newest of its ICE sessions after the first.
    restart: Mutex<Option<(u32, String)>>,
}

/// The way to a guest's peer.
#[derive(Clone, Copy, Debug)]
struct Route {
    to: SocketAddr,
    /// The address of ours that it sends to, and is answered from.
    from: Option<IpAddr>,
    /// Which of its ICE sessions found it.
    session: u32,
    /// When something came over it.
    heard: Instant,
}

impl Guest {
    /// Something came from a peer's address. The way to the peer moves to where it was nominated, once nothing comes over
    /// the old one, because a check that was overheard and is repeated is to move nothing; or at once by a newer ICE session.
    /// What comes without a name has no `session`.
    fn heard(
        &self,
        from: SocketAddr,
        to: Option<IpAddr>,
        session: Option<u32>,
        nominated: bool,
        now: Instant,
    ) {
        let mut route = self.route.lock();
        let moves = |held: &Route| {
            let is_silent = now.saturating_duration_since(held.heard) >= limits::PLAYER_ADDRESS_SILENCE_MAX;
            nominated && (is_silent || session > Some(held.session))
        };
        match &mut *route {
            Some(held) if held.to == from => {
                held.heard = now;
                held.session = held.session.max(session.filter(|_| nominated).unwrap_or_default());
            }
            Some(held) if !moves(held) => {}
            _ => {
                *route = Some(Route { to: from, from: to, session: session.unwrap_or_default(), heard: now })
            }
        }
    }

    /// Whether there is room for the source of a packet.
    fn has_room_for_source(&self, datagram: &[u8]) -> bool {
        let Some(source) = srtp_source(datagram) else { return false };
        let mut sources = self.sources.lock();
        if sources.contains(&source) {
            return true;
        }
        let has_room = sources.len() < limits::GUEST_SOURCES_MAX;
        if has_room {
            sources.push(source);
        }
        has_room
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
    by_ufrag: HashMap<String, Named>,
    by_address: HashMap<SocketAddr, Arc<Guest>>,
}

/// A name of a guest: it has one for its first ICE session, and one for the newest.
#[derive(Clone, Debug)]
struct Named {
    guest: Arc<Guest>,
    credentials: IceCredentials,
    /// Counts its ICE sessions, from 0.
    session: u32,
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
        let guest = Arc::new(Guest {
            credentials: credentials.clone(),
            theirs,
            port: Arc::clone(self),
            inbox: Inbox::default(),
            route: Mutex::new(None),
            nomination: Mutex::new(None),
            addresses: Mutex::default(),
            sources: Mutex::default(),
            restart: Mutex::new(None),
        });
        let named = Named { guest: Arc::clone(&guest), credentials, session: 0 };
        self.names.lock().by_ufrag.insert(named.credentials.ufrag.clone(), named);
        self.count.fetch_add(1, Ordering::Relaxed);
        Stay(guest)
    }

    /// Takes a datagram if it is a guest's.
    pub(super) fn take(&self, from: SocketAddr, to: Option<IpAddr>, datagram: &[u8], now: Instant) -> bool {
        if self.count() == 0 {
            return false;
        }
        let what = demux(datagram);
        if let Datagram::Stun { local_ufrag: Some(ufrag) } = what {
            return self.take_check(ufrag, from, to, datagram, now);
        }
        let Some(guest) = self.names.lock().by_address.get(&from).cloned() else { return false };
        guest.heard(from, to, None, false, now);
        if what == Datagram::SrtpOrSrtcp && !guest.has_room_for_source(datagram) {
            metric::guest_datagrams_dropped("sources").increment(1);
            return true;
        }
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
        let Some(named) = self.names.lock().by_ufrag.get(ufrag).cloned() else { return false };
        let Named { guest, credentials, session } = named;
        let Some(check) = self.checks.answer(datagram, from, &credentials) else {
            metric::guest_datagrams_dropped("not proven").increment(1);
            return true;
        };
        if !self.learn(&guest, from) {
            // Its source was forged, or the one that has it is soon gone.
            metric::guest_datagrams_dropped("address held").increment(1);
            return true;
        }
        guest.heard(from, to, Some(session), check.nominated, now);
        self.send(from, to, &check.reply);
        if session > 0 {
            // Its connection knows the first session alone: to it that goes on.
            if let Some(nomination) = &*guest.nomination.lock() {
                guest.receive(nomination);
            }
            return true;
        }
        if check.nominated {
            *guest.nomination.lock() = Some(datagram.to_vec());
        }
        guest.receive(datagram);
        true
    }

    /// An address is a guest's from now on, unless another has it.
    fn learn(&self, guest: &Arc<Guest>, from: SocketAddr) -> bool {
        let names = &mut *self.names.lock();
        if let Some(holder) = names.by_address.get(&from) {
            return Arc::ptr_eq(holder, guest);
        }
        // It may have left since its name was looked up.
        if !names.by_ufrag.contains_key(&guest.credentials.ufrag) {
            return false;
        }
        let mut addresses = guest.addresses.lock();
        if addresses.len() >= limits::PLAYER_ADDRESSES_MAX
            && let Some(oldest) = addresses.pop_front()
        {
            names.by_address.remove(&oldest);
        }
        addresses.push_back(from);
        names.by_address.insert(from, Arc::clone(guest));
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

    fn forget(&self, guest: &Arc<Guest>) {
        let mut names = self.names.lock();
        names.by_ufrag.remove(&guest.credentials.ufrag);
        if let Some((_, name)) = guest.restart.lock().take() {
            names.by_ufrag.remove(&name);
        }
        for address in guest.addresses.lock().drain(..) {
            names.by_address.remove(&address);
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A guest's stay on a port.
#[derive(Debug)]
pub(super) struct Stay(Arc<Guest>);

impl Stay {
    /// The guest.
    pub(super) const fn guest(&self) -> &Arc<Guest> {
        &self.0
    }

    /// For ICE sessions after the first.
    pub(super) fn restarts(&self) -> Restarts {
        Restarts(Arc::downgrade(&self.0))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.port.forget(&self.0);
    }
}

/// Begins ICE sessions anew for a guest (RFC 8445 9), while it stays.
#[derive(Clone, Debug)]
pub struct Restarts(Weak<Guest>);

impl Restarts {
    /// Begins one, and gives what the peer is to be told; `None`: the guest is gone. The way to the peer stays until the
    /// new session has found one; of sessions in between nothing is left.
    pub(super) fn begin(&self, randomness: &dyn Randomness) -> Option<IceCredentials> {
        let guest = self.0.upgrade()?;
        let credentials = IceCredentials::random(&guest.port.prefix(), randomness);
        let names = &mut guest.port.names.lock().by_ufrag;
        if !names.contains_key(&guest.credentials.ufrag) {
            return None;
        }
        let mut restart = guest.restart.lock();
        let before = restart.take();
        if let Some((_, name)) = &before {
            names.remove(name);
        }
        let session = before.map_or(1, |(session, _)| session.saturating_add(1));
        *restart = Some((session, credentials.ufrag.clone()));
        let named = Named { guest: Arc::clone(&guest), credentials: credentials.clone(), session };
        names.insert(credentials.ufrag.clone(), named);
        Some(credentials)
    }
}

#[cfg(test)]
mod tests;
