//! What may be said of a peer or a secret in a log line.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A peer's address. IPv4-mapped IPv6 is canonical IPv4; shown without its last part.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddr {
    address: SocketAddr,
    /// It is somebody's who speaks for another one.
    is_anothers: bool,
}

impl PeerAddr {
    /// Takes the address as the socket gives it.
    pub fn new(address: SocketAddr) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { address, is_anothers: false }
    }

    /// Of a peer that says it speaks for somebody else and that nobody trusts in that: who asks is unknown. What limits
    /// and logs go by is the address of the peer itself.
    pub fn unknown_behind(address: SocketAddr) -> Self {
        Self { is_anothers: true, ..Self::new(address) }
    }

    /// The whole address, of whoever holds the connection: for limits, never for a log, and not for letting anybody in.
    pub const fn ip(self) -> IpAddr {
        self.address.ip()
    }

    /// The whole address of who asks, for filters that let addresses in; `None`: it is unknown, and every such filter
    /// refuses.
    pub const fn known_ip(self) -> Option<IpAddr> {
        if self.is_anothers { None } else { Some(self.address.ip()) }
    }

    /// The peer's port.
    pub const fn port(self) -> u16 {
        self.address.port()
    }

    /// The address of the house the peer sits in: /24 of IPv4, /56 of IPv6. Limits count by it
    /// for IPv6, because one subscriber owns a whole /56.
    pub fn network(self) -> IpAddr {
        match self.address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                IpAddr::from([a, b, c, 0])
            }
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 72))),
        }
    }

    /// What connection limits count by: the address itself for IPv4, the /56 for IPv6.
    pub fn limit_key(self) -> IpAddr {
        match self.address.ip() {
            ip @ IpAddr::V4(_) => ip,
            IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(ip),
            IpAddr::V6(_) => self.network(),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network() {
            ip @ IpAddr::V4(_) => write!(f, "{ip}/24"),
            ip @ IpAddr::V6(_) => write!(f, "{ip}/56"),
        }
    }
}

impl fmt::Debug for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value that must not reach a log line: shown as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerAddr {
        PeerAddr::new(text.parse().unwrap())
    }

    #[test]
    fn a_peer_is_shown_without_its_last_part() {
        assert_eq!(peer("10.1.2.3:4").to_string(), "10.1.2.0/24");
        assert_eq!(peer("[::ffff:10.1.2.3]:4").to_string(), "10.1.2.0/24");
        assert_eq!(peer("[2001:db8:1:2345::9]:4").to_string(), "2001:db8:1:2300::/56");
    }

    #[test]
    fn behind_a_stranger_nobody_is_known() {
        let address = "10.1.2.3:4".parse().unwrap();
        assert_eq!(PeerAddr::new(address).known_ip(), Some(address.ip()));
        assert_eq!(PeerAddr::unknown_behind(address).known_ip(), None);
        assert_eq!(
            PeerAddr::unknown_behind(address).ip(),
            address.ip(),
            "limits count who holds the connection"
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{0:?} {0}", Secret::new("hunter2")), "*** ***");
    }
}
