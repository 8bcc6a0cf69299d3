//! Reads the ClientHello, which may come in several datagrams, for its `use_srtp` extension.
//!
//! A browser's hello of 1.4 kB (post-quantum key share, extensions in random order) spans two
//! datagrams; which one holds `use_srtp` is chance.

use base::limits;

use super::DtlsError;
use super::record::{self, Fragment};

const CLIENT_HELLO: u8 = 1;
const EXTENSION_USE_SRTP: u16 = 14;
/// Pieces a hello may come in.
const FRAGMENTS_MAX: usize = 64;
const RANDOM_BYTES: usize = 32;

/// A whole ClientHello.
#[derive(Debug, PartialEq, Eq)]
pub struct Hello {
    /// The SRTP profiles offered, in the client's order; empty without the extension.
    pub profiles: Vec<u16>,
    /// The datagrams it came in, to be handed on.
    pub datagrams: Vec<Vec<u8>>,
}

/// Collects datagrams until the ClientHello is whole.
#[derive(Debug, Default)]
pub struct HelloReader {
    datagrams: Vec<Vec<u8>>,
    held_bytes: usize,
    /// Message body; known once the first fragment has come.
    body: Vec<u8>,
    /// Parts of the body that have come: start and end.
    parts: Vec<(usize, usize)>,
}

impl HelloReader {
    /// Takes a datagram; the hello, when that was the last one missing.
    ///
    /// Datagrams that bring nothing new are dropped. Errors end the peer.
    pub fn push(&mut self, datagram: &[u8]) -> Result<Option<Hello>, DtlsError> {
        let Some(records) = record::records(datagram) else { return Ok(None) };
        let mut new = false;
        for record in records.into_iter().filter(|r| r.epoch == 0 && r.content == record::HANDSHAKE) {
            for fragment in record::fragments(record.body).unwrap_or_default() {
                if fragment.kind == CLIENT_HELLO && fragment.sequence == 0 {
                    new |= self.take(&fragment)?;
                }
            }
        }
        if new {
            self.held_bytes += datagram.len();
            if self.held_bytes > limits::DTLS_HELLO_BYTES_MAX {
                return Err(DtlsError::TooLarge);
            }
            self.datagrams.push(datagram.to_vec());
            if self.is_whole() {
                let profiles = profiles(&self.body).ok_or(DtlsError::MalformedHello)?;
                return Ok(Some(Hello { profiles, datagrams: std::mem::take(&mut self.datagrams) }));
            }
        }
        Ok(None)
    }

    /// Whether the fragment brought something new.
    fn take(&mut self, fragment: &Fragment<'_>) -> Result<bool, DtlsError> {
        if fragment.length > limits::DTLS_HELLO_BYTES_MAX {
            return Err(DtlsError::TooLarge);
        }
        if self.parts.is_empty() {
            self.body = vec![0; fragment.length];
        }
        if fragment.length != self.body.len() {
            return Err(DtlsError::MalformedHello);
        }
        let part = (fragment.offset, fragment.offset + fragment.body.len());
        if self.parts.iter().any(|&(start, end)| start <= part.0 && part.1 <= end) {
            return Ok(false);
        }
        if self.parts.len() == FRAGMENTS_MAX {
            return Err(DtlsError::TooLarge);
        }
        if let Some(into) = self.body.get_mut(part.0..part.1) {
            into.copy_from_slice(fragment.body);
        }
        self.parts.push(part);
        Ok(true)
    }

    fn is_whole(&mut self) -> bool {
        self.parts.sort_unstable();
        let reached = self.parts.iter().fold(
            0,
            |reached, &(start, end)| {
                if start <= reached { reached.max(end) } else { reached }
            },
        );
        reached == self.body.len()
    }
}

/// Splits off a vector whose length stands before it in `N` bytes.
fn vector<'a, const N: usize>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk::<N>()?;
    let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    let (vector, rest) = rest.split_at_checked(length)?;
    *data = rest;
    Some(vector)
}

