//! The façades for nodes, and for what is done for all of them.

use std::sync::Arc;

use base::WallTime;

use crate::{
    Answer, Command, Consistency, MetaError, Node, NodeCard, NodeId, Outcome, Owner, Query, Refusal,
};

super::facade! {
    /// The nodes of the cluster.
    Nodes
}

super::facade! {
    /// What somebody must do now and then for everybody: the leader, or a node that is alone.
    Upkeep
}

impl Nodes {
    /// This node begins a life. To be called once at its start, before it owns anything.
    pub async fn join(&self, node: NodeId, card: NodeCard) -> Result<Owner, MetaError> {
        match self.proposer.propose(Command::NodeJoined { node, card }).await? {
            (_, Outcome::Joined { incarnation }) => Ok(Owner { node, incarnation }),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A node has not been heard of for too long; `false` when that life of it was over already.
    pub async fn expire(&self, owner: Owner) -> Result<bool, MetaError> {
        let command = Command::NodeExpired { node: owner.node, incarnation: owner.incarnation };
        match self.proposer.propose(command).await {
            Ok((_, Outcome::Done)) => Ok(true),
            Err(MetaError::Refused(Refusal::NotJoined)) => Ok(false),
            Ok(_) => Err(MetaError::WrongAnswer),
            Err(error) => Err(error),
        }
    }

    /// Removes a dead node from the list; `false` when there was none.
    pub async fn forget(&self, node: NodeId) -> Result<bool, MetaError> {
        self.proposer.done_or_absent(Command::ForgetNode { node }).await
    }

    /// All nodes, as this one knows them.
    pub async fn list(&self) -> Result<Vec<(NodeId, Arc<Node>)>, MetaError> {
        match self.proposer.read(Query::Nodes, Consistency::Local).await? {
            (_, Answer::Nodes(nodes)) => Ok(nodes),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}

impl Upkeep {
    /// Removes everything that is over at `up_to`.
    pub async fn sweep(&self, up_to: WallTime) -> Result<(), MetaError> {
        self.proposer.sweep(Command::Expire { up_to }).await
    }

    /// Whether anything is over at `up_to` and still there, as this node knows it.
    pub async fn is_due(&self, up_to: WallTime) -> Result<bool, MetaError> {
        match self.proposer.read(Query::Due { up_to }, Consistency::Local).await? {
            (_, Answer::Count(count)) => Ok(count > 0),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The data was restored from a copy: raises the generation, once, and returns the present one.
    pub async fn raise_generation(&self, to: u64) -> Result<u64, MetaError> {
        match self.proposer.propose(Command::RaiseGeneration { to }).await? {
            (_, Outcome::Stored { version } | Outcome::Conflict { version }) => Ok(version),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}
