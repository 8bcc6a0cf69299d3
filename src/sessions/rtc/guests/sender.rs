//! Sending from a shard's port beside the shard.

use std::io;
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{Transmit, UdpSocketState};

/// One family of a port.
#[derive(Debug)]
pub(super) struct Family {
    socket: std::net::UdpSocket,
    state: UdpSocketState,
}

impl Family {
    fn of(socket: &std::net::UdpSocket) -> io::Result<Self> {
        let socket = socket.try_clone()?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state })
    }
}

/// Sends single datagrams from a port that somebody else reads.
#[derive(Debug)]
pub struct PortSender {
    v4: Family,
    v6: Option<Family>,
}

impl PortSender {
    /// Sends from the port of these sockets, which stay whose they are.
    pub fn new(v4: &std::net::UdpSocket, v6: Option<&std::net::UdpSocket>) -> io::Result<Self> {
        Ok(Self { v4: Family::of(v4)?, v6: v6.map(Family::of).transpose()? })
    }

    /// Sends a datagram, from that address of ours if it is given. Does not wait.
    ///
    /// # Errors
    /// The kernel does not take it now, or not at all.
    pub(super) fn send(&self, to: SocketAddr, from: Option<IpAddr>, datagram: &[u8]) -> io::Result<()> {
        let family = if to.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        let family = family.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let transmit =
            Transmit { destination: to, ecn: None, contents: datagram, segment_size: None, src_ip: from };
        family.state.try_send((&family.socket).into(), &transmit)
    }
}
