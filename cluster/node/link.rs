//! The way to other nodes.

use cluster_core::{Class, NodeId};

/// Carries messages to other nodes. They may be lost, doubled and late, and come by [`crate::Node::receive`] there.
pub trait Link: Send + Sync {
    /// Sends, without waiting: what cannot be taken at once is lost.
    fn send(&self, to: NodeId, class: Class, bytes: Vec<u8>);
}

/// The link of a node that is alone.
pub(crate) struct Nobody;

impl Link for Nobody {
    fn send(&self, to: NodeId, _: Class, _: Vec<u8>) {
        tracing::debug!(%to, "a message to nobody was dropped");
    }
}
