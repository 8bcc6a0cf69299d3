//! Reading the archive back.

use std::collections::BTreeMap;

use base::{Randomness, WallTime, limits};
use cluster_model::{Change, FormatError, Revision, Row, State};
use sha2::{Digest, Sha256};

use super::writer::is_hash;
use super::{NAME, Segment, SegmentError};
use crate::{ClusterRow, Database, DatabaseError, Lineage, Stamp};

/// A snapshot that is in the archive as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFound {
    /// What it is of.
    pub stamp: Stamp,
    /// Its name in the archive.
    pub id: String,
    /// When it was made.
    pub made: WallTime,
    /// Its bytes.
    pub bytes: u64,
    chunks: i32,
    sha256: Vec<u8>,
}

/// From which snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of the newest generation the one behind which most is there: mostly the newest, but a leader may have come to its
    /// end just after it made that one, and the next one went on behind an older one.
    Newest,
    /// The one of this id: when a newer one is damaged.
    Of(String),
}

/// A state as the archive has it.
#[derive(Clone, Debug)]
pub struct RestoredState {
    /// The state, still under its old generation: `cluster_core::Saved::restored` raises that.
    pub state: State,
    /// Its last revision.
    pub index: Revision,
    /// The generation it was written under.
    pub written_under: u64,
    /// The generation that the new cluster has, and no other; what was read without being handed over has its old one.
    pub generation: u64,
    /// The snapshot it began with.
    pub snapshot: SnapshotFound,
    /// Segments applied behind it.
    pub segments: u64,
    /// Segments that lie behind a gap and were not used.
    pub behind_gap: u64,
}

/// Why there is nothing to restore from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Nothing was archived.
    #[error("the archive holds no complete snapshot")]
    Empty,
    /// There is no such snapshot.
    #[error("the archive holds no complete snapshot {0}")]
    NoSuch(String),
    /// A part is not what was written. Nothing of it is used; an older snapshot may be whole.
    #[error("the archive is damaged: {what}: {why}")]
    Damaged {
        /// Which part.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// The database holds nobody's data.
    #[error("the database holds the data of no cluster")]
    Nobody,
    /// Somebody else restored meanwhile.
    #[error("another restore raised the generation first: this one has no effect")]
    Raced,
}

/// The complete snapshots that count, the newest first.
pub async fn list(database: &Database) -> Result<Vec<SnapshotFound>, ArchiveError> {
    let cluster = database.cluster().await?.ok_or(ArchiveError::Nobody)?;
    Ok(found(database, &cluster.lineage).await?)
}

/// Reads the archive and takes the data over for `cluster_id`: from now on, what the cluster of before writes does not count,
/// and its projector stops. Of two that restore at once one has [`ArchiveError::Raced`].
pub async fn restore(
    database: &Database,
    which: Which,
    cluster_id: &str,
    randomness: &dyn Randomness,
) -> Result<RestoredState, ArchiveError> {
    let known = database.cluster().await?.ok_or(ArchiveError::Nobody)?;
    let restored = read_under(database, which, &known).await?;
    let from = Stamp::new(restored.written_under, restored.index);
    let taken = database.hand_over(&known, from, cluster_id, randomness).await?;
    let taken = taken.ok_or(ArchiveError::Raced)?;
    Ok(RestoredState { generation: taken.lineage.generation, ..restored })
}

/// The same without any effect: what would be restored.
pub async fn read(database: &Database, which: Which) -> Result<RestoredState, ArchiveError> {
    let known = database.cluster().await?.ok_or(ArchiveError::Nobody)?;
    read_under(database, which, &known).await
}

async fn read_under(
    database: &Database,
    which: Which,
    known: &ClusterRow,
) -> Result<RestoredState, ArchiveError> {
    loop {
        let snapshot = choose(database, &which, &known.lineage).await?;
        let read = read_chain(database, &snapshot, known).await;
        // That its parts go is said of it first: if it was removed meanwhile, what is missing is no damage, and what was
        // found may lack some of it. There is a newer one then.
        if matches!(read, Err(ArchiveError::Database(_))) || is_there(database, &snapshot, known).await? {
            return read;
        }
    }
}

