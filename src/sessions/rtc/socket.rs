//! A shard's UDP socket: IPv4 and IPv6 on one port, received and sent in batches.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::batch::SendBatch;
use super::bulk::Bulk;
use super::guests::PortSender;

/// What the kernel is asked to hold for us; `net.core.rmem_max` and `wmem_max` may cap it.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Datagrams read with one system call.
const BATCH: usize = quinn_udp::BATCH_SIZE;
/// Room per read: up to 64 segments that arrived coalesced (GRO).
const RECEIVE_BYTES: usize = 64 * 1024;

struct Family {
    io: UdpSocket,
    state: UdpSocketState,
}

/// One UDP port, on IPv4 and, where the machine has it, on IPv6.
pub struct ShardSocket {
    v4: Family,
    v6: Option<Family>,
    buffers: Vec<Vec<u8>>,
    bulk: Bulk,
}

/// A bound port that is not yet part of a runtime: binding happens before any thread starts, so
/// that a used port is told to the user at once.
#[derive(Debug)]
pub struct BoundPort {
    v4: std::net::UdpSocket,
    v6: Option<std::net::UdpSocket>,
    port: u16,
}

impl BoundPort {
    /// Binds `port` (0: any free one) on both families.
    pub fn bind(port: u16) -> io::Result<Self> {
        let v4 = open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
        let port = v4.local_addr()?.port();
        let v6 = match open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
            Ok(socket) => Some(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => {
                tracing::info!(%error, "no IPv6 for WebRTC media on this machine");
                None
            }
        };
        Ok(Self { v4, v6, port })
    }

    /// The port, chosen or given.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A way to send from the port beside the shard.
    pub(super) fn sender(&self) -> io::Result<PortSender> {
        PortSender::new(&self.v4, self.v6.as_ref())
    }

    /// Receive and send buffer the kernel granted, in bytes (Linux counts its own overhead in).
    pub fn buffer_bytes(&self) -> io::Result<(usize, usize)> {
        let socket = socket2::SockRef::from(&self.v4);
        Ok((socket.recv_buffer_size()?, socket.send_buffer_size()?))
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Best effort: what was granted is read back and told at start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn family(socket: std::net::UdpSocket) -> io::Result<Family> {
    let state = UdpSocketState::new((&socket).into())?;
    Ok(Family { io: UdpSocket::from_std(socket)?, state })
}

/// Whether an answer may come from that address: what was sent to everybody is answered from the
/// machine's own. (To send from such an address is an error that switches segmentation off.)
fn is_one_of_ours(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(broadcast || address.is_multicast() || address.is_unspecified())
}

impl ShardSocket {
    /// Takes a bound port into the current runtime.
    pub fn new(bound: BoundPort) -> io::Result<Self> {
        Ok(Self {
            v4: family(bound.v4)?,
            v6: bound.v6.map(family).transpose()?,
            buffers: vec![vec![0; RECEIVE_BYTES]; BATCH],
            bulk: Bulk::default(),
        })
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.v6 {
            Some(v6) => tokio::select! {
                ready = self.v4.io.readable() => ready,
                ready = v6.io.readable() => ready,
            },
            None => self.v4.io.readable().await,
        }
    }

    /// Waits until a datagram to `to` can be sent.
    pub async fn writable(&self, to: SocketAddr) -> io::Result<()> {
        match self.family_of(to) {
            Some(family) => family.io.writable().await,
            None => Ok(()),
        }
    }

    fn family_of(&self, to: SocketAddr) -> Option<&Family> {
        if to.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() }
    }

    /// Hands on what has arrived, at most about `max` datagrams, half of them of each family: a
    /// flood of one does not keep the other unread. Returns how many.
    pub fn receive(
        &mut self,
        max: usize,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &mut [u8]),
    ) -> io::Result<usize> {
        let mut all = 0;
        let mut failed = None;
        for family in std::iter::once(&self.v4).chain(&self.v6) {
            let mut count = 0;
            while count < max.div_ceil(2) {
                let mut metas = [RecvMeta::default(); BATCH];
                let mut slices: Vec<_> =
                    self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
                let received = family.io.try_io(Interest::READABLE, || {
                    family.state.recv((&family.io).into(), &mut slices, &mut metas)
                });
                let filled = match received {
                    Ok(filled) => filled,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Somebody we sent to is gone: it is told here, and there may be more to read.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        count += 1;
                        continue;
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                };
                for (meta, buffer) in metas.iter().zip(&mut self.buffers).take(filled) {
                    let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
                    let to = meta.dst_ip.filter(is_one_of_ours);
                    let bytes = buffer.get_mut(..meta.len).unwrap_or_default();
                    for datagram in bytes.chunks_mut(meta.stride.max(1)) {
                        count += 1;
                        each(from, to, datagram);
                    }
                }
            }
            all += count;
        }
        failed.map_or(Ok(all), Err)
    }

    /// Sends the first of the batch, and those behind it that leave the same way, with one system call
    /// where the kernel can; else a part of the first, and the rest is for the next call. `WouldBlock`: try again when [`ShardSocket::writable`]; what was not sent
    /// is still in the batch. Other errors concern the first send only (no route, say) and are the
    /// caller's to count and skip.
    pub fn send(&mut self, batch: &mut SendBatch) -> io::Result<()> {
        let Some((transmit, contents)) = batch.first() else { return Ok(()) };
        let family = if transmit.to.is_ipv4() { Some(&self.v4) } else { self.v6.as_ref() };
        let family = family.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let per_call = family.bytes_per_call(transmit.segment_size, contents.len());
        if contents.len() <= per_call && batch.alike().nth(1).is_some() {
            let size = transmit.segment_size.and_then(|size| u16::try_from(size).ok());
            let bulk = &mut self.bulk;
            let sent = family
                .io
                .try_io(Interest::WRITABLE, || bulk.send(&family.io, transmit.from, size, batch.alike()));
            match sent {
                Ok(sends) => {
                    batch.done(sends);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // What is wrong with the first is learned by sending it alone.
                Err(_) => {}
            }
        }
        family.send_first(batch)
    }
}

impl Family {
    /// What one call may carry: the kernel's segment limit, and 64 KiB less headers.
    fn bytes_per_call(&self, segment_size: Option<usize>, bytes: usize) -> usize {
        let segments_max = self.state.max_gso_segments();
        match segment_size {
            Some(size) if segments_max > 1 => (65_000 / size.max(1)).clamp(1, segments_max) * size,
            Some(size) => size,
            None => bytes,
        }
    }

    /// Sends of the first of the batch what one call may carry.
    fn send_first(&self, batch: &mut SendBatch) -> io::Result<()> {
        let Some((transmit, left)) = batch.first() else { return Ok(()) };
        let per_call = self.bytes_per_call(transmit.segment_size, left.len());
        let part = left.get(..per_call.max(1)).unwrap_or(left);
        let transmit = Transmit {
            destination: transmit.to,
            ecn: None,
            contents: part,
            segment_size: transmit.segment_size.filter(|size| *size < part.len()),
            src_ip: transmit.from,
        };
        let bytes = part.len();
        match self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit)) {
            Ok(()) => {
                batch.sent(bytes);
                Ok(())
            }
            // The driver cannot segment: it was switched off just now, so one datagram a call from here on.
            Err(_) if transmit.segment_size.is_some() && self.state.max_gso_segments() == 1 => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
