//! What is written to the archive, as data, and what is removed from it.

use base::{WallTime, limits};
use cluster_model::Revision;
use sha2::{Digest, Sha256};

use super::{NAME, Segment, SegmentError};
use crate::projection::exact;
use crate::{Cell, Database, DatabaseError, Deed, Item, Stamp, Table, Write};

/// The writes of a snapshot: its chunks, and last the row that says it is complete.
pub(crate) fn snapshot_writes(stamp: Stamp, id: &str, bytes: &[u8], made: WallTime) -> (Vec<Write>, Write) {
    let chunks = bytes.chunks(limits::ARCHIVE_CHUNK_BYTES_MAX);
    let chunks: Vec<_> = (0..)
        .zip(chunks)
        .map(|(chunk, bytes)| {
            let columns = vec![("bytes", Cell::Blob(bytes.to_vec())), ("sha256", hash(bytes))];
            put(Table::ArchiveChunks, vec![id.into(), Cell::Int(chunk)], columns, stamp)
        })
        .collect();
    let columns = vec![
        ("made_ms", made.as_millis().into()),
        ("chunks", Cell::Int(i32::try_from(chunks.len()).unwrap_or(i32::MAX))),
        ("bytes", (bytes.len() as u64).into()),
        ("sha256", hash(bytes)),
    ];
    let key = vec![NAME.into(), exact(stamp.generation), exact(stamp.revision.0), id.into()];
    (chunks, put(Table::ArchiveSnapshots, key, columns, stamp))
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

/// The deletions of all snapshots but the newest ones, with what belongs to them. Under `stamp`, which is not before
/// that of any of them.
pub(crate) async fn prune(database: &Database, stamp: Stamp) -> Result<Vec<Write>, DatabaseError> {
    let text = "SELECT generation, revision, id, chunks FROM archive_snapshots WHERE name = ?";
    let found = database.rows::<(i64, i64, String, Option<i32>)>(text, (NAME,)).await?;
    let delete = |table, key| Write { table, key, deed: Deed::Delete, stamp };
    let mut writes = Vec::new();
    for (generation, revision, id, chunks) in found.into_iter().skip(limits::ARCHIVE_SNAPSHOTS_MAX) {
        // First what says that it is complete.
        let key = vec![NAME.into(), Cell::BigInt(generation), Cell::BigInt(revision), id.as_str().into()];
        writes.push(delete(Table::ArchiveSnapshots, key));
        let chunks = 0..chunks.unwrap_or_default();
        let key = |chunk| vec![id.as_str().into(), Cell::Int(chunk)];
        writes.extend(chunks.map(|chunk| delete(Table::ArchiveChunks, key(chunk))));
        writes.push(delete(Table::ArchiveSegments, vec![id.as_str().into()]));
    }
    Ok(writes)
}

fn put(table: Table, key: Vec<Cell>, columns: Vec<(&'static str, Cell)>, stamp: Stamp) -> Write {
    Write { table, key, deed: Deed::Put { columns, ttl_s: 0 }, stamp }
}

/// SHA-256.
fn hash(bytes: &[u8]) -> Cell {
    Cell::Blob(Sha256::digest(bytes).to_vec())
}
