//! What a projector says of itself.

use cluster_model::Revision;

use crate::DatabaseError;

/// What a projector says of itself, for metrics and the status of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectionFigures {
    /// Whether this node is the one that projects.
    pub leading: bool,
    /// Whether the database answered last time.
    pub reachable: bool,
    /// The generation it writes under.
    pub generation: u64,
    /// Everything up to here is in the database.
    pub projected: Revision,
    /// Commands whose changes are not in the database yet, those that changed nothing included: how far it lags behind.
    pub lag_entries: u64,
    /// Rows that wait.
    pub outbox_changes: usize,
    /// Memory they take, about.
    pub outbox_bytes: usize,
    /// How often so much waited that it was forgotten and the state listed instead, or that changes were missed.
    pub fell_behind: u64,
    /// Facts that were seen and never written, at most.
    pub facts_lost: u64,
    /// Rows that the database refused.
    pub dead_letters: u64,
    /// How often the whole state was written.
    pub listed: u64,
    /// Revision of the last snapshot in the archive.
    pub archived: Option<Revision>,
    /// Why it has stopped for good.
    pub stopped: Option<Stopped>,
}

/// Why a projector has stopped for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The cluster was restored elsewhere.
    #[error(
        "the database was taken over by generation {by} of the cluster (this is generation {own}): \
         this cluster was restored elsewhere, and nothing it writes counts"
    )]
    Superseded {
        /// The generation of this cluster.
        own: u64,
        /// The greater one.
        by: u64,
    },
    /// The database is another cluster's.
    #[error("the database holds the data of cluster {found}, this is {own}: give another keyspace")]
    Foreign {
        /// This cluster.
        own: String,
        /// Whose the data is.
        found: String,
    },
    /// The database can never be used as it is.
    #[error(transparent)]
    Database(DatabaseError),
    /// The metadata plane of this node is closed.
    #[error("the metadata plane is closed")]
    Closed,
}
