//! How far the projector has come: one cell in the database.

use cluster_model::Revision;
use serde::{Deserialize, Serialize};

use crate::archive::Chain;
use crate::planned::{Cell, Deed, Write};
use crate::{Database, DatabaseError, Stamp, Table};

/// The row of `markers`.
const MARKER: &str = "projection";

/// How far the projector has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Everything up to here is written.
    pub stamp: Stamp,
    /// The archive's chain, which ends there; `None`: a snapshot is wanted.
    pub chain: Option<Chain>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    generation: u64,
    revision: u64,
    chain: Option<StoredChain>,
}

#[derive(Serialize, Deserialize)]
struct StoredChain {
    snapshot: String,
    from: u64,
    segments: u64,
    bytes: u64,
}

impl Progress {
    /// What the last projector noted; `None`: there was none.
    pub async fn read(database: &Database) -> Result<Option<Self>, DatabaseError> {
        let Some(text) = database.marker(MARKER).await? else { return Ok(None) };
        let stored: Stored = serde_json::from_str(&text)
            .map_err(|why| DatabaseError::unreadable("the progress of the projection", why))?;
        let chain = stored.chain.map(|StoredChain { snapshot, from, segments, bytes }| Chain {
            snapshot,
            from: Revision(from),
            segments,
            bytes,
        });
        Ok(Some(Self { stamp: Stamp::new(stored.generation, Revision(stored.revision)), chain }))
    }

    /// The write that notes it.
    pub fn write(&self) -> Result<Write, DatabaseError> {
        let chain = self.chain.clone().map(|Chain { snapshot, from, segments, bytes }| StoredChain {
            snapshot,
            from: from.0,
            segments,
            bytes,
        });
        let stored = Stored { generation: self.stamp.generation, revision: self.stamp.revision.0, chain };
        let text = serde_json::to_string(&stored)
            .map_err(|why| DatabaseError::unreadable("the progress of the projection", why))?;
        let deed = Deed::Put { columns: vec![("value", Cell::from(text))], ttl_s: 0 };
        Ok(Write { table: Table::Markers, key: vec![MARKER.into()], deed, stamp: self.stamp })
    }
}
