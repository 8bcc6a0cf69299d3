//! The one row that says whose data this is.

use base::Randomness;
use scylla::statement::Consistency;
use scylla::value::{CqlValue, Row};

use super::Database;
use crate::{DatabaseError, Lineage, Stamp};

/// Its name.
const NAME: &str = "penstock";

/// Whose data the database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRow {
    /// The cluster.
    pub cluster_id: String,
    /// What of its writes counts.
    pub lineage: Lineage,
}

impl Database {
    /// Whose data this is, as it was agreed on last; `None`: nobody's yet.
    pub async fn cluster(&self) -> Result<Option<ClusterRow>, DatabaseError> {
        // Sees what was agreed on, and finishes what was half agreed on.
        Ok(self.marked_cluster(Consistency::LocalSerial).await?.map(|(row, _)| row))
    }

    /// What of the writes here counts, for reading the history of `cluster_id`.
    pub(crate) async fn lineage(&self, cluster_id: &str) -> Result<Lineage, DatabaseError> {
        // Each page asks: without a round of agreement, which all of them would have on one partition.
        let Some((row, _)) = self.marked_cluster(Consistency::LocalQuorum).await? else {
            return Err(DatabaseError::Away("nobody has written to it yet".to_owned()));
        };
        if row.cluster_id == cluster_id {
            Ok(row.lineage)
        } else {
            let (keyspace, found) = (&self.keyspace, &row.cluster_id);
            Err(DatabaseError::Options(format!(
                "keyspace {keyspace} holds the data of cluster {found}, this is {cluster_id}: give another one"
            )))
        }
    }

    /// Says that this is the data of `cluster_id`, if it is nobody's yet. Answers whose it is then.
    pub(crate) async fn take(&self, cluster_id: &str, generation: u64) -> Result<ClusterRow, DatabaseError> {
        if let Some(known) = self.cluster().await? {
            return Ok(known);
        }
        let text = "INSERT INTO cluster (name, cluster_id, generation, lineage, restore) \
                    VALUES (?, ?, ?, ?, ?) IF NOT EXISTS";
        self.conditional(text, (NAME, cluster_id, generation.cast_signed(), "", "")).await?;
        self.cluster().await?.ok_or_else(|| DatabaseError::Away("the row of the cluster is gone".to_owned()))
    }

    /// Gives the data, as it was at `from`, to `cluster_id` under a new generation. `None`: another restore was faster.
    pub(crate) async fn hand_over(
        &self,
        known: &ClusterRow,
        from: Stamp,
        cluster_id: &str,
        randomness: &dyn Randomness,
    ) -> Result<Option<ClusterRow>, DatabaseError> {
        let before = known.lineage.generation;
        let lineage = known.lineage.restored(from, before.saturating_add(1));
        let mark = randomness.alphanumeric(MARK_LETTERS);
        let text = "UPDATE cluster SET cluster_id = ?, generation = ?, lineage = ?, restore = ? \
                    WHERE name = ? IF generation = ?";
        let generation = lineage.generation.cast_signed();
        let values = (cluster_id, generation, lineage.to_text(), mark.as_str(), NAME, before.cast_signed());
        // An answer that is lost says nothing: the mark tells who won.
        match self.conditional(text, values).await {
            Ok(()) | Err(DatabaseError::Away(_)) => {}
            Err(other) => return Err(other),
        }
        match self.marked_cluster(Consistency::LocalSerial).await? {
            Some((row, last)) if last == mark => Ok(Some(row)),
            Some((row, _)) if row.lineage.generation == before => {
                Err(DatabaseError::Away("the generation could not be raised; try again".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// Raises the generation to that of a cluster which is further already.
    pub(crate) async fn raise(&self, known: &ClusterRow, generation: u64) -> Result<(), DatabaseError> {
        let text = "UPDATE cluster SET generation = ? WHERE name = ? IF generation = ?";
        let before = known.lineage.generation.cast_signed();
        self.conditional(text, (generation.cast_signed(), NAME, before)).await
    }

    async fn marked_cluster(
        &self,
        consistency: Consistency,
    ) -> Result<Option<(ClusterRow, String)>, DatabaseError> {
        let text = "SELECT cluster_id, generation, lineage, restore FROM cluster WHERE name = ?";
        let mut prepared = self.prepared(text).await?;
        prepared.set_consistency(consistency);
        let result = self.session.execute_unpaged(&prepared, (NAME,)).await?;
        let bad = |why: String| DatabaseError::unreadable("the row of the cluster", why);
        let result = result.into_rows_result().map_err(|why| bad(why.to_string()))?;
        let row = result
            .maybe_first_row::<(String, i64, Option<String>, Option<String>)>()
            .map_err(|why| bad(why.to_string()))?;
        let Some((cluster_id, generation, lineage, mark)) = row else { return Ok(None) };
        let lineage = Lineage::parse(generation.cast_unsigned(), &lineage.unwrap_or_default())
            .ok_or_else(|| bad("its lineage is none".to_owned()))?;
        Ok(Some((ClusterRow { cluster_id, lineage }, mark.unwrap_or_default())))
    }

    /// Carries out a conditional statement; whether it took place is seen by reading.
    async fn conditional(
        &self,
        text: &str,
        values: impl scylla::serialize::row::SerializeRow,
    ) -> Result<(), DatabaseError> {
        let prepared = self.prepared(text).await?;
        let result = self.session.execute_unpaged(&prepared, values).await?;
        let applied = result.into_rows_result().ok().and_then(|rows| rows.maybe_first_row::<Row>().ok()?);
        let applied = applied.and_then(|row| row.columns.into_iter().next().flatten());
        if applied != Some(CqlValue::Boolean(true)) {
            tracing::debug!("a conditional write of the cluster's row found another one there");
        }
        Ok(())
    }
}

/// Letters of the mark of a restore.
const MARK_LETTERS: usize = 24;
