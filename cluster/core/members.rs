//! Who the members are.

use std::collections::{BTreeMap, BTreeSet};

use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};
use serde::{Deserialize, Serialize};

use crate::NodeId;

/// Who votes, who will, and which id was given last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// They vote.
    pub voters: BTreeSet<NodeId>,
    /// They are sent the log and do not vote yet.
    pub learners: BTreeSet<NodeId>,
    /// In a joint configuration: the voters of the old one, whose majority is needed too.
    pub outgoing: BTreeSet<NodeId>,
    /// In a joint configuration: voters that will be learners.
    pub learners_next: BTreeSet<NodeId>,
    /// The joint configuration ends by itself.
    pub auto_leave: bool,
    /// The highest id ever given. Ids are never given twice.
    pub newest: NodeId,
    /// The member that goes when the learner of the key is promoted.
    pub replaces: BTreeMap<NodeId, NodeId>,
}

/// A wish to change the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum MembershipChange {
    /// `node` joins as a learner and is promoted once it has caught up; `replaces` leaves in the same change.
    Add {
        /// The new one. Its id was never used.
        node: NodeId,
        /// The one that goes.
        replaces: Option<NodeId>,
    },
    /// A member leaves.
    Remove {
        /// Who.
        node: NodeId,
    },
}

/// Why a membership change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader can.
    #[error("this node is not the leader")]
    NotLeader,
    /// One at a time.
    #[error("another change of the membership is under way")]
    UnderWay,
    /// Ids are never given twice.
    #[error("the id was used before")]
    UsedBefore,
    /// There is no such member.
    #[error("there is no such member")]
    Absent,
    /// There must be one.
    #[error("the last voter cannot be removed")]
    LastVoter,
    /// More than there may be.
    #[error("there are too many members")]
    TooMany,
    /// The leader does not remove itself. It has begun to hand over.
    #[error(
        "this node leads, and is removed by the next leader: leadership is being handed over, so say it again in some seconds"
    )]
    HandsOver,
    /// It cannot hand over either.
    #[error(
        "this node leads, and no other member that votes is reached to lead in its place: see that one of them runs and reaches it"
    )]
    NoSuccessor,
    /// It was removed or halted, or is being closed.
    #[error("this node takes no further part in the cluster")]
    Closed,
    /// Leadership is being handed over, or too much is uncommitted.
    #[error("the leader takes no proposals just now")]
    Busy,
}

impl Members {
    /// The first members of a cluster.
    pub fn first(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        let newest = voters.last().copied().unwrap_or_default();
        Self { voters, newest, ..Self::default() }
    }

    /// Whether two majorities are needed.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `node` takes part in any way.
    pub fn contains(&self, node: NodeId) -> bool {
        [&self.voters, &self.learners, &self.outgoing, &self.learners_next]
            .into_iter()
            .any(|set| set.contains(&node))
    }

    /// Whether `node` was a member and is none.
    pub fn removed(&self, node: NodeId) -> bool {
        node <= self.newest && !self.contains(node)
    }

    pub(crate) fn conf_state(&self) -> ConfState {
        let numbers = |set: &BTreeSet<NodeId>| set.iter().map(|node| node.0).collect();
        ConfState {
            voters: numbers(&self.voters),
            learners: numbers(&self.learners),
            voters_outgoing: numbers(&self.outgoing),
            learners_next: numbers(&self.learners_next),
            auto_leave: self.auto_leave,
        }
    }

    /// Takes over what a change came to.
    pub(crate) fn set(&mut self, conf: &ConfState, intent: Option<MembershipChange>) {
        let nodes = |numbers: &[u64]| numbers.iter().copied().map(NodeId).collect();
        self.voters = nodes(&conf.voters);
        self.learners = nodes(&conf.learners);
        self.outgoing = nodes(&conf.voters_outgoing);
        self.learners_next = nodes(&conf.learners_next);
        self.auto_leave = conf.auto_leave;
        if let Some(MembershipChange::Add { node, replaces }) = intent {
            self.newest = self.newest.max(node);
            if let Some(replaced) = replaces {
                self.replaces.insert(node, replaced);
            }
        }
        self.replaces.retain(|node, _| self.learners.contains(node));
    }

