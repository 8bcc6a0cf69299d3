//! Rows of the state as they are read back.

use cluster_model::Change;
use scylla::response::PagingState;
use scylla::serialize::row::SerializeRow;
use scylla::value::Row;

use crate::database::cell;
use crate::{Cell, Database, DatabaseError, Lineage, Stamp, Table, change_of, shapes};

/// Rows of one table of the state, some at a time.
pub(crate) struct Pages<'a, V> {
    database: &'a Database,
    table: Table,
    text: String,
    values: V,
    next: Option<PagingState>,
}

impl<'a, V: SerializeRow> Pages<'a, V> {
    /// Of those whose key begins with `values`, as many as there are columns in `begins`.
    pub fn new(
        database: &'a Database,
        table: Table,
        begins: usize,
        values: V,
    ) -> Result<Self, DatabaseError> {
        let shape = shapes()
            .get(table.name())
            .filter(|_| table.kind().is_some())
            .ok_or_else(|| DatabaseError::unreadable(table.name(), "it holds no rows of the state"))?;
        let conditions: Vec<_> =
            shape.key.iter().take(begins).map(|column| format!("{column} = ?")).collect();
        let limited =
            if begins == 0 { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let text = format!(
            "SELECT {}, format, document, WRITETIME(document) FROM {}{limited}",
            shape.key.join(", "),
            table.name()
        );
        let next = Some(PagingState::start());
        Ok(Self { database, table, text, values, next })
    }

    /// The next rows with their stamps; `None`: that was all. Empty pages come too.
    pub async fn next(&mut self, lineage: &Lineage) -> Result<Option<Vec<(Stamp, Change)>>, DatabaseError> {
        let Some(from) = self.next.take() else { return Ok(None) };
        let (rows, after) = self.database.page::<Row>(&self.text, &self.values, from).await?;
        self.next = after;
        let mut changes = Vec::new();
        for row in rows {
            let cells: Vec<_> = row.columns.into_iter().map(|value| value.and_then(cell)).collect();
            let Some((key, [format, document, written])) = cells.split_last_chunk() else { continue };
            // What somebody else put here without a document is none of ours.
            let (Some(Cell::Int(format)), Some(Cell::Text(document)), Some(Cell::BigInt(written))) =
                (format, document, written)
            else {
                continue;
            };
            let stamp = Stamp::of_timestamp(*written);
            if !lineage.counts(stamp) {
                continue;
            }
            let key: Vec<_> = key.iter().flatten().cloned().collect();
            let change = change_of(self.table, &key, *format, document)
                .map_err(|why| DatabaseError::unreadable(format!("a row of {}", self.table.name()), why))?;
            changes.push((stamp, change));
        }
        Ok(Some(changes))
    }
}

impl Database {
    /// All rows of a table of the state that count, with their stamps: for tools and tests, since it holds them all.
    pub async fn state_rows(&self, table: Table) -> Result<Vec<(Stamp, Change)>, DatabaseError> {
        let Some(cluster) = self.cluster().await? else { return Ok(Vec::new()) };
        let mut pages = Pages::new(self, table, 0, ())?;
        let mut all = Vec::new();
        while let Some(rows) = pages.next(&cluster.lineage).await? {
            all.extend(rows);
        }
        Ok(all)
    }
}
