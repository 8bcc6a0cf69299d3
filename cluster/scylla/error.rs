//! Why the database did not do what was asked of it.

use scylla::errors::{DbError, ExecutionError, NewSessionError, PrepareError, RequestAttemptError};

/// Why the database did not do what was asked of it. Texts hold what the database says, which names columns and
/// sizes, and no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached, or not enough of its nodes can: later perhaps.
    #[error("the database is away: {0}")]
    Away(String),
    /// It answered that it failed, and does not say whose fault that is.
    #[error("the database failed: {0}")]
    Doubtful(String),
    /// It will never take this row.
    #[error("the database refuses the row: {0}")]
    Rejected(String),
    /// What it is configured with cannot be.
    #[error("the options of the database cannot be used: {0}")]
    Options(String),
    /// A table is not what this program knows.
    #[error("table {keyspace}.{table} is not the one this program writes: {what}")]
    Schema {
        /// The keyspace.
        keyspace: String,
        /// The table.
        table: String,
        /// What is other.
        what: String,
    },
    /// The tables are of another version of this program.
    #[error(
        "keyspace {keyspace} has schema version {found}, this program reads and writes version {known}; \
         run the version that made it, or give another keyspace"
    )]
    SchemaVersion {
        /// The keyspace.
        keyspace: String,
        /// Its version.
        found: String,
        /// Ours.
        known: u32,
    },
    /// What is in it cannot be read.
    #[error("{what} in the database cannot be read: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        why: String,
    },
}

impl DatabaseError {
    /// Whether trying again may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Doubtful(_))
    }

    pub(crate) fn unreadable(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Unreadable { what: what.into(), why: why.to_string() }
    }
}

impl From<ExecutionError> for DatabaseError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::BadQuery(why) => Self::Rejected(why.to_string()),
            ExecutionError::LastAttemptError(why) => of_attempt(why),
            ExecutionError::PrepareError(why) => why.into(),
            other => Self::Away(other.to_string()),
        }
    }
}

impl From<PrepareError> for DatabaseError {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::AllAttemptsFailed { first_attempt } => of_attempt(first_attempt),
            other => Self::Away(other.to_string()),
        }
    }
}

impl From<NewSessionError> for DatabaseError {
    fn from(error: NewSessionError) -> Self {
        match error {
            NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_) => {
                Self::Options(error.to_string())
            }
            other => Self::Away(other.to_string()),
        }
    }
}

fn of_attempt(error: RequestAttemptError) -> DatabaseError {
    match error {
        RequestAttemptError::DbError(error, said) => of_database(&error, said),
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            DatabaseError::Rejected(error.to_string())
        }
        other => DatabaseError::Away(other.to_string()),
    }
}

/// Whose fault it is: the row's, that of the way to it, or nobody knows.
fn of_database(error: &DbError, said: String) -> DatabaseError {
    match error {
        DbError::Invalid | DbError::SyntaxError | DbError::ConfigError => DatabaseError::Rejected(said),
        DbError::ServerError
        | DbError::ProtocolError
        | DbError::WriteFailure { .. }
        | DbError::ReadFailure { .. }
        | DbError::FunctionFailure { .. }
        | DbError::Other(_) => DatabaseError::Doubtful(said),
        // Too few nodes, too slow, too busy, or it does not know us: an operator sees to that.
        other => DatabaseError::Away(format!("{other}: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_blamed_only_for_what_is_its_own_fault() {
        let of = |error: DbError| of_database(&error, "said".to_owned());
        assert_eq!(of(DbError::Invalid), DatabaseError::Rejected("said".to_owned()));
        assert_eq!(of(DbError::ServerError), DatabaseError::Doubtful("said".to_owned()));
        for passing in [DbError::Overloaded, DbError::IsBootstrapping, DbError::Unauthorized] {
            assert!(matches!(of(passing), DatabaseError::Away(_)));
        }
    }
}
