//! Reading the archive back.

use std::collections::BTreeMap;

use base::{Randomness, WallTime, limits};
use cluster_model::{Change, FormatError, Revision, RowKind, State};
use sha2::{Digest, Sha256};

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
    /// The newest.
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
    found(database, &cluster.lineage).await
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
    let mut found = found(database, &known.lineage).await?.into_iter();
    let snapshot = match which {
        Which::Newest => found.next().ok_or(ArchiveError::Empty)?,
        Which::Of(id) => found.find(|snapshot| snapshot.id == id).ok_or(ArchiveError::NoSuch(id))?,
    };
    let state = read_snapshot(database, &snapshot).await?;
    let last = known.lineage.last_of(snapshot.stamp.generation).unwrap_or_default();
    let (state, segments, behind_gap) = follow(database, &snapshot, state, last).await?;
    let written_under = snapshot.stamp.generation;
    let index = state.revision();
    let generation = written_under;
    Ok(RestoredState { state, index, written_under, generation, snapshot, segments, behind_gap })
}

async fn found(database: &Database, lineage: &Lineage) -> Result<Vec<SnapshotFound>, ArchiveError> {
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
            sha256: sha256?,
        })
    };
    let counts = |snapshot: &SnapshotFound| lineage.counts(snapshot.stamp);
    Ok(rows.into_iter().filter_map(read).filter(counts).collect())
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
    state: State,
    end: Revision,
) -> Result<(State, u64, u64), ArchiveError> {
    let links = links(database, &snapshot.id).await?;
    let mut rows = Rows::of(&state)?;
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
        for (revision, changed) in segment.revisions {
            if revision > at && revision <= end {
                changed.into_iter().for_each(|row| rows.put(row.kind, row.key, row.value));
                at = revision;
            }
        }
        used += 1;
    }
    if used == 0 {
        return Ok((state, 0, left));
    }
    let state = rows.state(&state, at).map_err(|why| ArchiveError::Damaged {
        what: format!("a row of the segments behind snapshot {}", snapshot.id),
        why: why.to_string(),
    })?;
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

/// The rows of a state while segments are applied.
struct Rows(BTreeMap<(RowKind, String), Vec<u8>>);

impl Rows {
    fn of(state: &State) -> Result<Self, ArchiveError> {
        let unreadable = |why: FormatError| DatabaseError::unreadable("a row of the snapshot", why);
        let mut rows = Self(BTreeMap::new());
        for change in state.rows() {
            if let Some(row) = change.row().map_err(unreadable)? {
                rows.put(row.kind, row.key, row.value);
            }
        }
        Ok(rows)
    }

    fn put(&mut self, kind: RowKind, key: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.0.insert((kind, key), value),
            None => self.0.remove(&(kind, key)),
        };
    }

    fn state(self, before: &State, revision: Revision) -> Result<State, FormatError> {
        let mut state = State::default();
        state.absorb(revision, before.now(), &[]);
        for ((kind, key), value) in self.0 {
            state.absorb(revision, before.now(), &[Change::of_row(kind, &key, &value)?]);
        }
        for (request, at, outcome) in before.requests() {
            state.remember(request, at, outcome);
        }
        Ok(state)
    }
}
