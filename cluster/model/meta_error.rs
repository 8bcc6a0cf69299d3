//! Why a façade cannot give what it was asked for.

use crate::{FormatError, NotApplied, ReadFailed, Refusal};

/// What the façades tell their callers when the metadata plane does not do its part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// The change may have been made or may yet be made: every retry up to the deadline was left
    /// without an answer.
    #[error("it is unknown whether the change was made")]
    Unknown,
    /// The change was not made and will not be.
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    /// Nothing could be read.
    #[error(transparent)]
    Unavailable(#[from] ReadFailed),
    /// Against a rule of the stored data; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is stored does not fit this version of the program.
    #[error(transparent)]
    Unreadable(#[from] FormatError),
    /// The plane answered another question than the one asked: a bug in whatever implements `Meta`.
    #[error("the metadata store gave an answer of the wrong kind")]
    WrongAnswer,
}
