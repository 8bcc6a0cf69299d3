//! What somebody must do now and then for the whole cluster: its leader, which is also a node that is alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use base::{Clock, WallTime, limits};
use cluster_model::{Incarnation, MetaError, Nodes, Owner, Upkeep};
use cluster_node::NodeId;

use crate::cluster::Plane;

/// Has what is over go, and takes nodes for dead that are silent, while this node leads. Never ends.
pub async fn run(upkeep: Upkeep, nodes: Nodes, plane: Plane, clock: Arc<dyn Clock>) {
    let status = plane.node.status();
    let mut away = false;
    let mut known = Lives::new();
    loop {
        tokio::time::sleep(limits::UPKEEP_EVERY).await;
        if !status.borrow().leads {
            known.clear();
            continue;
        }
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
        let buried = bury(&nodes, &plane, &mut known, &*clock).await;
        if let Err(error) = swept.and(buried) {
            tracing::debug!(%error, "what is over was not removed yet");
            away = true;
        }
    }
}

/// Lives of nodes that live, and since when this leader knows of them.
type Lives = BTreeMap<(NodeId, Incarnation), Instant>;

/// Nodes that this leader has not heard for so long are dead: all of them give it a sign of life. One that it never heard
/// has as long from the moment on in which this leader learned of it: it may have joined by another member.
async fn bury(nodes: &Nodes, plane: &Plane, known: &mut Lives, clock: &dyn Clock) -> Result<(), MetaError> {
    if plane.is_alone() {
        return Ok(());
    }
    let now = clock.now();
    let listed = nodes.list().await?;
    // As many as the state has, which bounds them.
    *known = listed
        .iter()
        .filter(|(_, node)| node.expired_ms.is_none())
        .map(|(id, node)| {
            let life = (*id, node.incarnation);
            (life, known.get(&life).copied().unwrap_or(now))
        })
        .collect();
    for (id, node) in listed {
        let Some(since) = known.get(&(id, node.incarnation)).copied().filter(|_| id != plane.id) else {
            continue;
        };
        let known_for = now.saturating_duration_since(since);
        let silent_for = plane.silent_for(id).map_or(known_for, |silent| silent.min(known_for));
        if silent_for < limits::NODE_SILENCE_MAX {
            continue;
        }
        let address = &node.card.address;
        tracing::warn!(node = %id, %address, "a node was silent for too long and is taken for dead: its streams may be published elsewhere");
        nodes.expire(Owner { node: id, incarnation: node.incarnation }).await?;
    }
    Ok(())
}
