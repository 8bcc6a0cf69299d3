//! Why a node could not be started or ended.

use std::io;
use std::process::ExitStatus;

use super::{START_MAX, STOP_MAX};

/// Why there is no node.
#[derive(Debug)]
pub enum NodeError {
    /// A file or the process could not be handled.
    Io(io::Error),
    /// The process ended before it was ready.
    Died {
        /// How it ended.
        status: ExitStatus,
        /// What it logged last.
        last_lines: Vec<String>,
    },
    /// The process neither became ready nor ended.
    NotReady {
        /// What it logged last.
        last_lines: Vec<String>,
    },
    /// It did not end in time after SIGTERM, and was killed.
    NotEnded,
}

impl std::fmt::Display for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = match self {
            Self::Io(error) => return write!(f, "the node could not be handled: {error}"),
            Self::NotEnded => return write!(f, "the node did not end within {STOP_MAX:?} of SIGTERM"),
            Self::Died { status, last_lines } => {
                write!(f, "the node ended with {status} before it was ready")?;
                last_lines
            }
            Self::NotReady { last_lines } => {
                write!(f, "the node was not ready within {START_MAX:?}")?;
                last_lines
            }
        };
        lines.iter().try_for_each(|line| write!(f, "\n  node: {line}"))
    }
}

impl std::error::Error for NodeError {}

impl From<io::Error> for NodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
