//! A term has at most one leader.

use std::collections::BTreeMap;

use cluster_core::NodeId;

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Elections {
    leaders: BTreeMap<u64, NodeId>,
}

impl Elections {
    pub(super) fn leads(&mut self, node: NodeId, term: u64) -> Verdict {
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader == node {
            Ok(())
        } else {
            broken("a term has one leader", format!("nodes {leader} and {node} lead term {term}"))
        }
    }
}
