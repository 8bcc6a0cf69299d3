//! The cluster's time: what a leader stamps commands with.
//!
//! A state's time never goes back, and leases and tokens end by it; so no single wall clock may drive it. Members tell
//! each other what theirs show. A leader stamps with the median of the voters' clocks, guessed low while some are not
//! known: of three voters one may be wrong by any amount and moves nothing. Between two looks, and while too few clocks are
//! known, time goes on by the leader's monotonic clock. What is ahead of the median (its clocks went back) goes on at half
//! speed until they meet: leases last longer then, and never shorter. They can be shorter by as much as time lagged: while one
//! voter's clock is behind and another voter is not heard, time goes on from where it was, and what it missed before (nobody
//! led) is caught up with when the clocks of most are known again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::{WallTime, limits};

use crate::{Moment, NodeId, Now};

/// What members' wall clocks showed, and the time that was given last.
#[derive(Default)]
pub(crate) struct Clocks {
    /// By member: when it was heard, by this node's monotonic clock, and what it said.
    heard: BTreeMap<NodeId, (Moment, WallTime)>,
    /// While this node leads: the time it gave last, since the epoch, and when.
    given: Option<(Moment, Duration)>,
}

impl Clocks {
    /// `node`, a member, says what its clock shows.
    pub(crate) fn hear(&mut self, node: NodeId, now: Moment, wall: WallTime) {
        self.heard.insert(node, (now, wall));
        self.heard.retain(|_, (at, _)| now.saturating_sub(*at) <= limits::CLUSTER_CLOCK_KEPT);
    }

    /// Another leadership begins.
    pub(crate) fn begin(&mut self) {
        self.given = None;
    }

