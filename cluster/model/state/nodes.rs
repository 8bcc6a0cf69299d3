//! Nodes, their lives, and the generation of it all.

use std::sync::Arc;

use base::limits;

use super::{Changes, State, json_len};
use crate::{Change, Incarnation, Life, Node, NodeCard, NodeId, Outcome, Owner, Refusal};

/// How far the generation stands above the revision in the number of a life.
const GENERATION_SHIFT: u32 = 40;

impl State {
    /// One node, dead or alive.
    pub fn node(&self, node: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&node)
    }

    /// All nodes in the order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Arc<Node>)> {
        self.nodes.iter().map(|(id, node)| (*id, node))
    }

    /// Whether this is the present life of a node.
    pub fn is_alive(&self, owner: Owner) -> bool {
        self.node(owner.node)
            .is_some_and(|node| node.incarnation == owner.incarnation && node.expired_ms.is_none())
    }

    /// How far a life of a node has come; `None`: it is forgotten, or never was.
    pub fn life(&self, owner: Owner) -> Option<&Arc<Life>> {
        self.lives.get(&owner)
    }

    /// How often the data was restored before.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn join(&mut self, node: NodeId, card: NodeCard, changes: Changes<'_>) -> Outcome {
        if json_len(&card).is_none_or(|len| len > limits::NODE_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        let is_new = !self.nodes.contains_key(&node);
        if (is_new && self.nodes.len() >= limits::NODES_MAX) || self.lives.len() >= limits::INCARNATIONS_MAX {
            return Outcome::Refused(Refusal::TooManyNodes);
        }
        self.end_life(node, changes);
        // No counter that would have to outlive the row of a forgotten node.
        let incarnation = Incarnation((self.generation << GENERATION_SHIFT).saturating_add(self.revision.0));
        let now = Node { card, incarnation, joined_ms: self.now.as_millis(), expired_ms: None };
        self.change(Change::Node { node, now: Some(Arc::new(now)) }, changes);
        self.change(Change::Life { owner: Owner { node, incarnation }, now: Some(Arc::default()) }, changes);
        Outcome::Joined { incarnation }
    }

    pub(super) fn expire_node(
        &mut self,
        node: NodeId,
        incarnation: Incarnation,
        changes: Changes<'_>,
    ) -> Outcome {
        if !self.is_alive(Owner { node, incarnation }) {
            return Outcome::Refused(Refusal::NotJoined);
        }
        self.end_life(node, changes);
        Outcome::Done
    }

    pub(super) fn forget_node(&mut self, node: NodeId, changes: Changes<'_>) -> Outcome {
        match self.node(node) {
            None => Outcome::Absent,
            Some(known) if known.expired_ms.is_none() => Outcome::Refused(Refusal::Alive),
            Some(_) => {
                self.change(Change::Node { node, now: None }, changes);
                Outcome::Done
            }
        }
    }

    pub(super) fn raise_generation(&mut self, to: u64, changes: Changes<'_>) -> Outcome {
        if to <= self.generation {
            return Outcome::Conflict { version: self.generation };
        }
        // What they were doing happened after the copy, or in another cluster.
        let alive: Vec<_> = self.nodes.keys().copied().collect();
        for node in alive {
            self.end_life(node, changes);
        }
        self.change(Change::Generation(to), changes);
        Outcome::Stored { version: to }
    }

    fn end_life(&mut self, node: NodeId, changes: Changes<'_>) {
        let Some(known) = self.nodes.get(&node).filter(|known| known.expired_ms.is_none()) else { return };
        let now_ms = self.now.as_millis();
        let owner = Owner { node, incarnation: known.incarnation };
        let dead = Node { expired_ms: Some(now_ms), ..Node::clone(known) };
        let life = self.lives.get(&owner).map(|life| Life { ended_ms: Some(now_ms), ..Life::clone(life) });
        self.change(Change::Node { node, now: Some(Arc::new(dead)) }, changes);
        if let Some(life) = life {
            self.change(Change::Life { owner, now: Some(Arc::new(life)) }, changes);
        }
    }
}
