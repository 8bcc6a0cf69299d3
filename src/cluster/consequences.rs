//! What a change of the members would come to, as an operator is told before it is made.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::ensure;
use cluster_link::StatusReport;
use cluster_node::NodeId;

/// Who votes after a change, and who of them is down already.
pub(super) struct Consequences {
    votes: usize,
    down: BTreeSet<NodeId>,
}

impl Consequences {
    /// Of `gone` leaving for good. `status` is the newest view of the cluster, `silent` are members that do not answer.
    pub(super) fn of_removal(
        status: &StatusReport,
        silent: &BTreeSet<NodeId>,
        gone: NodeId,
    ) -> anyhow::Result<Self> {
        let left = Self::without(status, silent, gone)?;
        ensure!(
            left.votes > 0,
            "node {gone} is the last one that votes and cannot be removed: let another one in first (\"penstock cluster join\")"
        );
        Ok(left)
    }

    /// Of a node taking the place of `gone`, which leaves for good.
    pub(super) fn of_replacement(
        status: &StatusReport,
        silent: &BTreeSet<NodeId>,
        gone: NodeId,
    ) -> anyhow::Result<Self> {
        let Self { votes, down } = Self::without(status, silent, gone)?;
        Ok(Self { votes: votes + 1, down })
    }

    fn without(status: &StatusReport, silent: &BTreeSet<NodeId>, gone: NodeId) -> anyhow::Result<Self> {
        ensure!(
            status.voters.contains(&gone) || status.learners.contains(&gone),
            "the cluster has no member {gone}: \"penstock cluster members\" lists them"
        );
        let unheard = |node: &NodeId| status.progress.get(node).is_some_and(|progress| !progress.active);
        let left = || status.voters.iter().copied().filter(|voter| *voter != gone);
        let down = left().filter(|node| silent.contains(node) || unheard(node)).collect();
        Ok(Self { votes: left().count(), down })
    }

    /// How many vote then.
    pub(super) const fn votes(&self) -> usize {
        self.votes
    }

    const fn may_fail(&self) -> usize {
        self.votes.saturating_sub(1) / 2
    }
}

impl fmt::Display for Consequences {
    /// What stands behind "of which".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of which {} may fail", self.may_fail())?;
        let down: Vec<_> = self.down.iter().map(|node| format!("node {node}")).collect();
        match down.len() {
            0 => return Ok(()),
            1 => write!(f, ", and {} is down already", down.join(""))?,
            _ => write!(f, ", and {} are down already", down.join(" and "))?,
        }
        if down.len() > self.may_fail() {
            f.write_str(": nothing could be decided until enough of them are back")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cluster_link::MemberProgress;

    use super::*;

    fn cluster(voters: &[u64], unheard: &[u64]) -> StatusReport {
        let progress = |active| MemberProgress { matched: 1, active, snapshot: false };
        let heard = |node: &u64| (NodeId(*node), progress(!unheard.contains(node)));
        let voters_of = voters.iter().copied().map(NodeId).collect();
        StatusReport {
            voters: voters_of,
            progress: voters.iter().map(heard).collect(),
            ..StatusReport::default()
        }
    }

    fn removal(voters: &[u64], unheard: &[u64], silent: &[u64], gone: u64) -> String {
        let silent = silent.iter().copied().map(NodeId).collect();
        match Consequences::of_removal(&cluster(voters, unheard), &silent, NodeId(gone)) {
            Ok(then) => format!("{} vote, {then}", then.votes()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_removal_tells_how_many_may_fail_and_who_is_down() {
        assert_eq!(removal(&[1, 2, 3, 4], &[], &[], 4), "3 vote, of which 1 may fail");
        assert_eq!(removal(&[1, 2, 3, 4], &[4], &[4], 4), "3 vote, of which 1 may fail");
        assert_eq!(
            removal(&[1, 2, 3, 4], &[3], &[], 4),
            "3 vote, of which 1 may fail, and node 3 is down already"
        );
        assert_eq!(
            removal(&[1, 2, 3], &[], &[2], 3),
            "2 vote, of which 0 may fail, and node 2 is down already: nothing could be decided until enough of them are back"
        );
        assert!(removal(&[1, 2, 3, 4, 5], &[2], &[3], 5).contains("and node 2 and node 3 are down already"));
    }

    #[test]
    fn who_is_no_member_and_the_last_voter_are_not_removed() {
        assert!(removal(&[1, 2], &[], &[], 3).contains("has no member 3"));
        let last = removal(&[1], &[], &[], 1);
        assert!(last.contains("node 1 is the last one that votes"), "{last}");
    }

    #[test]
    fn a_replacement_has_as_many_voters_as_before() {
        let status = cluster(&[1, 2, 3], &[2]);
        let then = Consequences::of_replacement(&status, &BTreeSet::new(), NodeId(2)).unwrap();
        assert_eq!(format!("{} {then}", then.votes()), "3 of which 1 may fail");
        assert!(Consequences::of_replacement(&status, &BTreeSet::new(), NodeId(9)).is_err());
        let alone = Consequences::of_replacement(&cluster(&[1], &[]), &BTreeSet::new(), NodeId(1)).unwrap();
        assert_eq!(alone.votes(), 1);
    }
}
