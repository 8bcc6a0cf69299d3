//! Keyspace and tables: made where they are missing, compared with what they should be.

use std::collections::BTreeMap;

use cluster_model::Revision;

use super::Database;
use crate::planned::{Cell, Deed, Write};
use crate::schema::{SCHEMA_VERSION, TableShape, shapes};
use crate::{DatabaseError, ScyllaOptions, Stamp, Table};

/// The row of `markers` that holds the version.
const VERSION_MARKER: &str = "schema";

/// Type, kind and place in the key of each column of each table.
type Found = BTreeMap<String, BTreeMap<String, (String, String, i32)>>;

impl Database {
    pub(super) async fn make_keyspace(&self, options: &ScyllaOptions) -> Result<(), DatabaseError> {
        let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        if !self.rows::<(String,)>(text, (&self.keyspace,)).await?.is_empty() {
            return Ok(());
        }
        let replication = options.replication.cql().ok_or_else(|| {
            DatabaseError::Options("the replication names what is no datacenter".to_owned())
        })?;
        let keyspace = &self.keyspace;
        let tablets = if self.has_tablets().await? { " AND tablets = {'enabled': false}" } else { "" };
        self.change_schema(&format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}{tablets}"
        ))
        .await
    }

    /// Whether the server is a ScyllaDB that would put tables into tablets, in which many versions refuse the conditional
    /// writes that keep two clusters apart. Cassandra has none, and refuses to hear of them.
    async fn has_tablets(&self) -> Result<bool, DatabaseError> {
        let text = "SELECT column_name FROM system_schema.columns
                    WHERE keyspace_name = 'system_schema' AND table_name = 'scylla_keyspaces'
                    AND column_name = 'initial_tablets'";
        Ok(!self.rows::<(String,)>(text, ()).await?.is_empty())
    }

    pub(super) async fn use_keyspace(&self) -> Result<(), DatabaseError> {
        let used = self.session.use_keyspace(&self.keyspace, false).await;
        used.map_err(|why| DatabaseError::Away(format!("keyspace {}: {why}", self.keyspace)))
    }

    pub(super) async fn make_tables(&self) -> Result<(), DatabaseError> {
        let found = self.found().await?;
        // Before anything is made: another version may have other tables.
        self.check_version(&found).await?;
        for (name, shape) in shapes() {
            match found.get(name) {
                Some(columns) => self.check_table(name, shape, columns)?,
                None => self.change_schema(&shape.statement).await?,
            }
        }
        // A later version writes a later one.
        let stamp = Stamp::new(0, Revision(u64::from(SCHEMA_VERSION)));
        let columns = vec![("value", Cell::from(SCHEMA_VERSION.to_string()))];
        let key = vec![VERSION_MARKER.into()];
        self.write(&Write { table: Table::Markers, key, deed: Deed::Put { columns, ttl_s: 0 }, stamp }).await
    }

    pub(super) async fn check_tables(&self) -> Result<(), DatabaseError> {
        let found = self.found().await?;
        self.check_version(&found).await?;
        for (name, shape) in shapes() {
            let Some(columns) = found.get(name) else {
                return Err(DatabaseError::Away(format!("table {}.{name} is not made yet", self.keyspace)));
            };
            self.check_table(name, shape, columns)?;
        }
        Ok(())
    }

    async fn check_version(&self, found: &Found) -> Result<(), DatabaseError> {
        if !found.contains_key(Table::Markers.name()) {
            return Ok(());
        }
        match self.marker(VERSION_MARKER).await? {
            Some(version) if version != SCHEMA_VERSION.to_string() => Err(DatabaseError::SchemaVersion {
                keyspace: self.keyspace.clone(),
                found: version,
                known: SCHEMA_VERSION,
            }),
            _ => Ok(()),
        }
    }

    /// A row of `markers`.
    pub(crate) async fn marker(&self, name: &str) -> Result<Option<String>, DatabaseError> {
        let rows =
            self.rows::<(Option<String>,)>("SELECT value FROM markers WHERE name = ?", (name,)).await?;
        Ok(rows.into_iter().next().and_then(|(value,)| value))
    }

    fn check_table(
        &self,
        name: &str,
        shape: &TableShape,
        found: &BTreeMap<String, (String, String, i32)>,
    ) -> Result<(), DatabaseError> {
        let wrong = |what: String| {
            Err(DatabaseError::Schema { keyspace: self.keyspace.clone(), table: name.to_owned(), what })
        };
        for (column, of) in &shape.columns {
            let Some((found_of, kind, _)) = found.get(column) else {
                return wrong(format!("it has no column {column}"));
            };
            if found_of != of {
                return wrong(format!("column {column} is {found_of} and should be {of}"));
            }
            let wanted = match shape.key.iter().position(|name| name == column) {
                Some(place) if place < shape.partition => "partition_key",
                Some(_) => "clustering",
                None => "regular",
            };
            if kind != wanted {
                return wrong(format!("column {column} is {kind} and should be {wanted}"));
            }
        }
        let mut key: Vec<_> = found
            .iter()
            .filter(|(_, (_, kind, _))| kind == "partition_key" || kind == "clustering")
            .map(|(column, (_, kind, place))| (kind == "clustering", *place, column.as_str()))
            .collect();
        key.sort_unstable();
        if !key.iter().map(|(_, _, column)| *column).eq(shape.key.iter().map(String::as_str)) {
            return wrong(format!("its key should be {}", shape.key.join(", ")));
        }
        Ok(())
    }

    async fn found(&self) -> Result<Found, DatabaseError> {
        let text = "SELECT table_name, column_name, type, kind, position FROM system_schema.columns \
                    WHERE keyspace_name = ?";
        let mut found = Found::new();
        for (table, column, of, kind, place) in
            self.rows::<(String, String, String, String, i32)>(text, (&self.keyspace,)).await?
        {
            found.entry(table).or_default().insert(column, (of, kind, place));
        }
        Ok(found)
    }

    /// The statements that cannot be prepared.
    async fn change_schema(&self, statement: &str) -> Result<(), DatabaseError> {
        let first = statement.lines().next().unwrap_or_default();
        self.session.query_unpaged(statement, ()).await.map(|_| ()).map_err(|why| match why.into() {
            DatabaseError::Rejected(why) => {
                DatabaseError::Options(format!("the database does not do '{first}': {why}"))
            }
            other => other,
        })
    }
}
