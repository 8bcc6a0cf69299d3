//! Sends to several addresses with one system call (`sendmmsg`).
//!
//! A frame for many viewers is many sends of one shape; a system call for each of them is a seventh of
//! what they cost (measured on loopback with 900 viewers).

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, cmsg_space, sendmmsg};
use tokio::net::UdpSocket;

use super::batch::BATCH_SENDS_MAX;

/// Which control messages sends carry. The kernel reads as many as there is room for, so each shape has
/// headers of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    segmented: bool,
    source: Option<Source>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    V4,
    V6,
}

impl Shape {
    const fn control_bytes(self) -> usize {
        let segmented = if self.segmented { cmsg_space::<u16>() } else { 0 };
        segmented
            + match self.source {
                Some(Source::V4) => cmsg_space::<in_pktinfo>(),
                Some(Source::V6) => cmsg_space::<in6_pktinfo>(),
                None => 0,
            }
    }
}

/// Headers for such calls, made at their first use.
#[derive(Default)]
pub struct Bulk(Vec<(Shape, MultiHeaders<SockaddrStorage>)>);

impl Bulk {
    /// Sends each of `sends` to its address, from one of ours and as segments of one size where told.
    /// Returns how many the kernel took from the front, at least one.
    ///
    /// # Errors
    /// Of the first of them; `WouldBlock` as usual.
    pub fn send<'a>(
        &mut self,
        io: &UdpSocket,
        from: Option<IpAddr>,
        segment_size: Option<u16>,
        sends: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    ) -> io::Result<usize> {
        let (from_v4, from_v6) = (from_v4(from), from_v6(from));
        let segments = segment_size.as_ref().map(ControlMessage::UdpGsoSegments);
        let source = match (&from_v4, &from_v6) {
            (Some(v4), _) => Some((Source::V4, ControlMessage::Ipv4PacketInfo(v4))),
            (None, Some(v6)) => Some((Source::V6, ControlMessage::Ipv6PacketInfo(v6))),
            (None, None) => None,
        };
        let (source, source_message) = source.unzip();
        let headers = self.headers(Shape { segmented: segments.is_some(), source });
        let control: Vec<_> = segments.into_iter().chain(source_message).collect();
        let mut addresses = Vec::with_capacity(BATCH_SENDS_MAX);
        let mut contents = Vec::with_capacity(BATCH_SENDS_MAX);
        for (to, bytes) in sends.take(BATCH_SENDS_MAX) {
            addresses.push(Some(SockaddrStorage::from(to)));
            contents.push([IoSlice::new(bytes)]);
        }
        let sent = sendmmsg(io.as_raw_fd(), headers, &contents, addresses, control, MsgFlags::empty())?;
        Ok(sent.count())
    }

    fn headers(&mut self, shape: Shape) -> &mut MultiHeaders<SockaddrStorage> {
        let known = self.0.iter().position(|(known, _)| *known == shape);
        let place = known.unwrap_or_else(|| {
            let control = Some(shape.control_bytes()).filter(|bytes| *bytes > 0).map(|bytes| vec![0; bytes]);
            self.0.push((shape, MultiHeaders::preallocate(BATCH_SENDS_MAX, control)));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }
}

/// The kernel's way to name one of our addresses (`ip(7)`, `IP_PKTINFO`).
fn from_v4(from: Option<IpAddr>) -> Option<in_pktinfo> {
    let Some(IpAddr::V4(ip)) = from else { return None };
    Some(in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
        ipi_addr: in_addr { s_addr: 0 },
    })
}

/// The same for IPv6 (RFC 3542 6.2).
fn from_v6(from: Option<IpAddr>) -> Option<in6_pktinfo> {
    let Some(IpAddr::V6(ip)) = from else { return None };
    Some(in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 })
}
