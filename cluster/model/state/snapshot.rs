//! The whole state as bytes.
//!
//! | part | form |
//! |---|---|
//! | version | one byte |
//! | revision, time | 8 bytes each, little endian |
//! | row | kind (one byte), length of key and of value (4 bytes each, little endian), key, value |
//! | remembered request | the same: kind 0, key: the revision as 16 digits, value: [`crate::encode_request`] |
//! | hash | SHA-256 of everything before it |
//!
//! Rows come in the order of their kinds and keys, requests last and in that of their revisions, so that equal
//! states give equal bytes.

use base::WallTime;
use sha2::{Digest, Sha256};

use super::State;
use crate::{Change, FormatError, Revision, RowKind, decode_request, encode_request};

/// Version byte of a snapshot.
const SNAPSHOT_FORMAT: u8 = 1;
/// Kind of a row that is a remembered request.
const REQUEST: u8 = 0;
const HASH_BYTES: usize = 32;

impl State {
    /// Everything, so that [`State::restore`] gives a state that is equal and goes on in the same way.
    pub fn snapshot(&self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        self.write(|part| bytes.extend_from_slice(part))?;
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        Ok(bytes)
    }

    /// Reads a snapshot. One that was cut or changed is refused as a whole.
    pub fn restore(snapshot: &[u8]) -> Result<Self, FormatError> {
        let found = *snapshot.first().ok_or(FormatError::Empty)?;
        if found != SNAPSHOT_FORMAT {
            return Err(FormatError::UnknownVersion { found, known: SNAPSHOT_FORMAT });
        }
        let (body, hash) = snapshot.split_last_chunk::<HASH_BYTES>().ok_or_else(cut)?;
        if Sha256::digest(body)[..] != hash[..] {
            return Err(FormatError::Malformed("the snapshot was cut or changed".to_owned()));
        }
        Self::read(body.get(1..).ok_or_else(cut)?)
    }

    /// Reads what stands between version and hash.
    pub(crate) fn read(mut rest: &[u8]) -> Result<Self, FormatError> {
        let (revision, now) = (number(&mut rest)?, number(&mut rest)?);
        let mut state = Self::default();
        state.absorb(Revision(revision), WallTime(now), &[]);
        while let Some((&kind, after)) = rest.split_first() {
            rest = after;
            let (key_len, value_len) = (length(&mut rest)?, length(&mut rest)?);
            let key = std::str::from_utf8(take(&mut rest, key_len)?)
                .map_err(|error| FormatError::Malformed(error.to_string()))?;
            let value = take(&mut rest, value_len)?;
            if kind == REQUEST {
                let at = u64::from_str_radix(key, 16)
                    .map_err(|error| FormatError::Malformed(error.to_string()))?;
                let (request, outcome) = decode_request(value)?;
                state.remember(request, Revision(at), outcome);
            } else {
                state.set(&Change::of_row(RowKind::try_from(kind)?, key, value)?);
            }
        }
        Ok(state)
    }

    fn write(&self, mut to: impl FnMut(&[u8])) -> Result<(), FormatError> {
        to(&[SNAPSHOT_FORMAT]);
        to(&self.revision.0.to_le_bytes());
        to(&self.now.as_millis().to_le_bytes());
        let mut write_row = |kind: u8, key: &str, value: &[u8]| {
            let lengths = [key.len(), value.len()].map(u32::try_from);
            let [Ok(key_len), Ok(value_len)] = lengths else {
                return Err(FormatError::Malformed("a row of more than 4 GiB".to_owned()));
            };
            to(&[kind]);
            to(&key_len.to_le_bytes());
            to(&value_len.to_le_bytes());
            to(key.as_bytes());
            to(value);
            Ok(())
        };
        for change in self.rows() {
            if let Some(row) = change.row()? {
                write_row(row.kind.number(), &row.key, row.value.as_deref().unwrap_or_default())?;
            }
        }
        for request in &self.remembered_order {
            if let Some((revision, outcome)) = self.remembered.get(request) {
                let value = encode_request(*request, *outcome)?;
                write_row(REQUEST, &format!("{:016x}", revision.0), &value)?;
            }
        }
        Ok(())
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], FormatError> {
    let (part, after) = rest.split_at_checked(len).ok_or_else(cut)?;
    *rest = after;
    Ok(part)
}

fn number(rest: &mut &[u8]) -> Result<u64, FormatError> {
    let (bytes, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    *rest = after;
    Ok(u64::from_le_bytes(*bytes))
}

fn length(rest: &mut &[u8]) -> Result<usize, FormatError> {
    let (bytes, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| cut())
}

fn cut() -> FormatError {
    FormatError::Malformed("the snapshot ends too early".to_owned())
}
