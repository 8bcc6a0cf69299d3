//! ICE over TCP, for peers whose network lets no UDP through (RFC 6544, passive candidates; frames of RFC 4571).
//!
//! One port for the node. A connection says with its first check whose it is: ICE names begin with their shard's number
//! ([`prefix`]). From then on it is an address like any other: what it brings are datagrams for that shard or its guests,
//! and what they send to the address goes into its frames. What it does not take is lost, as on any path.

mod peers;

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;

use base::{PeerAddr, limits};
use observe::metric;
use rtc::{Datagram, demux};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::shards::Shards;
use crate::connections::{Connections, OpenConnection, accept};

use peers::Outbox;
pub(super) use peers::TcpPeers;

/// Marks an address as that of a TCP connection: a UDP peer may have the same one. Flow labels have 20 bits on the wire.
const TCP_FLOW: u32 = 0x5443_5000;

/// The address a connection is known by.
pub(super) fn address_of(peer: SocketAddr) -> SocketAddr {
    let ip = match peer.ip() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        std::net::IpAddr::V6(v6) => v6,
    };
    SocketAddrV6::new(ip, peer.port(), TCP_FLOW, 0).into()
}

/// Whether an address is that of a TCP connection.
pub(super) const fn is_tcp(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.flowinfo() == TCP_FLOW)
}

/// What ICE names of a shard and its guests begin with.
pub(super) fn prefix(shard: usize) -> String {
    format!("{shard:02x}")
}

/// The shard that gave out an ICE name.
fn shard_of(ufrag: &str) -> Option<usize> {
    usize::from_str_radix(ufrag.get(..2)?, 16).ok()
}

/// Accepts until the task is dropped. Connections outlive it.
pub async fn listen_tcp(
    listener: std::net::TcpListener,
    shards: Shards,
    connections: Connections,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, peer) = accept(&listener, "media over TCP").await;
        match connections.open(PeerAddr::new(peer)) {
            Ok(open) => {
                tokio::spawn(serve(stream, peer, shards.clone(), open));
            }
            Err(too_many) => metric::media_tcp_ended(too_many.label()).increment(1),
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shards: Shards, _open: OpenConnection) {
    metric::media_tcp_connections().increment(1.0);
    let why = converse(stream, peer, &shards).await;
    metric::media_tcp_connections().decrement(1.0);
    metric::media_tcp_ended(why).increment(1);
    tracing::debug!(peer = %PeerAddr::new(peer), why, "a media connection ended");
}

/// Serves a connection to its end; why it ended.
async fn converse(stream: TcpStream, peer: SocketAddr, shards: &Shards) -> &'static str {
    // Frames are small and wait for nothing; failing to set this only costs time.
    let _ = stream.set_nodelay(true);
    let (mut read, write) = stream.into_split();
    let mut frame = Vec::new();
    match timeout(limits::MEDIA_TCP_HELLO_MAX, next_frame(&mut read, &mut frame)).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return why,
        Err(_) => return "said nothing",
    }
    let Datagram::Stun { local_ufrag: Some(ufrag) } = demux(&frame) else { return "no check" };
    let Some(peers) = shard_of(ufrag).and_then(|shard| shards.tcp_peers(shard)) else {
        return "no such session";
    };
    let address = address_of(peer);
    let outbox = peers.join(address);
    let writing = write_frames(write, &outbox);
    let reading = async {
        loop {
            peers.bring(address, std::mem::take(&mut frame));
            match timeout(limits::MEDIA_TCP_SILENCE_MAX, next_frame(&mut read, &mut frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return why,
                Err(_) => return "silent",
            }
        }
    };
    let why = tokio::select! {
        why = reading => why,
        why = writing => why,
    };
    peers.leave(address, &outbox);
    why
}

/// Reads a frame (RFC 4571 2): two bytes of length, and so many more.
async fn next_frame(read: &mut OwnedReadHalf, frame: &mut Vec<u8>) -> Result<(), &'static str> {
    let length = read.read_u16().await.map_err(|_| "closed")?;
    if usize::from(length) > limits::GUEST_DATAGRAM_BYTES_MAX {
        return Err("a frame too large");
    }
    frame.resize(length.into(), 0);
    read.read_exact(frame).await.map_err(|_| "closed")?;
    Ok(())
}

/// Writes what the shard sends, until the peer does not take it any more.
async fn write_frames(mut write: OwnedWriteHalf, outbox: &Arc<Outbox>) -> &'static str {
    let mut bytes = Vec::new();
    loop {
        outbox.next(&mut bytes).await;
        match timeout(limits::MEDIA_TCP_WRITE_STALL_MAX, write.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "closed",
            Err(_) => return "did not read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_an_address_no_datagram_comes_from() {
        for peer in ["192.0.2.1:7", "[2001:db8::1]:7"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let address = address_of(peer);
            assert!(is_tcp(address) && !is_tcp(peer));
            assert_eq!((address.ip().to_canonical(), address.port()), (peer.ip(), peer.port()));
        }
    }

    #[test]
    fn names_say_whose_they_are() {
        for shard in [0, 7, 255] {
            assert_eq!(shard_of(&format!("{}abcdefgh", prefix(shard))), Some(shard));
        }
        assert_eq!(shard_of("x"), None);
        assert_eq!(shard_of("zz12345678"), None);
    }
}
