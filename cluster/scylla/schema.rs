//! The tables as `schemas/scylla` says they are: the one place they are said in. Statements are made from it, and what is
//! in the database is compared with it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Version of `schemas/scylla`. It grows when a table changes its meaning; a program meets no other version than its own.
pub(crate) const SCHEMA_VERSION: u32 = 1;

const FILES: [&str; 4] = [
    include_str!("../../schemas/scylla/cluster.cql"),
    include_str!("../../schemas/scylla/state.cql"),
    include_str!("../../schemas/scylla/history.cql"),
    include_str!("../../schemas/scylla/archive.cql"),
];

/// A table as its statement says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableShape {
    /// The statement that makes it.
    pub statement: String,
    /// Its columns and their types, in order.
    pub columns: Vec<(String, String)>,
    /// Those of the primary key, in its order.
    pub key: Vec<String>,
    /// How many of those are the partition's.
    pub partition: usize,
}

impl TableShape {
    /// The columns that are not of the key, in order.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !self.key.iter().any(|of| of == name))
    }

    fn parse(statement: &str) -> Option<(String, Self)> {
        let rest = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?;
        let (name, rest) = rest.split_once(" (")?;
        let (columns, rest) = rest.split_once("PRIMARY KEY (")?;
        let columns: Option<Vec<_>> = columns
            .split(',')
            .map(str::trim)
            .filter(|column| !column.is_empty())
            .map(|column| column.split_once(' ').map(|(name, of)| (name.to_owned(), of.to_owned())))
            .collect();
        let end = rest.find("\n)")?;
        let key = rest.get(..end)?;
        // Without parentheses of its own the first column is the partition.
        let partition = key
            .strip_prefix('(')
            .and_then(|key| key.split_once(')'))
            .map_or(1, |(partition, _)| partition.split(',').count());
        let key = key.replace(['(', ')'], "");
        let key = key.split(',').map(|name| name.trim().to_owned()).collect();
        Some((name.to_owned(), Self { statement: statement.to_owned(), columns: columns?, key, partition }))
    }
}

/// Every table by its name.
pub(crate) fn shapes() -> &'static BTreeMap<String, TableShape> {
    static SHAPES: LazyLock<BTreeMap<String, TableShape>> = LazyLock::new(|| {
        let mut shapes = BTreeMap::new();
        for file in FILES {
            let code: Vec<_> = file.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            shapes.extend(code.join("\n").split(';').filter_map(|text| TableShape::parse(text.trim())));
        }
        shapes
    });
    &SHAPES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Table;

    #[test]
    fn every_table_of_the_files_is_read_and_used() {
        let shapes = shapes();
        let statements: usize = FILES.iter().map(|file| file.matches("CREATE TABLE").count()).sum();
        assert_eq!(shapes.len(), statements);
        // `cluster` is no table that is written with timestamps.
        let tables: Vec<_> = Table::STATE.into_iter().chain(Table::BESIDE).collect();
        assert_eq!(shapes.len(), tables.len() + 1);
        for table in tables {
            let shape = shapes.get(table.name()).unwrap();
            assert!(shape.key.iter().all(|name| shape.columns.iter().any(|(of, _)| of == name)), "{shape:?}");
            if table.kind().is_some() {
                let values: Vec<_> = shape.values().collect();
                assert!(values.ends_with(&["format", "document"]), "{values:?}");
            }
        }
        let events = &shapes["connection_events"];
        assert_eq!(events.key, ["app", "stream", "day", "subscriber", "at_ms", "session", "node", "ended"]);
        assert_eq!((events.partition, shapes["users"].partition, shapes["slots"].partition), (3, 1, 2));
        assert_eq!(events.columns[2], ("day".to_owned(), "int".to_owned()));
    }
}
