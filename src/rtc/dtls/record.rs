//! The framing of DTLS records and handshake fragments (RFC 6347 4.1 and 4.2.2), before any key.

use base::limits;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
const ALERT_BYTES: usize = 2;
const RECORD_HEADER_BYTES: usize = 13;
const FRAGMENT_HEADER_BYTES: usize = 12;
/// Records looked at in one datagram; more make it malformed.
const RECORDS_MAX: usize = 16;

/// One record of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) content: u8,
    pub(super) epoch: u16,
    pub(super) body: &'a [u8],
}

/// One fragment of a handshake message in the clear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) kind: u8,
    /// Length of the whole message.
    pub(super) length: usize,
    pub(super) sequence: u16,
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

/// The records of a datagram, and whether they fill it exactly.
pub(super) fn records(mut datagram: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::with_capacity(2);
    while !datagram.is_empty() {
        let (header, rest) = datagram.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        if length == 0 || records.len() == RECORDS_MAX {
            return None;
        }
        let (body, rest) = rest.split_at_checked(length)?;
        records.push(Record { content: header[0], epoch: u16::from_be_bytes([header[3], header[4]]), body });
        datagram = rest;
    }
    Some(records)
}

/// The handshake fragments of a record of epoch 0; `None` when they do not fill it.
pub(super) fn fragments(mut body: &[u8]) -> Option<Vec<Fragment<'_>>> {
    let mut fragments = Vec::with_capacity(1);
    while !body.is_empty() {
        let (header, rest) = body.split_first_chunk::<FRAGMENT_HEADER_BYTES>()?;
        let number = |at: usize| {
            header.get(at..at + 3).map_or(0, |b| b.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
        };
        let (length, offset, size) = (number(1), number(6), number(9));
        let (data, rest) = rest.split_at_checked(size)?;
        let ends = offset + size;
        if ends > length || (size < limits::DTLS_FRAGMENT_BYTES_MIN && ends != length) {
            return None;
        }
        let sequence = u16::from_be_bytes([header[4], header[5]]);
        fragments.push(Fragment { kind: header[0], length, sequence, offset, body: data });
        body = rest;
    }
    Some(fragments)
}

/// What is to be known of a datagram before the crate may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// It holds a record that no key protects, or one of a handshake. After the handshake the crate keeps
    /// every handshake message it has not seen, also those of a peer that has the keys.
    pub(super) counted: bool,
}

/// `None` when the crate must not see it: a record that is malformed or has no place in the one handshake
/// an association has. There is no second one, so the epoch ends at 1 and its keys change once; and in the
/// clear nothing but a handshake, its change of keys and its alerts is ever said. (The crate answers
/// application data in the clear with the end of the association, and lets the epoch grow.)
pub(super) fn inspect(datagram: &[u8]) -> Option<Content> {
    let mut counted = false;
    for record in records(datagram)? {
        counted |= record.epoch == 0 || record.content == HANDSHAKE;
        match (record.epoch, record.content) {
            (0, HANDSHAKE) => {
                fragments(record.body)?;
            }
            (0, CHANGE_CIPHER_SPEC) if record.body == [1] => {}
            (0, ALERT) if record.body.len() == ALERT_BYTES => {}
            (1, content) if content != CHANGE_CIPHER_SPEC => {}
            _ => return None,
        }
    }
    Some(Content { counted })
}
