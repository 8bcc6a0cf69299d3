//! One link of the chain as bytes.
//!
//! | part | form |
//! |---|---|
//! | version | one byte |
//! | per revision: revision, number of rows | 8 bytes, 4 bytes, little endian |
//! | per row: kind, length of key, length of value | 1 byte, 4 bytes each; length `u32::MAX`: the row is gone |
//! | | key, value |

use cluster_model::{Revision, Row, RowKind};

use crate::projection::Item;

const FORMAT: u8 = 1;
const GONE: u32 = u32::MAX;

/// What some revisions in a row changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Each revision with its rows, in order. Revisions that changed nothing are not among them.
    pub revisions: Vec<(Revision, Vec<Row>)>,
}

/// Why bytes are no segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SegmentError {
    /// Written by another version of this program.
    #[error("format version {found} is unknown, this program reads version {FORMAT}")]
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// It ends too early, or is something else.
    #[error("it was cut or changed")]
    Malformed,
    /// A row is too large to be written.
    #[error("a row of more than 4 GiB")]
    TooLarge,
}

impl Segment {
    /// Of what was written in one go.
    pub(crate) fn of(items: &[Item]) -> Self {
        Self { revisions: items.iter().map(|item| (item.stamp.revision, item.rows.clone())).collect() }
    }

    /// As bytes. The same revisions give the same bytes.
    pub fn encode(&self) -> Result<Vec<u8>, SegmentError> {
        let len =
            |len: usize| u32::try_from(len).ok().filter(|len| *len != GONE).ok_or(SegmentError::TooLarge);
        let mut bytes = vec![FORMAT];
        for (revision, rows) in &self.revisions {
            bytes.extend(revision.0.to_le_bytes());
            bytes.extend(len(rows.len())?.to_le_bytes());
            for row in rows {
                let value_len = row.value.as_ref().map_or(Ok(GONE), |value| len(value.len()))?;
                bytes.push(row.kind.number());
                bytes.extend(len(row.key.len())?.to_le_bytes());
                bytes.extend(value_len.to_le_bytes());
                bytes.extend(row.key.as_bytes());
                bytes.extend(row.value.as_deref().unwrap_or_default());
            }
        }
        Ok(bytes)
    }

    /// The reverse of [`Segment::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let (&found, mut rest) = bytes.split_first().ok_or(SegmentError::Malformed)?;
        if found != FORMAT {
            return Err(SegmentError::UnknownVersion { found });
        }
        let mut revisions = Vec::new();
        while !rest.is_empty() {
            let revision = Revision(u64::from_le_bytes(fixed(&mut rest)?));
            let count = u32::from_le_bytes(fixed(&mut rest)?);
            let mut rows = Vec::new();
            for _ in 0..count {
                let [kind] = fixed(&mut rest)?;
                let kind = RowKind::try_from(kind).map_err(|_| SegmentError::Malformed)?;
                let key_len = u32::from_le_bytes(fixed(&mut rest)?);
                let value_len = u32::from_le_bytes(fixed(&mut rest)?);
                let key = take(&mut rest, key_len)?;
                let key = String::from_utf8(key.to_vec()).map_err(|_| SegmentError::Malformed)?;
                let value = match value_len {
                    GONE => None,
                    len => Some(take(&mut rest, len)?.to_vec()),
                };
                rows.push(Row { kind, key, value });
            }
            revisions.push((revision, rows));
        }
        Ok(Self { revisions })
    }
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], SegmentError> {
    let (bytes, after) = rest.split_first_chunk::<N>().ok_or(SegmentError::Malformed)?;
    *rest = after;
    Ok(*bytes)
}

fn take<'a>(rest: &mut &'a [u8], len: u32) -> Result<&'a [u8], SegmentError> {
    let len = usize::try_from(len).map_err(|_| SegmentError::Malformed)?;
    let (bytes, after) = rest.split_at_checked(len).ok_or(SegmentError::Malformed)?;
    *rest = after;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        let row = |key: &str, value: Option<&str>| Row {
            kind: RowKind::User,
            key: key.to_owned(),
            value: value.map(|value| value.as_bytes().to_vec()),
        };
        let some = vec![row("a", Some("{}")), row("b", None)];
        Segment { revisions: vec![(Revision(7), some), (Revision(9), vec![row("a", Some(""))])] }
    }

    #[test]
    fn a_segment_comes_back_equal() {
        let bytes = segment().encode().unwrap();
        assert_eq!(Segment::decode(&bytes), Ok(segment()));
        // Stored: what an older version wrote is read for ever.
        let golden = "010700000000000000020000000b0100000002000000617b7d0b01000000ffffffff62\
                      0900000000000000010000000b010000000000000061";
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
    }

    #[test]
    fn whatever_is_cut_or_foreign_is_refused() {
        let bytes = segment().encode().unwrap();
        for end in 0..bytes.len() {
            let read = Segment::decode(&bytes[..end]);
            assert!(read.is_err() || read.unwrap().revisions.len() < 2, "cut at {end}");
        }
        assert_eq!(Segment::decode(&[9]), Err(SegmentError::UnknownVersion { found: 9 }));
        assert_eq!(Segment::decode(&[FORMAT, 1]), Err(SegmentError::Malformed));
    }
}
