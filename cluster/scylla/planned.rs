//! Writes as data.

use std::fmt;

use crate::{Stamp, Table};

/// A value of a column. Its type is the column's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cell {
    Text(String),
    Int(i32),
    BigInt(i64),
    Boolean(bool),
    Blob(Vec<u8>),
}

impl Cell {
    /// Memory it takes, about.
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
                _ => 0,
            }
    }
}

impl fmt::Debug for Cell {
    /// Without texts and bytes: any of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Int(number) => write!(f, "{number}"),
            Self::BigInt(number) => write!(f, "{number}"),
            Self::Boolean(is) => write!(f, "{is}"),
            Self::Blob(bytes) => write!(f, "Blob({} bytes)", bytes.len()),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    /// CQL's numbers are signed: what is greater than they can be is the greatest.
    fn from(number: u64) -> Self {
        Self::BigInt(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What is done to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// These columns get these values; others stay as they are.
    Put {
        /// The columns.
        columns: Vec<(&'static str, Cell)>,
        /// Seconds until they go; 0: they stay.
        ttl_s: i32,
    },
    /// It goes. With a key that ends early: all rows whose keys begin so.
    Delete,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// The table.
    pub table: Table,
    /// The columns of the primary key, in its order.
    pub key: Vec<Cell>,
    /// What is done.
    pub deed: Deed,
    /// Of what it is; its timestamp.
    pub stamp: Stamp,
}

impl Write {
    /// Memory it takes, about.
    pub fn bytes(&self) -> usize {
        let columns = match &self.deed {
            Deed::Put { columns, .. } => {
                columns.iter().map(|(_, cell)| cell.bytes() + size_of::<&str>()).sum()
            }
            Deed::Delete => 0,
        };
        size_of::<Self>() + self.key.iter().map(Cell::bytes).sum::<usize>() + columns
    }
}
