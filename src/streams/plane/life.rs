//! One node, from its joining on.

use std::sync::Arc;

use cluster_model::{MetaError, NodeCard, NodeId, Nodes, Owner};
use parking_lot::Mutex;

struct Inner {
    nodes: Nodes,
    node: NodeId,
    card: NodeCard,
    owner: Mutex<Owner>,
    /// Held while a new life begins, so that those who notice the end of the old one begin one together.
    beginning: tokio::sync::Mutex<()>,
}

/// This node's present life in the metadata plane: what owns its claims and its facts. It is over when the others took
/// the node for dead; then the next one begins. Clones are the same.
#[derive(Clone)]
pub struct Life(Arc<Inner>);

impl Life {
    /// Joins: whatever an earlier life of this node owned is void from here on.
    pub async fn begin(nodes: Nodes, node: NodeId, card: NodeCard) -> Result<Self, MetaError> {
        let owner = nodes.join(node, card.clone()).await?;
        let (owner, beginning) = (Mutex::new(owner), tokio::sync::Mutex::default());
        Ok(Self(Arc::new(Inner { nodes, node, card, owner, beginning })))
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
        self.0.nodes.expire(self.owner()).await.map(drop)
    }
}
