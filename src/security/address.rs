//! Who asks, by address: what a socket says, what a trusted proxy says, and what nobody is believed in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base::{PeerAddr, limits};
use ipnet::IpNet;

/// Ranges of addresses, IPv4 and IPv6. Loopback addresses are one: who has any of them is the machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRanges(Vec<IpNet>);

impl AddressRanges {
    /// Reads `10.0.0.0/8, ::1, 192.0.2.7`, as AMS's `remoteAllowedCIDR` is written. What is no range lets nobody in.
    pub fn read(text: &str) -> Self {
        let ranges = text.split([',', ' ', ';']).map(str::trim).filter(|part| !part.is_empty());
        Self(ranges.filter_map(range).take(limits::ADDRESS_RANGES_MAX).collect())
    }

    /// The same of a list; else the first part that is no range.
    pub fn of(list: &[String]) -> Result<Self, String> {
        let ranges = list.iter().map(|part| range(part.trim()).ok_or_else(|| part.clone()));
        ranges.take(limits::ADDRESS_RANGES_MAX).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = settled(address);
        self.0
            .iter()
            .any(|range| range.contains(&address) || (address.is_loopback() && range.addr().is_loopback()))
    }
}

/// Whether a publisher's address is in one of `ranges`, as `allowedPublisherCIDR` is written: an empty text allows everybody,
/// one in which nothing can be read nobody. Loopback addresses are told apart here, as in AMS.
pub(crate) fn publisher_is_allowed(ranges: &str, peer: PeerAddr) -> bool {
    let Some(address) = peer.known_ip() else { return ranges.trim().is_empty() };
    ranges.trim().is_empty() || AddressRanges::read(ranges).0.iter().any(|range| range.contains(&address))
}

/// One form for each address.
fn settled(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address if address.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        address => address,
    }
}

fn range(text: &str) -> Option<IpNet> {
    let range = match text.parse::<IpNet>() {
        Ok(range) => range,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    match range {
        // The same addresses by their other name.
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match IpAddr::V6(mapped.addr()).to_canonical() {
            IpAddr::V4(address) => IpNet::new(address.into(), mapped.prefix_len() - 96).ok(),
            IpAddr::V6(_) => Some(range),
        },
        _ => Some(range),
    }
}

/// What a request says of those it came through.
#[derive(Clone, Debug, Default)]
pub struct Forwarding<'a> {
    /// The values of `X-Forwarded-For` in order, as far as they are text; one that is not: a text that is no address.
    pub hops: Vec<&'a str>,
    /// There is another header by which proxies speak, as `Forwarded` or `X-Real-IP`.
    pub others: bool,
}

impl Forwarding<'_> {
    /// Whether somebody says to speak for another one.
    pub fn is_any(&self) -> bool {
        self.others || !self.hops.is_empty()
    }
}

/// The proxies whose word about addresses counts.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(AddressRanges);

impl TrustedProxies {
    /// Those in `ranges`.
    pub const fn new(ranges: AddressRanges) -> Self {
        Self(ranges)
    }

    /// Who asks over a connection of `socket`. A trusted proxy is believed in the last address of `X-Forwarded-For` that is
    /// no trusted proxy's itself; of anybody else the header only says that who asks is unknown.
    pub fn peer(&self, socket: SocketAddr, forwarding: &Forwarding<'_>) -> PeerAddr {
        if !forwarding.is_any() {
            return PeerAddr::new(socket);
        }
        let unknown = PeerAddr::unknown_behind(socket);
        if !self.0.contains(socket.ip()) || forwarding.hops.is_empty() {
            return unknown;
        }
        let bytes: usize = forwarding.hops.iter().map(|hop| hop.len()).sum();
        if bytes > limits::FORWARDED_BYTES_MAX {
            return unknown;
        }
        let mut asks = None;
        let hops = forwarding.hops.iter().rev().flat_map(|value| value.rsplit(','));
        for (nth, hop) in hops.enumerate() {
            let Some(address) = address_of(hop.trim()).filter(|_| nth < limits::FORWARDED_HOPS_MAX) else {
                return unknown;
            };
            asks = Some(address);
            if !self.0.contains(address) {
                break;
            }
        }
        asks.map_or(unknown, |address| PeerAddr::new(SocketAddr::new(address, 0)))
    }
}