async fn read_chain(
    database: &Database,
    snapshot: &SnapshotFound,
    known: &ClusterRow,
) -> Result<RestoredState, ArchiveError> {
    let state = read_snapshot(database, snapshot).await?;
    let (state, segments, behind_gap) = follow(database, snapshot, state, known.end_of(snapshot)).await?;
    let written_under = snapshot.stamp.generation;
    let (index, generation, snapshot) = (state.revision(), written_under, snapshot.clone());
    Ok(RestoredState { state, index, written_under, generation, snapshot, segments, behind_gap })
}

async fn choose(
    database: &Database,
    which: &Which,
    lineage: &Lineage,
) -> Result<SnapshotFound, ArchiveError> {
    let found = found(database, lineage).await?;
    let id = match which {
        Which::Of(id) => id,
        Which::Newest => {
            let mut best = None;
            for snapshot in found {
                let place = (snapshot.stamp.generation, reach(database, &snapshot).await?);
                // The newest come first: of two that reach as far it is the newer one.
                if best.as_ref().is_none_or(|(of, _)| place > *of) {
                    best = Some((place, snapshot));
                }
            }
            return best.map(|(_, snapshot)| snapshot).ok_or(ArchiveError::Empty);
        }
    };
    let of = found.into_iter().find(|snapshot| snapshot.id == *id);
    of.ok_or_else(|| ArchiveError::NoSuch(id.clone()))
}

async fn is_there(
    database: &Database,
    snapshot: &SnapshotFound,
    known: &ClusterRow,
) -> Result<bool, DatabaseError> {
    Ok(found(database, &known.lineage).await?.iter().any(|found| found.id == snapshot.id))
}

/// The revision up to which the segments behind a snapshot follow each other.
async fn reach(database: &Database, snapshot: &SnapshotFound) -> Result<u64, DatabaseError> {
    let text = "SELECT after, last FROM archive_segments WHERE snapshot = ?";
    let mut at = snapshot.stamp.revision.0;
    for (after, last) in database.rows::<(i64, Option<i64>)>(text, (&snapshot.id,)).await? {
        if after.cast_unsigned() > at {
            break;
        }
        at = at.max(last.unwrap_or_default().cast_unsigned());
    }
    Ok(at)
}

/// The complete snapshots that count, the newest first.
pub(crate) async fn found(
    database: &Database,
    lineage: &Lineage,
) -> Result<Vec<SnapshotFound>, DatabaseError> {
    let text = "SELECT generation, revision, id, made_ms, chunks, bytes, sha256 FROM archive_snapshots \
                WHERE name = ?";
    type Found = (i64, i64, String, Option<i64>, Option<i32>, Option<i64>, Option<Vec<u8>>);
    let rows = database.rows::<Found>(text, (NAME,)).await?;
    let read = |(generation, revision, id, made_ms, chunks, bytes, sha256): Found| {
        let stamp = Stamp::new(generation.cast_unsigned(), Revision(revision.cast_unsigned()));
        Some(SnapshotFound {
            stamp,
            id,
            made: WallTime(made_ms?.cast_unsigned()),
            bytes: bytes?.cast_unsigned(),
            chunks: chunks?,
            sha256: sha256.filter(|hash| is_hash(Some(hash)))?,
        })
    };
    let counts = |snapshot: &SnapshotFound| lineage.counts(snapshot.stamp);
    Ok(rows.into_iter().filter_map(read).filter(counts).collect())
}

impl ClusterRow {
    /// The last revision behind a snapshot that counts.
    fn end_of(&self, snapshot: &SnapshotFound) -> Revision {
        self.lineage.last_of(snapshot.stamp.generation).unwrap_or_default()
    }
}

