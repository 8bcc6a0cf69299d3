//! A member is at least as new as it says: it has all that was told before its age.

use cluster_core::NodeId;
use cluster_model::Revision;

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Ages {
    /// When which revision was the newest one told.
    told: Vec<(u64, Revision)>,
}

impl Ages {
    pub(super) fn told(&mut self, at: u64, revision: Revision) {
        if self.told.last().is_none_or(|(_, newest)| *newest < revision) {
            self.told.push((at, revision));
        }
    }

    /// For how long, at `now`, something has been told that is newer than `revision`.
    pub(super) fn lag(&self, now: u64, revision: Revision) -> u64 {
        let place = self.told.partition_point(|(_, told)| *told <= revision);
        self.told.get(place).map_or(0, |(at, _)| now.saturating_sub(*at))
    }

    pub(super) fn says(&self, node: NodeId, since: u64, revision: Revision) -> Verdict {
        let place = self.told.partition_point(|(at, _)| *at <= since);
        let known = place.checked_sub(1).and_then(|place| self.told.get(place));
        match known {
            Some((at, told)) if *told > revision => broken(
                "a node is as fresh as it says",
                format!(
                    "node {node} has {revision}, and says it is of {since} us; {told} was told at {at} us"
                ),
            ),
            _ => Ok(()),
        }
    }
}
