//! Whom a node that is no member asks, and in which order.

use std::collections::BTreeSet;

use super::Client;
use crate::{Members, NodeId};

impl Client {
    /// Takes who the members are. An answer that came too late for its question counts if it knows of newer ones: those
    /// known here may all be gone before another one is answered in time.
    pub(super) fn take_members(&mut self, json: &[u8], is_ours: bool) {
        let Ok(members) = serde_json::from_slice::<Members>(json) else { return };
        if is_ours || members.newest > self.known.newest {
            self.known = members;
            self.go_round();
        }
    }

    pub(super) fn take_leader(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        if leader.is_some() && self.led != leader {
            self.led = leader;
            self.go_round();
        }
    }

    /// Members first; then who becomes one next, who led when last told, and those configured.
    fn go_round(&mut self) {
        let known =
            self.known.voters.iter().chain(&self.known.learners).chain(&self.led).chain(&self.configured);
        let mut seen = BTreeSet::new();
        self.members = known.copied().filter(|node| seen.insert(*node)).collect();
    }

    /// Whose turn it is to be asked first: a member's, as one told it last. Those only configured may be gone, all of them,
    /// and a question's deadline may come before it has gone round them.
    pub(super) fn first_turn(&mut self) -> usize {
        let place = self.turn.checked_rem(self.members.len()).unwrap_or_default();
        if place >= self.known.voters.len() {
            self.turn = place.checked_rem(self.known.voters.len()).unwrap_or_default();
        }
        self.turn
    }

    pub(super) fn member(&self, turn: usize) -> Option<NodeId> {
        let place = turn.checked_rem(self.members.len())?;
        self.members.get(place).copied()
    }
}
