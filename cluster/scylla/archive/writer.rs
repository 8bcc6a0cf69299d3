//! What is written to the archive, as data, and what is removed from it.

use base::{WallTime, limits};
use cluster_model::Revision;
use sha2::{Digest, Sha256};

use super::{NAME, Segment, SegmentError};
use crate::planned::{Cell, Deed, Write};
use crate::projection::{Item, exact};
use crate::{Database, DatabaseError, Stamp, Table};

/// The writes of a snapshot, in their order.
pub(crate) struct SnapshotWrites {
    /// The row that names it and says how many chunks there will be: whatever is left of it is found by that.
    pub begun: Write,
    /// Its bytes.
    pub chunks: Vec<Write>,
    /// The rest of the row, which says that it is whole.
    pub complete: Write,
}

/// The writes of a snapshot.
pub(crate) fn snapshot_writes(stamp: Stamp, id: &str, bytes: &[u8], made: WallTime) -> SnapshotWrites {
    let chunks = bytes.chunks(limits::ARCHIVE_CHUNK_BYTES_MAX);
    let chunks: Vec<_> = (0..)
        .zip(chunks)
        .map(|(chunk, bytes)| {
            let columns = vec![("bytes", Cell::Blob(bytes.to_vec())), ("sha256", hash(bytes))];
            put(Table::ArchiveChunks, vec![id.into(), Cell::Int(chunk)], columns, stamp)
        })
        .collect();
    let key = vec![NAME.into(), exact(stamp.generation), exact(stamp.revision.0), id.into()];
    let count = vec![("chunks", Cell::Int(i32::try_from(chunks.len()).unwrap_or(i32::MAX)))];
    let rest = vec![
        ("made_ms", made.as_millis().into()),
        ("bytes", (bytes.len() as u64).into()),
        ("sha256", hash(bytes)),
    ];
    SnapshotWrites {
        begun: put(Table::ArchiveSnapshots, key.clone(), count, stamp),
        chunks,
        complete: put(Table::ArchiveSnapshots, key, rest, stamp),
    }
}

/// The writes of a segment of `items`, which follow `after` in the chain of `snapshot`; and its bytes.
pub(crate) fn segment_writes(
    snapshot: &str,
    after: Revision,
    items: &[Item],
) -> Result<(Vec<Write>, u64), SegmentError> {
    let Some(last) = items.last().map(|item| item.stamp) else { return Ok((Vec::new(), 0)) };
    let bytes = Segment::of(items).encode()?;
    let parts = bytes.len().div_ceil(limits::ARCHIVE_CHUNK_BYTES_MAX);
    let hash = hash(&bytes);
    let write = |(part, bytes): (i32, &[u8])| {
        let key = vec![snapshot.into(), exact(after.0), Cell::Int(part)];
        let columns = vec![
            ("last", exact(last.revision.0)),
            ("parts", Cell::Int(i32::try_from(parts).unwrap_or(i32::MAX))),
            ("bytes", Cell::Blob(bytes.to_vec())),
            ("sha256", hash.clone()),
        ];
        put(Table::ArchiveSegments, key, columns, last)
    };
    let writes = (0..).zip(bytes.chunks(limits::ARCHIVE_CHUNK_BYTES_MAX)).map(write).collect();
    Ok((writes, bytes.len() as u64))
}

/// The deletions of all complete snapshots but the newest ones, and of what was begun before `stamp` and will never be
/// complete, with all that belongs to them. Under `stamp`, which is not before that of any of them. One step after the
/// other: first they are no longer said to be complete, then what belongs to them goes, and at last what names them.
pub(crate) async fn prune(database: &Database, stamp: Stamp) -> Result<[Vec<Write>; 3], DatabaseError> {
    let text = "SELECT generation, revision, id, chunks, sha256 FROM archive_snapshots WHERE name = ?";
    type Found = (i64, i64, String, Option<i32>, Option<Vec<u8>>);
    let found = database.rows::<Found>(text, (NAME,)).await?;
    let delete = |table, key| Write { table, key, deed: Deed::Delete, stamp };
    let (mut marks, mut parts, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut stay = 0;
    for (generation, revision, id, chunks, sha256) in found {
        let is_complete = is_hash(sha256.as_deref());
        let of = Stamp::new(generation.cast_unsigned(), Revision(revision.cast_unsigned()));
        if is_complete && stay < limits::ARCHIVE_SNAPSHOTS_MAX {
            stay += 1;
            continue;
        }
        // Another leader may be at work on one that is not older.
        if !is_complete && of >= stamp {
            continue;
        }
        let key = vec![NAME.into(), Cell::BigInt(generation), Cell::BigInt(revision), id.as_str().into()];
        if is_complete {
            let columns = vec![("sha256", Cell::Blob(Vec::new()))];
            marks.push(put(Table::ArchiveSnapshots, key.clone(), columns, stamp));
        }
        rows.push(delete(Table::ArchiveSnapshots, key));
        let key = |chunk| vec![id.as_str().into(), Cell::Int(chunk)];
        parts.extend((0..chunks.unwrap_or_default()).map(|chunk| delete(Table::ArchiveChunks, key(chunk))));
        parts.push(delete(Table::ArchiveSegments, vec![id.as_str().into()]));
    }
    Ok([marks, parts, rows])
}

/// Whether a snapshot's hash is there: it is written last, and made empty before anything of the snapshot goes.
pub(super) fn is_hash(sha256: Option<&[u8]>) -> bool {
    sha256.is_some_and(|hash| !hash.is_empty())
}

fn put(table: Table, key: Vec<Cell>, columns: Vec<(&'static str, Cell)>, stamp: Stamp) -> Write {
    Write { table, key, deed: Deed::Put { columns, ttl_s: 0 }, stamp }
}

/// SHA-256.
fn hash(bytes: &[u8]) -> Cell {
    Cell::Blob(Sha256::digest(bytes).to_vec())
}
