//! The PROXY protocol, version 2: a header in front of a connection's bytes by which a load balancer says whom it speaks
//! for (haproxy's `proxy-protocol.txt`, section 2.2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base::limits;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// It does not begin with the signature and version 2.
    #[error("there is no header of the PROXY protocol, version 2")]
    NoHeader,
    /// Its command, or its family, is one that no proxy of TCP sends.
    #[error("the header of the PROXY protocol names no address of TCP")]
    NoAddress,
    /// It is shorter than its address, or longer than [`limits::PROXY_HEADER_BYTES_MAX`].
    #[error("the header of the PROXY protocol has a wrong length")]
    WrongLength,
}

/// How many bytes follow the first 16.
fn rest_of(fixed: &[u8; FIXED_BYTES]) -> Result<usize, ProxyFault> {
    if fixed[..12] != *SIGNATURE || fixed[12] >> 4 != 2 {
        return Err(ProxyFault::NoHeader);
    }
    let rest = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if rest > limits::PROXY_HEADER_BYTES_MAX { Err(ProxyFault::WrongLength) } else { Ok(rest) }
}

/// Whom the proxy speaks for; `None`: for itself (`LOCAL`). What stands behind the addresses is skipped.
fn source_of(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Option<SocketAddr>, ProxyFault> {
    match fixed[12] & 0x0f {
        0 => return Ok(None),
        1 => {}
        _ => return Err(ProxyFault::NoAddress),
    }
    let port = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
    let source = match fixed[13] {
        0x11 => rest.get(..12).and_then(|addresses| {
            let address: [u8; 4] = addresses.get(..4)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(address)), port(8)?))
        }),
        0x21 => rest.get(..36).and_then(|addresses| {
            let address: [u8; 16] = addresses.get(..16)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)), port(32)?))
        }),
        _ => return Err(ProxyFault::NoAddress),
    };
    source.ok_or(ProxyFault::WrongLength).map(Some)
}

/// Reads the header of a connection that comes from `socket`, and not a byte more: who speaks over it.
///
/// # Errors
/// There is no good header within [`limits::PROXY_HEADER_WAIT_MAX`].
pub(crate) async fn speaker(
    stream: &mut (impl AsyncRead + Unpin),
    socket: SocketAddr,
) -> io::Result<SocketAddr> {
    let invalid = |fault: ProxyFault| io::Error::new(io::ErrorKind::InvalidData, fault);
    let reading = async {
        let mut fixed = [0; FIXED_BYTES];
        stream.read_exact(&mut fixed).await?;
        let mut rest = vec![0; rest_of(&fixed).map_err(invalid)?];
        stream.read_exact(&mut rest).await?;
        source_of(&fixed, &rest).map_err(invalid)
    };
    let source =
        timeout(limits::PROXY_HEADER_WAIT_MAX, reading).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(match source {
        // Another machine's loopback is not ours.
        Some(source)
            if source.ip().to_canonical().is_loopback() && !socket.ip().to_canonical().is_loopback() =>
        {
            socket
        }
        Some(source) => source,
        None => socket,
    })
}

/// For fuzzing: a header out of any bytes. What is read of it is within it.
pub fn fuzz(bytes: &[u8]) {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else { return };
    let Ok(length) = rest_of(fixed) else { return };
    assert!(length <= limits::PROXY_HEADER_BYTES_MAX);
    let Some(rest) = rest.get(..length) else { return };
    if let Ok(Some(_)) = source_of(fixed, rest) {
        assert!(length >= 12, "an address out of nowhere");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "10.0.0.1:7";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn tcp4(source: [u8; 4]) -> Vec<u8> {
        let mut rest = source.to_vec();
        rest.extend([192, 0, 2, 1, 0x1f, 0x90, 0x13, 0xd8]);
        // A TLV behind it.
        rest.extend([0x04, 0, 1, 0]);
        header(1, 0x11, &rest)
    }

    async fn read(mut bytes: &[u8], socket: &str) -> Result<(String, usize), io::ErrorKind> {
        let speaker = speaker(&mut bytes, socket.parse().unwrap()).await.map_err(|error| error.kind())?;
        Ok((speaker.to_string(), bytes.len()))
    }

    #[tokio::test]
    async fn a_header_says_who_speaks_and_nothing_behind_it_is_read() {
        let mut bytes = tcp4([203, 0, 113, 9]);
        bytes.extend(b"GET /");
        assert_eq!(read(&bytes, SOCKET).await, Ok(("203.0.113.9:8080".into(), 5)));
        let mut rest = vec![0x20, 0x01, 0x0d, 0xb8];
        rest.extend([0; 11]);
        rest.push(9);
        rest.extend([0; 16]);
        rest.extend([0, 80, 0, 81]);
        assert_eq!(read(&header(1, 0x21, &rest), SOCKET).await, Ok(("[2001:db8::9]:80".into(), 0)));
        assert_eq!(
            read(&header(0, 0, b"ignored"), SOCKET).await,
            Ok((SOCKET.into(), 0)),
            "it asks for itself"
        );
    }

    #[tokio::test]
    async fn the_loopback_of_another_machine_is_not_this_one() {
        assert_eq!(read(&tcp4([127, 0, 0, 1]), SOCKET).await, Ok((SOCKET.into(), 0)));
        assert_eq!(read(&tcp4([127, 0, 0, 1]), "127.0.0.1:7").await, Ok(("127.0.0.1:8080".into(), 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_good_header_nobody_speaks() {
        let mut version_1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec();
        version_1.extend([0; 64]);
        let mut long = header(1, 0x11, &[]);
        long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        for bad in [
            version_1,
            header(1, 0x11, &[1; 11]),
            header(1, 0, &[1; 12]),
            header(1, 0x12, &[1; 12]),
            header(2, 0x11, &[1; 12]),
            long,
        ] {
            assert_eq!(read(&bad, SOCKET).await, Err(io::ErrorKind::InvalidData));
        }
        assert_eq!(read(&tcp4([1; 4])[..20], SOCKET).await, Err(io::ErrorKind::UnexpectedEof));
        let (mut silent, _peer) = tokio::io::duplex(16);
        let waited = speaker(&mut silent, SOCKET.parse().unwrap()).await.unwrap_err();
        assert_eq!(waited.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn no_bytes_make_the_reader_stumble() {
        let whole = tcp4([1, 2, 3, 4]);
        for end in 0..whole.len() {
            fuzz(&whole[..end]);
        }
        for (at, byte) in (0..whole.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut changed = whole.clone();
            changed[at] = byte;
            fuzz(&changed);
        }
    }
}
