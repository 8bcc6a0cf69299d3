//! What somebody must do now and then for the whole cluster: its leader, which is also a node that is alone.

use std::sync::Arc;

use base::{Clock, WallTime, limits};
use cluster_model::Upkeep;
use cluster_node::Status;
use tokio::sync::watch;

/// Has what is over go, while this node leads. Never ends.
pub async fn run(upkeep: Upkeep, status: watch::Receiver<Status>, clock: Arc<dyn Clock>) {
    let mut away = false;
    loop {
        tokio::time::sleep(limits::UPKEEP_EVERY).await;
        if !status.borrow().leads {
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
        if let Err(error) = swept {
            tracing::debug!(%error, "what is over was not removed yet");
            away = true;
        }
    }
}
