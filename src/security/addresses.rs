//! Ranges of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether `address` is in one of the `ranges`: CIDR or single addresses, separated by commas. What is none is passed over
/// (AMS); an empty text allows everybody, and one in which nothing can be read nobody.
pub fn is_allowed(ranges: &str, address: IpAddr) -> bool {
    ranges.trim().is_empty() || is_listed(ranges, address)
}

/// The same for a list that allows nobody when it is empty.
pub fn is_listed(ranges: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    ranges.split(',').filter_map(|range| read(range.trim())).any(|range| range.contains(&address))
}

/// A range, or an address alone. IPv4-mapped IPv6 is IPv4.
pub fn read(range: &str) -> Option<IpNet> {
    if let Ok(address) = range.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    range.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_range_is_allowed() {
        // The example of AMS's guide.
        let ranges = "10.20.30.40/24,127.0.0.1/32";
        for (address, allowed) in [
            ("10.20.30.0", true),
            ("10.20.30.255", true),
            ("10.20.31.0", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:127.0.0.1", true),
            ("::1", false),
        ] {
            assert_eq!(is_allowed(ranges, address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn what_is_no_range_is_passed_over_and_opens_nothing() {
        let here = "127.0.0.1".parse().unwrap();
        for (ranges, allowed, listed) in [
            ("", true, false),
            ("  ", true, false),
            ("x", false, false),
            ("x , 127.0.0.1", true, true),
            ("127.0.0.1/33", false, false),
            (",,", false, false),
            ("::/0", false, false),
            ("0.0.0.0/0", true, true),
        ] {
            assert_eq!((is_allowed(ranges, here), is_listed(ranges, here)), (allowed, listed), "{ranges:?}");
        }
        assert!(is_allowed("2001:db8::/32", "2001:db8::7".parse().unwrap()));
    }
}
