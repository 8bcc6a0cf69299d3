//! A network that delays, loses, doubles, reorders and cuts.

use std::collections::BTreeSet;

use cluster_core::NodeId;

use crate::rng::Rng;

/// What the network does at the moment.
#[derive(Debug, Default)]
pub struct Network {
    /// Directed links that carry nothing.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Of a thousand messages so many are lost.
    pub loss: u64,
    /// Of a thousand messages so many come twice.
    pub doubled: u64,
    /// Of a thousand messages so many are held up for long, and so come out of order.
    pub held_up: u64,
    /// Mean delay in microseconds.
    pub delay: u64,
}

impl Network {
    /// A good one.
    pub fn good() -> Self {
        Self { delay: 400, held_up: 2, ..Self::default() }
    }

    /// Cuts the link one way.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    /// Mends all links.
    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// Whether `from` reaches `to`.
    pub fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// After how long a message arrives: never, once or twice.
    pub fn carry(&self, from: NodeId, to: NodeId, rng: &mut Rng) -> [Option<u64>; 2] {
        if !self.reaches(from, to) || rng.chance(self.loss) {
            return [None, None];
        }
        let mut delay = || {
            let held_up = if rng.chance(self.held_up) { rng.between(10_000, 800_000) } else { 0 };
            rng.around(self.delay) + held_up + 50
        };
        let first = delay();
        let second = delay();
        [Some(first), rng.chance(self.doubled).then_some(second)]
    }
}