/// The `use_srtp` profiles in a ClientHello body (RFC 6347 4.2.1, RFC 5764 4.1.1).
fn profiles(mut hello: &[u8]) -> Option<Vec<u16>> {
    hello = hello.get(2 + RANDOM_BYTES..)?;
    let _session_id = vector::<1>(&mut hello)?;
    let _cookie = vector::<1>(&mut hello)?;
    let _cipher_suites = vector::<2>(&mut hello)?;
    let _compression_methods = vector::<1>(&mut hello)?;
    if hello.is_empty() {
        return Some(Vec::new());
    }
    let mut extensions = vector::<2>(&mut hello)?;
    while !extensions.is_empty() {
        let (kind, rest) = extensions.split_first_chunk::<2>()?;
        extensions = rest;
        let mut value = vector::<2>(&mut extensions)?;
        if u16::from_be_bytes(*kind) == EXTENSION_USE_SRTP {
            let (pairs, _) = vector::<2>(&mut value)?.as_chunks::<2>();
            return Some(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect());
        }
    }
    Some(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(profiles: &[u16]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[9; RANDOM_BYTES]);
        body.extend_from_slice(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        let mut extensions = vec![0, 99, 0, 100];
        extensions.resize(104, 7);
        extensions.extend_from_slice(&EXTENSION_USE_SRTP.to_be_bytes());
        extensions.extend_from_slice(&(profiles.len() as u16 * 2 + 3).to_be_bytes());
        extensions.extend_from_slice(&(profiles.len() as u16 * 2).to_be_bytes());
        profiles.iter().for_each(|profile| extensions.extend_from_slice(&profile.to_be_bytes()));
        extensions.push(0);
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(&extensions);
        body
    }

    fn datagram(body: &[u8], from: usize, to: usize) -> Vec<u8> {
        let three = |n: usize| [(n >> 16) as u8, (n >> 8) as u8, n as u8];
        let mut fragment = vec![CLIENT_HELLO];
        fragment.extend_from_slice(&three(body.len()));
        fragment.extend_from_slice(&[0, 0]);
        fragment.extend_from_slice(&three(from));
        fragment.extend_from_slice(&three(to - from));
        fragment.extend_from_slice(&body[from..to]);
        let mut record = vec![record::HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
        record.extend_from_slice(&fragment);
        record
    }

    #[test]
    fn a_hello_in_one_datagram_is_read_at_once() {
        let body = hello(&[1, 7]);
        let whole = datagram(&body, 0, body.len());
        let read = HelloReader::default().push(&whole).unwrap().unwrap();
        assert_eq!(read, Hello { profiles: vec![1, 7], datagrams: vec![whole] });
    }

    #[test]
    fn a_hello_in_two_datagrams_is_read_in_any_order_and_repeats_are_not_held() {
        let body = hello(&[7]);
        let (first, second) = (datagram(&body, 0, 100), datagram(&body, 100, body.len()));
        for (a, b) in [(&first, &second), (&second, &first)] {
            let mut reader = HelloReader::default();
            assert_eq!(reader.push(a).unwrap(), None);
            assert_eq!(reader.push(a).unwrap(), None);
            let read = reader.push(b).unwrap().unwrap();
            assert_eq!((read.profiles, read.datagrams.len()), (vec![7], 2));
        }
    }

    #[test]
    fn a_hello_without_end_is_refused() {
        let body = vec![0; limits::DTLS_HELLO_BYTES_MAX + 1];
        let first = datagram(&body, 0, 1000);
        assert!(matches!(HelloReader::default().push(&first), Err(DtlsError::TooLarge)));
    }

    #[test]
    fn fragments_too_small_to_be_honest_are_dropped() {
        let body = hello(&[7]);
        let mut reader = HelloReader::default();
        for at in 0..body.len() - 1 {
            assert_eq!(reader.push(&datagram(&body, at, at + 1)).unwrap(), None);
        }
        assert!(reader.datagrams.is_empty());
    }

    #[test]
    fn lies_about_lengths_are_survived() {
        let body = hello(&[1, 7]);
        for at in 0..body.len() {
            for value in [0, 1, 255] {
                let mut bad = body.clone();
                bad[at] = value;
                let _ = HelloReader::default().push(&datagram(&bad, 0, bad.len()));
            }
        }
    }
}
