//! Whether a request is the machine's own.
//!
//! The socket decides; a header can only take the trust away, never give it. That closes these ways by which somebody else
//! speaks through a loopback connection: a reverse proxy on this machine that names whom it speaks for (one that does not
//! looks like the machine itself: README.md warns), a foreign web page in a browser on this machine (its requests carry
//! `Origin`, or say by `Sec-Fetch-Site` whose they are), and a foreign name pointed at 127.0.0.1 (the request carries that
//! name as `Host`).

use std::net::IpAddr;

use base::PeerAddr;

/// The page that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// None says so: no browser, or one that the user told to.
    None,
    /// A page of this node.
    Own,
    /// A page of somebody else.
    Foreign,
}

impl Origin {
    /// By the headers `Origin`, `Host` and `Sec-Fetch-Site`, as far as they are there; what is no text is foreign.
    pub fn of(origin: Option<&[u8]>, host: Option<&str>, fetch_site: Option<&[u8]>) -> Self {
        match fetch_site {
            None | Some(b"same-origin" | b"none") => {}
            Some(_) => return Self::Foreign,
        }
        let Some(origin) = origin else {
            return if fetch_site == Some(b"same-origin") { Self::Own } else { Self::None };
        };
        let of = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        match (of, host) {
            (Some((_, of)), Some(host)) if of.eq_ignore_ascii_case(host) => Self::Own,
            _ => Self::Foreign,
        }
    }
}

/// Why a request is not the machine's own; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMachine {
    /// It comes from elsewhere.
    NotLoopback,
    /// Somebody says to speak for another one.
    Forwarded,
    /// A page of somebody else asks.
    ForeignOrigin,
    /// The node is asked by a name that is not its own.
    ForeignHost,
}

/// Who asks, as far as the connection and its headers tell.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The address.
    pub peer: PeerAddr,
    /// There is a header by which proxies speak.
    pub is_forwarded: bool,
    /// The name the node is asked by, as `Host` has it.
    pub host: Option<&'a str>,
    /// The page that asks.
    pub origin: Origin,
}

impl Caller<'_> {
    /// That the machine itself asks. `server_name` is the one name besides `localhost` and addresses by which the node may
    /// be asked; empty for none.
    pub fn is_the_machine(&self, server_name: &str) -> Result<(), NotMachine> {
        match self.peer.known_ip() {
            // A trusted proxy is believed in whom it speaks for, but it is not the machine.
            _ if self.is_forwarded && self.peer.ip().is_loopback() => Err(NotMachine::Forwarded),
            Some(address) if address.is_loopback() => self.is_at_home(server_name),
            _ => Err(NotMachine::NotLoopback),
        }
    }

    /// The address that a list of addresses is asked about; `None`: nobody's. That of this machine is worth something
    /// only to its own pages and under its own names.
    pub fn address(&self, server_name: &str) -> Option<IpAddr> {
        let address = self.peer.known_ip()?;
        (!address.is_loopback() || self.is_at_home(server_name).is_ok()).then_some(address)
    }

    fn is_at_home(&self, server_name: &str) -> Result<(), NotMachine> {
        let host = self.host.ok_or(NotMachine::ForeignHost)?;
        if !is_own_name(host_of(host), server_name) {
            return Err(NotMachine::ForeignHost);
        }
        if self.origin == Origin::Foreign { Err(NotMachine::ForeignOrigin) } else { Ok(()) }
    }
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_own_name(host: &str, server_name: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || (!server_name.is_empty() && host.eq_ignore_ascii_case(server_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller<'a>(peer: &str, host: &'a str, origin: Option<&str>) -> Caller<'a> {
        let origin = Origin::of(origin.map(str::as_bytes), Some(host), None);
        Caller { peer: PeerAddr::new(peer.parse().unwrap()), is_forwarded: false, host: Some(host), origin }
    }

    fn ask(peer: &str, host: &str, origin: Option<&str>) -> Result<(), NotMachine> {
        caller(peer, host, origin).is_the_machine("media.example")
    }

    #[test]
    fn the_machine_itself_is_known_by_its_addresses_and_names() {
        for peer in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(ask(peer, "localhost:5080", None), Ok(()), "{peer}");
        }
        for host in ["localhost", "127.0.0.1:5080", "[::1]:5080", "LOCALHOST:1", "media.example:5443"] {
            assert_eq!(ask("127.0.0.1:1", host, None), Ok(()), "{host}");
        }
        for peer in ["10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert_eq!(ask(peer, "localhost:5080", None), Err(NotMachine::NotLoopback));
        }
    }

    #[test]
    fn whoever_speaks_for_another_is_not_the_machine() {
        let mut forwarded = caller("127.0.0.1:1", "localhost", None);
        forwarded.is_forwarded = true;
        assert_eq!(forwarded.is_the_machine(""), Err(NotMachine::Forwarded));
        assert!(forwarded.address("").is_some(), "a trusted proxy said so");
        forwarded.peer = PeerAddr::unknown_behind("127.0.0.1:1".parse().unwrap());
        assert_eq!(forwarded.is_the_machine(""), Err(NotMachine::Forwarded));
        assert_eq!(forwarded.address(""), None);
    }

    #[test]
    fn a_foreign_page_in_a_browser_on_this_machine_is_not_the_machine() {
        for origin in ["https://evil.example", "http://localhost:8080", "null"] {
            assert_eq!(
                ask("127.0.0.1:1", "localhost:5080", Some(origin)),
                Err(NotMachine::ForeignOrigin),
                "{origin}"
            );
            assert_eq!(caller("127.0.0.1:1", "localhost:5080", Some(origin)).address(""), None);
            assert!(caller("10.0.0.1:1", "localhost:5080", Some(origin)).address("").is_some());
        }
        assert_eq!(ask("127.0.0.1:1", "localhost:5080", Some("http://localhost:5080")), Ok(()));
    }

    #[test]
    fn a_browser_says_whose_page_asks_though_it_sends_no_origin() {
        let host = Some("localhost:5080");
        for (site, origin) in [
            (None, Origin::None),
            (Some("none"), Origin::None),
            (Some("same-origin"), Origin::Own),
            (Some("same-site"), Origin::Foreign),
            (Some("cross-site"), Origin::Foreign),
            (Some("x"), Origin::Foreign),
        ] {
            assert_eq!(Origin::of(None, host, site.map(str::as_bytes)), origin, "{site:?}");
        }
        assert_eq!(Origin::of(Some(b"\xff"), host, None), Origin::Foreign);
    }

    #[test]
    fn a_foreign_name_for_this_machine_is_not_the_machine() {
        for host in ["evil.example", "evil.example:5080", "localhost.evil.example", ""] {
            assert_eq!(ask("127.0.0.1:1", host, None), Err(NotMachine::ForeignHost), "{host}");
        }
    }
}
