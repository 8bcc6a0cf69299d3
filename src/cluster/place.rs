//! This node's place among the others, for REST.

use std::sync::Arc;

use api::{Cluster, Place, Reach};
use async_trait::async_trait;
use base::limits;
use cluster_model::Authority;
use cluster_node::NodeId;

use super::Plane;

#[async_trait]
impl Cluster for Plane {
    fn is_one(&self) -> bool {
        !self.is_alone()
    }

    fn place(&self) -> Place {
        let status = self.node.status().borrow().clone();
        Place {
            node: self.id,
            leader: status.leader,
            term: status.term,
            applied: status.applied,
            lag: status.commit.saturating_sub(status.applied),
            age_ms: self.node.age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn authority(&self) -> Authority {
        self.node.authority()
    }

    fn reach(&self, node: NodeId) -> Option<Reach> {
        let silent = self.silent_for(node)?;
        let for_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        Some(Reach { up: silent < limits::NODE_HEARD_MAX, for_ms })
    }

    async fn copy(&self) -> Result<Vec<u8>, String> {
        let node = Arc::clone(&self.node);
        let copy = node.copy().await.map_err(|error| error.to_string())?;
        // It takes its time with much data, and nobody is to wait for that.
        tokio::task::spawn_blocking(move || copy.encode())
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}
