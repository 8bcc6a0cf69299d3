//! One node, from its joining on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::limits;
use cluster_model::{MetaError, NodeCard, NodeId, Nodes, NotApplied, Owner};
use parking_lot::Mutex;

struct Inner {
    nodes: Nodes,
    node: NodeId,
    card: NodeCard,
    owner: Mutex<Owner>,
    /// Held while a new life begins, so that those who notice the end of the old one begin one together.
    beginning: tokio::sync::Mutex<()>,
    /// The node stops: it joins no more.
    stops: AtomicBool,
}

/// This node's present life in the metadata plane: what owns its claims and its facts. It is over when the others took
/// the node for dead; then the next one begins. Clones are the same.
#[derive(Clone)]
pub struct Life(Arc<Inner>);

impl Life {
    /// Joins: whatever an earlier life of this node owned is void from here on.
    pub async fn begin(nodes: Nodes, node: NodeId, card: NodeCard) -> Result<Self, MetaError> {
        let owner = nodes.join(node, card.clone()).await?;
        let (owner, beginning, stops) =
            (Mutex::new(owner), tokio::sync::Mutex::default(), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { nodes, node, card, owner, beginning, stops })))
    }

    /// Begins the next life when the others have ended this one, whether or not anything is published here: connection slots
    /// are taken by a life, too. Ends when the node stops.
    pub async fn keep(self) {
        loop {
            tokio::time::sleep(limits::META_ALIVE_EVERY).await;
            if self.0.stops.load(Ordering::Acquire) {
                return;
            }
            let owner = self.owner();
            // Without an answer nobody knows, and the next one may.
            let Ok(listed) = self.0.nodes.list().await else { continue };
            let is_over = match listed.iter().find(|(id, _)| *id == owner.node) {
                Some((_, node)) => node.incarnation == owner.incarnation && node.expired_ms.is_some(),
                // Dead for so long that it was forgotten.
                None => true,
            };
            if is_over && let Err(error) = self.after(owner).await {
                tracing::debug!(%error, "the node did not join again yet");
            }
        }
    }

    /// The present life.
    pub fn owner(&self) -> Owner {
        *self.0.owner.lock()
    }

    /// The life `over` was ended by others: the one after it, which is begun unless somebody was quicker.
    pub(super) async fn after(&self, over: Owner) -> Result<Owner, MetaError> {
        let _one = self.0.beginning.lock().await;
        let owner = self.owner();
        if owner != over {
            return Ok(owner);
        }
        if self.0.stops.load(Ordering::Acquire) {
            return Err(NotApplied::Closed.into());
        }
        let owner = self.0.nodes.join(self.0.node, self.0.card.clone()).await?;
        *self.0.owner.lock() = owner;
        tracing::warn!(
            node = %owner.node,
            "the others had taken this node for dead: it has joined again, and claims its streams anew"
        );
        Ok(owner)
    }

    /// The node stops: nobody has to wait until it is taken for dead.
    pub async fn end(&self) -> Result<(), MetaError> {
        let _none_begins = self.0.beginning.lock().await;
        self.0.stops.store(true, Ordering::Release);
        self.0.nodes.expire(self.owner()).await.map(drop)
    }
}