    /// The time now, for who leads `voters` since `since`, with a state whose time is `state`. `None` while too few clocks
    /// are known, for some seconds at most.
    pub(crate) fn stamp(
        &mut self,
        (own, now): (NodeId, Now),
        voters: &[&BTreeSet<NodeId>],
        state: WallTime,
        since: Moment,
    ) -> Option<WallTime> {
        let medians = voters.iter().map(|voters| self.median(own, now, voters)).collect::<Option<Vec<_>>>();
        let median = medians.and_then(|medians| medians.into_iter().min());
        if median.is_none() && self.given.is_none() && now.monotonic < since + limits::CLUSTER_CLOCK_WAIT_MAX
        {
            return None;
        }
        let (at, given) = self.given.unwrap_or((since, Duration::ZERO));
        let given = given.max(Duration::from_millis(state.as_millis()));
        let elapsed = now.monotonic.saturating_sub(at);
        let mut time = given + elapsed;
        if let Some(median) = median {
            let most = median + limits::CLUSTER_CLOCK_SLACK;
            time = if time > most { most.max(given + elapsed / 2) } else { time.max(median) };
        }
        self.given = Some((now.monotonic, time));
        Some(WallTime(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The lower median of the clocks of `voters`, or less: those that are not known count as far behind.
    fn median(&self, own: NodeId, now: Now, voters: &BTreeSet<NodeId>) -> Option<Duration> {
        let shown = |node: &NodeId| {
            if *node == own {
                return Some(Duration::from_millis(now.wall.as_millis()));
            }
            let (at, wall) = self.heard.get(node)?;
            let age = now.monotonic.saturating_sub(*at);
            (age <= limits::CLUSTER_CLOCK_KEPT).then(|| Duration::from_millis(wall.as_millis()) + age)
        };
        let mut known: Vec<_> = voters.iter().filter_map(shown).collect();
        known.sort_unstable();
        let unknown = voters.len() - known.len();
        let place = voters.len().div_ceil(2).checked_sub(unknown + 1)?;
        known.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOURS_MS: u64 = 2 * 3_600_000;

    fn voters(count: u64) -> BTreeSet<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    fn now(monotonic: Moment, wall_ms: u64) -> (NodeId, Now) {
        (NodeId(1), Now { monotonic, wall: WallTime(wall_ms) })
    }

    #[test]
    fn one_clock_that_is_hours_ahead_or_behind_moves_nothing() {
        let all = voters(3);
        let mut clocks = Clocks::default();
        // The leader's own is ahead, then one of the others, then one is behind.
        for (n, walls) in (0..).zip([
            [HOURS_MS, 0, 0],
            [0, HOURS_MS, 0],
            [0, 0, HOURS_MS],
            [HOURS_MS, HOURS_MS, 2 * HOURS_MS],
        ]) {
            let (at, base) = (SECOND * n, 1_000_000 + 1_000 * u64::from(n));
            clocks.begin();
            for (node, off) in (2..).zip(&walls[1..]) {
                clocks.hear(NodeId(node), at, WallTime(base + off));
            }
            let given = clocks.stamp(now(at, base + walls[0]), &[&all], WallTime(base), at);
            let expected = if walls[2] > HOURS_MS { base + HOURS_MS } else { base };
            assert_eq!(given, Some(WallTime(expected)), "{walls:?}");
        }
    }

    #[test]
    fn with_a_voter_away_the_lower_clock_counts_and_time_goes_on_all_the_same() {
        let all = voters(3);
        let mut clocks = Clocks::default();
        clocks.hear(NodeId(2), SECOND, WallTime(1_000_000));
        let given = |clocks: &mut Clocks, at: u32| {
            clocks.stamp(now(SECOND * at, 1_000_000 + HOURS_MS), &[&all], WallTime(0), SECOND)
        };
        assert_eq!(given(&mut clocks, 1), Some(WallTime(1_000_000)));
        // Nobody was heard for longer than counts: what was given last goes on.
        assert_eq!(given(&mut clocks, 31), Some(WallTime(1_030_000)));
    }

    #[test]
    fn what_is_ahead_of_the_median_goes_on_at_half_speed_until_they_meet() {
        let all = voters(1);
        let mut clocks = Clocks::default();
        let mut given = |at: u32, wall_ms| {
            clocks.stamp(now(SECOND * at, wall_ms), &[&all], WallTime(0), SECOND).map(WallTime::as_millis)
        };
        assert_eq!(given(1, 100_000), Some(100_000));
        // The clock goes back by ten seconds.
        assert_eq!(given(5, 94_000), Some(102_000));
        assert_eq!(given(21, 110_000), Some(111_000));
        assert_eq!(given(22, 111_000), Some(112_000));
        assert_eq!(given(23, 115_000), Some(115_000));
    }

    #[test]
    fn without_a_majority_of_clocks_a_leader_waits_a_little_and_then_goes_on() {
        let all = voters(3);
        let mut clocks = Clocks::default();
        let state = WallTime(5_000);
        assert_eq!(clocks.stamp(now(SECOND, 9_000), &[&all], state, SECOND), None);
        let later = SECOND + limits::CLUSTER_CLOCK_WAIT_MAX;
        let given = clocks.stamp(now(later, 9_000), &[&all], state, SECOND);
        assert_eq!(given, Some(WallTime(5_000).plus(limits::CLUSTER_CLOCK_WAIT_MAX)));
    }

    #[test]
    fn in_a_joint_configuration_both_majorities_agree_on_the_time() {
        let (old, new) = (voters(3), [1, 4, 5].map(NodeId).into_iter().collect());
        let mut clocks = Clocks::default();
        for node in [2, 3] {
            clocks.hear(NodeId(node), SECOND, WallTime(1_000));
        }
        for node in [4, 5] {
            clocks.hear(NodeId(node), SECOND, WallTime(1_000 + HOURS_MS));
        }
        let given = clocks.stamp(now(SECOND, 1_000 + HOURS_MS), &[&new, &old], WallTime(0), SECOND);
        assert_eq!(given, Some(WallTime(1_000)));
    }
}
