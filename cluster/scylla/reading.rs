//! Rows of the state as they are read back.

use cluster_model::Change;
use scylla::value::Row;

use crate::database::cell;
use crate::planned::Cell;
use crate::projection::change_of;
use crate::schema::shapes;
use crate::{Database, DatabaseError, Stamp, Table};

impl Database {
    /// All rows of a table of the state that count, with their stamps: for tools and tests, since it holds them all.
    pub async fn state_rows(&self, table: Table) -> Result<Vec<(Stamp, Change)>, DatabaseError> {
        let Some(cluster) = self.cluster().await? else { return Ok(Vec::new()) };
        let shape = shapes()
            .get(table.name())
            .filter(|_| table.kind().is_some())
            .ok_or_else(|| DatabaseError::unreadable(table.name(), "it holds no rows of the state"))?;
        let key = shape.key.join(", ");
        let text = format!("SELECT {key}, format, document, WRITETIME(document) FROM {}", table.name());
        let mut changes = Vec::new();
        for row in self.rows::<Row>(&text, ()).await? {
            let cells: Vec<_> = row.columns.into_iter().map(|value| value.and_then(cell)).collect();
            let Some((key, [format, document, written])) = cells.split_last_chunk() else { continue };
            // What somebody else put here without a document is none of ours.
            let (Some(Cell::Int(format)), Some(Cell::Text(document)), Some(Cell::BigInt(written))) =
                (format, document, written)
            else {
                continue;
            };
            let stamp = Stamp::of_timestamp(*written);
            if !cluster.lineage.counts(stamp) {
                continue;
            }
            let key: Vec<_> = key.iter().flatten().cloned().collect();
            let change = change_of(table, &key, *format, document)
                .map_err(|why| DatabaseError::unreadable(format!("a row of {}", table.name()), why))?;
            changes.push((stamp, change));
        }
        Ok(changes)
    }
}
