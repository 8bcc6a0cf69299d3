//! The database below the metadata plane, ScyllaDB or any other that speaks CQL v4: a projection of the state for reading,
//! the history that outlives the state, and an archive from which a new cluster is restored.
//!
//! Reading order: [`Stamp`] says how writes are ordered; `projection` makes rows of changes; the [`Projector`] is the task
//! of the leading node that writes them, `outbox` what waits meanwhile; [`archive`] is what it leaves for
//! [`restore`](archive::restore); [`History`] is what REST reads.
//!
//! Not here: decisions. The database is never asked whether a token is good or a stream is free, and nobody waits for it.
//!
//! Invariants
//! - Every write carries `generation * 2^40 + revision`, deletions too, and a revision writes a row once. Writing again
//!   changes nothing, and what an old leader or an abandoned cluster writes late changes nothing newer.
//! - How far the projector has come is noted after the rows and the archive's segment of it are written: a restart goes on
//!   there, and the archive is never behind that.
//! - A row that the database refuses is noted as a dead letter and the next one goes on; a database that is away is
//!   waited for, within [`base::limits::OUTBOX_BYTES_MAX`].
//! - The one conditional write is of the row that names the generation. No counters, views or secondary indexes.
//! - What the archive holds is used only if every hash fits.

mod error;
mod options;
mod stamp;

mod schema;
mod table;

mod planned;
mod projection;

mod database;

mod outbox;

pub mod archive;
mod figures;
mod projector;

mod reading;

mod history;

#[cfg(feature = "testing")]
pub mod testing;

pub use database::{ClusterRow, Database};
pub use error::DatabaseError;
pub use figures::{ProjectionFigures, Stopped};
pub use history::{EventShown, EventsWanted, History, Page};
pub use options::{Credentials, Replication, ScyllaOptions};
pub use projector::{Projector, ProjectorParts, ProjectorTuning};
pub use stamp::{Lineage, Stamp};
pub use table::Table;
