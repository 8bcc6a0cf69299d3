//! What somebody must do now and then for the whole cluster: its leader, which is also a node that is alone.

use std::sync::Arc;
use std::time::Instant;

use base::{Clock, WallTime, limits};
use cluster_model::{MetaError, Nodes, Owner, Upkeep};

use crate::cluster::Plane;

/// Has what is over go, and takes nodes for dead that are silent, while this node leads. Never ends.
pub async fn run(upkeep: Upkeep, nodes: Nodes, plane: Plane, clock: Arc<dyn Clock>) {
    let status = plane.node.status();
    let mut away = false;
    let mut leads_since: Option<Instant> = None;
    loop {
        tokio::time::sleep(limits::UPKEEP_EVERY).await;
        if !status.borrow().leads {
            leads_since = None;
            continue;
        }
        let since = *leads_since.get_or_insert_with(|| clock.now());
        // After a time in which nothing could be stored nobody could renew anything either: whoever is there does so
        // first. A sweep up to the beginning of time is a command like any other.
        if away {
            away = upkeep.sweep(WallTime(0)).await.is_err();
            tokio::time::sleep(limits::CLAIM_LEASE).await;
            continue;
        }
        let now = clock.wall();
        // A look costs nothing; a command is written to the disk.
        let swept = match upkeep.is_due(now).await {
            Ok(true) => upkeep.sweep(now).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        let buried = bury(&nodes, &plane, since, &*clock).await;
        if let Err(error) = swept.and(buried) {
            tracing::debug!(%error, "what is over was not removed yet");
            away = true;
        }
    }
}

/// Nodes that this leader has not heard for so long are dead: all of them give it a sign of life. One that it never knew has as long from the moment on
/// in which it began to lead.
async fn bury(nodes: &Nodes, plane: &Plane, since: Instant, clock: &dyn Clock) -> Result<(), MetaError> {
    if plane.is_alone() {
        return Ok(());
    }
    let now = clock.now();
    for (id, node) in nodes.list().await? {
        if id == plane.id || node.expired_ms.is_some() {
            continue;
        }
        let silent_since = plane.heard(id).map_or(since, |heard| heard.max(since));
        if now.saturating_duration_since(silent_since) < limits::NODE_SILENCE_MAX {
            continue;
        }
        let address = &node.card.address;
        tracing::warn!(node = %id, %address, "a node was silent for too long and is taken for dead: its streams may be published elsewhere");
        nodes.expire(Owner { node: id, incarnation: node.incarnation }).await?;
    }
    Ok(())
}
