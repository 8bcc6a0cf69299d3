//! Which of this node's addresses players are offered as ICE candidates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::PeerAddr;

/// The node's addresses, sorted by whom they are offered to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedAddresses {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl OfferedAddresses {
    /// The configured addresses; none: what the machine's interfaces have.
    pub fn new(public: &[IpAddr]) -> Self {
        if public.is_empty() { Self::sort(&own()) } else { Self::sort(public) }
    }

    fn sort(addresses: &[IpAddr]) -> Self {
        let (v4, v6) = addresses.iter().partition(|ip| ip.is_ipv4());
        Self { v4, v6 }
    }

    /// What every player is offered.
    pub fn everybody(&self) -> &[IpAddr] {
        &self.v4
    }

    /// What this player is offered too: IPv6 unless the application disables it (AMS's default),
    /// and the loopback addresses to a client on this machine.
    pub fn extra(&self, peer: PeerAddr, disable_ipv6: bool) -> Vec<IpAddr> {
        let mut extra = if disable_ipv6 { Vec::new() } else { self.v6.clone() };
        if peer.ip().is_loopback() {
            extra.push(Ipv4Addr::LOCALHOST.into());
            extra.push(Ipv6Addr::LOCALHOST.into());
        }
        extra
    }

    /// Both: all that this peer is offered.
    pub(super) fn all(&self, peer: PeerAddr, disable_ipv6: bool) -> impl Iterator<Item = IpAddr> {
        self.v4.iter().copied().chain(self.extra(peer, disable_ipv6))
    }
}

/// Addresses of the interfaces that others can reach; link-local ones are no use to a browser.
fn own() -> Vec<IpAddr> {
    let interfaces = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "the machine's addresses cannot be read; set public_addresses");
            return Vec::new();
        }
    };
    interfaces
        .iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(if_addrs::Interface::ip)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_is_offered_unless_disabled_and_loopback_to_the_machine_itself() {
        let v4: IpAddr = "203.0.113.7".parse().unwrap();
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        let addresses = OfferedAddresses::new(&[v6, v4]);
        let far = PeerAddr::new("198.51.100.1:9".parse().unwrap());
        let near = PeerAddr::new("[::1]:9".parse().unwrap());
        assert_eq!(addresses.everybody(), [v4]);
        assert_eq!(addresses.extra(far, true), Vec::<IpAddr>::new());
        assert_eq!(addresses.extra(far, false), [v6]);
        assert_eq!(addresses.extra(near, true).len(), 2);
        assert_eq!(addresses.all(far, false).collect::<Vec<_>>(), [v4, v6]);
    }
}