async fn read_snapshot(database: &Database, snapshot: &SnapshotFound) -> Result<State, ArchiveError> {
    let named = format!("snapshot {} of revision {}", snapshot.id, snapshot.stamp.revision);
    let damaged = |what: String, why: &str| ArchiveError::Damaged { what, why: why.to_owned() };
    if snapshot.bytes > limits::ARCHIVE_SNAPSHOT_BYTES_MAX {
        return Err(damaged(named, "it is larger than any snapshot may be"));
    }
    let mut bytes = Vec::new();
    for chunk in 0..snapshot.chunks {
        let what = || format!("chunk {chunk} of {named}");
        let text = "SELECT bytes, sha256 FROM archive_chunks WHERE snapshot = ? AND chunk = ?";
        let rows = database.rows::<(Option<Vec<u8>>, Option<Vec<u8>>)>(text, (&snapshot.id, chunk)).await?;
        let Some((Some(part), Some(hash))) = rows.into_iter().next() else {
            return Err(damaged(what(), "it is missing"));
        };
        if Sha256::digest(&part)[..] != hash[..] {
            return Err(damaged(what(), "its bytes do not fit its hash"));
        }
        bytes.extend(part);
        if bytes.len() as u64 > snapshot.bytes {
            return Err(damaged(named, "its chunks are more than it"));
        }
    }
    if Sha256::digest(&bytes)[..] != snapshot.sha256[..] {
        return Err(damaged(named, "its bytes do not fit its hash"));
    }
    let state = State::restore(&bytes).map_err(|error| damaged(named.clone(), &error.to_string()))?;
    if state.revision() == snapshot.stamp.revision {
        Ok(state)
    } else {
        Err(damaged(named, "it is of another revision"))
    }
}

/// A piece of the chain: its last revision and its parts.
#[derive(Default)]
struct Link {
    last: u64,
    parts: i32,
    sha256: Vec<u8>,
    bytes: Vec<u8>,
    missing: bool,
}

/// Applies the segments behind a snapshot, as far as they follow each other, up to the revision `end`.
async fn follow(
    database: &Database,
    snapshot: &SnapshotFound,
    mut state: State,
    end: Revision,
) -> Result<(State, u64, u64), ArchiveError> {
    let links = links(database, &snapshot.id).await?;
    let mut at = snapshot.stamp.revision;
    let (mut used, mut left) = (0, 0);
    for (after, link) in links {
        let last = Revision(link.last);
        if at >= end {
            break;
        }
        if after > at.0 {
            left += 1;
            continue;
        }
        let what = || format!("the segment after revision {after} behind snapshot {}", snapshot.id);
        let damaged = |why: String| ArchiveError::Damaged { what: what(), why };
        if link.missing {
            return Err(damaged("a part of it is missing".to_owned()));
        }
        if Sha256::digest(&link.bytes)[..] != link.sha256[..] {
            return Err(damaged("its bytes do not fit its hash".to_owned()));
        }
        let segment = Segment::decode(&link.bytes).map_err(|why: SegmentError| damaged(why.to_string()))?;
        if segment.revisions.last().is_none_or(|(revision, _)| *revision != last) {
            return Err(damaged("it is of other revisions than it says".to_owned()));
        }
        // A later leader may have written the same piece in other portions.
        if last <= at {
            continue;
        }
        for (revision, rows) in segment.revisions {
            if revision > at && revision <= end {
                let changes: Result<Vec<_>, _> = rows.iter().map(change).collect();
                let changes = changes.map_err(|why| damaged(why.to_string()))?;
                state.absorb(revision, state.now(), &changes);
                at = revision;
            }
        }
        used += 1;
    }
    Ok((state, used, left))
}

async fn links(database: &Database, snapshot: &str) -> Result<BTreeMap<u64, Link>, ArchiveError> {
    let text = "SELECT after, part, last, parts, bytes, sha256 FROM archive_segments WHERE snapshot = ?";
    type Found = (i64, i32, Option<i64>, Option<i32>, Option<Vec<u8>>, Option<Vec<u8>>);
    let mut links = BTreeMap::<u64, Link>::new();
    let mut expected = 0;
    for (after, part, last, parts, bytes, sha256) in database.rows::<Found>(text, (snapshot,)).await? {
        let link = links.entry(after.cast_unsigned()).or_default();
        if part == 0 {
            link.last = last.unwrap_or_default().cast_unsigned();
            link.parts = parts.unwrap_or_default();
            link.sha256 = sha256.unwrap_or_default();
            expected = 0;
        }
        // Parts beyond are what a shorter one has left of a longer one.
        if part < link.parts {
            link.missing |= part != expected || bytes.is_none();
            link.bytes.extend(bytes.unwrap_or_default());
            expected = part + 1;
        }
    }
    for link in links.values_mut() {
        // Fewer parts than promised do not fit the hash.
        link.missing |= link.parts == 0;
    }
    Ok(links)
}

/// What made a row what it is.
fn change(row: &Row) -> Result<Change, FormatError> {
    match &row.value {
        Some(value) => Change::of_row(row.kind, &row.key, value),
        None => Change::of_key(row.kind, &row.key),
    }
}