    /// Whether `change` may be made of these members. The same on every replica, so that an entry that got
    /// into the log all the same is passed over by all of them.
    pub(crate) fn check(&self, change: MembershipChange) -> Result<(), MembershipError> {
        if self.is_joint() {
            return Err(MembershipError::UnderWay);
        }
        match change {
            MembershipChange::Add { node, .. } if node <= self.newest => Err(MembershipError::UsedBefore),
            MembershipChange::Add { replaces: Some(replaced), .. } if !self.contains(replaced) => {
                Err(MembershipError::Absent)
            }
            MembershipChange::Add { .. }
                if self.voters.len() + self.learners.len() >= base::limits::RAFT_MEMBERS_MAX =>
            {
                Err(MembershipError::TooMany)
            }
            MembershipChange::Add { .. } => Ok(()),
            MembershipChange::Remove { node } if !self.contains(node) => Err(MembershipError::Absent),
            MembershipChange::Remove { node } if self.voters.len() == 1 && self.voters.contains(&node) => {
                Err(MembershipError::LastVoter)
            }
            MembershipChange::Remove { .. } => Ok(()),
        }
    }

    /// The entry's data for `change`, and what it means, for its context.
    pub(crate) fn entry(change: MembershipChange) -> (ConfChangeV2, Vec<u8>) {
        let single = match change {
            MembershipChange::Add { node, .. } => single(node, ConfChangeType::AddLearnerNode),
            MembershipChange::Remove { node } => single(node, ConfChangeType::RemoveNode),
        };
        let context = serde_json::to_vec(&change).unwrap_or_default();
        (ConfChangeV2 { changes: vec![single], ..ConfChangeV2::default() }, context)
    }

    /// The joint change that makes the learner `node` a voter and lets the one it replaces go.
    pub(crate) fn promotion(&self, node: NodeId) -> ConfChangeV2 {
        let mut changes = vec![single(node, ConfChangeType::AddNode)];
        if let Some(replaced) = self.replaces.get(&node).filter(|replaced| self.contains(**replaced)) {
            changes.push(single(*replaced, ConfChangeType::RemoveNode));
        }
        ConfChangeV2 { changes, ..ConfChangeV2::default() }
    }
}

fn single(node: NodeId, kind: ConfChangeType) -> ConfChangeSingle {
    let mut single = ConfChangeSingle { node_id: node.0, ..ConfChangeSingle::default() };
    single.set_change_type(kind);
    single
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Members {
        Members::first([1, 2, 3].map(NodeId))
    }

    #[test]
    fn an_id_is_never_given_twice() {
        let mut members = three();
        let add = |n| MembershipChange::Add { node: NodeId(n), replaces: None };
        assert_eq!(members.check(add(3)), Err(MembershipError::UsedBefore));
        assert_eq!(members.check(add(4)), Ok(()));
        members.set(
            &ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() },
            Some(add(4)),
        );
        members.set(&ConfState { voters: vec![1, 2, 3], ..ConfState::default() }, None);
        assert_eq!(members.check(add(4)), Err(MembershipError::UsedBefore));
        assert!(members.removed(NodeId(4)) && !members.removed(NodeId(5)));
    }

    #[test]
    fn members_have_their_golden_form_and_come_back_from_it() {
        let nodes = |numbers: &[u64]| numbers.iter().copied().map(NodeId).collect();
        let members = Members {
            voters: nodes(&[1, 2, 4]),
            learners: nodes(&[5]),
            outgoing: nodes(&[1, 2, 3]),
            learners_next: nodes(&[3]),
            auto_leave: true,
            newest: NodeId(5),
            replaces: [(NodeId(5), NodeId(2))].into(),
        };
        let kept = crate::golden::compare("members.json", &serde_json::to_vec(&members).unwrap());
        assert_eq!(serde_json::from_slice::<Members>(&kept).unwrap(), members);
    }

    #[test]
    fn the_last_voter_stays() {
        let members = Members::first([NodeId(1)]);
        let remove = |n| MembershipChange::Remove { node: NodeId(n) };
        assert_eq!(members.check(remove(1)), Err(MembershipError::LastVoter));
        assert_eq!(members.check(remove(2)), Err(MembershipError::Absent));
    }

    #[test]
    fn the_replaced_one_goes_in_the_change_that_promotes() {
        let mut members = three();
        let add = MembershipChange::Add { node: NodeId(4), replaces: Some(NodeId(2)) };
        members
            .set(&ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() }, Some(add));
        assert_eq!(members.promotion(NodeId(4)).changes.len(), 2);
    }
}