/// An address as proxies write it: `ip`, `ip:port`, `[v6]` and `[v6]:port`.
pub fn address_of(text: &str) -> Option<IpAddr> {
    let alone = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match alone.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(trusted: &str, socket: &str, hops: &[&str]) -> Option<String> {
        let trusted = TrustedProxies::new(AddressRanges::read(trusted));
        let forwarding = Forwarding { hops: hops.to_vec(), others: false };
        trusted.peer(socket.parse().unwrap(), &forwarding).known_ip().map(|ip| ip.to_string())
    }

    #[test]
    fn publishers_are_allowed_by_the_addresses_named_and_no_others() {
        let allowed = |ranges: &str, address: &str| {
            publisher_is_allowed(ranges, PeerAddr::new(SocketAddr::new(address.parse().unwrap(), 5)))
        };
        // The example of AMS's guide.
        let ranges = "10.20.30.40/24,127.0.0.1/32";
        for (address, is) in [
            ("10.20.30.0", true),
            ("10.20.30.255", true),
            ("10.20.31.0", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:127.0.0.1", true),
            ("::1", false),
        ] {
            assert_eq!(allowed(ranges, address), is, "{address}");
        }
        for (ranges, is) in [
            ("", true),
            ("  ", true),
            ("x", false),
            ("x , 127.0.0.1", true),
            ("127.0.0.1/33", false),
            (",,", false),
        ] {
            assert_eq!(allowed(ranges, "127.0.0.1"), is, "{ranges:?}");
        }
        let unknown = PeerAddr::unknown_behind("127.0.0.1:5".parse().unwrap());
        assert!(!publisher_is_allowed("0.0.0.0/0", unknown) && publisher_is_allowed("", unknown));
    }

    #[test]
    fn a_list_has_what_it_names() {
        let list = AddressRanges::read("127.0.0.1,10.0.0.0/8; 2001:db8::/32 ::ffff:192.0.2.0/120 nonsense");
        for inside in
            ["10.9.8.7", "2001:db8::1", "192.0.2.9", "127.0.0.1", "::1", "127.8.8.8", "::ffff:10.0.0.1"]
        {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "2001:db9::1", "192.0.3.1"] {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(AddressRanges::read(" , ").is_empty());
        assert!(AddressRanges::read("0.0.0.0/0").contains("8.8.8.8".parse().unwrap()));
        assert_eq!(AddressRanges::of(&["10.0.0.0/8".into(), "x".into()]), Err("x".into()));
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(peer("", "203.0.113.1:9", &[]).as_deref(), Some("203.0.113.1"));
        assert_eq!(peer("", "203.0.113.1:9", &["127.0.0.1"]), None);
        assert_eq!(peer("10.0.0.0/8", "203.0.113.1:9", &["127.0.0.1"]), None);
    }

    #[test]
    fn a_trusted_proxy_is_believed_in_the_last_hop_that_is_none() {
        for (hops, asks) in [
            (&["8.8.8.8"][..], "8.8.8.8"),
            (&["127.0.0.1, 8.8.8.8"], "8.8.8.8"),
            (&["127.0.0.1", "8.8.8.8, 10.0.0.2"], "8.8.8.8"),
            (&["10.0.0.2"], "10.0.0.2"),
            (&["8.8.8.8:1234"], "8.8.8.8"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["::ffff:8.8.8.8"], "8.8.8.8"),
        ] {
            assert_eq!(peer("10.0.0.0/8", "10.0.0.1:9", hops).as_deref(), Some(asks), "{hops:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        let many = vec!["10.0.0.2"; limits::FORWARDED_HOPS_MAX + 1].join(",");
        for hops in ["", "unknown", "8.8.8.8, ", "8.8.8.8, _hidden", "localhost", "1.2.3.4.5", many.as_str()]
        {
            assert_eq!(peer("10.0.0.0/8", "10.0.0.1:9", &[hops]), None, "{hops}");
        }
        let trusted = TrustedProxies::new(AddressRanges::read("10.0.0.0/8"));
        let other = Forwarding { hops: Vec::new(), others: true };
        assert_eq!(trusted.peer("10.0.0.1:9".parse().unwrap(), &other).known_ip(), None);
    }
}
